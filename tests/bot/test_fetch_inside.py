"""Ways into a private network, against real servers on loopback: addresses in disguise, redirects, DNS that lies.

127.0.0.2 stands for the public internet, where `chat.test` is at home; 127.0.0.1 is inside.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from bot import fetch as module
from bot.boke import BokeRefused
from bot.fetch import FetchRules
from tests.bot.test_fetch import fetcher, refusal, serving

OUTSIDE, INSIDE = "127.0.0.2", "127.0.0.1"
RULES = FetchRules(own_hosts=frozenset({"chat.test"}), timeout_s=5)
DISGUISES = (  # of 127.0.0.1 and other addresses of this machine, as the system's resolver and networks read them
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "0",
    "0.0.0.0",
    "localhost",
    "localhost.",
    "[::1]",
    "[::]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fd00::1]",
    "\uff11\uff12\uff17.\uff10.\uff10.\uff11",
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "10.0.0.1",
)


class Dns:
    """Answers for `chat.test`: each look-up takes the next of `answers`, and the last again and again."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, ...]] = [(OUTSIDE,)]
        self.asked = 0
        self._ask = socket.getaddrinfo

    def getaddrinfo(self, host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if host != "chat.test":
            return self._ask(host, port, *arguments, **options)
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer]


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Dns:
    made, is_public = Dns(), module.is_public
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    monkeypatch.setattr(module, "is_public", lambda address: address == OUTSIDE or is_public(address))
    return made


@asynccontextmanager
async def both_sides(location: str = "") -> AsyncIterator[tuple[str, list[str]]]:
    """A server on either side, on one port: the address of the outer one, and the paths for which the inner one was asked.

    location: where the outer one sends everybody; PORT in it is the port.
    """
    asked: list[str] = []

    async def inner(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(body=b"secret")

    async def outer(request: web.Request) -> web.StreamResponse:
        if location and request.path != "/end":
            return web.Response(status=302, headers={"Location": location.replace("PORT", str(request.url.port))})
        return web.Response(body=b"picture", headers={"Connection": "close"})

    while True:
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(serving(outer, OUTSIDE))
            try:
                await stack.enter_async_context(serving(inner, INSIDE, URL(url).port or 0))
            except OSError:  # somebody else has that port there
                continue
            yield url.replace(OUTSIDE, "chat.test"), asked
            return


async def test_the_outer_server_is_reached(dns: Dns) -> None:
    async with both_sides() as (url, _), fetcher(RULES) as fetch:
        assert await fetch.fetch(url) == b"picture"


@pytest.mark.parametrize("host", DISGUISES)
async def test_a_redirect_to_an_address_in_disguise(dns: Dns, host: str) -> None:
    """Once with a name that is not allowed, and once where the name itself passes: then the address counts."""
    async with both_sides(f"http://{host}:PORT/latest/meta-data") as (url, asked):
        assert (await refusal(RULES, url)).code == "not_allowed"
        name = (URL(f"http://{host}/").host or "").lower().rstrip(".")
        refused = await refusal(FetchRules(own_hosts=frozenset({"chat.test", name}), timeout_s=5), url)
        assert refused.code in ("not_allowed", "not_fetched")
        assert asked == []


@pytest.mark.parametrize("location", ["file:///etc/passwd", "//127.0.0.1:PORT/", "http://chat.test@127.0.0.1:PORT/"])
async def test_other_redirects(dns: Dns, location: str) -> None:
    async with both_sides(location) as (url, asked):
        assert (await refusal(RULES, url)).code == "not_allowed"
        assert asked == []


async def test_dns_that_changes_its_answer_between_look_and_connection(dns: Dns) -> None:
    dns.answers = [(OUTSIDE,), (INSIDE,)]
    async with both_sides() as (url, asked), fetcher(RULES) as fetch:
        assert await fetch.fetch(url) == b"picture"  # what was checked is what was connected to
        assert dns.asked == 1
        with pytest.raises(BokeRefused, match="public address"):
            await fetch.fetch(url)
        assert asked == []


async def test_dns_that_changes_its_answer_between_redirects(dns: Dns) -> None:
    dns.answers = [(OUTSIDE,), (INSIDE,)]
    async with both_sides("http://CHAT.test.:PORT/end") as (url, asked):
        assert (await refusal(RULES, url)).code == "not_fetched"
        assert asked == []


@pytest.mark.parametrize("answer", [(INSIDE, OUTSIDE), (OUTSIDE, INSIDE), (INSIDE,)])
async def test_of_several_addresses_only_public_ones_are_taken(dns: Dns, answer: tuple[str, ...]) -> None:
    dns.answers = [answer]
    async with both_sides() as (url, asked), fetcher(RULES) as fetch:
        if OUTSIDE in answer:
            assert await fetch.fetch(url) == b"picture"
        else:
            with pytest.raises(BokeRefused, match="public address"):
                await fetch.fetch(url)
        assert asked == []


async def test_a_host_that_the_owner_named_may_be_inside_but_not_where_machines_learn_their_secrets(dns: Dns) -> None:
    rules = FetchRules(allowed_hosts=frozenset({"chat.test"}), timeout_s=5)
    dns.answers = [(INSIDE,), ("169.254.169.254",), ("fd00:ec2::254",), ("::ffff:169.254.169.254",)]
    async with both_sides() as (url, asked), fetcher(rules) as fetch:
        assert await fetch.fetch(url) == b"secret"
        assert asked == ["/"]
    for _ in dns.answers[1:]:
        assert "public address" in str(await refusal(rules, url))
