"""Which jokes are learned from: each filter is a named function, and the report counts what each of them kept out.

The defaults take any corpus; what suits a site stands in its recipe.
"""

from __future__ import annotations

import difflib
import heapq
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bokemodel.encoders.base import imagenet_classes
from store.text import text_hash
from store.words import WordFilter
from training.corpus import Joke
from training.errors import FilterError
from training.most import Most, liking

_BLANKS = re.compile(
    r"[〇○◯●]{2,}"  # 〇〇な人
    r"|[□■]{2,}"
    r"|[_＿]{2,}"
    r"|[「『【［]\s*[?？]*\s*[」』】］]"  # 「　」, 【？】
    r"|（\s*）|\(\s+\)|\[\s+\]"  # but not （？）, which doubts
    r"|穴埋め|空欄|空白を埋め|に入る(?:言葉|ことば|セリフ|台詞|文字)"
)
_LINKS = re.compile(
    r"(?i)\b[a-z][a-z0-9+.-]{1,15}://"
    r"|\bwww\."
    r"|\b[a-z0-9-]+\.(?:com|net|org|info|biz|io|co|tv|jp)\b"
    r"|\byoutu\.be\b"
)
_MENTIONS = re.compile(r"<[@#!][^>\s]{1,80}>|(?<![\w@.])@[A-Za-z_][A-Za-z0-9_]+|[\w.+-]+@[\w-]+\.\w")


@dataclass(frozen=True)
class FilterConfig:
    """What is kept out.

    Attributes:
        fill_in_the_blank: odai that ask for a word instead of a joke (穴埋め).
        min_chars, max_chars: of the text.
        links_and_mentions: texts with an address or somebody's name in a chat.
        unwanted_words: texts with a word that no answer may hold either.
        flagged: jokes that their site marks as not for everybody.
        min_stars: fewer, or none known; None: no minimum. A joke from chat needs more votes for it than against it.
        duplicates: the same picture's jokes that read the same, but for the best.
        per_picture_cap: most jokes of one picture, the best ones; None: all.
        domain: classes of ImageNet, by name; only pictures of these are kept. Empty: all pictures.
        most: jokes that are learned from, of all that pass: the best ones, spread over the pictures, and others to compare
            with (`training.most`); None: all.
    """

    fill_in_the_blank: bool = True
    min_chars: int = 1
    max_chars: int = 200
    links_and_mentions: bool = True
    unwanted_words: bool = True
    flagged: bool = False
    min_stars: float | None = None
    duplicates: bool = True
    per_picture_cap: int | None = None
    domain: tuple[str, ...] = ()
    most: int | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_chars <= self.max_chars:
            raise FilterError(f"min_chars {self.min_chars} and max_chars {self.max_chars} let nothing through")
        for name, cap in (("per_picture_cap", self.per_picture_cap), ("most", self.most)):
            if cap is not None and cap < 1:
                raise FilterError(f"{name} {cap} lets nothing through; leave it out for no cap")
        object.__setattr__(self, "domain", tuple(self.domain))


@dataclass(frozen=True)
class FilterReport:
    """How many jokes came, how many were kept, and how many each filter kept out, by its name, in their order."""

    read: int
    kept: int
    dropped: Mapping[str, int]


PictureTest = Callable[[str], bool]  # is a picture, named by its digest, of the wanted kind?


# --- the filters: True keeps the joke -------------------------------------------------------------------------------


def fill_in_the_blank(joke: Joke) -> bool:
    """The odai does not ask to fill in a blank: neither its category nor the words on its picture say so."""
    if any("穴埋め" in category for category in (joke.category, joke.odai_category) if category):
        return False
    return joke.title is None or _BLANKS.search(joke.title) is None


def length(joke: Joke, min_chars: int, max_chars: int) -> bool:
    """The text, without what surrounds it, has so many characters."""
    return min_chars <= len(joke.text.strip()) <= max_chars


def links_and_mentions(joke: Joke) -> bool:
    """The text has no address of a page or a mailbox, and calls nobody."""
    return _LINKS.search(joke.text) is None and _MENTIONS.search(joke.text) is None


def unwanted_words(joke: Joke, words: WordFilter) -> bool:
    """The text has no word that no answer may hold."""
    return words.allows(joke.text)


def flagged(joke: Joke) -> bool:
    """Its site does not mark it as not for everybody."""
    return not joke.flagged


def min_stars(joke: Joke, stars: float) -> bool:
    """People liked it: so many stars, or more votes in chat for it than against it."""
    return joke.stars >= stars if joke.stars is not None else joke.up > joke.down


def domain(joke: Joke, test: PictureTest) -> bool:
    """Its picture is of the wanted classes."""
    return test(joke.picture)


def duplicates(jokes: Iterable[Joke]) -> list[Joke]:
    """Of one picture's jokes that read the same, the best one, where the first of them stood."""
    best: dict[int, Joke] = {}
    for joke in jokes:
        key = text_hash(joke.text)
        if key not in best or liking(joke) > liking(best[key]):
            best[key] = joke
    return list(best.values())


def per_picture_cap(jokes: Iterable[Joke], cap: int) -> list[Joke]:
    """Of one picture's jokes, the best ones."""
    return heapq.nlargest(cap, jokes, key=liking)


# --- all of them together -------------------------------------------------------------------------------------------


