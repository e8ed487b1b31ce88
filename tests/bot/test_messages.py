"""Every line that people can meet: in both languages, complete, and said by somebody."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

from bot.chat.discord import words
from bot.chat.web.refusals import STATUS
from bot.messages import TEXTS, say

BOT = Path(__file__).resolve().parents[2] / "bot"
ALL = {**TEXTS, **words.TEXTS}


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def refusal_codes() -> dict[str, str]:
    """Every code that is raised as a refusal somewhere, with where."""
    found: dict[str, str] = {}
    for file in BOT.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "BokeRefused" and node.args:
                codes = [n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant)]
                found |= {code: f"{file.name}:{node.lineno}" for code in codes if isinstance(code, str)}
    return found


@pytest.mark.parametrize("key", ALL)
def test_both_languages_say_the_same(key: str) -> None:
    texts = ALL[key]
    assert set(texts) == {"ja", "en"}
    assert places(texts["ja"]) == places(texts["en"])
    for text in texts.values():
        assert text == text.strip()
        assert not re.search("traceback|exception|error|null", text, re.IGNORECASE)
    other_way_round = key == "do_other_language"  # names the language that is not in use
    if not other_way_round:
        assert not re.search("[ぁ-んァ-ヶ一-龠]", texts["en"])
    if len(texts["ja"]) > 24:
        assert re.search("[ぁ-ん]", texts["ja"])


def test_every_refusal_has_its_line() -> None:
    codes = refusal_codes()
    assert {"busy", "slow_down", "left_alone", "picture_gone"} <= set(codes)
    assert {code: where for code, where in codes.items() if code not in ALL} == {}
    assert set(STATUS) <= set(ALL)


def test_a_line_that_there_is_not() -> None:
    with pytest.raises(KeyError):
        say("no_such_line")
    with pytest.raises(KeyError):
        say("slow_down")


def test_values_are_filled_in_and_may_hold_braces() -> None:
    assert say("slow_down", seconds=7) == "ネタが追いつきません。7秒ほど待ってください。"
    assert say("bad_request", "en", what="{mode}") == "I can't read that request ({mode})."
