"""From which hosts the crawl may fetch: the site's own, and for pictures those that its pages name.

A picture's host is one of `crawl.picture_hosts`, or where that is empty any whose addresses are public. Where the site itself
is on this machine (a copy for trying out) its pictures may be, too.
"""

from __future__ import annotations

import ipaddress
import socket

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL


class Hosts:
    """The rule. Names are compared without their port."""

    def __init__(self, base_url: str, picture_hosts: tuple[str, ...]) -> None:
        self.site = _name(URL(base_url).host)
        self.named = frozenset(_name(host) for host in picture_hosts)
        self._local = self.site == "localhost" or _is_loopback(self.site)

    def is_site(self, url: URL) -> bool:
        """Is this an address of the site itself?"""
        return url.scheme in ("http", "https") and _name(url.host) == self.site

    def may_hold_pictures(self, url: URL) -> bool:
        """By name; the addresses behind it are checked when it is connected to."""
        host = _name(url.host)
        if url.scheme not in ("http", "https") or not host:
            return False
        if self.named and host not in self.named and host != self.site:
            return False
        return not _is_address(host) or self.may_connect(host, host)

    def may_connect(self, host: str, address: str) -> bool:
        """May this host be connected to at this address?"""
        host = _name(host)
        if host == self.site or host in self.named:
            return True  # the owner wrote these names
        return is_public(address) or (self._local and _is_loopback(address))


class CheckedResolver(AbstractResolver):
    """Resolves names to addresses that the rule allows; what was checked is what is connected to."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        allowed = [entry for entry in found if self._hosts.may_connect(host, entry["host"])]
        if not allowed:
            raise OSError(f"{host} has no public address")
        return allowed

    async def close(self) -> None:
        await self._inner.close()


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet's; IPv6 that carries an IPv4 address counts as that."""
    try:
        ip = ipaddress.ip_address(address.split("%", 1)[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def _name(host: str | None) -> str:
    return (host or "").lower().rstrip(".")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_loopback
