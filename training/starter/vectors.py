"""Vectors for subjects of which there is no photo: a real photo's vector, moved until the classifier sees the wanted class.

The vector goes along w[wanted] - w[best other], rows of the classifier's last layer, until the wanted class wins by a random
margin; it stays within what the network can put out. Every joke meets another photo in every epoch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
MARGIN = (0.5, 6.0)  # how far ahead the wanted class ends, in logits
STEPS = 40


def move(
    features: Floats,
    wanted: NDArray[np.integer[Any]],
    weights: Floats,
    bias: Floats,
    rng: np.random.Generator,
    *,
    margin: tuple[float, float] = MARGIN,
    ceiling: float = 6.0,
) -> Floats:
    """Move vectors (N, dim) until each one's class `wanted` (N,) wins.

    weights, bias: (classes, dim), (classes,) of the classifier; ceiling: the largest number the encoder puts out.
    Returns float32 (N, dim).
    """
    moved = features.astype(np.float32).copy()
    ahead = rng.uniform(*margin, len(moved)).astype(np.float32)
    active = np.arange(len(moved))
    for _ in range(STEPS):
        scores = moved[active] @ weights.T + bias
        rows = np.arange(len(active))
        own = scores[rows, wanted[active]].copy()
        scores[rows, wanted[active]] = -np.inf
        rival = scores.argmax(axis=1)
        lack = ahead[active] - (own - scores[rows, rival])
        short = lack > 1e-3
        if not short.any():
            break
        active, rival, lack = active[short], rival[short], lack[short]
        way = weights[wanted[active]] - weights[rival]
        # A little further than needed: clipping takes some of it back.
        step = 1.1 * lack / np.einsum("nd,nd->n", way, way)
        moved[active] = np.clip(moved[active] + step[:, None] * way, 0.0, ceiling)
    return moved
