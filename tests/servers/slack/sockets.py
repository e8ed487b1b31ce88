"""Socket Mode's side of the server: tickets, hello, envelopes and acknowledgements, disconnects, pings."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.servers.slack.delivery import Delivery
from tests.servers.slack.waiting import Happenings, NothingHappened
from tests.servers.slack.workspace import APP_ID

MAX_SOCKETS = 10  # Slack's limit of connections per app


@dataclass(eq=False)
class Socket:
    number: int
    ws: web.WebSocketResponse
    request: web.Request
    open: bool = True
    stale: bool = False  # was told to reconnect
    pongs: list[bytes] = field(default_factory=list)


class SocketMode:
    """All connections of the app. Envelopes go to the open sockets in turn."""

    def __init__(self, happenings: Happenings) -> None:
        self.happenings = happenings
        self.sockets: list[Socket] = []
        self.strays: list[dict[str, Any]] = []  # what the app sent that acknowledges nothing
        self.answers_pings = True
        self.refuses = False  # the upgrade is answered 503
        self._tickets: set[str] = set()
        self._deliveries: dict[str, Delivery] = {}
        self._turn = 0

    @property
    def open(self) -> list[Socket]:
        return [socket for socket in self.sockets if socket.open]

    def ticket(self) -> str:
        """A ticket for one connection."""
        ticket = secrets.token_hex(8)
        self._tickets.add(ticket)
        return ticket

    async def send(self, delivery: Delivery) -> bool:
        """Send the envelope over one open socket; False when there is none."""
        self._deliveries[delivery.envelope_id] = delivery
        sockets = self.open
        self._turn += 1
        for offset in range(len(sockets)):
            socket = sockets[(self._turn + offset) % len(sockets)]
            try:
                await socket.ws.send_str(json.dumps(delivery.envelope()))
            except ConnectionError:
                continue  # closing at this moment; the next one may take it
            delivery.sent, delivery.socket = True, socket.number
            if not socket.open:
                delivery.lose()
            return True
        delivery.lost = True
        return False

    async def disconnect(self, reason: str, *, grace_s: float | None) -> None:
        """Tell every open socket to go and wait until it is closed: by the app, or by the server after `grace_s` seconds.

        With `grace_s` None it is only told, as in a warning.
        """
        told = self.open
        for socket in told:
            socket.stale = True
            await self._tell_disconnect(socket.ws, reason)
        if grace_s is None:
            return
        with contextlib.suppress(TimeoutError, NothingHappened):
            async with asyncio.timeout(grace_s):
                await self.happenings.until(lambda: not any(socket.open for socket in told), "the app to leave")
        for socket in told:
            self._closed(socket)
            await socket.ws.close()

    def drop(self) -> None:
        """Break every connection without a close frame, as a network does."""
        for socket in self.open:
            socket.stale = True
            self._closed(socket)
            if socket.request.transport is not None:
                socket.request.transport.abort()

    async def ping(self) -> None:
        """Ping every open socket and wait for the pongs."""
        for socket in self.open:
            data = secrets.token_hex(4).encode()
            await socket.ws.ping(data)
            await self.happenings.until(
                lambda s=socket, d=data: d in s.pongs,  # type: ignore[misc]
                f"a pong on socket {socket.number}",
            )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The WebSocket endpoint; a ticket is good for one connection."""
        if self.refuses:
            return web.Response(status=503)
        if request.query.get("ticket") not in self._tickets:
            return web.Response(status=401, text="invalid ticket")
        self._tickets.remove(request.query["ticket"])
        ws = web.WebSocketResponse(autoping=False, timeout=1, max_msg_size=2**24)
        await ws.prepare(request)
        if len(self.open) >= MAX_SOCKETS:
            await self._tell_disconnect(ws, "too_many_websockets")
            await ws.close()
            return ws
        socket = Socket(len(self.sockets) + 1, ws, request)
        await ws.send_json(
            {
                "type": "hello",
                "num_connections": len(self.open) + 1,
                "debug_info": {"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060},
                "connection_info": {"app_id": APP_ID},
            }
        )
        self.sockets.append(socket)
        self.happenings.tell()
        try:
            await self._listen(socket)
        finally:
            self._closed(socket)
        return ws

    async def _listen(self, socket: Socket) -> None:
        async for message in socket.ws:
            if message.type == WSMsgType.PING and self.answers_pings:
                await socket.ws.pong(message.data)
            elif message.type == WSMsgType.PONG:
                socket.pongs.append(bytes(message.data))
                self.happenings.tell()
            elif message.type == WSMsgType.TEXT:
                body = json.loads(message.data)
                delivery = self._deliveries.get(body.get("envelope_id"))
                if delivery is None or delivery.ack is not None:
                    self.strays.append(body)
                else:
                    delivery.acknowledge(body.get("payload") or {})

    def _closed(self, socket: Socket) -> None:
        if not socket.open:
            return
        socket.open = False
        for delivery in self._deliveries.values():
            if delivery.socket == socket.number and delivery.ack is None:
                delivery.lost = True
        self.happenings.tell()

    @staticmethod
    async def _tell_disconnect(ws: web.WebSocketResponse, reason: str) -> None:
        await ws.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "applink-1"}})
