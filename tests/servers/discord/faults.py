"""What goes wrong on purpose: errors, 429s, dropped and held requests; and the rate limits of every route."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from .protocol import Json
from .waiting import Watch

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Fault:
    """One thing that will happen to the next requests of a kind."""

    method: str
    path: re.Pattern[str]
    times: int
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Json | str | None = None
    after: bool = False
    drop: bool = False
    hold: Hold | None = None
    hits: int = 0

    def fits(self, method: str, path: str) -> bool:
        return self.hits < self.times and method == self.method and bool(self.path.search(path))


class Hold:
    """A request that was stopped on its way in, until the test lets it go."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._gate = asyncio.Event()
        self.arrived = False

    async def reached(self) -> None:
        """Wait until the request is there."""
        await self._watch.until(lambda: self.arrived, lambda: "a request to hold")

    def release(self) -> None:
        """Let it go on, as if the network had been slow."""
        self._gate.set()

    async def wait(self) -> None:
        self.arrived = True
        self._watch.changed()
        await self._gate.wait()


@dataclass(frozen=True)
class Limit:
    """At most `count` requests within `per_s` seconds."""

    count: int
    per_s: float


@dataclass(frozen=True)
class Request:
    """A request that was answered: path without the API's prefix, with its query; status 0 for a dropped one."""

    method: str
    path: str
    status: int
    authorization: str | None
    user_agent: str | None


class Bucket:
    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._started = 0.0
        self._used = 0

    def take(self) -> tuple[int, float]:
        """Use one request: how many are left (below 0: too many) and the seconds until the window ends."""
        now = time.monotonic()
        if now >= self._started + self.limit.per_s:
            self._started, self._used = now, 0
        self._used += 1
        return self.limit.count - self._used, self._started + self.limit.per_s - now


class Faults:
    """Goes before every route: faults that tests ordered, then the rate limit, then the route, and keeps a journal."""

    def __init__(self, watch: Watch, prefix: str, default_limit: Limit) -> None:
        self.watch = watch
        self.prefix = prefix
        self.default_limit = default_limit
        self.limits: list[tuple[str, re.Pattern[str], Limit]] = []
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.too_many = 0
        self._buckets: dict[str, Bucket] = {}

    def add(self, fault: Fault) -> Fault:
        self.faults.append(fault)
        return fault

    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware: answers instead of the route, or lets it answer."""
        path = request.path.removeprefix(self.prefix)
        fault = next((fault for fault in self.faults if fault.fits(request.method, path)), None)
        try:
            response = await self._answer(request, handler, fault)
        except BaseException:
            self._note(request, 0)
            raise
        self._note(request, response.status)
        return response

    async def _answer(self, request: web.Request, handler: Handler, fault: Fault | None) -> web.StreamResponse:
        if fault is not None:
            fault.hits += 1
            if fault.hold is not None:
                await fault.hold.wait()
            if fault.after:
                await request.read()
                await handler(request)
            if fault.drop:
                assert request.transport
                request.transport.abort()
                raise ConnectionResetError("dropped on purpose")
            if fault.status is not None:
                await request.read()  # an answer before the upload ends would look like a broken connection
                return _error(fault.status, fault.body, fault.headers)
        if not request.path.startswith(self.prefix):
            return await handler(request)
        name, bucket = self._bucket(request)
        left, reset_after = bucket.take()
        headers = {
            "X-RateLimit-Bucket": name,
            "X-RateLimit-Limit": str(bucket.limit.count),
            "X-RateLimit-Remaining": str(max(left, 0)),
            "X-RateLimit-Reset": f"{time.time() + reset_after:.3f}",
            "X-RateLimit-Reset-After": f"{reset_after:.3f}",
            "Via": "1.1 local",
        }
        if left < 0:
            self.too_many += 1
            await request.read()
            extra, body = refusal(reset_after, is_global=False)
            return json_response(body, 429, headers | extra)
        response = await handler(request)
        if not response.prepared:
            response.headers.update(headers)
        return response

    def _bucket(self, request: web.Request) -> tuple[str, Bucket]:
        resource = request.match_info.route.resource
        template = resource.canonical if resource is not None else request.path
        name = hashlib.md5(f"{request.method} {template}".encode()).hexdigest()
        major = [request.match_info.get(key, "") for key in ("channel", "guild", "application", "token")]
        key = ":".join([name, *major])
        if key not in self._buckets:
            path = request.path.removeprefix(self.prefix)
            fitting = [
                limit for method, pattern, limit in self.limits if method == request.method and pattern.search(path)
            ]
            self._buckets[key] = Bucket(fitting[-1] if fitting else self.default_limit)
        return name, self._buckets[key]

    def _note(self, request: web.Request, status: int) -> None:
        headers = request.headers
        path = request.path_qs.removeprefix(self.prefix)
        self.requests.append(
            Request(request.method, path, status, headers.get("Authorization"), headers.get("User-Agent"))
        )
        self.watch.changed()


def refusal(retry_after: float, *, is_global: bool) -> tuple[dict[str, str], Json]:
    """Headers and body of a 429 as Discord sends it: `Via` is the sign that it comes from the API, no proxy before it."""
    headers = {"Retry-After": f"{retry_after:.3f}", "Via": "1.1 local", "X-RateLimit-Scope": "user"}
    if is_global:
        headers |= {"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}
    return headers, {"message": "You are being rate limited.", "retry_after": retry_after, "global": is_global}


def _error(status: int, body: Json | str | None, headers: Mapping[str, str]) -> web.Response:
    if isinstance(body, str):
        return web.Response(status=status, text=body, headers=headers)
    return json_response(body if body is not None else {"message": f"{status}: on purpose", "code": 0}, status, headers)


def json_response(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON under the exact content type that discord.py reads: no charset after it."""
    response = web.json_response(body, status=status, headers=headers)
    response.headers["Content-Type"] = "application/json"
    return response
