"""Whether the machine's clock was set back: what waits for an hour by it would then wait for far too long."""

from __future__ import annotations

import time

MIN_S = 1.0  # what a clock loses in small steps is no matter


class ClockWatch:
    """Compares the clock with the machine's own count of seconds, which nobody sets."""

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()

    def set_back(self) -> float:
        """By how many seconds the clock was set back since the last call; 0 where it was not."""
        before, self._ahead = self._ahead, time.time() - time.monotonic()
        back = before - self._ahead
        return back if back > MIN_S else 0.0
