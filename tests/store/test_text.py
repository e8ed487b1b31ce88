"""Jokes that read the same have the same hash, others do not."""

from __future__ import annotations

import pytest

from store.text import normalise, text_hash

HASH_OF_CAT = 4045714063208379449


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("「定時です」", "定時です。"),
        ("ﾃｲｼﾞ です！", "テイジです"),
        ("ＯＫ、Go!!", "ok go"),
        ("か\u3099", "が"),
        ("……", "... ..."),
    ],
)
def test_equal(one: str, other: str) -> None:
    assert text_hash(one) == text_hash(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("猫", "犬"), ("猫", "ネコ"), ("…", "！"), ("スープ", "スプ"), ("は", "ば"), ("2位", "3位"), ("", "…")],
)
def test_different(one: str, other: str) -> None:
    assert text_hash(one) != text_hash(other)


def test_a_hash_fits_the_column_and_never_changes() -> None:
    # It is stored: another value for the same text would orphan every row.
    assert text_hash("猫") == HASH_OF_CAT
    assert all(-(2**63) <= text_hash(str(n)) < 2**63 for n in range(1000))
    assert normalise("Ｔシャツ、２枚。") == "tシャツ2枚"
