"""What takes long to read from the database is read by one request at a time, and kept for a while for the others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

log = logging.getLogger(__name__)

KEPT = 20  # times as long as it took: reading anew costs a twentieth of one core at most
MAX_AGE_S = 60.0
SLOW_S = 0.5  # who would have to wait longer gets the value from before
MAX_STALE_S = 600.0  # but no older one
MAX_ENTRIES = 16

T = TypeVar("T")


@dataclass
class _Entry:
    """A value, once it was read, at that moment in so many seconds; `task` reads it anew."""

    value: Any = None
    read: float | None = None
    took: float = 0.0
    task: asyncio.Task[Any] | None = None


class Remembered:
    """Values by name; those that were not asked for longest go first. One is read at a time."""

    def __init__(self, max_entries: int = MAX_ENTRIES, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_entries = max_entries
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._turn = asyncio.Lock()

    async def get(self, name: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """The value of that name; `read` is called where there is none that is fresh. Raises what it raises.

        Whoever asks while it is read waits for the same value, or gets the one before where reading takes long.
        """
        entry = self._entries.setdefault(name, _Entry())
        self._entries.move_to_end(name)
        while len(self._entries) > self.max_entries:
            self._entries.popitem(last=False)
        age = float("inf") if entry.read is None else self._clock() - entry.read
        if age >= min(KEPT * entry.took, MAX_AGE_S):
            if entry.task is None:
                entry.task = asyncio.create_task(self._read(entry, read))
                entry.task.add_done_callback(_noticed)
            if entry.took < SLOW_S or age > MAX_STALE_S:
                return cast(T, await asyncio.shield(entry.task))  # one that goes away takes it from nobody else
        return cast(T, entry.value)

    async def _read(self, entry: _Entry, read: Callable[[], Awaitable[T]]) -> T:
        try:
            async with self._turn:
                began = self._clock()
                value = await read()
                entry.value, entry.read = value, self._clock()
                entry.took = entry.read - began
                return value
        finally:
            entry.task = None


def _noticed(task: asyncio.Task[Any]) -> None:
    """Nobody may be waiting for it any more."""
    if not task.cancelled() and task.exception() is not None:
        log.info("not read: %s", task.exception())
