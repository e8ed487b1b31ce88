"""The training run in progress, as server-sent events: one look at the database serves everybody who watches.

    state   {"here", "stopping", "next_run"}: is it this bot's run, was it told to end, when does the clock start one
    run     the newest run or null; with `epochs` where it is all that is known of it, without where only the rest changed
    epochs  {"run", "epochs"}: those that were finished meanwhile

Whoever comes, or comes back, first gets a whole `run`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import hdrs, web

from bot.boke import BokeRefused
from bot.chat.web.runs import News
from bot.schedule import Schedule
from store.errors import DatabaseError

log = logging.getLogger(__name__)

LOOK_S = 1.0
HEARTBEAT_S = 15.0  # proxies close connections on which nothing is said, and a caller who left is noticed
MAX_LISTENERS = 64
MAX_OF_ADDRESS = 8
WAITING = 64  # messages; a listener who is further behind is let go, and comes back
RETRY_MS = 3000
BUSY_S = 30

Look = Callable[[int | None, Mapping[str, int]], Awaitable[News]]


@dataclass(eq=False)
class _Listener:
    address: str
    messages: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(WAITING))

    def tell(self, message: bytes | None) -> None:
        """None lets it go."""
        try:
            self.messages.put_nowait(message)
        except asyncio.QueueFull:
            self.messages.get_nowait()
            self.messages.put_nowait(None)


class Live:
    """Everybody who watches the run in progress. It looks only while somebody does."""

    def __init__(self, look: Look, schedule: Schedule) -> None:
        self._look, self._schedule = look, schedule
        self._listeners: set[_Listener] = set()
        self._watch: asyncio.Task[None] | None = None
        self._closing = False
        self._forget()

    async def stream(self, request: web.Request, address: str) -> web.StreamResponse:
        """Events until the caller goes, or the bot leaves. Raises BokeRefused: busy (too many listen), down."""
        if self._closing:
            raise BokeRefused("down", retry_after=BUSY_S, cause="the bot is leaving")
        if len(self._listeners) >= MAX_LISTENERS or self._of(address) >= MAX_OF_ADDRESS:
            raise BokeRefused("busy", retry_after=BUSY_S, cause=f"{len(self._listeners)} listen to the runs already")
        listener = _Listener(address)
        self._join(listener)
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"})
        try:
            await response.prepare(request)
            await response.write(b"retry: %d\n\n" % RETRY_MS)
            while (message := await _next(listener)) is not None:
                await response.write(message)
        except ConnectionError:
            pass  # the caller went
        finally:
            self._leave(listener)
        return response

    async def close(self) -> None:
        """Let everybody go."""
        self._closing = True
        for listener in self._listeners:
            listener.tell(None)
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    def _of(self, address: str) -> int:
        return sum(listener.address == address for listener in self._listeners)

    def _join(self, listener: _Listener) -> None:
        self._listeners.add(listener)
        if self._watch is None:
            self._watch = asyncio.create_task(self._keep_looking(), name="runs")
        elif self._state is not None:  # it has looked
            listener.tell(_event("state", self._state))
            listener.tell(_event("run", self._whole()))

    def _leave(self, listener: _Listener) -> None:
        self._listeners.discard(listener)
        if not self._listeners and self._watch is not None:
            self._watch.cancel()
            self._watch = None
            self._forget()

    def _forget(self) -> None:
        self._state: dict[str, Any] | None = None
        self._run: dict[str, Any] | None = None
        self._epochs: list[dict[str, Any]] = []

    def _whole(self) -> dict[str, Any] | None:
        return None if self._run is None else {**self._run, "epochs": self._epochs}

    async def _keep_looking(self) -> None:
        while True:
            try:
                self._take(await self._look(*self._known()))
            except DatabaseError as error:
                log.warning("the run in progress cannot be read: %s", error)
            await asyncio.sleep(LOOK_S)

    def _known(self) -> tuple[int | None, dict[str, int]]:
        # The epochs of a part come in their order.
        return (None, {}) if self._run is None else (self._run["id"], {e["part"]: e["epoch"] for e in self._epochs})

    def _take(self, news: News) -> None:
        """Tell what changed since the last look."""
        first, state = self._state is None, self._schedule_state()
        if state != self._state:
            self._state = state
            self._tell("state", state)
        before, self._run = self._run, news.run
        if first or news.run is None or before is None or news.run["id"] != before["id"]:
            self._epochs = news.epochs
            if first or news.run != before:
                self._tell("run", self._whole())
            return
        self._epochs = [*self._epochs, *news.epochs]
        if news.epochs:
            self._tell("epochs", {"run": news.run["id"], "epochs": news.epochs})
        if news.run != before:  # after its epochs: who reads that it ended has seen them
            self._tell("run", news.run)

    def _schedule_state(self) -> dict[str, Any]:
        upcoming = self._schedule.next_run
        return {
            "here": self._schedule.running,
            "stopping": self._schedule.stopping,
            "next_run": upcoming.isoformat() if upcoming else None,
        }

    def _tell(self, kind: str, content: Any) -> None:
        message = _event(kind, content)
        for listener in self._listeners:
            listener.tell(message)


async def _next(listener: _Listener) -> bytes | None:
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            return await listener.messages.get()
    except TimeoutError:
        return b": still here\n\n"


def _event(kind: str, content: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(content, ensure_ascii=False)}\n\n".encode()
