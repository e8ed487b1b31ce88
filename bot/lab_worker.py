"""What runs in the lab's process: two models look at one picture, and say where their jokes come from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot import worker
from bot.likeness import closest
from bot.worker import Answered, Job, ModelPlace, Refused

if TYPE_CHECKING:
    from bokemodel.model import BokeModel

NICE = 10  # pictures that people posted come first
NEAREST = 6  # pictures
OF_EACH = 2  # jokes of a picture
ORIGINS = 2  # training jokes beside an answer


@dataclass(frozen=True)
class Origin:
    """A joke that the model carries, and how alike an answer reads, from 0 to 1. `picture` is its digest or ""."""

    text: str
    likeness: float
    picture: str


@dataclass(frozen=True)
class Said:
    """One answer, with the training jokes that read most like it."""

    text: str
    score: float
    origins: tuple[Origin, ...]


@dataclass(frozen=True)
class Near:
    """A training picture with some of its jokes; `similarity` is the cosine in feature space."""

    picture: str
    similarity: float
    jokes: tuple[str, ...]


@dataclass(frozen=True)
class Opinion:
    """What one model says of a picture. `quotes`: it carries training jokes, so that origins and neighbours are known."""

    model: str
    encoder: str
    said: tuple[Said, ...]
    near: tuple[Near, ...]
    quotes: bool


_held: list[str] = []  # digests of the models that are loaded: never more than are compared


def initialize(threads: int, backend: str) -> None:
    """Called once in the new process."""
    os.nice(NICE)
    worker.initialize(threads, backend)


def look(places: tuple[ModelPlace, ...], job: Job) -> tuple[Opinion, ...] | Refused:
    """What each model says of the job's picture. Raises bokemodel's BundleError, EncoderError."""
    opinions = []
    for digest in _hold(places):
        [answered] = worker.answer([job], digest)
        if isinstance(answered, Refused):
            return answered
        opinions.append(_opinion(worker.loaded(digest), answered))
    return tuple(opinions)


def _hold(places: tuple[ModelPlace, ...]) -> list[str]:
    """Load the models, and let go of others."""
    global _held
    first = worker.load(places[0])
    if any(other != first for other in _held):
        worker.keep(first)
    _held = [first, *(worker.load(place) for place in places[1:])]
    return _held


def _opinion(model: BokeModel, answered: Answered) -> Opinion:
    import numpy as np

    texts = [text for text, _ in answered.candidates]
    examples = model.examples
    if examples is None:
        said = tuple(Said(text, score, ()) for text, score in answered.candidates)
        return Opinion(answered.model, answered.encoder, said, (), False)
    jokes = [(joke.text, picture.digest) for picture in examples.pictures for joke in picture.jokes]
    alike = closest(texts, (text for text, _ in jokes), ORIGINS)
    said = tuple(
        Said(text, score, tuple(Origin(jokes[place][0], likeness, jokes[place][1]) for likeness, place in found))
        for (text, score), found in zip(answered.candidates, alike, strict=True)
    )
    features = np.frombuffer(answered.features, np.float32)[None]
    numbers, cosines = examples.nearest(features, NEAREST)
    near = tuple(
        Near(
            examples.pictures[number].digest,
            float(cosine),
            tuple(joke.text for joke in examples.pictures[number].jokes[:OF_EACH]),
        )
        for number, cosine in zip(numbers[0], cosines[0], strict=True)
    )
    return Opinion(answered.model, answered.encoder, said, near, True)
