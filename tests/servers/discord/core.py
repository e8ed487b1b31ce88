"""The local server's parts, started and stopped together, and the means to wait for what the bot does."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from .cdn import Cdn
from .faults import Faults, Limit, Request
from .gateway import Gateway
from .interactions import Desk
from .model import Channel, Guild, Message, User
from .portal import Portal
from .protocol import Json, Op
from .rest import PREFIX, Rest
from .waiting import Watch
from .world import World

TIMEOUT_S = 15.0


class Core:
    """The parts, started and stopped together; who and what is there; and waiting for the bot.

    Args:
        shards: how many shards /gateway/bot recommends.
        max_concurrency, identify_window_s: of shards whose numbers are equal modulo the first, one may identify within
            that time (Discord: 5 seconds); who comes too soon gets INVALID_SESSION. 0: no limit.
        privileged: intents that the portal allows: "message_content", "members", "presences".
        interaction_deadline_s: Discord gives 3 seconds; generous here, as test machines are busy.
        referenced_content: without the message-content intent, whether a message that mentions the bot
            shows it the content of the message that it replies to.
        limit: the rate limit of each route that `rate_limit` does not name.
        timeout_s: how long any waiting may take.
    """

    def __init__(
        self,
        *,
        shards: int = 1,
        max_concurrency: int = 1,
        identify_window_s: float = 0.0,
        token: str = "token-of-the-bot",
        privileged: Sequence[str] = ("message_content",),
        heartbeat_interval_s: float = 41.25,
        interaction_deadline_s: float = TIMEOUT_S,
        referenced_content: bool = True,
        limit: Limit = Limit(100, 1.0),
        timeout_s: float = TIMEOUT_S,
        bot_name: str = "boke",
    ) -> None:
        self.portal = Portal(
            token,
            shards,
            set(privileged),
            heartbeat_interval_s,
            interaction_deadline_s,
            max_concurrency,
            identify_window_s,
        )
        self.gateway = Gateway(self.portal)
        self.world = World(bot_name, self.gateway.publish, Watch(timeout_s), referenced_content=referenced_content)
        self.gateway.world = self.world
        self.desk = Desk(self.world, self.portal)
        self.rest = Rest(self.world, self.portal, self.desk)
        self.cdn = Cdn(self.world)
        self.faults = Faults(self.world.watch, PREFIX, limit)
        self._taken: set[int] = set()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        @web.middleware
        async def around(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
            return await self.faults.around(request, handler)

        app = web.Application(middlewares=[around, self.rest.errors], client_max_size=64 * 1024 * 1024)
        app.add_routes([*self.rest.routes(), *self.cdn.routes(), web.get("/gateway", self.gateway.handle)])
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        self.host = f"127.0.0.1:{self.port}"
        self.api_base = f"http://{self.host}{PREFIX}"
        self.world.base_url = f"http://{self.host}"
        self.portal.gateway_url = f"ws://{self.host}/gateway"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in list(self.gateway.connections):
            connection.abort()
        self.gateway.open.set()
        assert self._runner
        await self._runner.cleanup()
        if error is None and self.rest.crashes:
            raise self.rest.crashes[0]

    # who is there

    @property
    def token(self) -> str:
        return self.portal.token

    @property
    def bot(self) -> User:
        return self.world.bot

    @property
    def requests(self) -> list[Request]:
        """All requests that were answered, gateway and CDN included."""
        return self.faults.requests

    def requests_to(self, method: str, path: str) -> list[Request]:
        """Requests so far whose path (query included, without /api/v10) matches a regular expression."""
        return [seen for seen in self.requests if seen.method == method and re.search(path, seen.path)]

    def add_user(self, name: str, *, bot: bool = False, locale: str = "ja") -> User:
        return self.world.add_user(name, bot=bot, locale=locale)

    def add_guild(
        self,
        name: str,
        *,
        members: Sequence[User] = (),
        owner: User | None = None,
        locale: str = "ja",
        shard: int | None = None,
        joined: bool = True,
    ) -> Guild:
        """A guild. With `joined` the bot is in it, and a connected bot learns of it as of an invitation."""
        where = None if shard is None else (shard, self.portal.shards)
        guild = self.world.add_guild(name, owner=owner, locale=locale, shard=where, joined=joined)
        for member in members:
            self.world.add_member(guild, member)
        return guild

    def invite_bot(self, guild: Guild) -> None:
        self.world.join(guild)

    def kick_bot(self, guild: Guild) -> None:
        self.world.leave(guild)

    def dm(self, user: User) -> Channel:
        """A user's direct messages with the bot."""
        return self.world.dm(user)

    # waiting for the bot

    async def until(
        self, condition: Callable[[], Any], *, what: str = "what was waited for", limit_s: float | None = None
    ) -> Any:
        """The first true value of a condition on this server's state."""
        return await self.world.watch.until(condition, lambda: f"{what}; {self._last()}", limit_s)

    async def wait_for_message(self, channel: Channel, predicate: Callable[[Message], bool] | None = None) -> Message:
        """The bot's next message in a channel that no earlier call has returned."""

        def next_one() -> Message | None:
            for message in self.said(channel):
                if message.id not in self._taken and (predicate is None or predicate(message)):
                    return message
            return None

        message: Message = await self.until(next_one, what=f"a message of the bot in #{channel.name}")
        self._taken.add(message.id)
        return message

    def said(self, channel: Channel) -> list[Message]:
        """All that the bot has said in a channel and that still stands there."""
        return [m for m in channel.messages.values() if m.author is self.bot and not m.loading]

    async def wait_until_deleted(self, message: Message) -> None:
        await self.until(lambda: message.deleted, what=f"{message!r} to be deleted")

    async def wait_for_reaction(self, message: Message, emoji: str) -> None:
        """Wait until the bot has reacted."""
        await self.until(lambda: self.bot in message.reactions.get(emoji, []), what=f"{emoji} of the bot")

    async def wait_for_typing(self, channel: Channel) -> None:
        await self.until(lambda: channel.typings, what=f"typing in #{channel.name}")

    async def wait_for_request(self, method: str, path: str, *, count: int = 1) -> Request:
        """The `count`-th request whose path matches, once it has been answered."""
        seen = await self.until(lambda: self.requests_to(method, path)[count - 1 :], what=f"{method} {path} x {count}")
        return seen[0]

    async def wait_for_commands(self, guild: Guild | None = None) -> list[Json]:
        """The commands that the bot registered."""
        key = guild.id if guild else None
        return await self.until(lambda: self.portal.commands.get(key), what="commands")

    async def ready(self) -> None:
        """Wait until every shard is identified and has read all that was sent to it."""

        def all_up() -> bool:
            up = {c.session.shard[0] for c in self.gateway.of_shard(None) if c.session and c.session.connection is c}
            return len(up) == self.portal.shards

        await self.until(all_up, what="all shards")
        await self.sync()

    async def sync(self) -> None:
        """Wait until the bot has read every event sent so far: it answers a heartbeat with the last one's number."""
        for connection in self.gateway.of_shard(None):
            session = connection.session
            if session is None or session.connection is not connection or connection.frozen:
                continue
            seq = session.seq
            connection.send(Op.HEARTBEAT)
            await self.until(
                lambda beats=connection.heartbeats, seq=seq: any((beat or 0) >= seq for beat in beats),  # type: ignore[misc]
                what="the bot to read its events",
            )

    def _last(self) -> str:
        messages = [m for channel in self.world.channels.values() for m in channel.messages.values()]
        requests = [f"{seen.method} {seen.path} {seen.status}" for seen in self.requests[-8:]]
        return f"last messages {messages[-5:]}, last requests {requests}"
