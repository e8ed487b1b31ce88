from __future__ import annotations

from bot.limits import Limit, RateLimits


def test_so_many_a_minute_then_seconds_to_wait() -> None:
    limits = RateLimits()
    assert [limits.take(Limit("user", "a", 3)) for _ in range(3)] == [0, 0, 0]
    assert 1 <= limits.take(Limit("user", "a", 3)) <= 60
    assert limits.take(Limit("user", "b", 3)) == 0


def test_what_one_limit_refuses_costs_the_others_nothing() -> None:
    limits = RateLimits()
    assert limits.take(Limit("user", "a", 1), Limit("channel", "c", 2)) == 0
    for _ in range(5):
        assert limits.take(Limit("user", "a", 1), Limit("channel", "c", 2)) > 0
    assert limits.take(Limit("user", "b", 1), Limit("channel", "c", 2)) == 0


def test_zero_is_no_limit() -> None:
    limits = RateLimits()
    assert all(limits.take(Limit("user", "a", 0)) == 0 for _ in range(100))
