"""Jokes that read alike."""

from __future__ import annotations

from bot.likeness import closest

JOKES = ("うちの猫は会議に遅れている。", "うちの犬は会議に遅れている。", "空", "The cat sleeps.")


def test_the_same_joke_whatever_its_marks() -> None:
    [[(likeness, place)]] = closest(["うちの猫は、会議に遅れている！"], JOKES, 1)
    assert (likeness, place) == (1.0, 0)


def test_the_closest_come_first_and_strangers_not_at_all() -> None:
    [found] = closest(["うちの猫は会議に出ている"], JOKES, 3)
    assert [place for _, place in found] == [0, 1]
    assert 1 > found[0][0] > found[1][0] > 0


def test_each_text_has_its_own() -> None:
    found = closest(["空", "the cat slept", "？"], iter(JOKES), 2)
    assert [[place for _, place in one][:1] for one in found] == [[2], [3], []]


def test_of_equals_the_first() -> None:
    assert closest(["同じ"], ["同じ", "同じ", "同じ"], 2) == [[(1.0, 0), (1.0, 1)]]
