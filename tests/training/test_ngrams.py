"""N-gram models against probabilities worked out by hand."""

from __future__ import annotations

import math

import pytest

from training.ngrams import NGrams

TEXTS = [[3], [3, 4]]


def test_unigram_by_hand() -> None:
    # tokens seen: 3, </s>, 3, 4, </s>: five of three kinds; (count + 3 / 5 units) / (5 + 3)
    model = NGrams(TEXTS, 1, 5, 1, 2)
    assert model.probability((), 3) == pytest.approx((2 + 3 / 5) / 8)
    assert model.log_prob([4]) == pytest.approx(math.log((1 + 3 / 5) / 8) + math.log((2 + 3 / 5) / 8))


def test_longer_contexts_lean_on_shorter_ones() -> None:
    one, two = NGrams(TEXTS, 1, 5, 1, 2), NGrams(TEXTS, 2, 5, 1, 2)
    # after 3 came </s> and 4, once each
    assert two.probability((3,), 4) == pytest.approx((1 + 2 * one.probability((), 4)) / (2 + 2))
    assert two.probability((0,), 4) == one.probability((), 4)


@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize("before", [(), (1,), (3,), (1, 3), (0,)])
def test_probabilities_add_up_to_one(order: int, before: tuple[int, ...]) -> None:
    model = NGrams(TEXTS, order, 5, 1, 2)
    assert sum(model.probability(before, token) for token in range(5)) == pytest.approx(1)
