"""What is under way, so that a stop can wait for it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Work:
    """Counts conversations: `with work: ...` around each, `await work.done()` for a moment in which there is none."""

    def __init__(self) -> None:
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __enter__(self) -> Self:
        self._under_way += 1
        self._idle.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._idle.set()

    async def done(self) -> None:
        await self._idle.wait()
