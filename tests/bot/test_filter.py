from __future__ import annotations

import pytest

from bot.filter import harmless
from training.starter.jokes import load_subjects


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@everyone 起きて", "＠everyone 起きて"),
        ("<@123> と <!channel>", "＜＠123＞ と ＜!channel＞"),
        ("見て https://example.org/x", "見て https：example．org/x"),
        ("example.co.jp へ", "example．co．jp へ"),
        ("一行目\n二行目\u202e逆", "一行目 二行目 逆"),
        ("  空\u200b白\u3000だけ  ", "空 白 だけ"),
        ("家族👨‍👩‍👧です", "家族👨‍👩‍👧です"),
        ("3.5倍、1.2.3", "3.5倍、1.2.3"),
    ],
)
def test_harmless(text: str, expected: str) -> None:
    assert harmless(text) == expected


def test_harmless_leaves_the_starters_jokes_alone() -> None:
    for subject in load_subjects():
        for text in subject.jokes:
            assert harmless(text) == text
