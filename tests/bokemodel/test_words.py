"""Whole words, as in 2016: by spaces and by MeCab."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from bokemodel import words
from bokemodel.words import MECAB, SPACES, MecabMissing, WordTokenizer, tokenizer_of

TEXTS = ["a dog runs", "a dog sleeps", "a cat </s> sleeps"]


def test_words_by_spaces() -> None:
    tokenizer = WordTokenizer.learn(TEXTS, SPACES)
    ids = tokenizer.encode("a cat runs")
    assert len(set(ids)) == 3
    assert min(ids) > max(tokenizer.bos, tokenizer.eos)
    assert tokenizer.decode(ids) == "a cat runs"
    assert tokenizer.encode("a horse") == [tokenizer.encode("a")[0], 0]


def test_rare_words_are_unknown_and_never_said() -> None:
    tokenizer = WordTokenizer.learn(TEXTS, SPACES, least=2)
    assert len(tokenizer) == 3 + len({"a", "dog", "sleeps"})
    assert tokenizer.encode("cat") == [0]
    assert 0 in tokenizer.never()


def test_a_bundle_gives_back_its_own_kind() -> None:
    tokenizer = WordTokenizer.learn(TEXTS, SPACES)
    again = tokenizer_of("words", tokenizer.model)
    assert again.encode("a dog sleeps") == tokenizer.encode("a dog sleeps")
    with pytest.raises(ValueError, match="morse"):
        tokenizer_of("morse", b"{}")


def test_words_by_mecab() -> None:
    pytest.importorskip("fugashi")
    tokenizer = WordTokenizer.learn(["猫が会議に遅刻する"], MECAB)
    assert len(tokenizer) > 3 + 4
    assert tokenizer.decode(tokenizer.encode("猫が遅刻する")) == "猫が遅刻する"


def test_without_mecab_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name == "fugashi":
            raise ImportError(name)
        return real(name, *more)

    words._mecab.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MecabMissing, match="pip install fugashi unidic-lite") as caught:
        WordTokenizer.learn(["猫"], MECAB)
    assert "\n" not in str(caught.value)
