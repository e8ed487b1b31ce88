"""What a picture's vector says of the words in its jokes: a linear layer that is learned before the decoder, in closed form.

A decoder that starts from the vector itself finds little of what is in it; ridge regression from the vector to the bag of
a picture's units finds far more. The layer is the best approximation of that regression by a few numbers (reduced-rank
regression, Izenman 1975). On the pictures it was fitted on it would look better than it is, and the decoder would trust
it too much; so the decoder learns from what a layer fitted *without* the picture says of it, which for ridge regression is
known in closed form (leave one out, Allen 1974).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
CHUNK = 1024  # pictures whose bags of units are held at a time
PENALTIES = np.geomspace(1e-2, 1e3, 21)  # of the mean eigenvalue


@dataclass(frozen=True)
class WordLayer:
    """Attributes:
    weights: (dim, size) normalised vectors to the layer's numbers, of length about 1; the mean picture is 0.
    unseen: (P, size) what the layer says of each picture it was fitted on when that one is left out.
    """

    weights: Floats
    unseen: Floats


def fit_word_layer(
    pictures: Floats, texts: Sequence[Sequence[int] | NDArray[Any]], owners: NDArray[np.integer], units: int, size: int
) -> WordLayer:
    """Learn the layer. The penalty is chosen by generalised cross-validation (Golub, Heath & Wahba 1979).

    Args:
        pictures: (P, dim) normalised vectors, with mean 0.
        texts: (N,) token ids. owners: (N,) the row in `pictures` of each text's picture, rising.
        units: of the tokenizer. size: of the layer; numbers that the data cannot fill stay 0.
    """
    count, dim = pictures.shape
    mean = np.zeros(units)
    for _, bags in _bags(texts, owners, count, units):
        mean += bags.sum(axis=0) / count
    second, products, total = np.zeros((dim, dim)), np.zeros((dim, units)), 0.0
    for rows, bags in _bags(texts, owners, count, units):
        x, y = pictures[rows].astype(np.float64), bags - mean
        second += x.T @ x
        products += x.T @ y
        total += float((y * y).sum())
    values, vectors = np.linalg.eigh(second)
    values = np.maximum(values, 0)
    products = vectors.T @ products
    strength = (products * products).sum(axis=1)
    shrunk = 1 / (values + _penalty(values, strength, total, count))

    # The fitted bags are (x vectors) shrunk products: their main directions among the units.
    fitted = (np.sqrt(values) * shrunk)[:, None] * products
    sizes, left = np.linalg.eigh(fitted @ fitted.T)
    kept = [int(i) for i in np.argsort(-sizes)[:size] if sizes[i] > 1e-9 * max(sizes.max(), 1e-30)]
    directions = (fitted.T @ left[:, kept]) / np.sqrt(sizes[kept])
    weights = vectors @ (shrunk[:, None] * (products @ directions))

    unseen = np.zeros((count, size), np.float32)
    for rows, bags in _bags(texts, owners, count, units):
        x = pictures[rows].astype(np.float64)
        leverage = ((x @ vectors) ** 2 @ shrunk + 1 / count)[:, None]
        leverage = np.minimum(leverage, 0.99)
        unseen[rows, : len(kept)] = (x @ weights - leverage * ((bags - mean) @ directions)) / (1 - leverage)
    scale = 1 / np.sqrt(max(float((unseen.astype(np.float64) ** 2).sum(axis=1).mean()), 1e-12))
    padded = np.zeros((dim, size), np.float32)
    padded[:, : len(kept)] = weights * scale
    return WordLayer(padded, (unseen * scale).astype(np.float32))


def _penalty(values: NDArray[np.float64], strength: NDArray[np.float64], total: float, count: int) -> float:
    """The one of the `PENALTIES` with the smallest expected error on pictures that are not fitted."""

    def expected(penalty: float) -> float:
        shrunk = 1 / (values + penalty)
        error = total - 2 * (strength * shrunk).sum() + (strength * values * shrunk * shrunk).sum()
        free = 1 - ((values * shrunk).sum() + 1) / count
        return float(error / free**2) if free > 0 else float("inf")

    return min((float(p * values.mean()) + 1e-12 for p in PENALTIES), key=expected)


def _bags(
    texts: Sequence[Sequence[int] | NDArray[Any]], owners: NDArray[np.integer], count: int, units: int
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Some pictures at a time: which, and (n, units) ln(1 + number of its texts that hold the unit)."""
    edges = np.searchsorted(owners, np.arange(0, count + CHUNK, CHUNK))
    for number, start in enumerate(range(0, count, CHUNK)):
        rows = slice(start, min(start + CHUNK, count))
        bags = np.zeros((rows.stop - start, units))
        for text in range(int(edges[number]), int(edges[number + 1])):
            bags[int(owners[text]) - start, np.unique(np.asarray(texts[text], np.int64))] += 1
        yield rows, np.log1p(bags, out=bags)
