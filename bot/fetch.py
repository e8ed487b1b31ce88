"""A link or an attachment to bytes: only from hosts that are allowed, no more bytes and no longer than allowed.

A host is allowed by name (the chat's own file hosts, and `pictures.allowed_hosts`). Its addresses must be public ones, except
that a host named in `pictures.allowed_hosts` may be in a private network. The address that was checked is the one that is
connected to, and every redirect is checked anew.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from bot.boke import BokeRefused, megabytes
from store.addresses import CheckedResolver, is_metadata, is_public

log = logging.getLogger(__name__)

DISCORD_HOSTS = frozenset(
    {"cdn.discordapp.com", "media.discordapp.net", "images-ext-1.discordapp.net", "images-ext-2.discordapp.net"}
)
SLACK_HOSTS = frozenset({"files.slack.com", "slack-files.com"})
CHUNK = 64 * 1024


@dataclass(frozen=True)
class FetchRules:
    """What may be fetched. `own_hosts` are a chat's file hosts, `allowed_hosts` those that the owner named."""

    own_hosts: frozenset[str] = frozenset()
    allowed_hosts: frozenset[str] = frozenset()
    max_bytes: int = 20 * 2**20
    timeout_s: float = 15.0
    max_redirects: int = 3

    def may_connect(self, host: str, address: str) -> bool:
        """May this host be connected to at this address?

        A host that the owner named may be private, but no name may lead to where a cloud's machine finds its own secrets.
        """
        host = host.lower().rstrip(".")
        return is_public(address) or (host in self.allowed_hosts and (host == address or not is_metadata(address)))

    def allows(self, url: URL) -> bool:
        """By name: is this host one that links may point to?"""
        host = (url.host or "").lower().rstrip(".")
        return url.scheme in ("http", "https") and host in self.own_hosts | self.allowed_hosts


class Fetcher:
    """Downloads pictures; one for each front end."""

    def __init__(self, rules: FetchRules) -> None:
        self.rules = rules
        self._session: aiohttp.ClientSession | None = None

    async def fetch(
        self, url: str, headers: Mapping[str, str] | None = None, auth_hosts: frozenset[str] = frozenset()
    ) -> bytes:
        """The bytes behind a link.

        headers: sent only to `auth_hosts` (a token must not follow a redirect elsewhere).

        Raises BokeRefused: not_allowed, too_large, not_fetched.
        """
        try:
            async with asyncio.timeout(self.rules.timeout_s):
                data = await self._follow(URL(url), dict(headers or {}), auth_hosts)
                log.debug("fetched %d bytes", len(data))
                return data
        except TimeoutError:
            raise BokeRefused(
                "not_fetched", cause=f"{_shown(url)} took longer than {self.rules.timeout_s:g} s"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise BokeRefused("not_fetched", cause=f"{_shown(url)}: {type(error).__name__}: {error}") from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _follow(self, url: URL, headers: dict[str, str], auth_hosts: frozenset[str]) -> bytes:
        for _ in range(self.rules.max_redirects + 1):
            self._check(url)
            sent = headers if (url.host or "").lower() in auth_hosts else {}
            async with self._client().get(url, headers=sent, allow_redirects=False) as response:
                if response.status in (301, 302, 303, 307, 308) and "Location" in response.headers:
                    url = url.join(URL(response.headers["Location"]))
                    continue
                if response.status != 200:
                    raise BokeRefused("not_fetched", cause=f"{_shown(url)} answered {response.status}")
                return await self._read(response)
        raise BokeRefused("not_fetched", cause=f"{_shown(url)}: too many redirects")

    def _check(self, url: URL) -> None:
        if not self.rules.allows(url):
            raise BokeRefused("not_allowed", cause=f"{url.host} is not among the allowed hosts")
        host = url.host or ""
        literal = _as_address(host)
        if literal is not None and not self.rules.may_connect(host, literal):
            raise BokeRefused("not_allowed", cause=f"{host} is not a public address")

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        limit = self.rules.max_bytes
        if response.content_length is not None and response.content_length > limit:
            raise BokeRefused("too_large", limit=megabytes(limit))
        data = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK):
            data += chunk
            if len(data) > limit:  # whatever the length said
                raise BokeRefused("too_large", limit=megabytes(limit))
        return bytes(data)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=CheckedResolver(self.rules.may_connect), use_dns_cache=False, limit=16
            )
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=True)
        return self._session


def _as_address(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host.split("%", 1)[0]))
    except ValueError:
        return None


def _shown(url: str | URL) -> str:
    """An address for the log: without its query, where signatures and tokens are."""
    try:
        return str(URL(url).with_query(None).with_user(None))
    except ValueError:
        return "an address that cannot be read"
