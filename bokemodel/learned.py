"""Which texts a model learned from, as hashes: so that it can prefer to say something that nobody wrote for it."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable

import numpy as np


class LearnedTexts:
    """A set of texts, kept as 64-bit hashes of what is read of them (NFKC, without spaces)."""

    FILE = "learned.u64"

    def __init__(self, hashes: Iterable[int]) -> None:
        self._hashes = frozenset(hashes)

    @classmethod
    def of(cls, texts: Iterable[str]) -> LearnedTexts:
        return cls(_hash(text) for text in texts)

    @classmethod
    def from_bytes(cls, data: bytes) -> LearnedTexts:
        """What `to_bytes` wrote. Raises ValueError for another length."""
        return cls(np.frombuffer(data, "<u8").tolist())

    def to_bytes(self) -> bytes:
        """Little-endian 64-bit numbers, ascending."""
        return np.array(sorted(self._hashes), "<u8").tobytes()

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and _hash(text) in self._hashes

    def __len__(self) -> int:
        return len(self._hashes)


def _hash(text: str) -> int:
    read = "".join(unicodedata.normalize("NFKC", text).split())
    return int.from_bytes(hashlib.sha256(read.encode()).digest()[:8], "little")
