"""Fetching against real servers on loopback: hosts, redirects, sizes, time, and tokens that must not wander."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from bot.boke import BokeRefused
from bot.fetch import Fetcher, FetchRules

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
RULES = FetchRules(allowed_hosts=frozenset({"127.0.0.1"}), max_bytes=1000, timeout_s=5)


@asynccontextmanager
async def serving(handler: Handler, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    async def any_path(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", any_path)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def fetcher(rules: FetchRules = RULES) -> AsyncIterator[Fetcher]:
    found = Fetcher(rules)
    try:
        yield found
    finally:
        await found.close()


async def refusal(rules: FetchRules, url: str) -> BokeRefused:
    async with fetcher(rules) as fetch:
        with pytest.raises(BokeRefused) as caught:
            await fetch.fetch(url)
        return caught.value


async def picture(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x" * 900)


async def test_bytes_of_an_allowed_host() -> None:
    async with serving(picture) as url, fetcher() as fetch:
        assert await fetch.fetch(f"{url}/a.png?ex=1") == b"x" * 900


async def test_other_hosts_are_not_asked() -> None:
    async with serving(picture) as url:
        assert (await refusal(replace(RULES, allowed_hosts=frozenset()), url)).code == "not_allowed"
        assert (await refusal(RULES, url.replace("127.0.0.1", "localhost"))).code == "not_allowed"
    for url in ("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1", "nonsense", "http://"):
        assert (await refusal(RULES, url)).code == "not_allowed"


async def test_a_name_that_points_inside_is_refused_though_its_name_is_allowed() -> None:
    """localhost stands for a chat's host whose DNS was turned to a private address."""
    async with serving(picture) as url:
        rules = FetchRules(own_hosts=frozenset({"localhost"}))
        assert (await refusal(rules, url.replace("127.0.0.1", "localhost"))).code == "not_fetched"
        rules = FetchRules(own_hosts=frozenset({"127.0.0.1"}))
        assert (await refusal(rules, url)).code == "not_allowed"


async def test_a_redirect_inside_is_refused() -> None:
    asked = []

    async def inner(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(body=b"secret")

    async with serving(inner) as inside:

        async def outer(_request: web.Request) -> web.StreamResponse:
            raise web.HTTPFound(inside.replace("127.0.0.1", "localhost") + "/latest/meta-data")

        async with serving(outer) as url:
            assert (await refusal(RULES, url)).code == "not_allowed"
    assert asked == []


async def test_too_many_redirects() -> None:
    async def around(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"/{int(request.path[1:] or 0) + 1}")

    async with serving(around) as url:
        assert (await refusal(RULES, url)).code == "not_fetched"


async def test_a_token_goes_to_its_host_only() -> None:
    seen: list[tuple[str, str | None]] = []

    async def note(request: web.Request) -> web.StreamResponse:
        seen.append((request.host.split(":")[0], request.headers.get("Authorization")))
        if request.path == "/go":
            raise web.HTTPFound(str(request.url.with_host("localhost").with_path("/end")))
        return web.Response(body=b"ok")

    rules = replace(RULES, allowed_hosts=frozenset({"127.0.0.1", "localhost"}))
    async with serving(note) as url, fetcher(rules) as fetch:
        await fetch.fetch(f"{url}/go", {"Authorization": "Bearer token"}, frozenset({"127.0.0.1"}))
    assert seen == [("127.0.0.1", "Bearer token"), ("localhost", None)]


async def test_too_large_by_its_own_word_and_in_fact() -> None:
    async def declared(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * 1001)

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 500)

    for handler in (declared, endless):
        async with serving(handler) as url:
            assert (await refusal(RULES, url)).code == "too_large"


async def test_too_slow() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        await asyncio.Event().wait()
        return response

    async with serving(slow) as url:
        assert (await refusal(replace(RULES, timeout_s=0.2), url)).code == "not_fetched"


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_errors_of_the_host(status: int) -> None:
    async def fails(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with serving(fails) as url:
        assert (await refusal(RULES, url)).code == "not_fetched"


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    refused = await refusal(RULES, f"http://127.0.0.1:{port}/?token=secret")
    assert refused.code == "not_fetched"
    assert "secret" not in str(refused)
