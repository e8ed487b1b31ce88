from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from training.metrics import (
    DRAWS,
    UNCERTAIN,
    Estimate,
    Metrics,
    Sums,
    distinct_shares,
    estimate_median,
    estimate_ratios,
    midranks,
    ranks_of_own,
    recall_at,
    resample,
    spearman,
)

CONTRACT = [
    "pictures",
    "jokes",
    "nats_per_token",
    "bits_per_char",
    "r_at_1",
    "r_at_5",
    "r_at_10",
    "median_rank",
    "chance_r_at_10",
    "distinct_1",
    "distinct_2",
    "novelty",
    "self_repeat",
    "spearman_funny",
]
CERTAIN = {"pictures", "jokes", "chance_r_at_10"}


def sums(above: list[float], below: list[float]) -> Sums:
    return Sums(np.array(above, np.float64), np.array(below, np.float64))


def test_the_keys_are_the_contracts() -> None:
    estimates = {name: Estimate(0.5, np.full(DRAWS, 0.5)) for name in UNCERTAIN}
    found = json.loads(json.dumps(Metrics.of(3, 7, 1.0, estimates).to_json(), allow_nan=False))
    assert set(found) == {*CONTRACT, *(f"{name}_ci95" for name in CONTRACT if name not in CERTAIN)}
    assert (found["pictures"], found["jokes"], found["chance_r_at_10"]) == (3, 7, 1.0)
    assert (found["novelty"], found["novelty_ci95"]) == (0.5, [0.5, 0.5])


def test_what_the_data_cannot_say_is_null() -> None:
    estimates: dict[str, Estimate | None] = {name: Estimate(0.5, np.full(DRAWS, 0.5)) for name in UNCERTAIN}
    metrics = Metrics.of(3, 7, 1.0, estimates | {"spearman_funny": None})
    assert (metrics.spearman_funny, metrics.spearman_funny_ci95) == (None, None)
    assert replace(metrics, r_at_1=0.25).to_json()["r_at_1"] == 0.25


def test_a_resampling_draws_as_many_pictures_as_there_are() -> None:
    drawn = np.concatenate(list(resample(7, seed=1)))
    assert drawn.shape == (DRAWS, 7)
    assert (drawn.sum(axis=1) == 7).all()
    assert 0.3 < (drawn == 0).mean() < 0.4  # (6/7)^7 = 0.34
    np.testing.assert_array_equal(drawn, np.concatenate(list(resample(7, seed=1))))
    assert (drawn != np.concatenate(list(resample(7, seed=2)))).any()


def test_many_pictures_are_resampled_in_parts() -> None:
    parts = [len(part) for part in resample(5000, seed=0)]
    assert len(parts) > 1
    assert sum(parts) == DRAWS


def test_a_ratio_and_its_draws() -> None:
    above, below = [1.0, 4.0, 0.0, 3.0], [2.0, 2.0, 0.0, 4.0]
    found = estimate_ratios({"a": sums(above, below), "nothing": sums([0.0] * 4, [0.0] * 4)}, seed=3)
    estimate = found["a"]
    assert found["nothing"] is None
    assert estimate is not None
    assert estimate.value == 1.0  # 8 / 8
    drawn = np.concatenate(list(resample(4, seed=3)))
    for draw, times in zip(estimate.draws[:50], drawn[:50].astype(int), strict=True):
        chosen = np.repeat(np.arange(4), times)
        if np.take(below, chosen).sum():
            assert draw == pytest.approx(np.take(above, chosen).sum() / np.take(below, chosen).sum())
        else:
            assert np.isnan(draw)


def test_the_interval_of_a_mean_is_the_textbooks() -> None:
    values = np.random.default_rng(0).normal(10, 2, 400)
    estimate = estimate_ratios({"mean": sums(values.tolist(), [1.0] * 400)}, seed=0)["mean"]
    assert estimate is not None
    low, high = estimate.ci95
    error = values.std() / np.sqrt(400)
    assert estimate.value == pytest.approx(values.mean())
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)


def test_draws_without_a_picture_that_counts_are_left_out_of_the_interval() -> None:
    estimate = estimate_ratios({"a": sums([0.0, 0.0, 3.0], [0.0, 0.0, 4.0])}, seed=0)["a"]
    assert estimate is not None
    assert np.isnan(estimate.draws).any()
    assert estimate.ci95 == (0.75, 0.75)


