from __future__ import annotations

import pytest

from bokemodel.tokenizer import Tokenizer

TEXTS = ["猫が窓を見ている", "犬が窓を見ている", "猫と犬が昼寝をした", "月曜日が来た"] * 5


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, 320)


@pytest.mark.parametrize(
    "text", ["猫が窓を見ている", "鰐と🐊 が、  二つ空け", "Hello, Ｗorld！", " 前後の空白 ", "①㍻"]
)
def test_any_text_comes_back_as_it_was(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_unseen_characters_become_bytes_not_unknown(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("鰐")) == 3
    assert not set(tokenizer.encode("鰐🐊")) & set(tokenizer.never())


def test_broken_bytes_are_marked(tokenizer: Tokenizer) -> None:
    assert "\ufffd" in tokenizer.decode(tokenizer.encode("鰐")[:2])


def test_same_texts_same_units(tokenizer: Tokenizer) -> None:
    assert Tokenizer.train(TEXTS, 320).model == tokenizer.model
