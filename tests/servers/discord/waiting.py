"""Waiting for what the bot does: a condition is looked at when something changes, and never polled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


class Watch:
    """Lets tests wait for a condition by the changes that can make it true, without polling."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []

    def changed(self) -> None:
        """Something happened: look at every condition again."""
        for entry in list(self._waiting):
            condition, future = entry
            if future.done():
                continue
            try:
                found = condition()
            except Exception as error:
                future.set_exception(error)
            else:
                if found:
                    future.set_result(found)

    async def until(
        self, condition: Callable[[], Any], describe: Callable[[], str], limit_s: float | None = None
    ) -> Any:
        """The condition's first true value. AssertionError with `describe()` when `limit_s` seconds have passed."""
        found = condition()
        if found:
            return found
        limit_s = self._limit_s if limit_s is None else limit_s
        entry = (condition, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(limit_s):
                return await entry[1]
        except TimeoutError:
            raise AssertionError(f"not within {limit_s} s: {describe()}") from None
        finally:
            self._waiting.remove(entry)