def test_of_two_models_on_the_same_pictures_only_the_difference_is_uncertain() -> None:
    hard = np.random.default_rng(0).normal(0, 5, 50)  # some pictures are harder for both
    one, other = (
        estimate_ratios({"a": sums((hard + gain).tolist(), [1.0] * 50)}, seed=0)["a"] for gain in (0.0, -0.25)
    )
    assert one is not None
    assert other is not None
    assert one.ci95[0] < other.value < one.ci95[1]
    assert other.minus(one).value == pytest.approx(-0.25)
    assert other.minus(one).ci95 == pytest.approx((-0.25, -0.25))


def test_the_median_of_each_draw() -> None:
    values, owners = np.array([5.0, 1.0, 3.0, 8.0, 2.0]), np.array([0, 0, 1, 2, 2])
    estimate = estimate_median(values, owners, 4, seed=5)  # the fourth picture has no value
    assert estimate is not None
    assert estimate.value == 3.0
    drawn = np.concatenate(list(resample(4, seed=5))).astype(int)
    for draw, times in zip(estimate.draws, drawn, strict=True):
        chosen = np.repeat(values, times[owners])
        assert draw == np.median(chosen) if len(chosen) else np.isnan(draw)


def test_the_median_of_an_even_number_lies_between() -> None:
    estimate = estimate_median(np.array([1.0, 2.0, 4.0, 9.0]), np.arange(4), 4, seed=0)
    assert estimate is not None
    assert estimate.value == 3.0
    assert estimate_median(np.empty(0), np.empty(0, np.int64), 4, seed=0) is None


def test_ranks_of_own() -> None:
    scores = np.array(
        [
            [-1.0, -2.0, -3.0, -4.0],  # own is first
            [-1.0, -2.0, -3.0, -4.0],  # own is third
            [-5.0, -2.0, -2.0, -2.0],  # own is level with two
            [-2.0, -2.0002, -2.0, -1.9998],  # all level but for rounding
        ]
    )
    before, level = ranks_of_own(scores, np.array([0, 2, 1, 3]))
    assert before.tolist() == [0, 2, 0, 0]
    assert level.tolist() == [0, 0, 2, 3]
    assert recall_at(1, before, level).tolist() == pytest.approx([1, 0, 1 / 3, 1 / 4])
    assert recall_at(2, before, level).tolist() == pytest.approx([1, 0, 2 / 3, 2 / 4])
    assert recall_at(3, before, level).tolist() == pytest.approx([1, 1, 1, 3 / 4])
    assert recall_at(10, before, level).tolist() == [1, 1, 1, 1]


def test_distinct_n_grams() -> None:
    texts = [["a", "b", "a"], ["a", "c"], ["a", "b"], []]
    one, two = distinct_shares(texts, 1), distinct_shares(texts, 2)
    assert one.above.sum() == pytest.approx(3)  # a b c
    assert one.below.sum() == 7
    assert one.above.tolist() == pytest.approx([1 / 4 + 1 / 2 + 1 / 4, 1 / 4 + 1, 1 / 4 + 1 / 2, 0])
    assert two.above.sum() == pytest.approx(3)  # ab ba ac
    assert two.below.tolist() == [2, 1, 1, 0]


def test_midranks() -> None:
    assert midranks([30, 10, 20, 20, 5]).tolist() == [5, 2, 3.5, 3.5, 1]
    assert midranks([7, 7, 7]).tolist() == [2, 2, 2]


def test_spearman_is_scipys() -> None:
    rng = np.random.default_rng(0)
    for size in (5, 6, 20, 200):
        scores, stars = rng.normal(size=size).round(1), rng.integers(0, 4, size)
        assert spearman(scores, stars) == pytest.approx(stats.spearmanr(scores, stars).statistic)


def test_spearman_by_hand() -> None:
    assert spearman([0.1, 0.2, 0.9], [1, 5, 9]) == pytest.approx(1.0)
    assert spearman([0.1, 0.2, 0.9], [9, 5, 1]) == pytest.approx(-1.0)
    assert spearman([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx(0.8)  # 1 - 6 * 2 / (4 * 15)
    assert spearman([1, 2, 3], [4, 4, 4]) is None
    assert spearman([1, 1, 1], [4, 5, 6]) == 0.0
