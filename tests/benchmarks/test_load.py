"""The benchmark of a busy evening on a quiet one: a few pictures, all of its parts."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from benchmarks.load import evening
from benchmarks.watched_bot import KEPT, LOOKED_AT_S, Watch
from tests.bot.conftest import tiny_model

__all__ = ["tiny_model"]


async def test_a_few_pictures_are_counted_timed_and_none_is_lost(tmp_path: Path, tiny_model: Path) -> None:
    table, stalls = await evening(6, 3, 0.2, tmp_path, tiny_model)
    rows = dict(zip(*(column.cells for column in table.columns), strict=True))
    assert rows["answers lost"] == "0"
    for name in ("latency, median", "latency, 99th percentile"):
        assert int(str(rows[name]).removesuffix(" ms")) > 0
    for name in ("memory of the bot", "memory of the worker"):
        assert int(str(rows[name]).removesuffix(" MB")) > 20
    assert all(stall["seconds"] > 0 for stall in stalls)
    assert str(table.columns[0].header) == "6 pictures from 3 channels in 0.2 s"


async def test_a_stall_is_seen_with_its_length_and_where_it_was() -> None:
    watch = Watch()
    beating = asyncio.create_task(watch.heart())
    await asyncio.sleep(0.05)
    until = time.perf_counter() + 20 * LOOKED_AT_S
    while time.perf_counter() < until:
        pass
    await asyncio.sleep(0.05)
    beating.cancel()
    longest = max(watch.stalls, key=lambda stall: stall.seconds)
    assert longest.seconds > 10 * LOOKED_AT_S
    assert any("test_a_stall_is_seen" in line for line in longest.stack)
    assert len(watch.stalls) <= 2 * KEPT
