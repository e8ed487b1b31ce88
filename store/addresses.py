"""Which addresses may be connected to: what keeps links and crawled pages from reaching into private networks."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet's; IPv6 that carries an IPv4 address counts as that."""
    try:
        ip = ipaddress.ip_address(address.split("%", 1)[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


class CheckedResolver(AbstractResolver):
    """Resolves names to addresses that a rule allows; what was checked is what is connected to."""

    def __init__(self, may_connect: Callable[[str, str], bool]) -> None:
        """may_connect: called with a host's name and one of its addresses."""
        self._may_connect = may_connect
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        allowed = [entry for entry in found if self._may_connect(host, entry["host"])]
        if not allowed:
            raise OSError(f"{host} has no public address")
        return allowed

    async def close(self) -> None:
        await self._inner.close()
