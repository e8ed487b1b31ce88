"""Jokes that people wrote, found by their pictures: what the modes `retrieve` and `mismatch` answer with.

A bundle may carry them in two files whose rows belong together:

    examples.npz      mean float32 (dim,), axes float16 (dim, K), scale float32 (K,), vectors int8 (P, K)
    examples.jsonl    a line for each of the P pictures: {"picture": digest, "jokes": [{"text", "stars", "url"}, ...]}

A picture's vector is the encoder's, brought to length 1, centred, brought to length 1 again, and seen along the K axes on
which the corpus's pictures differ most. 128 axes in 8 bits find the neighbours that the whole vector finds: among 600 photos of
flickr8k the nearest one's captions share as many words with the query's (9.2% of all, whole vector 9.2%, chance 2.5%).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bokemodel.archives import npz_bytes, read_npz
from bokemodel.packing import unit_length

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

VECTORS, JOKES = "examples.npz", "examples.jsonl"
_WEB = re.compile(r"https?://[^\s<>|\"'`\\^{}]{1,2000}", re.IGNORECASE)
AXES = 128
FITTED_TO = 4000  # pictures that the axes are learned from, at most

LOOKED_AT = 24  # nearest pictures whose jokes `retrieve` chooses from
BAND = (0.01, 0.05)  # of the pictures, by similarity: where `mismatch` takes its jokes from (benchmarks/mismatch.py)
EQUALS = 1e-6  # of a score: decides between equal ones only
DRAWN = 32  # pictures of the band that one answer looks at


@dataclass(frozen=True)
class Example:
    """A joke that somebody wrote about a picture. `url`: where it stands, if that is known."""

    text: str
    stars: float | None = None
    url: str | None = None


@dataclass(frozen=True)
class ExamplePicture:
    """A picture's jokes, the best-starred first. `digest` is that of its file, or "" where there is none."""

    digest: str
    jokes: tuple[Example, ...]


@dataclass(frozen=True)
class Found:
    """A joke that suits, with a score (higher is better; comparable within one list only)."""

    joke: Example
    score: float


