"""Line breaking on cases worked out by hand, and its rules on texts that nobody thought of."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.typeset import (
    MAX_PARAGRAPHS,
    NOT_AT_END,
    NOT_AT_START,
    Breaker,
    Run,
    break_lines,
    clean_text,
    split_runs,
)

FAMILY = "👨\u200d👩\u200d👧"
WAGAHAI = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
    "何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。"
)


def measure(text: str) -> float:
    """A kanji, a kana, an emoji is 1 wide, a Latin letter a half."""
    width = 0.0
    for run in split_runs(text):
        if run.emoji:
            width += 1
        else:
            width += sum(1.0 if unicodedata.east_asian_width(c) in "WFA" else 0.5 for c in run.text)
    return width


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("今日は雨。", 5, ["今日は雨。"]),
        # between phrases, not in 天気
        ("今日は、いい天気。", 5, ["今日は、", "いい天気。"]),
        ("今日は、いい天気。", 4, ["今日は、", "いい", "天気。"]),
        # closing marks stay behind: nothing shorter than あ。 may be carried over
        ("あああ。", 3, ["ああ", "あ。"]),
        ("あああ」", 3, ["ああ", "あ」"]),
        ("あああ！？", 4, ["ああ", "あ！？"]),
        ("あああ）", 3, ["ああ", "あ）"]),
        ("あああ…", 3, ["ああ", "あ…"]),
        # opening marks go along with what they open
        ("ああ「い」う", 3, ["ああ", "「い」", "う"]),
        ("ああ『い』", 3, ["ああ", "『い』"]),
        ("ああ（い）", 3, ["ああ", "（い）"]),
        # small kana and the mark of length
        ("ちょちょちょ", 3, ["ちょ", "ちょ", "ちょ"]),
        ("きゃっきゃっ", 4, ["きゃっ", "きゃっ"]),
        ("ラーメンラーメン", 5, ["ラーメン", "ラーメン"]),
        # two-part marks
        ("あ……い", 3, ["あ……", "い"]),
        ("ああ――い", 3, ["ああ", "――い"]),
        # words and figures whole, with their signs
        ("そのcomputerが", 6, ["その", "computerが"]),
        ("￥1000です", 4, ["￥1000", "です"]),
        ("合計は1,234,567円", 6, ["合計は", "1,234,567円"]),
        ("don't stop me now", 5, ["don't stop", "me now"]),
        # emoji are not parted from each other, nor within themselves
        ("雨だね☔☔", 4, ["雨だね", "☔☔"]),
        (f"犬と{FAMILY}と猫", 3, [f"犬と{FAMILY}", "と猫"]),
        # an explicit line feed always breaks
        ("犬\n猫", 9, ["犬", "猫"]),
        ("", 5, []),
        (" \n ", 5, []),
    ],
)
def test_by_hand(text: str, width: float, lines: list[str]) -> None:
    assert break_lines(text, measure, width) == lines


def test_a_word_wider_than_the_line_is_cut_into_lines_that_fit() -> None:
    lines = break_lines("Supercalifragilisticexpialidocious", measure, 6)
    assert "".join(lines) == "Supercalifragilisticexpialidocious"
    assert max(map(measure, lines)) <= 6


def test_marks_that_may_begin_no_line_still_fit() -> None:
    lines = break_lines("！" * 40, measure, 12)
    assert "".join(lines) == "！" * 40
    assert max(map(measure, lines)) <= 12
    assert len(lines) == 4


def test_one_letter_wider_than_the_line() -> None:
    assert break_lines("猫", measure, 0.1) == ["猫"]
    assert break_lines("猫犬", measure, 0.1) == ["猫", "犬"]


@pytest.mark.parametrize(
    ("text", "width"),
    [("きのう会社をやめてきました", 12), ("あしたの朝ごはんはパンです", 12), ("とつぜんですがここで問題です", 13)],
)
def test_no_line_is_left_nearly_empty(text: str, width: float) -> None:
    first, second = break_lines(text, measure, width)
    assert measure(first) >= 4
    assert measure(second) >= 4


def test_a_long_text_breaks_where_its_sentences_end() -> None:
    assert break_lines(WAGAHAI, measure, 25) == [
        "吾輩は猫である。名前はまだ無い。",
        "どこで生れたかとんと見当がつかぬ。",
        "何でも薄暗いじめじめした所で",
        "ニャーニャー泣いていた事だけは記憶している。",
    ]


@pytest.mark.parametrize("text", ["吾輩は猫である。名前はまだ無い。", "ここまで来たら、もう引き返せない"])
def test_a_sentences_end_is_the_best_place(text: str) -> None:
    first = break_lines(text, measure, 10)[0]
    assert first[-1] in "。、"


def test_a_compound_that_budoux_cuts_stays_whole() -> None:
    # BudouX sees 謝罪会 and 見
    assert break_lines("ハワイで謝罪会見", measure, 7) == ["ハワイで", "謝罪会見"]


def test_spaces_at_breaks_vanish_and_others_stay() -> None:
    assert break_lines("one two three four", measure, 4.5) == ["one two", "three", "four"]
    assert break_lines("犬　猫", measure, 9) == ["犬　猫"]
    assert break_lines("犬犬犬　猫猫猫", measure, 4) == ["犬犬犬", "猫猫猫"]


def test_whether_lines_end_with_phrases_is_told() -> None:
    breaker = Breaker("今日は、いい天気。", measure)
    assert breaker.layout(5).at_phrases
    assert not breaker.layout(2).at_phrases


ALPHABET = "あいう漢字カナ、。「」（）！？ーっゃ…ab1😂☔犬"


def glued(before: str, after: str) -> bool:
    """Whether kinsoku, or a word, keeps two neighbours on one line."""
    word = re.compile(r"[a-z0-9]")
    if before == after == "…":
        return True
    return before in NOT_AT_END or after in NOT_AT_START or bool(word.match(before) and word.match(after))


@settings(max_examples=300, deadline=None)
@given(text=st.text(ALPHABET, min_size=1, max_size=60), width=st.integers(2, 20))
def test_rules_hold_for_any_text(text: str, width: int) -> None:
    text = clean_text(text)
    lines = break_lines(text, measure, width)
    bare = re.sub(r"\s", "", text)
    assert re.sub(r"\s", "", "".join(lines)) == bare
    assert all(line == line.strip() and line for line in lines)
    assert all(measure(line) <= width or len(line) == 1 for line in lines)
    # Where everything that belongs together fits a line, nothing of it is parted.
    chains = [[text[0]]] if text else []
    for before, after in pairwise(text):
        if glued(before, after):
            chains[-1].append(after)
        else:
            chains.append([after])
    if all(measure("".join(chain).strip()) <= width for chain in chains):
        assert not any(glued(line[-1], following[0]) for line, following in pairwise(lines))


@given(text=st.text(max_size=40), width=st.floats(0.1, 30))
@settings(max_examples=200, deadline=None)
def test_any_text_at_all(text: str, width: float) -> None:
    text = clean_text(text)
    lines = break_lines(text, measure, width)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("  猫  ", "猫"),
        ("猫\t\t犬", "猫 犬"),
        ("猫\u202e犬\u202c", "猫犬"),  # right-to-left override
        ("\u2066猫\u2069", "猫"),
        ("猫\u200b\u200c\u200d\u2060\ufeff犬", "猫犬"),
        ("猫\x00\x07\x1b[31m犬\x7f\x9b", "猫[31m犬"),
        ("猫\ud800犬", "猫犬"),  # half of a surrogate pair
        ("猫\ue000犬", "猫犬"),  # private use
        ("猫\u3164\u115f\u2800\ufffc\ufffd犬", "猫犬"),
        ("葛\U000e0100", "葛"),  # ideographic variation
        ("か\u3099き\u3099", "がぎ"),
        ("あ\u3099", "あ\u3099"),
        ("Z\u0351\u036e\u0300a\u0336lgo", "Zalgo"),
        ("e\u0301", "é"),
        (f"{FAMILY}❤\ufe0f1\ufe0f\u20e3🇯🇵👍🏽", f"{FAMILY}❤\ufe0f1\ufe0f\u20e3🇯🇵👍🏽"),
        ("😂\u200d\u200d", "😂"),
        ("猫\U000e0067\U000e0062", "猫"),  # tags, in which text can hide
        ("犬\r\n猫\r\r\n\n鳥", "犬\n猫\n鳥"),
        ("a\u00a0\u2003b", "a b"),
        ("犬　　猫", "犬　　猫"),
    ],
)
def test_cleaning(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


def test_many_lines_become_one() -> None:
    assert clean_text("\n".join("あ" * MAX_PARAGRAPHS)).count("\n") == MAX_PARAGRAPHS - 1
    assert clean_text("\n".join("あ" * (MAX_PARAGRAPHS + 1))) == " ".join("あ" * (MAX_PARAGRAPHS + 1))


def test_too_long_ends_in_an_ellipsis() -> None:
    assert clean_text("あ" * 200) == "あ" * 200
    assert clean_text("あ" * 201) == "あ" * 199 + "…"
    assert clean_text(FAMILY * 5, 3) == FAMILY * 2 + "…"
    assert clean_text(FAMILY * 5, 5) == FAMILY * 5


@pytest.mark.parametrize(
    "emoji",
    [
        "😂",
        FAMILY,
        "🇯🇵",
        "1\ufe0f\u20e3",
        "❤\ufe0f",
        "👍🏽",
        "☔",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "\U0001fae8",
    ],
)
def test_an_emoji_is_one_run(emoji: str) -> None:
    assert split_runs(f"犬{emoji}{emoji}a") == [Run("犬", False), Run(emoji, True), Run(emoji, True), Run("a", False)]


@pytest.mark.parametrize("text", ["♪", "☆", "♥", "→", "©", "①", "㍿", "1", "#", "❤", "猫☺"])
def test_symbols_of_the_text_are_no_emoji(text: str) -> None:
    assert split_runs(text) == [Run(text, False)]
