"""What the model says is plain text on Discord; and which files count as pictures."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import discord
import pytest
from discord import app_commands
from hypothesis import given
from hypothesis import strategies as st

from bot.chat.discord.pictures import is_picture, looks_like_picture
from bot.chat.discord.sending import MAX_LETTERS, joke
from bot.chat.discord.words import TEXTS, CommandTranslator, say
from bot.filter import harmless

MARKDOWN = re.compile(r"(?<!\\)(?:\\\\)*[*_`~|]")


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("うちの猫は会議に遅れている。", "うちの猫は会議に遅れている。"),
        ("**強い**", r"\*\*強い\*\*"),
        ("||秘密||", r"\|\|秘密\|\|"),
        ("# 見出し", r"\# 見出し"),
        ("-# 小さい", r"\-# 小さい"),
        ("- 一つ", r"\- 一つ"),
        ("1. 一つ", r"1\. 一つ"),
        ("`code` ~~線~~ _斜_", r"\`code\` \~\~線\~\~ \_斜\_"),
        ("[ここ](押して)", r"\[ここ](押して)"),
        ("\\*星", r"\\\*星"),
        ("@everyone <@1> <#2> </boke:3> <t:4>", "＠everyone ＜＠1＞ ＜#2＞ ＜/boke:3＞ ＜t:4＞"),
        ("> 引用", "＞ 引用"),
    ],
)
def test_a_joke_is_plain_text(said: str, sent: str) -> None:
    assert joke(harmless(said)) == sent


@given(st.text(max_size=1200))
def test_nothing_in_a_joke_formats_pings_or_is_too_long(said: str) -> None:
    sent = joke(harmless(said))
    assert not MARKDOWN.search(sent)
    assert not re.search(r"@|[<>]|://", sent)
    assert not re.match(r"\s*(#|-|\d+[.)] )", sent)
    assert len(sent) <= 2 * MAX_LETTERS


def test_a_note_stands_small_under_the_joke() -> None:
    assert joke("ねこ", "2枚目の写真") == "ねこ\n-# 2枚目の写真"


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("a.png", "image/png", True),
        ("a.PNG", None, True),
        ("a", "image/jpeg; charset=binary", True),
        ("a.heic", "application/octet-stream", True),
        ("a.svg", "image/svg+xml", False),
        ("a.png", "text/plain", False),
        ("movie.mp4", "video/mp4", False),
        ("a.txt", None, False),
        ("a", None, False),
    ],
)
def test_files_that_count_as_pictures(name: str, kind: str | None, expected: bool) -> None:
    attachment: Any = SimpleNamespace(filename=name, content_type=kind)
    assert is_picture(attachment) is expected


def test_a_link_is_known_by_its_end() -> None:
    assert looks_like_picture("https://example.org/a.JPG?ex=1#top")
    assert not looks_like_picture("https://example.org/a.png/page")
    assert not looks_like_picture("https://[example/")


def test_every_line_exists_in_both_languages() -> None:
    for key, texts in TEXTS.items():
        assert set(texts) == {"ja", "en"}, key
        in_japanese, in_english = (sorted(set(re.findall(r"{\w+}", texts[language]))) for language in ("ja", "en"))
        assert in_japanese == in_english, key
    assert say("enable_here", "en") == "Answer pictures here"
    with pytest.raises(KeyError):
        say("nothing of this name")


async def test_only_japanese_clients_get_japanese_names() -> None:
    translator, context = CommandTranslator(), SimpleNamespace()
    text: Any = app_commands.locale_str("link")
    assert await translator.translate(text, discord.Locale.japanese, context) == "リンク"  # type: ignore[arg-type]
    assert await translator.translate(text, discord.Locale.german, context) is None  # type: ignore[arg-type]
