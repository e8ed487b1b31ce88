"""Pictures with their jokes that a model is measured on, read from a corpus file: those it was not trained on."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bokemodel.encoders.base import Encoder
from bokemodel.errors import PictureError
from bokemodel.pictures import open_picture

Features = NDArray[np.float32]
Report = Callable[[str, int, int], None]  # what is being done, how much of it is done, of how much
BATCH = 16  # pictures decoded and encoded together


class EvaluationError(Exception):
    """Base of everything that keeps a model from being measured; each message is one line."""


class CorpusUnreadable(EvaluationError):
    """The corpus file is not there, or a line of it is no joke."""


class NothingHeldOut(EvaluationError):
    """No picture is left that can be read and that the model was not trained on."""


@dataclass(frozen=True)
class Joke:
    """A text that somebody wrote about a picture, and its stars where they are known."""

    text: str
    stars: float | None = None


@dataclass(frozen=True)
class HeldOutPicture:
    """A picture that the model was not trained on."""

    digest: str  # SHA-256 of the file's bytes
    features: Features  # (dim,), from the model's encoder
    jokes: tuple[Joke, ...]


@dataclass(frozen=True)
class Unreadable:
    """A picture that is not measured, because its file cannot be read."""

    path: str
    reason: str


@dataclass(frozen=True)
class HeldOut:
    """What a corpus file holds for a model: `trained` is how many of its pictures the model was trained on."""

    pictures: tuple[HeldOutPicture, ...]
    unreadable: tuple[Unreadable, ...]
    trained: int


def quiet(stage: str, done: int, total: int) -> None:
    """The report that nobody reads."""


def read_jokes(path: Path) -> dict[str, list[Joke]]:
    """The jokes of a corpus file (JSON lines) by picture path, both as the file has them. Raises CorpusUnreadable."""
    jokes: dict[str, list[Joke]] = {}
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        image, joke = _joke(line)
                    except ValueError as error:
                        raise CorpusUnreadable(f"{path}, line {number}: {error}") from error
                    jokes.setdefault(image, []).append(joke)
    except OSError as error:
        raise CorpusUnreadable(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CorpusUnreadable(f"{path} is not UTF-8") from error
    return jokes


def _joke(line: str) -> tuple[str, Joke]:
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("this is not JSON") from error
    if not isinstance(values, Mapping):
        raise ValueError("this is not a JSON object")
    for key in ("image", "text"):
        if not isinstance(values.get(key), str):
            raise ValueError(f'"{key}" is missing or is not a text')
    try:
        values["text"].encode()
    except UnicodeEncodeError as error:
        raise ValueError('"text" holds half a character') from error
    stars = values.get("stars")
    if stars is not None and (isinstance(stars, bool) or not isinstance(stars, int | float) or not _finite(stars)):
        raise ValueError('"stars" is not a number')
    return values["image"], Joke(values["text"], None if stars is None else float(stars))


def _finite(number: int | float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond all floating point
        return False


def held_out(
    jokes: Mapping[str, Iterable[Joke]],
    folder: Path,
    trained: Container[str],
    encoder: Encoder,
    report: Report = quiet,
) -> HeldOut:
    """Read and encode the pictures that are not among the `trained` digests.

    Args:
        jokes: by picture path, relative to `folder`. Paths to equal files are one picture.
    """
    known: dict[str, _Entry] = {}
    excluded: set[str] = set()
    unreadable: list[Unreadable] = []
    paths = list(jokes)
    for start in range(0, len(paths), BATCH):
        some = paths[start : start + BATCH]
        waiting: list[tuple[_Entry, Image.Image]] = []
        for path in some:
            try:
                data = (folder / path).read_bytes()
                digest = hashlib.sha256(data).hexdigest()
                if digest in trained:
                    excluded.add(digest)
                    continue
                if digest not in known:
                    picture = open_picture(data, short_side=encoder.input_size)
                    known[digest] = _Entry()
                    waiting.append((known[digest], picture))
            except (PictureError, OSError, ValueError) as error:  # ValueError: no file can have such a name
                reason = error.strerror if isinstance(error, OSError) else None
                unreadable.append(Unreadable(path, reason or str(error)))
                continue
            known[digest].jokes.extend(jokes[path])
        if waiting:
            vectors = encoder.encode([picture for _, picture in waiting])
            for (entry, _), vector in zip(waiting, vectors, strict=True):
                entry.features = vector
        report("reading pictures", start + len(some), len(paths))
    pictures = (HeldOutPicture(digest, e.features, tuple(e.jokes)) for digest, e in sorted(known.items()))
    return HeldOut(tuple(pictures), tuple(unreadable), len(excluded))


@dataclass
class _Entry:
    features: Features = field(default_factory=lambda: np.empty(0, np.float32))
    jokes: list[Joke] = field(default_factory=list)
