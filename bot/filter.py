"""What no answer may contain, and what makes an answer harmless in any chat."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

WORDS = Path(__file__).with_name("unwanted_words.txt")
_INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
_JOINERS = "\u200d\ufe0f"  # they hold emoji together
_SCHEME = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,15})://")
_DOMAIN = re.compile(r"(?i)\b((?:[a-z0-9-]+\.)+)([a-z]{2,24})\b")


class WordFilter:
    """Finds unwanted words whatever their width and case, and whatever stands between their letters.

    Words in Latin letters are found as whole words only ("grape" is harmless), others anywhere in the text.
    """

    def __init__(self, words: Iterable[str]) -> None:
        spelled = {letters for word in words if (letters := fold(word))}
        self._anywhere = {word for word in spelled if not word.isascii()}
        latin = (r"[\W_]*".join(map(re.escape, word)) for word in sorted(spelled - self._anywhere))
        self._latin = re.compile(r"(?<![a-z])(?:" + ("|".join(latin) or r"(?!)") + r")(?![a-z])")

    @classmethod
    def load(cls, extra: Iterable[str] = (), file: Path | None = None, *, shipped: bool = True) -> WordFilter:
        """The list that ships, plus words of the configuration, plus a file of one word a line (# for remarks).

        Raises OSError where the file cannot be read.
        """
        lines = WORDS.read_text(encoding="utf-8").splitlines() if shipped else []
        if file is not None:
            lines += file.read_text(encoding="utf-8").splitlines()
        return cls([line for line in lines if not line.lstrip().startswith("#")] + list(extra))

    def allows(self, text: str) -> bool:
        letters = fold(text)
        if any(word in letters for word in self._anywhere):
            return False
        return self._latin.search(unicodedata.normalize("NFKC", text).casefold()) is None


def fold(text: str) -> str:
    """Text as it is compared: NFKC, no case, letters and digits only."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def harmless(text: str) -> str:
    """One line that cannot ping, link or hide anything: what a model or a crawled joke says, made safe for any chat.

    A front end still escapes its own markup.
    """
    text = "".join(c if c in _JOINERS or unicodedata.category(c) not in _INVISIBLE else " " for c in text)
    text = _SCHEME.sub(r"\1：", text)
    text = _DOMAIN.sub(lambda m: m.group(1).replace(".", "．") + m.group(2), text)
    text = text.replace("@", "＠").replace("<", "＜").replace(">", "＞")
    return re.sub(r"\s+", " ", text).strip()
