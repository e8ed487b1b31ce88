"""What goes into a decoder: texts of unequal length packed without padding, and vectors brought to its scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Batch:
    """Packed sequences (see `bokemodel.functions`), sorted by falling length.

    inputs, targets: (N,) token ids; counts: (T,) running sequences by step; order: (B,) which of the given texts each of
    the first step's rows is; weights: (N,) how much each token counts.
    """

    inputs: Ints
    targets: Ints
    counts: Ints
    order: NDArray[np.int64]
    weights: Floats

    @property
    def rows(self) -> NDArray[np.int64]:
        """(N,) which of the given texts each packed row belongs to."""
        return np.concatenate([self.order[:n] for n in self.counts])

    @property
    def second_last(self) -> Ints:
        """(N,) the token before each of `inputs`; -1 at the first step."""
        starts = np.cumsum(self.counts) - self.counts
        rows = (self.inputs[s : s + n] for s, n in zip(starts, self.counts[1:], strict=False))
        return np.concatenate([np.full(self.counts[0], -1, np.int32), *rows])


def pack(texts: Sequence[Sequence[int]], bos: int, eos: int, weights: Sequence[float] | None = None) -> Batch:
    """Token ids of several texts to one packed batch: inputs <s> w1 ... wn, targets w1 ... wn </s>."""
    order = np.array(sorted(range(len(texts)), key=lambda i: -len(texts[i])), dtype=np.int64)
    steps = len(texts[order[0]]) + 1
    padded = np.full((len(texts), steps + 1), -1, np.int32)
    padded[:, 0] = bos
    for row, index in enumerate(order):
        text = texts[index]
        padded[row, 1 : len(text) + 1] = text
        padded[row, len(text) + 1] = eos
    running = padded[:, 1:] >= 0
    counts = running.sum(axis=0).astype(np.int32)
    mask = running.T
    each = np.ones(len(texts), np.float32) if weights is None else np.asarray(weights, np.float32)
    row_weights = np.broadcast_to(each[order], (steps, len(texts)))
    return Batch(padded[:, :-1].T[mask], padded[:, 1:].T[mask], counts, order, row_weights[mask])


@dataclass(frozen=True)
class Normalizer:
    """What brings an encoder's vector to the decoder's scale: (v / |v| - mean) / scale, of length about 1.

    The length matters: Adam moves every weight alike, and thousands of inputs of size 1 would add up to jumps.
    Where there is a word layer (`training.word_layer`), the decoder gets what that makes of the vector.
    """

    mean: Floats  # (dim,)
    scale: Floats  # (dim,)
    words: Floats | None = None  # (dim, size)

    @property
    def size(self) -> int:
        """Numbers that the decoder gets for a picture."""
        return len(self.mean) if self.words is None else self.words.shape[1]

    @staticmethod
    def fit(features: Floats) -> Normalizer:
        """Learn from vectors (N, dim). Numbers that hardly ever move are not blown up."""
        unit = unit_length(features)
        mean = unit.mean(axis=0)
        spread = unit.std(axis=0)
        scale = np.maximum(spread, 0.3 * float(spread.mean()) + 1e-8) * np.sqrt(features.shape[1])
        return Normalizer(mean, scale.astype(np.float32))

    def __call__(self, features: Floats) -> Floats:
        """(N, dim) to (N, size)."""
        normal = ((unit_length(features) - self.mean) / self.scale).astype(np.float32)
        return normal if self.words is None else normal @ self.words


def unit_length(vectors: Floats) -> Floats:
    """Vectors (N, dim), each divided by its length; one of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-8)).astype(np.float32, copy=False)
