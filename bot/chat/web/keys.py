"""What handlers find in the application: the bot's parts, and the web front end's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from bot.chat.web.callers import Callers
from bot.chat.web.metrics import Metrics
from bot.chat.web.posted import PostedPictures
from bot.chat.web.remembered import Remembered
from bot.exchange import BokeRefused
from bot.fetch import Fetcher
from bot.limits import Limit, RateLimits

if TYPE_CHECKING:
    from bot.boke import BokeService
    from bot.chat.web.live import Live
    from bot.inference import Inference
    from bot.lab import Lab
    from bot.publishing import Publisher
    from bot.schedule import Schedule
    from store.config import Config
    from store.database import Database


@dataclass(frozen=True)
class Parts:
    """Everything that a handler needs."""

    config: Config
    service: BokeService
    inference: Inference
    database: Database
    schedule: Schedule
    publisher: Publisher
    callers: Callers
    fetcher: Fetcher
    metrics: Metrics
    why_not_ready: Callable[[], Awaitable[str]]  # empty: ready
    live: Live
    lab: Lab
    limits: RateLimits = field(default_factory=RateLimits)
    posted: PostedPictures = field(default_factory=PostedPictures)
    remembered: Remembered = field(default_factory=Remembered)

    def reading(self, kind: str, request: web.Request, per_minute: int) -> Limit:
        """The limit of what is only looked at: none where the owner limits no posts."""
        return Limit(kind, self.callers.counted_as(request), per_minute if self.config.web.posts_per_minute else 0)

    def take(self, limit: Limit, cost: int = 1) -> None:
        """Count a request, or as many pictures. Raises BokeRefused (slow_down)."""
        wait = self.limits.take(limit, cost=cost)
        if wait:
            raise BokeRefused("slow_down", retry_after=wait, seconds=wait)


PARTS = web.AppKey("parts", Parts)


def parts(request: web.Request) -> Parts:
    return request.app[PARTS]
