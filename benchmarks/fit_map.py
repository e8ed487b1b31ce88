"""Does an answer fit its picture? Which subjects of the starter corpus fit each picture of the measured data.

A subject fits a picture where a Japanese viewer, told a joke of that subject, would say: yes, this joke is about this
photo. Several subjects may fit one picture, and none may; pictures that no subject fits are left out of every share, and
their number is told beside it. The map itself is `starter_fit.toml`:

- `stamps` (a thing on white, with its name): written by hand, picture by picture, by name, and by what the picture shows
  where the two differ (the "dog" is a drawing of a malamute, the "scarf" might be a sock).
- `flickr8k` (photos with five English descriptions each): a rule's subjects fit where one of the five descriptions has
  one of the rule's words, and in the same description none of its `unless` phrases ("hot dog" is no dog). Words are whole
  words in any case, with or without a plural's ending. Descriptions seldom name a breed, so every kind of dog fits a dog.
  Clothes fit where they are named. That a photo shows people makes nothing fit by itself; only where the descriptions
  have no other rule's words do everyday clothes and self-portraits fit. Snow is skiing, grass and fields are a park,
  water is sea and lake unless it comes from a tap or is in a pool.

`python -m benchmarks.fit_map [--data DIR]` measures what the classifier's own top-1 class reaches, beside chance.
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from bokemodel.encoders import load_encoder
from bokemodel.encoders.base import Encoder
from bokemodel.pictures import open_file
from training.starter.jokes import load_subjects, subject_of_class

MAP = Path(__file__).with_name("starter_fit.toml")
ENCODER = "efficientnet-lite0"


class FitMapError(Exception):
    """The map and the data or the corpus do not belong together; the message names what is missing."""


class Classifier(Encoder, Protocol):
    """An encoder that also knows ImageNet's classes."""

    def class_scores(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors (N, dim) to logits (N, 1000)."""
        ...


@dataclass(frozen=True)
class Fit:
    """A picture (path inside its data set) and the ids of the subjects that fit it, perhaps none."""

    image: str
    subjects: frozenset[str]


@dataclass(frozen=True)
class Rule:
    """Words that make subjects fit, unless one of the exceptions stands in the same description."""

    subjects: frozenset[str]
    words: re.Pattern[str]
    unless: re.Pattern[str] | None

    def fits(self, description: str) -> bool:
        if self.words.search(description) is None:
            return False
        return self.unless is None or self.unless.search(description) is None


@dataclass(frozen=True)
class Share:
    """How many of `counted` pictures got a fitting answer; `excluded` pictures have no fitting subject."""

    fitting: int
    counted: int
    excluded: int

    @property
    def share(self) -> float:
        return self.fitting / self.counted if self.counted else 0.0


def stamps(folder: Path) -> list[Fit]:
    """The map for the folder `stamps`, in the order of its labels.jsonl. Raises FitMapError."""
    table = _map()["stamps"]
    fits = []
    for line in (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines():
        image = json.loads(line)["image"]
        if Path(image).stem not in table:
            raise FitMapError(f"{MAP.name} says nothing about {image}")
        fits.append(Fit(image, frozenset(table[Path(image).stem])))
    return fits


def flickr8k(folder: Path) -> list[Fit]:
    """The map for the folder `flickr8k`, in the order in which its corpus.jsonl first names the photos."""
    descriptions: dict[str, list[str]] = {}
    for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        descriptions.setdefault(row["image"], []).append(row["text"])
    return [Fit(image, fitting_subjects(texts)) for image, texts in descriptions.items()]


def fitting_subjects(descriptions: Iterable[str]) -> frozenset[str]:
    """The subjects that fit a photo with these English descriptions."""
    texts = [text.lower() for text in descriptions]
    found = {subject for rule in rules() if any(map(rule.fits, texts)) for subject in rule.subjects}
    people = _words(_map()["flickr8k"]["people"])
    if not found and any(people.search(text) for text in texts):
        found.update(_map()["flickr8k"]["people_only"])
    return frozenset(found)


@cache
def rules() -> tuple[Rule, ...]:
    """The rules for descriptions."""
    return tuple(
        Rule(
            frozenset(entry["subjects"]), _words(entry["words"]), _words(entry["unless"]) if "unless" in entry else None
        )
        for entry in _map()["flickr8k"]["rule"]
    )


def mapped_subjects() -> frozenset[str]:
    """Every subject that the map names."""
    table = _map()
    names = {subject for subjects in table["stamps"].values() for subject in subjects}
    names.update(table["flickr8k"]["people_only"])
    return frozenset(names.union(*(rule.subjects for rule in rules())))


def top1_subject(encoder: Classifier, features: NDArray[np.float32]) -> list[str]:
    """The subject of the classifier's likeliest class for each vector (N, dim): what a corpus by class can reach."""
    owner = subject_of_class()
    return [owner[int(index)] for index in encoder.class_scores(features).argmax(axis=1)]


def share(answers: Sequence[str], fits: Sequence[Fit]) -> Share:
    """The share of pictures whose answer is of a fitting subject; both lists in the same order. Raises ValueError."""
    pairs = [(answer, fit) for answer, fit in zip(answers, fits, strict=True) if fit.subjects]
    return Share(sum(answer in fit.subjects for answer, fit in pairs), len(pairs), len(fits) - len(pairs))


def chance(fits: Sequence[Fit], answers: Sequence[str] | None = None) -> float:
    """The share expected of answers that know nothing of the picture.

    Each subject is as likely as any other, or, given `answers`, as likely as it is among those.
    """
    counts = Counter(answers) if answers is not None else Counter(subject.id for subject in load_subjects())
    counted = [fit for fit in fits if fit.subjects]
    hits = sum(counts[subject] for fit in counted for subject in fit.subjects)
    return hits / (counts.total() * len(counted)) if counted else 0.0


def _words(words: Iterable[str]) -> re.Pattern[str]:
    """Any of the words or phrases, whole, singular or plural."""
    return re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, words)) + r")(?:s|es)?(?![\w-])")


@cache
def _map() -> dict[str, Any]:
    return tomllib.loads(MAP.read_text(encoding="utf-8"))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit_map", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with stamps and flickr8k")
    data = parser.parse_args(arguments).data
    encoder = cast(Classifier, load_encoder(ENCODER))
    for name, fits in (("stamps", stamps(data / "stamps")), ("flickr8k", flickr8k(data / "flickr8k"))):
        features = encoder.encode([open_file(data / name / fit.image) for fit in fits])
        answers = top1_subject(encoder, features)
        result = share(answers, fits)
        print(
            f"{name}: top-1 {result.share:.1%} ({result.fitting} of {result.counted}, {result.excluded} left out), "
            f"chance {chance(fits):.1%}, chance at the frequencies of top-1 {chance(fits, answers):.1%}, "
            f"{np.mean([len(fit.subjects) for fit in fits if fit.subjects]):.1f} fitting subjects a picture"
        )


if __name__ == "__main__":
    main()
