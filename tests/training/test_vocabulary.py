"""Units for a corpus, and the language it is in."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.bundles import LINES
from training.vocabulary import TokenizerConfig, fits, language_of, train_tokenizer

ENGLISH = [f"the {a} is in a {b} and it is {c}" for a in ("cat", "dog") for b in ("car", "box") for c in ("odd", "fun")]


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        (["うちの猫は会議に遅れている。", "会議"], "ja"),
        (["ﾈｺﾃﾞｽ", "カレー"], "ja"),
        (["今天天气很好", "我们走吧"], "zh"),
        (["고양이가 늦었다"], "ko"),
        (ENGLISH, "en"),
        (["Der Hund schläft unter dem Tisch"], "und"),
        (["кот опоздал"], "und"),
        (["!!!", "123", ""], "und"),
        ([], "und"),
        (["LOL うちの猫は WiFi に怒っている"], "ja"),
    ],
)
def test_language(texts: list[str], language: str) -> None:
    assert language_of(texts) == language


@pytest.fixture(params=["unigram", "bpe"])
def method(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_small_corpus_gets_few_units(method: Any) -> None:
    assert len(train_tokenizer(["猫"], TokenizerConfig(method=method), 0)) < 300
    assert 300 < len(train_tokenizer(list(LINES), TokenizerConfig(method=method), 0)) < 600


def test_no_more_units_than_asked_for(method: Any) -> None:
    assert len(train_tokenizer(ENGLISH * 2000, TokenizerConfig(units=320, method=method), 0)) <= 320


def test_frequent_words_are_one_unit() -> None:
    """Joined by bpe as often as they stand there, whatever unlikelier cuts there are."""
    tokenizer = train_tokenizer(ENGLISH * 50, TokenizerConfig(method="bpe"), 0)
    assert [tokenizer.decode([unit]) for unit in tokenizer.encode("the cat is in a box")] == [
        "the",
        " cat",
        " is",
        " in",
        " a",
        " box",
    ]


def test_thousands_of_different_characters(method: Any) -> None:
    rng = random.Random(0)
    texts = ["".join(chr(0x4E00 + min(int(rng.expovariate(1 / 400)), 6000)) for _ in range(20)) for _ in range(3000)]
    tokenizer = train_tokenizer(texts, TokenizerConfig(units=1200, method=method), 0)
    assert len(tokenizer) < 2500
    assert all(
        tokenizer.decode(tokenizer.encode(text)) == text for text in texts[:50]
    )  # rare ones are spelled in bytes


def test_every_text_comes_back(method: Any) -> None:
    tokenizer = train_tokenizer(list(LINES), TokenizerConfig(method=method), 0)
    for text in (*LINES, "見たことのない漢字：鬱 🐈", "abc"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_same_texts_same_units(method: Any) -> None:
    config = TokenizerConfig(method=method)
    assert train_tokenizer(ENGLISH, config, 0).model == train_tokenizer(ENGLISH, config, 0).model


def test_what_fits() -> None:
    japanese, english = (
        train_tokenizer(list(LINES), TokenizerConfig(), 0),
        train_tokenizer(ENGLISH, TokenizerConfig(), 0),
    )
    assert fits(japanese, LINES[:50], train_tokenizer(list(LINES[:60]), TokenizerConfig(), 0))
    assert not fits(japanese, ENGLISH, english)
    assert not fits(english, LINES, japanese)
