"""The time that the crawl lives by. Tests bring their own."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from datetime import time as day_time
from typing import Protocol
from zoneinfo import ZoneInfo


class Clock(Protocol):
    """Tells the time and lets it pass."""

    def now(self) -> datetime:
        """This moment, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never jump."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def within_hours(moment: datetime, hours: str, zone: str) -> bool:
    """Is this moment inside hours such as "01:00-06:00" or "22:00-03:00" of that time zone? "" is always."""
    if not hours:
        return True
    begin, end = hours.split("-")
    here = moment.astimezone(ZoneInfo(zone)).time()
    start = day_time.fromisoformat(begin)
    stop = day_time.max if end == "24:00" else day_time.fromisoformat(end)
    return start <= here < stop if start < stop else here >= start or here < stop
