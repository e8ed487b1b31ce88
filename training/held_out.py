"""Pictures with their jokes that a model is measured on, read from a corpus file: those it was not trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bokemodel.encoders.base import Encoder
from bokemodel.errors import PictureError
from bokemodel.pictures import open_picture
from training.importers.lines import Found, objects
from training.importers.records import BadLine, NotAJoke, number_in, text_in
from training.progress import Report, quiet

Features = NDArray[np.float32]
BATCH = 16  # pictures decoded and encoded together
NAMED = 20  # bad lines that are named; all are counted


class EvaluationError(Exception):
    """Base of everything that keeps a model from being measured; each message is one line."""


class CorpusUnreadable(EvaluationError):
    """The corpus file is not there, or is no corpus."""


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


@dataclass(frozen=True)
class CorpusFile:
    """The jokes of a corpus file by picture path, both as the file has them, and the lines that are no jokes."""

    jokes: dict[str, list[Joke]]
    bad: tuple[str, ...]  # the first `NAMED`, "line 3: why"
    bad_count: int


def read_jokes(path: Path) -> CorpusFile:
    """Read a corpus file (JSON lines). Raises CorpusUnreadable: it is not there, or more than half of its lines are bad."""
    jokes: dict[str, list[Joke]] = {}
    bad: list[str] = []
    good_count = bad_count = 0
    try:
        for found in objects(path):
            try:
                image, joke = _joke(found)
            except NotAJoke as error:
                bad_count += 1
                bad += [f"line {found.line}: {error}"] if bad_count <= NAMED else []
            else:
                good_count += 1
                jokes.setdefault(image, []).append(joke)
    except OSError as error:
        raise CorpusUnreadable(f"{path}: {error.strerror}") from error
    if bad_count > good_count:
        raise CorpusUnreadable(
            f"{path}: {bad_count:,} of {bad_count + good_count:,} lines are no jokes, so it may be no corpus at all. "
            f"The first: {bad[0]}"
        )
    return CorpusFile(jokes, tuple(bad), bad_count)


def _joke(found: Found | BadLine) -> tuple[str, Joke]:
    if isinstance(found, BadLine):
        raise NotAJoke(found.reason)
    image = found.values.get("image")
    if not isinstance(image, str) or not image:
        raise NotAJoke('"image" is not a text' if image else '"image" is missing')
    return image, Joke(text_in(found.values, "text"), number_in(found.values, "stars"))


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