class Examples:
    """Pictures with their jokes."""

    def __init__(
        self,
        mean: Floats,
        axes: Floats,
        scale: Floats,
        vectors: NDArray[np.int8],
        pictures: Sequence[ExamplePicture],
    ) -> None:
        """Take what `of` made. Raises ValueError where the parts do not belong together, or are empty."""
        if not len(vectors) or len(vectors) != len(pictures) or (*mean.shape, *vectors.shape[1:]) != axes.shape:
            raise ValueError(f"{vectors.shape} vectors along {axes.shape} axes, {len(pictures)} pictures with jokes")
        if not all(picture.jokes for picture in pictures):
            raise ValueError("a picture without a joke")
        self.mean, self.axes = mean.astype(np.float32), axes.astype(np.float32)
        self.scale, self.vectors = scale.astype(np.float32), vectors
        self.pictures = tuple(pictures)
        self._rows = vectors.astype(np.float32)
        self._query = self.axes * self.scale
        self._stars = np.sort([j.stars for p in self.pictures for j in p.jokes if j.stars is not None])

    @classmethod
    def of(cls, features: Floats, pictures: Sequence[ExamplePicture], seed: int = 0) -> Examples:
        """From the encoder's vectors (P, dim) of pictures and their jokes."""
        mean = unit_length(features).mean(axis=0)
        unit = _centred(features, mean)
        axes = principal_axes(unit[:: -(-len(unit) // FITTED_TO)], AXES, seed).astype(np.float16).astype(np.float32)
        seen = unit @ axes
        scale = np.maximum(np.abs(seen).max(axis=0), 1e-8) / 127
        return cls(mean, axes, scale, np.rint(seen / scale).astype(np.int8), pictures)

    def __len__(self) -> int:
        return len(self.pictures)

    def similarity(self, features: Floats) -> Floats:
        """Cosine of the encoder's vectors (N, dim) and those of all pictures, along the axes: (N, P)."""
        return (_centred(features, self.mean) @ self._query) @ self._rows.T

    def nearest(self, features: Floats, k: int) -> tuple[Ints, Floats]:
        """The k most similar pictures, nearest first: their numbers and cosines, (N, k) each (fewer where there are fewer).

        features: the encoder's vectors, (N, dim).
        """
        similarity = self.similarity(features)
        k = min(k, len(self))
        some = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        near = np.take_along_axis(similarity, some, axis=1)
        order = np.argsort(-near, axis=1, kind="stable")
        return np.take_along_axis(some, order, axis=1), np.take_along_axis(near, order, axis=1)

    def standing(self, joke: Example) -> float:
        """Where a joke's stars stand among all: 1 the most, 0 none known; a half where no joke has stars, or all as many."""
        if not len(self._stars):
            return 0.5
        if joke.stars is None:
            return 0.0
        below, upto = np.searchsorted(self._stars, joke.stars), np.searchsorted(self._stars, joke.stars, "right")
        return float(below + upto) / (2 * len(self._stars))

    def files(self) -> dict[str, bytes]:
        """For `Bundle.extra`; the same for the same examples."""
        lines = [
            {"picture": p.digest, "jokes": [{"text": j.text, "stars": j.stars, "url": j.url} for j in p.jokes]}
            for p in self.pictures
        ]
        arrays: dict[str, NDArray[Any]] = {"mean": self.mean, "axes": self.axes.astype(np.float16)}
        arrays |= {"scale": self.scale, "vectors": self.vectors}
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        return {VECTORS: npz_bytes(arrays), JOKES: text.encode()}

    @classmethod
    def read(cls, files: Mapping[str, bytes]) -> Examples | None:
        """The examples among a bundle's files; None where it carries none. Raises ValueError where they are damaged."""
        if VECTORS not in files or JOKES not in files:
            return None
        try:
            arrays = read_npz(files[VECTORS])
            pictures = [_picture(json.loads(line)) for line in files[JOKES].decode().splitlines()]
            return cls(arrays["mean"], arrays["axes"], arrays["scale"], arrays["vectors"], pictures)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{VECTORS} and {JOKES} hold no examples: {error!r}") from error


def retrieve(examples: Examples, features: Floats, n: int, seeds: Sequence[int]) -> list[list[Found]]:
    """The best-starred jokes of the most similar pictures, for the encoder's vectors (N, dim): the honest baseline.

    Each of the nearest pictures offers its jokes. A joke's score is the picture's similarity times where its stars stand
    among all, from a half for none: a picture that is much nearer wins over more stars. The seed decides between equals only.
    """
    numbers, near = examples.nearest(features, max(n, LOOKED_AT))
    out = []
    for row, similarity, seed in zip(numbers, near, seeds, strict=True):
        rng = np.random.default_rng([seed, 2])
        offered = []
        for number, cosine in zip(row, similarity, strict=True):
            for joke in examples.pictures[number].jokes:
                score = max(float(cosine), 0.0) * (1 + examples.standing(joke)) / 2
                offered.append(Found(joke, score + EQUALS * float(rng.random())))
        out.append(_best(offered, n))
    return out


def mismatch(examples: Examples, features: Floats, n: int, seeds: Sequence[int]) -> list[list[Found]]:
    """Jokes of deliberately different pictures, for the encoder's vectors (N, dim): near enough to sound right, yet wrong.

    All pictures are ranked by similarity, and the joke comes from those between the quantiles of `BAND`: some drawn by the
    seed, and of those the best-starred, with as much chance, or one joke would answer all pictures of its neighbourhood.
    """
    similarity = examples.similarity(features)
    first, end = band(len(examples))
    out = []
    for row, seed in zip(similarity, seeds, strict=True):
        rng = np.random.default_rng([seed, 2])
        inside = np.argsort(-row, kind="stable")[first:end]
        offered = []
        for number in rng.permutation(inside)[: max(n, DRAWN)]:
            jokes = examples.pictures[number].jokes
            joke = jokes[int(rng.integers(len(jokes)))]
            offered.append(Found(joke, (examples.standing(joke) + float(rng.random())) / 2))
        out.append(_best(offered, n))
    return out


def band(pictures: int) -> tuple[int, int]:
    """The ranks, from 0, between which `mismatch` looks: never the nearest picture where there is another, never none."""
    first = min(max(1, round(BAND[0] * pictures)), pictures - 1)
    return first, max(first + 1, round(BAND[1] * pictures))


def principal_axes(vectors: Floats, count: int, seed: int = 0) -> Floats:
    """The directions along which vectors (N, dim) are longest: (dim, at most count), of length 1, at right angles.

    By a randomised range finder with two power iterations (Halko et al. 2011, algorithm 4.4).
    """
    rng = np.random.default_rng(seed)
    count = min(count, *vectors.shape)
    wide = rng.normal(size=(vectors.shape[1], min(count + 16, *vectors.shape))).astype(np.float32)
    for _ in range(3):
        wide, _triangle = np.linalg.qr(vectors.T @ (vectors @ wide))
    _, _, turned = np.linalg.svd(vectors @ wide, full_matrices=False)
    return np.ascontiguousarray((wide @ turned.T)[:, :count], np.float32)


def _best(offered: list[Found], n: int) -> list[Found]:
    """The n best of different texts."""
    found: dict[str, Found] = {}
    for one in sorted(offered, key=lambda each: -each.score):
        found.setdefault(one.joke.text, one)
    return list(found.values())[:n]


def _picture(line: dict[str, Any]) -> ExamplePicture:
    jokes = (Example(str(joke["text"]), joke.get("stars"), _address(joke.get("url"))) for joke in line["jokes"])
    return ExamplePicture(str(line["picture"]), tuple(jokes))


def _address(url: Any) -> str | None:
    """People get to press it: only what is a web address, and nothing that could end one early."""
    return url if isinstance(url, str) and _WEB.fullmatch(url) else None


def _centred(features: Floats, mean: Floats) -> Floats:
    return unit_length(unit_length(features) - mean)
