"""The websocket gateway: hello, heartbeats, identify and resume, events by shard and intent, zlib and zstd streams."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import WSMsgType, web

from .payloads import guild_payload, member_payload, user_payload
from .protocol import API_VERSION, PRIVILEGED, Close, Intent, Json, Op

if TYPE_CHECKING:
    from .model import Guild
    from .portal import Portal
    from .world import World


class Compressor(Protocol):
    def pack(self, text: str) -> bytes: ...


class ZlibStream:
    """One zlib stream for the whole connection, flushed after each payload so that it ends in 00 00 FF FF."""

    def __init__(self) -> None:
        self._stream = zlib.compressobj()

    def pack(self, text: str) -> bytes:
        return self._stream.compress(text.encode()) + self._stream.flush(zlib.Z_SYNC_FLUSH)


class ZstdStream:
    """One zstd frame for the whole connection; the client asks for it only where it has a zstd itself."""

    def __init__(self) -> None:
        try:
            zstd = importlib.import_module("zstandard")
            self._stream, self._flush = zstd.ZstdCompressor().compressobj(), zstd.COMPRESSOBJ_FLUSH_BLOCK
        except ImportError:
            zstd = importlib.import_module("compression.zstd")
            self._stream, self._flush = zstd.ZstdCompressor(), zstd.ZstdCompressor.FLUSH_BLOCK

    def pack(self, text: str) -> bytes:
        return bytes(self._stream.compress(text.encode()) + self._stream.flush(self._flush))


class Connection:
    """One websocket of the client, and what was said on it."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, compressor: Compressor | None) -> None:
        self.socket = socket
        self.session: Session | None = None
        self.heartbeats: list[int | None] = []
        self.frozen = False
        self._request = request
        self._compressor = compressor
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._sender = asyncio.create_task(self._send_all())

    def send(self, op: Op, data: Any = None, *, event: str | None = None, seq: int | None = None) -> None:
        """Queue a payload; a frozen connection swallows it."""
        if not self.frozen:
            self._outbox.put_nowait(json.dumps({"op": int(op), "d": data, "s": seq, "t": event}))

    async def _send_all(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                text = await self._outbox.get()
                if self._compressor is not None:
                    await self.socket.send_bytes(self._compressor.pack(text))
                else:
                    await self.socket.send_str(text)

    def detach(self) -> None:
        """Let the session live on without this connection."""
        if self.session is not None and self.session.connection is self:
            self.session.connection = None

    async def close(self, code: int) -> None:
        self.detach()
        await self.socket.close(code=code)

    def abort(self) -> None:
        """Cut the wire: no close frame, as when a network goes away."""
        self.detach()
        if self._request.transport is not None:
            self._request.transport.abort()

    async def stop(self) -> None:
        self.detach()
        self._sender.cancel()
        await asyncio.gather(self._sender, return_exceptions=True)


class Session:
    """What the gateway remembers for one shard between connections: events by number, to be sent again on resume."""

    def __init__(self, number: int, shard: tuple[int, int], intents: Intent) -> None:
        self.id = f"session-{number}"
        self.shard = shard
        self.intents = intents
        self.connection: Connection | None = None
        self.seq = 0
        self._log: list[tuple[int, str, Any]] = []

    def dispatch(self, event: str, data: Any) -> None:
        self.seq += 1
        self._log.append((self.seq, event, data))
        if self.connection is not None:
            self.connection.send(Op.DISPATCH, data, event=event, seq=self.seq)

    def replay(self, after: int) -> None:
        assert self.connection
        for seq, event, data in self._log:
            if seq > after:
                self.connection.send(Op.DISPATCH, data, event=event, seq=seq)

    def serves(self, guild_id: int | None) -> bool:
        """Direct messages and what else belongs to no guild go to shard 0."""
        number, count = self.shard
        return ((guild_id or 0) >> 22) % count == number


class Gateway:
    """All sessions and connections. Counters (`identifies`, `resumes`, ...) are for tests to read."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.world: World = None  # type: ignore[assignment]  # the two know each other; the server joins them
        self.sessions: dict[str, Session] = {}
        self.connections: list[Connection] = []
        self.presences: list[Json] = []
        self.identifies = 0
        self.too_soon = 0
        self._last_identify: dict[int, float] = {}  # of each group of shards that may not identify together
        self.resumes = 0
        self.connections_made = 0
        self.ack_heartbeats = True
        self.open = asyncio.Event()
        self.open.set()

    # events out

    def publish(
        self, event: str, build: Callable[[bool], Json], *, guild: Guild | None, intent: Intent = Intent.NONE
    ) -> None:
        """Send an event to every session of the right shard that asked for its kind."""
        for session in self.sessions.values():
            if session.serves(guild.id if guild else None) and (not intent or session.intents & intent):
                session.dispatch(event, build(bool(session.intents & Intent.MESSAGE_CONTENT)))

    # the client's side

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await self.open.wait()
        await socket.prepare(request)
        self.connections_made += 1
        query = request.query
        compressors: dict[str | None, Callable[[], Compressor]] = {"zlib-stream": ZlibStream, "zstd-stream": ZstdStream}
        compressor = compressors[query["compress"]]() if "compress" in query else None
        connection = Connection(socket, request, compressor)
        self.connections.append(connection)
        try:
            if query.get("v") != str(API_VERSION) or query.get("encoding", "json") != "json":
                await connection.close(Close.INVALID_VERSION)
            else:
                connection.send(Op.HELLO, {"heartbeat_interval": int(self.portal.heartbeat_interval_s * 1000)})
                await self._converse(connection)
        finally:
            session = connection.session
            self.connections.remove(connection)
            await connection.stop()
            # a client that says goodbye gives its session up; one that vanishes or closes with 4000 may resume
            if session is not None and socket.close_code in (1000, 1001):
                self.sessions.pop(session.id, None)
            self.world.watch.changed()
        return socket

    async def _converse(self, connection: Connection) -> None:
        async for message in connection.socket:
            if message.type is not WSMsgType.TEXT:
                await connection.close(Close.DECODE_ERROR)
                return
            payload = json.loads(message.data)
            await self._received(connection, payload["op"], payload.get("d"))
            self.world.watch.changed()

    async def _received(self, connection: Connection, op: int, data: Any) -> None:
        if op == Op.HEARTBEAT:
            connection.heartbeats.append(data)
            if self.ack_heartbeats:
                connection.send(Op.HEARTBEAT_ACK)
        elif op == Op.IDENTIFY:
            await self._identify(connection, data)
        elif op == Op.RESUME:
            await self._resume(connection, data)
        elif connection.session is None:
            await connection.close(Close.NOT_AUTHENTICATED)
        elif op == Op.PRESENCE:
            self.presences.append(data)
        elif op == Op.REQUEST_MEMBERS:
            self._send_members(connection.session, data)
        elif op != Op.VOICE_STATE:
            await connection.close(Close.UNKNOWN_OPCODE)

    async def _identify(self, connection: Connection, data: Json) -> None:
        if connection.session is not None:
            return await connection.close(Close.ALREADY_AUTHENTICATED)
        self.identifies += 1
        if not self.portal.token_is_good(data["token"]):
            return await connection.close(Close.AUTHENTICATION_FAILED)
        intents = Intent(data["intents"])
        refused = [name for name, bit in PRIVILEGED.items() if intents & bit and name not in self.portal.privileged]
        if refused:
            return await connection.close(Close.DISALLOWED_INTENTS)
        number, count = data.get("shard", (0, 1))
        if not 0 <= number < count:
            return await connection.close(Close.INVALID_SHARD)
        if self._is_too_soon(number):
            self.too_soon += 1
            return connection.send(Op.INVALID_SESSION, False)
        session = Session(self.identifies, (number, count), intents)
        self.sessions[session.id] = session
        self._attach(connection, session)
        guilds = [g for g in self.world.guilds.values() if session.serves(g.id) and self.world.bot.id in g.members]
        session.dispatch("READY", self._ready_payload(session, guilds))
        for guild in guilds:
            session.dispatch("GUILD_CREATE", guild_payload(guild, self.world.bot) | {"unavailable": False})

    def _is_too_soon(self, shard: int) -> bool:
        group, moment = shard % self.portal.max_concurrency, asyncio.get_running_loop().time()
        last = self._last_identify.get(group)
        if last is not None and moment - last < self.portal.identify_window_s:
            return True
        self._last_identify[group] = moment
        return False

    async def _resume(self, connection: Connection, data: Json) -> None:
        if not self.portal.token_is_good(data["token"]):
            return await connection.close(Close.AUTHENTICATION_FAILED)
        session = self.sessions.get(data["session_id"])
        if session is None or data["seq"] > session.seq:
            return connection.send(Op.INVALID_SESSION, False)
        self.resumes += 1
        self._attach(connection, session)
        session.replay(data["seq"])
        session.dispatch("RESUMED", {"_trace": []})

    def _attach(self, connection: Connection, session: Session) -> None:
        if session.connection is not None:
            session.connection.abort()
        connection.session, session.connection = session, connection

    def _ready_payload(self, session: Session, guilds: list[Guild]) -> Json:
        bot = self.world.bot
        return {
            "v": API_VERSION,
            "user": user_payload(bot) | {"verified": True, "mfa_enabled": True, "email": None, "flags": 0},
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": self.portal.gateway_url,
            "shard": list(session.shard),
            "application": {"id": str(bot.id), "flags": self.portal.flags},
        }

    def _send_members(self, session: Session, data: Json) -> None:
        guild = self.world.guilds[int(data["guild_id"])]
        wanted = {int(number) for number in _as_list(data.get("user_ids"))}
        query = data.get("query", "")
        found = [
            member
            for member in guild.members.values()
            if (member.user.id in wanted if wanted else member.user.name.startswith(query))
        ]
        chunk: Json = {"guild_id": str(guild.id), "chunk_index": 0, "chunk_count": 1, "not_found": []}
        chunk |= {"members": [member_payload(member) for member in found], "nonce": data.get("nonce")}
        session.dispatch("GUILD_MEMBERS_CHUNK", chunk)

    # what tests do to it

    def of_shard(self, shard: int | None) -> list[Connection]:
        """Live connections that are identified: one shard's, or all."""
        return [c for c in self.connections if c.session and shard in (None, c.session.shard[0])]


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
