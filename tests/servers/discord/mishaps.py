"""What goes wrong on the local Discord because a test wants it to."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from .core import Core
from .faults import Fault, Hold, Limit, refusal
from .model import Guild, Message
from .payloads import guild_payload
from .protocol import Close, Intent, Json, Op


class Mishaps(Core):
    """Failing requests, rate limits, lost gateways, a revoked token."""

    def fail_next(
        self,
        method: str,
        path: str,
        status: int,
        *,
        headers: Mapping[str, str] | None = None,
        body: Json | str | None = None,
        times: int = 1,
        after: bool = False,
    ) -> Fault:
        """Answer the next requests to a path (a regular expression) with an error; `after`: once they took effect."""
        pattern = re.compile(path)
        return self.faults.add(Fault(method, pattern, times, status, headers or {}, body, after))

    def limit_next(
        self, method: str, path: str, retry_after: float, *, is_global: bool = False, times: int = 1
    ) -> Fault:
        """Answer the next requests with 429 and a time to wait, in seconds."""
        headers, body = refusal(retry_after, is_global=is_global)
        return self.fail_next(method, path, 429, headers=headers, body=body, times=times)

    def drop_next(self, method: str, path: str, *, times: int = 1, after: bool = False) -> Fault:
        """Cut the connection instead of an answer; `after`: once the request took effect."""
        return self.faults.add(Fault(method, re.compile(path), times, after=after, drop=True))

    def hold_next(self, method: str, path: str) -> Hold:
        """Stop the next request on its way in: `await hold.reached()`, do something, `hold.release()`."""
        hold = Hold(self.world.watch)
        self.faults.add(Fault(method, re.compile(path), 1, hold=hold))
        return hold

    def rate_limit(self, method: str, path: str, limit: Limit) -> None:
        """Limit a route: `too_many` counts the requests that came all the same. Before its first request only."""
        self.faults.limits.append((method, re.compile(path), limit))

    @property
    def too_many(self) -> int:
        return self.faults.too_many

    async def drop_gateway(self, shard: int | None = None, *, code: int | None = None, hold: bool = False) -> None:
        """Cut the sockets of one shard or of all: without a word, or with a close code.

        With `hold` nobody gets in again before `restore_gateway`: what happens in between is sent on resume.
        """
        if hold:
            self.gateway.open.clear()
        for connection in self.gateway.of_shard(shard):
            if code is None:
                connection.abort()
            else:
                await connection.close(code)

    def restore_gateway(self) -> None:
        self.gateway.open.set()

    def freeze_gateway(self, shard: int | None = None) -> None:
        """Sockets stay open and say nothing any more, heartbeats included: zombies. New ones are well."""
        for connection in self.gateway.of_shard(shard):
            connection.frozen = True

    def ask_to_reconnect(self, shard: int | None = None) -> None:
        """RECONNECT, as Discord sends it before it restarts a gateway."""
        for connection in self.gateway.of_shard(shard):
            connection.send(Op.RECONNECT)

    def invalidate_sessions(self, shard: int | None = None) -> None:
        """INVALID_SESSION: the bot has to identify anew, and what it missed is lost."""
        for connection in self.gateway.of_shard(shard):
            session = connection.session
            connection.send(Op.INVALID_SESSION, False)
            connection.detach()
            if session is not None:
                self.gateway.sessions.pop(session.id, None)

    async def revoke_token(self) -> None:
        """The bot's token is taken back: 401 from REST, 4004 from the gateway."""
        self.portal.revoked = True
        await self.drop_gateway(code=Close.AUTHENTICATION_FAILED)

    async def redeliver(self, message: Message) -> None:
        """The gateway sends a message a second time, as may happen around a resume."""
        self.world.publish_message("MESSAGE_CREATE", message)
        await asyncio.sleep(0)

    def guild_outage(self, guild: Guild) -> None:
        """A guild goes away for a while, and nobody was thrown out."""
        payload: Json = {"id": str(guild.id), "unavailable": True}
        self.world.publish("GUILD_DELETE", lambda _: payload, guild=guild, intent=Intent.GUILDS)

    def guild_back(self, guild: Guild) -> None:
        """The outage is over: the guild is announced as available, which is no invitation."""
        payload = guild_payload(guild, self.bot) | {"unavailable": False}
        self.world.publish("GUILD_CREATE", lambda _: payload, guild=guild, intent=Intent.GUILDS)
