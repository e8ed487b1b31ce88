"""Which model is the better one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training.judging import Rule, judge
from training.metrics import Estimate, Metrics

RULE = Rule()


def metrics(**values: float | None) -> Metrics:
    given: dict[str, float | None] = {
        "bits_per_char": 1.5,
        "r_at_10": 0.4,
        "novelty": 0.8,
        "self_repeat": 0.1,
        **values,
    }
    estimates: dict[str, Any] = dict.fromkeys(name[:-5] for name in Metrics.__annotations__ if name.endswith("_ci95"))
    estimates |= {n: None if v is None else Estimate(v, np.full(3, v)) for n, v in given.items()}
    return Metrics.of(20, 100, 0.5, estimates)


@pytest.mark.parametrize(
    ("changed", "rule", "publish", "said"),
    [
        ({"bits_per_char": 1.49}, RULE, True, "better"),
        ({"bits_per_char": 1.5}, RULE, False, "not better"),
        ({"bits_per_char": 1.51}, RULE, False, "not better"),
        ({"bits_per_char": 1.49}, Rule(min_gain=0.02), False, "below 0.02"),
        ({"bits_per_char": 1.48}, Rule(min_gain=0.02), True, "better"),
        ({"bits_per_char": 1.4, "r_at_10": 0.38}, RULE, True, "better"),
        ({"bits_per_char": 1.4, "r_at_10": 0.37}, RULE, False, "finds the picture less often"),
        ({"bits_per_char": 1.4, "novelty": 0.71}, RULE, True, "better"),
        ({"bits_per_char": 1.4, "novelty": 0.69}, RULE, False, "copies more"),
        ({"bits_per_char": 1.4, "self_repeat": 0.21}, RULE, False, "repeats itself more"),
        ({"bits_per_char": 1.4, "self_repeat": 0.0, "novelty": 1.0, "r_at_10": 0.9}, RULE, True, "better"),
        ({"bits_per_char": 1.4, "novelty": None}, RULE, True, "better"),
        ({"bits_per_char": None}, RULE, False, "nothing to measure"),
    ],
)
def test_the_rule(changed: dict[str, float | None], rule: Rule, publish: bool, said: str) -> None:
    verdict = judge(metrics(**changed), metrics(), rule)
    assert (verdict.publish, said in verdict.reason) == (publish, True), verdict


def test_every_fault_is_named() -> None:
    verdict = judge(metrics(bits_per_char=1.6, r_at_10=0.1, novelty=0.1, self_repeat=0.9), metrics(), RULE)
    assert all(
        word in verdict.reason for word in ("1.600", "1.500", "not better", "picture less often", "copies", "repeats")
    )
