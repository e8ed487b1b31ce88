"""What makes an answer harmless in any chat."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
_JOINERS = "\u200d\ufe0f"  # they hold emoji together
_SCHEME = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,15})://")
_DOMAIN = re.compile(r"(?i)\b((?:[a-z0-9-]+\.)+)([a-z]{2,24})\b")


def harmless(text: str) -> str:
    """One line that cannot ping, link or hide anything: what a model or a crawled joke says, made safe for any chat.

    A front end still escapes its own markup.
    """
    text = "".join(c if c in _JOINERS or unicodedata.category(c) not in _INVISIBLE else " " for c in text)
    text = _SCHEME.sub(r"\1：", text)
    text = _DOMAIN.sub(lambda m: m.group(1).replace(".", "．") + m.group(2), text)
    text = text.replace("@", "＠").replace("<", "＜").replace(">", "＞")
    return re.sub(r"\s+", " ", text).strip()
