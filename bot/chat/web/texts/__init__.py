"""The page's own words in Japanese and English; what it shares with the chats is in `bot.messages`.

`base` holds those of every view, and each view has a module with its own: `TEXTS`, and `FOR_SCRIPTS`, the names of those
that its scripts say themselves; the rest is said by templates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot.chat.web.texts import base
from bot.messages import Language

Texts = Mapping[str, tuple[str, str]]  # name: (Japanese, English)


def texts(language: Language, own: Texts | None = None) -> dict[str, str]:
    """The words of every view and a view's own, which go first, in one language."""
    column = 1 if language == "en" else 0
    return {name: both[column] for name, both in {**base.TEXTS, **(own or {})}.items()}


def for_scripts(words: Mapping[str, str], own: Iterable[str] = ()) -> dict[str, str]:
    """Those that scripts say."""
    return {name: words[name] for name in (*base.FOR_SCRIPTS, *own)}
