"""Waiting until something has happened on a server: no sleeps, and a message that says what was missed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NothingHappened(AssertionError):
    """What a test waited for did not come in time."""


class Happenings:
    """A bell that rings at every change; who waits looks again each time it rings."""

    def __init__(self, timeout: float, describe: Callable[[], str]) -> None:
        """`timeout` in seconds bounds every wait; `describe` says what did happen, for the error."""
        self.timeout = timeout
        self._describe = describe
        self._bells: list[asyncio.Future[None]] = []

    def tell(self) -> None:
        """Something changed: wake everybody who waits."""
        bells, self._bells = self._bells, []
        for bell in bells:
            if not bell.done():
                bell.set_result(None)

    async def until(self, look: Callable[[], T | None], what: str) -> T:
        """The first value of `look()` that is neither None nor False; NothingHappened after the timeout."""
        try:
            async with asyncio.timeout(self.timeout):
                while True:
                    found = look()
                    if found is not None and found is not False:
                        return found
                    bell = asyncio.get_running_loop().create_future()
                    self._bells.append(bell)
                    await bell
        except TimeoutError:
            raise NothingHappened(f"waited {self.timeout:g} s for {what}.\n{self._describe()}") from None


class Gate:
    """Holds an answer back until the test opens it."""

    def __init__(self, happenings: Happenings, what: str) -> None:
        self._happenings = happenings
        self._what = what
        self._opened = asyncio.Event()
        self._reached = False

    def open(self) -> None:
        """Let the held answer go (and any later one that meets this gate)."""
        self._opened.set()

    async def reached(self) -> None:
        """Wait until something stands before the gate."""
        await self._happenings.until(lambda: self._reached, f"{self._what} to be held")

    async def passed(self) -> None:
        """The server's side: wait here until the test opens the gate."""
        self._reached = True
        self._happenings.tell()
        await self._opened.wait()
