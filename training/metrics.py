"""The figures that a model is judged by, their confidence intervals, and the arithmetic behind them; knows no model.

Every figure is a sum over pictures divided by another sum over pictures (the median rank apart), so that one bootstrap
over pictures serves all of them: jokes of one picture are alike, pictures are what was drawn at random.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Interval = tuple[float, float]

DRAWS = 1000  # of the bootstrap
NEAR = 1e-3  # nats; a smaller difference between two sums of log-probabilities is rounding
_AT_ONCE = 2_000_000  # numbers of a bootstrap held at a time


@dataclass(frozen=True)
class Metrics:
    """What `training.evaluate` knows of a model; None where the data cannot say. `_ci95`: low and high end.

    Attributes:
        pictures, jokes: that were held out and measured.
        nats_per_token: mean -ln p(token), </s> included; comparable within one tokenizer only.
        bits_per_char: -log2 p over characters, and one for the end of each text; comparable between tokenizers.
        r_at_1, r_at_5, r_at_10: share of captions whose own picture is among the first 1, 5, 10.
        median_rank: of the captions' own pictures, from 1.
        chance_r_at_10: r_at_10 of a model that does not look at the picture.
        distinct_1, distinct_2: different n-grams of the answers over all n-grams (Li et al. 2016).
        novelty: share of answers that nobody wrote word for word.
        self_repeat: share of answers that another picture gets too.
        spearman_funny: rank correlation between score and stars within a picture, mean over pictures.
    """

    pictures: int
    jokes: int
    nats_per_token: float | None
    nats_per_token_ci95: Interval | None
    bits_per_char: float | None
    bits_per_char_ci95: Interval | None
    r_at_1: float | None
    r_at_1_ci95: Interval | None
    r_at_5: float | None
    r_at_5_ci95: Interval | None
    r_at_10: float | None
    r_at_10_ci95: Interval | None
    median_rank: float | None
    median_rank_ci95: Interval | None
    chance_r_at_10: float
    distinct_1: float | None
    distinct_1_ci95: Interval | None
    distinct_2: float | None
    distinct_2_ci95: Interval | None
    novelty: float | None
    novelty_ci95: Interval | None
    self_repeat: float | None
    self_repeat_ci95: Interval | None
    spearman_funny: float | None
    spearman_funny_ci95: Interval | None

    @classmethod
    def of(cls, pictures: int, jokes: int, chance: float, estimates: Mapping[str, Estimate | None]) -> Metrics:
        """From the estimates of all `UNCERTAIN` figures."""
        values: dict[str, Any] = {"pictures": pictures, "jokes": jokes, "chance_r_at_10": chance}
        for name in UNCERTAIN:
            found = estimates[name]
            values[name] = None if found is None else found.value
            values[f"{name}_ci95"] = None if found is None else found.ci95
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints: numbers, [low, high] and null."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


UNCERTAIN = tuple(field.name[:-5] for field in fields(Metrics) if field.name.endswith("_ci95"))


@dataclass(frozen=True)
class Estimate:
    """A figure and the values that it takes in `DRAWS` resamplings of the pictures.

    The draws depend only on the number of pictures and the seed: of two models measured on the same pictures, the
    differences of the draws are those of a paired bootstrap.
    """

    value: float
    draws: Floats  # (DRAWS,); NaN where no picture that counts was drawn

    @property
    def ci95(self) -> Interval:
        """Percentile interval (Efron & Tibshirani 1993, ch. 13)."""
        known = self.draws[np.isfinite(self.draws)]
        low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (self.value, self.value)
        return float(low), float(high)

    def minus(self, other: Estimate) -> Estimate:
        """The difference to the same figure of another model on the same pictures."""
        return Estimate(self.value - other.value, self.draws - other.draws)


@dataclass(frozen=True)
class Sums:
    """What each picture adds to a figure `above / below`; a picture that does not count adds 0 to both."""

    above: Floats  # (pictures,)
    below: Floats  # (pictures,)


def resample(pictures: int, seed: int) -> Iterator[Floats]:
    """How often each picture is drawn, (some draws, pictures) at a time, `DRAWS` in all."""
    rng = np.random.default_rng(seed)
    left, at_once = DRAWS, max(1, _AT_ONCE // pictures)
    while left:
        count = min(left, at_once)
        yield rng.multinomial(pictures, np.full(pictures, 1.0 / pictures), size=count).astype(np.float64)
        left -= count


def estimate_ratios(sums: Mapping[str, Sums], seed: int) -> dict[str, Estimate | None]:
    """`above / below` of each figure; None where nothing counts."""
    above = np.stack([s.above for s in sums.values()], axis=1)
    below = np.stack([s.below for s in sums.values()], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = above.sum(axis=0) / below.sum(axis=0)
        drawn = np.concatenate([(drawn @ above) / (drawn @ below) for drawn in resample(len(above), seed)])
    return {name: Estimate(float(values[k]), drawn[:, k]) if below[:, k].any() else None for k, name in enumerate(sums)}


def estimate_median(values: Floats, owners: Ints, pictures: int, seed: int) -> Estimate | None:
    """Median of values (N,), each of which belongs to the picture `owners` (N,) names; None of none."""
    if not len(values):
        return None
    order = np.argsort(values, kind="stable")
    values, owners = values[order], owners[order]

    def medians(drawn: Floats) -> Floats:
        total = drawn[:, owners].cumsum(axis=1)
        half = total[:, -1:] / 2
        middle = (values[(total >= half).argmax(axis=1)] + values[(total > half).argmax(axis=1)]) / 2
        return np.where(half[:, 0] > 0, middle, np.nan)

    draws = np.concatenate([medians(drawn) for drawn in resample(pictures, seed)])
    return Estimate(float(medians(np.ones((1, pictures)))[0]), draws)


def ranks_of_own(scores: Floats, own: Ints) -> tuple[Ints, Ints]:
    """How many pictures stand before each caption's own, and how many stand level with it.

    scores: (captions, pictures), higher is better; own: (captions,). Scores within `NEAR` are level.
    """
    mine = scores[np.arange(len(scores)), own][:, None]
    before = (scores > mine + NEAR).sum(axis=1)
    level = (np.abs(scores - mine) <= NEAR).sum(axis=1) - 1
    return before, level


def recall_at(k: int, before: Ints, level: Ints) -> Floats:
    """The chance that a caption's own picture is among the first k, if those that are level stand in random order."""
    return np.clip((k - before) / (level + 1), 0.0, 1.0)


def distinct_shares(texts: Sequence[Sequence[Hashable]], n: int) -> Sums:
    """Different n-grams over all n-grams, as what each text (a sequence of units) adds.

    An n-gram that occurs m times adds 1/m to a text for each occurrence. So a text's part is fixed before the bootstrap,
    which would otherwise take every text that is drawn twice for a model that repeats itself.
    """
    grams = [list(zip(*(text[i:] for i in range(n)), strict=False)) for text in texts]
    times = Counter(gram for found in grams for gram in found)
    return Sums(
        np.array([sum(1.0 / times[gram] for gram in found) for found in grams], np.float64),
        np.array([len(found) for found in grams], np.float64),
    )


def midranks(values: ArrayLike) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, places, counts = np.unique(np.asarray(values, np.float64), return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    shared: Floats = (ends - (counts - 1) / 2)[places]
    return shared


def spearman(scores: ArrayLike, stars: ArrayLike) -> float | None:
    """Rank correlation with ties. None where all stars are equal; 0 where only the scores are: they tell nothing."""
    a, b = midranks(scores), midranks(stars)
    a, b = a - a.mean(), b - b.mean()
    if not b.any():
        return None
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale else 0.0
