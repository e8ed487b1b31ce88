"""The pictures that were posted lately, for their cards: in memory only, as they came, for an hour at most."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_PICTURES = 200
MAX_BYTES = 128 * 2**20
MAX_AGE_S = 3600.0


@dataclass(frozen=True)
class _Kept:
    picture: bytes
    since: float


class PostedPictures:
    """Pictures by the answer's id; the oldest go first. They are not decoded here: only a worker does that."""

    def __init__(
        self,
        max_pictures: int = MAX_PICTURES,
        max_bytes: int = MAX_BYTES,
        max_age_s: float = MAX_AGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_pictures, self.max_bytes, self.max_age_s = max_pictures, max_bytes, max_age_s
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def put(self, answer_id: str, picture: bytes, again_of: str | None = None) -> None:
        """Keep a picture. One that was posted again for another joke (`again_of`) takes no room of its own."""
        before = self._kept.get(again_of or "")
        if before is not None and before.picture == picture:
            picture = before.picture
        self._kept[answer_id] = _Kept(picture, self._clock())
        self._tidy()

    def get(self, answer_id: str) -> bytes | None:
        """The picture's bytes, or None if they are gone."""
        self._tidy()
        kept = self._kept.get(answer_id)
        return kept.picture if kept else None

    @property
    def size(self) -> int:
        """How much memory they take."""
        return sum({id(kept.picture): len(kept.picture) for kept in self._kept.values()}.values())

    def _tidy(self) -> None:
        oldest_allowed = self._clock() - self.max_age_s
        while self._kept:
            first = next(iter(self._kept.values()))
            if first.since >= oldest_allowed and len(self._kept) <= self.max_pictures and self.size <= self.max_bytes:
                return
            self._kept.popitem(last=False)
