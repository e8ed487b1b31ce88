"""Vectors for subjects of which there is no photo: a real photo's vector, moved until the classifier sees the wanted class.

The vector goes along w[wanted] - w[best other], rows of the classifier's last layer, until the wanted class wins by a random
margin; it stays within what the network can put out. Every joke meets another photo in every epoch.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.starter.jokes import Subject

Floats = NDArray[np.float32]
MARGIN = (0.5, 6.0)  # how far ahead the wanted class ends, in logits
STEPS = 40
GAIN = (
    0.5  # spread of the factor that each number of a photo's vector is multiplied with: few photos, many surroundings
)
CEILINGS = {"efficientnet-lite0": 6.0}  # the largest number that an encoder puts out


class Classifier(Protocol):
    """An encoder that also knows ImageNet's classes."""

    name: str

    @property
    def class_weights(self) -> Floats:
        """float32 (classes, dim)."""
        ...

    @property
    def class_bias(self) -> Floats:
        """float32 (classes,)."""
        ...


class MovedVectors:
    """Vectors for subjects: real photos' vectors, moved to a class that shows the subject."""

    def __init__(self, photos: Floats, encoder: Classifier, subjects: tuple[Subject, ...]) -> None:
        """photos: (N, dim) vectors of the encoder."""
        self.photos, self.weights, self.bias = photos, encoder.class_weights, encoder.class_bias
        self.classes = [np.array(subject.classes) for subject in subjects]
        self.ceiling = CEILINGS.get(encoder.name, np.inf)

    def draw(self, subjects: NDArray[np.integer[Any]], rng: np.random.Generator) -> Floats:
        """A vector for each of the given subjects' numbers: (N, dim)."""
        wanted = np.array([rng.choice(self.classes[subject]) for subject in subjects])
        photos = self.photos[rng.integers(0, len(self.photos), len(subjects))]
        photos = photos * np.exp(GAIN * rng.standard_normal(photos.shape, np.float32))
        return move(photos, wanted, self.weights, self.bias, rng, ceiling=self.ceiling)


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
