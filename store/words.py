"""Unwanted words: no answer may hold one, and no joke that holds one is learned from."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

WORDS = Path(__file__).with_name("unwanted_words.txt")


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