class Filters:
    """The filters of a configuration, in the order above. One object counts what one corpus lost."""

    def __init__(
        self,
        config: FilterConfig,
        *,
        words: WordFilter | None = None,
        in_domain: PictureTest | None = None,
        folder: Path | None = None,
    ) -> None:
        """Args:
            words: None takes the list that ships.
            in_domain: needed where `config.domain` names classes; `Domain` is one.
            folder: where `config.most` keeps jokes meanwhile; None: where temporary files go.

        Raises: FilterError
        """
        self.config = config
        self._single = _single_filters(config, words, in_domain)
        self._dropped = dict.fromkeys(self._single, 0)
        self._groups: dict[str, Callable[[list[Joke]], list[Joke]]] = {}
        if config.duplicates:
            self._groups["duplicates"] = duplicates
        cap = config.per_picture_cap
        if cap is not None:
            self._groups["per_picture_cap"] = lambda jokes: per_picture_cap(jokes, cap)
        self._dropped |= dict.fromkeys(self._groups, 0)
        self._most = None if config.most is None else Most(config.most, folder)
        self._read = self._kept = 0

    @property
    def report(self) -> FilterReport:
        """The counts so far."""
        over = {} if self._most is None else {"most": self._most.dropped}
        return FilterReport(self._read, self._kept, self._dropped | over)

    def keep(self, jokes: Iterable[Joke]) -> Iterator[Joke]:
        """The jokes that pass. A picture's jokes must come together; they are held in memory, others are not.

        With `most` none comes out before all are read. Raises: OSError, where they cannot be kept meanwhile.
        """
        pictures = self._by_picture(jokes)
        for joke in chain.from_iterable(pictures) if self._most is None else self._most.keep(pictures):
            self._kept += 1
            yield joke

    def _by_picture(self, jokes: Iterable[Joke]) -> Iterator[list[Joke]]:
        for _, of_picture in groupby(self._one_by_one(jokes), key=lambda joke: joke.picture):
            kept = list(of_picture)
            for name, choose in self._groups.items():
                chosen = choose(kept)
                self._dropped[name] += len(kept) - len(chosen)
                kept = chosen
            yield kept

    def _one_by_one(self, jokes: Iterable[Joke]) -> Iterator[Joke]:
        for joke in jokes:
            self._read += 1
            for name, passes in self._single.items():
                if not passes(joke):
                    self._dropped[name] += 1
                    break
            else:
                yield joke


def _single_filters(
    config: FilterConfig, words: WordFilter | None, in_domain: PictureTest | None
) -> dict[str, Callable[[Joke], bool]]:
    chosen: dict[str, Callable[[Joke], bool]] = {}
    if config.fill_in_the_blank:
        chosen["fill_in_the_blank"] = fill_in_the_blank
    chosen["length"] = lambda joke: length(joke, config.min_chars, config.max_chars)
    if config.links_and_mentions:
        chosen["links_and_mentions"] = links_and_mentions
    if config.unwanted_words:
        list_of_words = words or WordFilter.load()
        chosen["unwanted_words"] = lambda joke: unwanted_words(joke, list_of_words)
    if config.flagged:
        chosen["flagged"] = flagged
    stars = config.min_stars
    if stars is not None:
        chosen["min_stars"] = lambda joke: min_stars(joke, stars)
    if config.domain:
        if in_domain is None:
            raise FilterError("a domain needs the pictures' feature vectors")
        test = in_domain
        chosen["domain"] = lambda joke: domain(joke, test)
    return chosen


# --- domain ---------------------------------------------------------------------------------------------------------


class Classifier(Protocol):
    """What tells vectors (N, dim) apart: logits (N, classes), classes as in `imagenet_classes`. Encoders do."""

    def class_scores(self, features: NDArray[np.float32]) -> NDArray[np.float32]: ...


class Vectors(Protocol):
    """Stored vectors: `training.features.FeatureStore`."""

    @property
    def vectors(self) -> NDArray[np.float32]: ...

    def rows(self, digests: Sequence[str]) -> NDArray[np.int64]: ...


class Domain:
    """Is a picture's most likely class of ImageNet among these? Pictures without a vector are not."""

    def __init__(self, store: Vectors, encoder: Classifier, classes: Collection[str], *, batch: int = 1024) -> None:
        """Classify all stored pictures. Raises FilterError where no class has such a name."""
        self.store = store
        self._last = ("", False)  # a picture's jokes come together
        wanted = class_numbers(classes)
        vectors = store.vectors
        self.inside = np.zeros(len(vectors), np.bool_)
        for start in range(0, len(vectors), batch):
            scores = encoder.class_scores(np.asarray(vectors[start : start + batch], np.float32))
            self.inside[start : start + batch] = np.isin(scores.argmax(axis=1), wanted)

    def __call__(self, picture: str) -> bool:
        if picture != self._last[0]:
            row = self.store.rows([picture])[0]
            self._last = (picture, row >= 0 and bool(self.inside[row]))
        return self._last[1]


def class_numbers(names: Collection[str]) -> NDArray[np.int64]:
    """Places of ImageNet's classes in a classifier's outputs. Some names stand twice ("crane"). Raises FilterError"""
    known: dict[str, list[int]] = {}
    for number, name in enumerate(imagenet_classes()):
        known.setdefault(name.casefold(), []).append(number)
    found: list[int] = []
    for name in names:
        if name.casefold() not in known:
            close = difflib.get_close_matches(name.casefold(), known, n=3)
            meant = f"; close to it are {', '.join(close)}" if close else ""
            raise FilterError(f"ImageNet has no class {name!r}{meant}")
        found += known[name.casefold()]
    return np.array(sorted(found), np.int64)
