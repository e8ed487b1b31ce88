"""The bot with a watch on its event loop, for `benchmarks.load`: it starts as `python -m bot` does, and at its end writes to
standard error, as one line of JSON, how long the loop was away at most, and what it was doing then.

A thread looks at the loop's heartbeat every few milliseconds, and at the loop's stack while the heart does not beat.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass, field

from bot import log
from bot.app import run
from store.config import load_config

BEAT_S = 0.002
LEAST_S = 0.005
LOOKED_AT_S = 0.015  # stacks are taken of stalls longer than this
KEPT = 5


@dataclass
class Stall:
    """The loop was away for `seconds`, of which its thread computed for `busy`; `stack` is where, innermost last."""

    seconds: float
    busy: float
    stack: list[str] = field(default_factory=list)


class Watch:
    """Keeps the longest stalls while `heart` runs."""

    def __init__(self) -> None:
        self.stalls: list[Stall] = []
        self._beat = 0.0
        self._stack: list[str] = []
        self._thread = threading.main_thread().ident or 0

    async def heart(self) -> None:
        """Runs in the loop."""
        threading.Thread(target=self._look, daemon=True).start()
        self._beat, busy = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(BEAT_S)
            now, computed = time.perf_counter(), time.thread_time()
            away = now - self._beat - BEAT_S
            if away > LEAST_S:
                self.stalls.append(Stall(round(away, 4), round(computed - busy, 4), self._stack))
                longest = sorted(self.stalls, key=lambda stall: -stall.seconds)
                busiest = sorted(longest[KEPT:], key=lambda stall: -stall.busy)
                self.stalls = longest[:KEPT] + busiest[:KEPT]
            self._beat, busy, self._stack = now, computed, []

    def _look(self) -> None:
        while True:
            time.sleep(BEAT_S)
            if time.perf_counter() - self._beat > LOOKED_AT_S and not self._stack:
                frame = sys._current_frames().get(self._thread)
                self._stack = [
                    f"{entry.filename.rsplit('site-packages/')[-1]}:{entry.lineno} {entry.name}"
                    for entry in traceback.extract_stack(frame)[-14:]
                ]


async def watched() -> None:
    """Run the bot until it is told to stop; SIGUSR1 begins the watch, SIGUSR2 ends it."""
    config = load_config()
    log.configure("warning", "text")
    watch = Watch()
    running = asyncio.create_task(run(config))
    beating: asyncio.Task[None] | None = None
    loop = asyncio.get_running_loop()

    def begin() -> None:
        nonlocal beating
        beating = asyncio.create_task(watch.heart())

    loop.add_signal_handler(signal.SIGUSR1, begin)
    loop.add_signal_handler(signal.SIGUSR2, lambda: beating and beating.cancel())
    await running
    print(json.dumps([asdict(stall) for stall in watch.stalls]), file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(watched())
