"""How much one person, one channel, one address and all together may ask for in a minute."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from bot.clock import ClockWatch


@dataclass(frozen=True)
class Limit:
    """So many a minute for one name; 0 is no limit."""

    kind: str
    name: str
    per_minute: int


class RateLimits:
    """Moving windows in memory; a restart forgets them, and so does a clock that is set back: they are of that clock."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._clock = ClockWatch()

    def take(self, *wanted: Limit, cost: int = 1) -> int:
        """Take `cost`, which no limit may be below, from each limit if all have that left.

        Returns 0, or the whole seconds after which to ask again.
        """
        if self._clock.set_back():
            self._limiter = MovingWindowRateLimiter(MemoryStorage())
        items = [(RateLimitItemPerMinute(w.per_minute), w.kind, w.name) for w in wanted if w.per_minute > 0]
        waits = [self._wait(*item) for item in items if not self._limiter.test(*item, cost=cost)]
        if waits:
            return max(waits)
        for item in items:
            self._limiter.hit(*item, cost=cost)
        return 0

    def _wait(self, item: RateLimitItemPerMinute, kind: str, name: str) -> int:
        reset = self._limiter.get_window_stats(item, kind, name).reset_time
        return max(1, math.ceil(reset - time.time()))
