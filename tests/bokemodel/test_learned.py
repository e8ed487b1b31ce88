from __future__ import annotations

import pytest

from bokemodel.learned import LearnedTexts


def test_what_was_learned_is_known_again_however_it_is_spaced() -> None:
    learned = LearnedTexts.of(["猫が 窓を見ている", "ＡＢＣ"])
    assert "猫が窓を見ている" in learned
    assert "ABC" in learned
    assert "犬が窓を見ている" not in learned


def test_round_trip() -> None:
    learned = LearnedTexts.from_bytes(LearnedTexts.of(["a", "b", "a"]).to_bytes())
    assert len(learned) == 2
    assert "b" in learned
    assert len(LearnedTexts.from_bytes(b"")) == 0
    with pytest.raises(ValueError):
        LearnedTexts.from_bytes(b"123")
