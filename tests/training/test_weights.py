"""How much each joke counts."""

from __future__ import annotations

import numpy as np
import pytest

from training.weights import MOST, WeightConfig, joke_weights

NAN = float("nan")


def weights(
    stars: list[float],
    *,
    pictures: list[int] | None = None,
    ratings: list[float] | None = None,
    votes: list[float] | None = None,
    strength: float = 0.5,
    confidence: float = 5.0,
    vote_weight: float = 1.0,
) -> list[float]:
    count = len(stars)
    given = joke_weights(
        np.array(pictures or [0] * count, np.int32),
        np.array(stars, np.float32),
        np.array(ratings or [NAN] * count, np.float32),
        np.array(votes or [0.0] * count, np.float32),
        WeightConfig(strength, confidence),
        vote_weight,
    )
    return [float(weight) for weight in given]


def test_more_stars_count_more() -> None:
    low, middle, high = weights([1, 10, 100])
    assert low < middle < high


def test_a_case_worked_out_by_hand() -> None:
    # log(1+e-1)=1 and log(1+e^3-1)=3: mean 2, one standard deviation below and above
    low, high = weights([np.e - 1, np.e**3 - 1])
    assert high / low == pytest.approx(np.exp(0.5) / np.exp(-0.5), rel=1e-5)
    assert low + high == pytest.approx(2)


def test_the_mean_of_each_picture_is_one_so_that_stars_of_different_pictures_are_not_compared() -> None:
    found = weights([1, 2, 1000, 2000], pictures=[0, 0, 1, 1])
    assert found[0] + found[1] == pytest.approx(2)
    assert found[2] + found[3] == pytest.approx(2)
    assert found[0] < 1 < found[1]


def test_scaling_all_stars_of_large_counts_changes_nothing() -> None:
    assert weights([1000, 2000, 4000]) == pytest.approx(weights([10_000, 20_000, 40_000]), rel=1e-3)


def test_few_ratings_are_believed_less() -> None:
    surely, hardly = weights([1, 9], ratings=[500, 500]), weights([1, 9], ratings=[1, 1])
    assert surely[1] > hardly[1] > 1
    assert weights([1, 9], ratings=[0, 0]) == pytest.approx([1, 1])


def test_without_stars_all_count_the_same() -> None:
    assert weights([NAN, NAN, NAN]) == [1, 1, 1]
    assert weights([5]) == [1]
    assert weights([5, 5, 5]) == pytest.approx([1, 1, 1])
    low, unknown, high = weights([1, NAN, 9])
    assert low < unknown < high


def test_votes_count_for_and_against() -> None:
    against, neutral, one, many = weights([NAN] * 4, votes=[-3, 0, 1, 50])
    assert against < neutral < one < many
    assert weights([NAN] * 2, votes=[0, 9], vote_weight=0.0) == [1, 1]


def test_one_joke_does_not_outweigh_its_picture() -> None:
    found = weights([0.0] * 99 + [1e6], votes=[0.0] * 99 + [1000.0])
    assert found[-1] / found[0] <= np.exp(0.5 * 2 * MOST)


def test_strength_zero_is_no_weighting() -> None:
    assert weights([1, 10, 100], strength=0.0) == [1, 1, 1]


def test_negative_stars_and_no_jokes() -> None:
    low, high = weights([-5, 5])
    assert low < high
    assert weights([]) == []
