"""How much each joke counts: funny ones more, measured within their own picture.

After the Funny Score of Yoshida et al. 2018 (Neural Joking Machine), which lets jokes with many stars count more. Stars of
different pictures say more about the pictures than about the jokes, so they are compared within a picture only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
MOST = 2.0  # standard deviations; one joke with a thousand stars shall not outweigh its picture
HALF_VOTES = 2.0  # so many more for than against count half of what votes can


@dataclass(frozen=True)
class WeightConfig:
    """How stars become weights.

    Attributes:
        strength: a joke one standard deviation above its picture's mean counts exp(strength) times as much; 0: all alike.
        confidence: with so many ratings, a joke's stars are believed by half.
    """

    strength: float = 0.3
    confidence: float = 5.0


def joke_weights(
    pictures: NDArray[np.integer],
    stars: Floats,
    ratings: Floats,
    votes: Floats,
    config: WeightConfig,
    vote_weight: float,
) -> Floats:
    """Weights (N,) whose mean within each picture is 1.

    Args:
        pictures: (N,) which picture each joke belongs to; jokes of one picture stand together.
        stars: (N,), NaN where unknown. Sums or means, whatever the site counts: only their order and spread matter.
        ratings: (N,) how many people gave them, NaN where unknown: the stars are then believed.
        votes: (N,) votes for it minus votes against it.
        vote_weight: how many standard deviations a great many votes are worth.
    """
    if not len(pictures):
        return np.empty(0, np.float32)
    starts, group = _groups(pictures)
    standing = standings(pictures, stars, ratings, config.confidence) + vote_weight * voted(votes)
    weights = np.exp(config.strength * np.clip(standing, -MOST, MOST))
    sizes = np.diff(starts, append=len(pictures))
    return (weights / (np.add.reduceat(weights, starts) / sizes)[group]).astype(np.float32)


def standings(
    pictures: NDArray[np.integer], stars: Floats, ratings: Floats, confidence: float = WeightConfig.confidence
) -> NDArray[np.float64]:
    """How far each joke's stars are above its picture's mean, in standard deviations, less where few people gave them: (N,).

    0 where the stars are unknown. Arguments as in `joke_weights` and `WeightConfig`.
    """
    if not len(pictures):
        return np.empty(0)
    starts, group = _groups(pictures)
    level = np.sign(stars) * np.log1p(np.abs(stars))  # counts run from 0 to thousands
    known = np.isfinite(level)
    level = np.where(known, level, 0.0).astype(np.float64)
    counts = np.add.reduceat(known.astype(np.float64), starts)
    mean = np.add.reduceat(level, starts) / np.maximum(counts, 1)
    apart = np.where(known, level - mean[group], 0.0)
    spread = np.sqrt(np.add.reduceat(apart * apart, starts) / np.maximum(counts, 1))
    believed = np.where(np.isfinite(ratings), ratings / (np.maximum(ratings, 0) + confidence + 1e-9), 1.0)
    standing: NDArray[np.float64] = apart / np.maximum(spread, 1e-6)[group] * believed
    return standing


def voted(votes: Floats) -> NDArray[np.float64]:
    """What votes for minus against say, between -1 and 1: (N,)."""
    return (np.sign(votes) * np.abs(votes) / (np.abs(votes) + HALF_VOTES)).astype(np.float64)


def _groups(pictures: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each picture's jokes begin, and which of these groups each joke is in."""
    starts = np.flatnonzero(np.diff(pictures, prepend=pictures[0] - 1))
    return starts, np.repeat(np.arange(len(starts)), np.diff(starts, append=len(pictures)))
