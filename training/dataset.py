"""What a decoder is trained on: a selection's jokes with their pictures' vectors, looked up batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from bokemodel.packing import Normalizer
from training.features import FeatureStore
from training.held_out import HeldOutPicture, Joke
from training.selection import PackedTokens, Selection
from training.train import Texts
from training.weights import WeightConfig, joke_weights
from training.word_layer import fit_word_layer

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
NORMALIZER_PICTURES = 20_000  # that the normaliser is learned from, at most
DEV_JOKES = 20_000  # that the dev loss is taken over after each epoch, at most
MEASURED_JOKES = 30_000  # that two models are compared on, at most


class Vectors:
    """The vectors of a selection's pictures, stored ones and those from chat, by the picture's number."""

    def __init__(self, selection: Selection, store: FeatureStore) -> None:
        self._store, self._extra = store, selection.vectors
        own = len(selection.digests) - len(selection.vectors)
        self._rows = np.concatenate([_stored_rows(selection, store, own), np.zeros(len(self._extra), np.int64)])
        self._own = own
        self.known: NDArray[np.bool_] = self._rows >= 0

    def __getitem__(self, pictures: Ints, /) -> Floats:
        """(N,) numbers of pictures to float32 (N, dim)."""
        found = np.empty((len(pictures), self._store.dim), np.float32)
        stored = pictures < self._own
        found[stored] = self._store.vectors[self._rows[pictures[stored]]]
        if not stored.all():
            found[~stored] = self._extra[pictures[~stored] - self._own]
        return found


@dataclass(frozen=True)
class LeftOut:
    """What the word layer says of the pictures it was fitted on, of each without that one.

    Attributes:
        rows: (P,) of each picture of the selection in `values`; -1 where it was not fitted on. values: (F, size)
    """

    rows: Ints
    values: Floats


@dataclass(frozen=True)
class Normalised:
    """Vectors of jokes at the decoder's scale: by the joke's place among those that are trained on."""

    vectors: Vectors
    pictures: Ints  # (N,) of each joke
    normalizer: Normalizer
    left_out: LeftOut | None = None

    def __getitem__(self, jokes: Ints, /) -> Floats:
        pictures = self.pictures[jokes]
        found = self.normalizer(self.vectors[pictures])
        if self.left_out is not None:
            rows = self.left_out.rows[pictures]
            found[rows >= 0] = self.left_out.values[rows[rows >= 0]]
        return found


class Chosen(Sequence[NDArray[Any]]):
    """Some of many packed texts."""

    def __init__(self, tokens: PackedTokens, jokes: Ints) -> None:
        self._tokens, self._jokes = tokens, jokes
        self.lengths: Ints = tokens.lengths[jokes]

    def __len__(self) -> int:
        return len(self._jokes)

    @overload
    def __getitem__(self, index: int, /) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[NDArray[Any]]: ...
    def __getitem__(self, index: int | slice, /) -> NDArray[Any] | list[NDArray[Any]]:
        if isinstance(index, slice):
            return [self._tokens[int(i)] for i in self._jokes[index]]
        return self._tokens[int(self._jokes[index])]


@dataclass(frozen=True)
class Dataset:
    """A selection whose pictures have vectors.

    Attributes:
        train, dev: numbers of jokes. dev: none of a picture that `seen` holds.
    """

    selection: Selection
    vectors: Vectors
    train: Ints
    dev: Ints

    @classmethod
    def of(cls, selection: Selection, store: FeatureStore, seen: frozenset[str]) -> Dataset:
        """seen: digests of pictures that a model which is gone on from, or compared to, was trained on."""
        vectors = Vectors(selection, store)
        usable = np.asarray(vectors.known)
        held = selection.dev & usable
        if seen:
            held &= np.array([bytes(digest).decode() not in seen for digest in selection.digests], bool)
        train = np.flatnonzero((usable & ~selection.dev)[selection.picture])
        return cls(selection, vectors, train, np.flatnonzero(held[selection.picture]))

    def normalizer(self) -> Normalizer:
        """Learned from the training pictures."""
        return Normalizer.fit(self.vectors[self._fitted_pictures()])

    def word_layer(
        self, tokens: PackedTokens, normalizer: Normalizer, units: int, size: int
    ) -> tuple[Normalizer, LeftOut]:
        """A normaliser with a word layer, learned from the pictures that the given one was learned from."""
        pictures = self._fitted_pictures()
        jokes = self.train[np.isin(self.selection.picture[self.train], pictures)]
        owners = np.searchsorted(pictures, self.selection.picture[jokes])
        layer = fit_word_layer(normalizer(self.vectors[pictures]), Chosen(tokens, jokes), owners, units, size)
        rows = np.full(len(self.selection.digests), -1, np.int64)
        rows[pictures] = np.arange(len(pictures))
        return replace(normalizer, words=layer.weights), LeftOut(rows, layer.unseen)

    def _fitted_pictures(self) -> Ints:
        pictures = np.unique(self.selection.picture[self.train]).astype(np.int64)
        return pictures[:: -(-len(pictures) // NORMALIZER_PICTURES)]

    def weights(self, config: WeightConfig, vote_weight: float) -> Floats:
        """How much each joke counts, (N,) for all of the selection."""
        chosen = self.selection
        return joke_weights(chosen.picture, chosen.stars, chosen.ratings, chosen.votes, config, vote_weight)

    def texts(
        self,
        jokes: Ints,
        tokens: PackedTokens,
        normalizer: Normalizer,
        weights: Floats | None,
        left_out: LeftOut | None = None,
    ) -> Texts:
        """Jokes as the training loop takes them."""
        pictures = self.selection.picture[jokes].astype(np.int64)
        each = None if weights is None else weights[jokes]
        return Texts(Normalised(self.vectors, pictures, normalizer, left_out), Chosen(tokens, jokes), each)

    def dev_texts(self, tokens: PackedTokens, normalizer: Normalizer) -> Texts | None:
        """Held-out jokes for the loss after each epoch; None where there are none."""
        if not len(self.dev):
            return None
        return self.texts(self.dev[:: -(-len(self.dev) // DEV_JOKES)], tokens, normalizer, None)

    def held_out(self) -> list[HeldOutPicture]:
        """The held-out pictures with their jokes, as far as `MEASURED_JOKES` goes; the same ones for the same selection."""
        pictures, first = np.unique(self.selection.picture[self.dev], return_index=True)
        groups = np.split(self.dev, first[1:]) if len(pictures) else []
        found, jokes = [], 0
        # The digests are random numbers: those that come first are a sample.
        for picture, group in zip(pictures, groups, strict=True):
            if jokes >= MEASURED_JOKES:
                break
            number = int(picture)
            vector = self.vectors[np.array([number])][0]
            found.append(
                HeldOutPicture(self.selection.digest(number), vector, tuple(self._joke(int(j)) for j in group))
            )
            jokes += len(group)
        return found

    def training_pictures(self) -> list[str]:
        """Digests of the corpus's pictures that are trained on, sorted."""
        own = len(self.selection.digests) - len(self.selection.vectors)
        pictures = np.unique(self.selection.picture[self.train])
        return [self.selection.digest(int(picture)) for picture in pictures[pictures < own]]

    def keys(self) -> NDArray[np.uint64]:
        """A number for each joke of the selection, (N,): equal for the same text on the same picture."""
        pictures = np.array([int(bytes(digest)[:16] or b"0", 16) for digest in self.selection.digests], np.uint64)
        spread = self.selection.hashes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        keys: NDArray[np.uint64] = spread ^ pictures[self.selection.picture]
        return keys

    def _joke(self, number: int) -> Joke:
        stars = float(self.selection.stars[number])
        return Joke(self.selection.texts[number], stars if np.isfinite(stars) else None)


def _stored_rows(selection: Selection, store: FeatureStore, own: int) -> Ints:
    found = [
        store.rows([bytes(d).decode() for d in selection.digests[i : min(i + 4096, own)]]) for i in range(0, own, 4096)
    ]
    return np.concatenate(found) if found else np.empty(0, np.int64)
