"""What a picture shows, as a distribution over the starter's subjects: the decoder's topic layer, learned before the decoder.

It starts from the classifier's rows, averaged over each subject's classes, and is refined on moved vectors. The decoder then
learns with it fixed: a clean sign of the subject from the first epoch on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bokemodel.chainer_compat import F, L, chainer
from bokemodel.packing import Normalizer
from training.starter.jokes import Subject
from training.starter.vectors import MovedVectors

Floats = NDArray[np.float32]
TYPICAL_LENGTH = 18.0  # of an encoder's vector: how far apart the classifier's scores are when it is sure


def fit_topics(
    vectors: MovedVectors,
    normalizer: Normalizer,
    subjects: tuple[Subject, ...],
    seed: int,
    *,
    steps: int = 400,
    batch: int = 256,
    rate: float = 1e-3,
) -> tuple[Floats, Floats]:
    """A linear softmax classifier of subjects for normalised vectors: weights (subjects, dim) and bias (subjects,)."""
    rng = np.random.default_rng([seed, 1])
    rows = np.stack([vectors.weights[list(subject.classes)].mean(axis=0) for subject in subjects])
    rows = (rows - rows.mean(axis=0)) * normalizer.scale * TYPICAL_LENGTH
    # Adam's steps fit inputs of about 1 each; a normalised vector has length 1 in all.
    spread = np.sqrt(rows.shape[1])
    layer = L.Linear(rows.shape[1], len(subjects), initialW=(rows / spread).astype(np.float32))
    optimizer = chainer.optimizers.Adam(rate)
    optimizer.setup(layer)
    for step in range(steps):
        optimizer.alpha = rate * (1 - step / steps) + 1e-5
        wanted = rng.integers(0, len(subjects), batch)
        pictures = normalizer(vectors.draw(wanted, rng)) * np.float32(spread)
        optimizer.update(lambda x, y: F.softmax_cross_entropy(layer(x), y), pictures, wanted.astype(np.int32))
    return layer.W.array * np.float32(spread), layer.b.array
