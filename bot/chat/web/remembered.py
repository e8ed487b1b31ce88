"""What takes long to read from the database is read by one request at a time, and kept for a while for the others."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

KEPT = 20  # times as long as it took: reading anew costs a twentieth of one core at most
MAX_AGE_S = 60.0
MAX_ENTRIES = 16

T = TypeVar("T")


@dataclass
class _Entry:
    task: asyncio.Task[Any]
    until: float = float("inf")  # while it is being read


class Remembered:
    """Values by name; those that were not asked for longest go first. One is read at a time."""

    def __init__(self, max_entries: int = MAX_ENTRIES, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_entries = max_entries
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._turn = asyncio.Lock()

    async def get(self, name: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """The value of that name; `read` is called where there is none that is fresh. Raises what it raises.

        Whoever asks while it is read waits for the same value.
        """
        entry = self._entries.get(name)
        if entry is None or self._clock() >= entry.until:
            entry = _Entry(asyncio.create_task(self._read(name, read)))
            self._entries[name] = entry
        self._entries.move_to_end(name)
        while len(self._entries) > self.max_entries:
            self._entries.popitem(last=False)
        return cast(T, await asyncio.shield(entry.task))  # one that goes away takes it from nobody else

    async def _read(self, name: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        async with self._turn:
            began, kept = self._clock(), 0.0
            try:
                value = await read()
                kept = min(KEPT * (self._clock() - began), MAX_AGE_S)
                return value
            finally:
                entry = self._entries.get(name)
                if entry is not None and entry.task is asyncio.current_task():
                    entry.until = self._clock() + kept
