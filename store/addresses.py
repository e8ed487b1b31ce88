"""Which addresses may be connected to: what keeps links and crawled pages from reaching into private networks."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

# IANA's special-purpose registries name these; older Pythons take some of them for public ones.
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            "192.0.0.0/24",  # protocol assignments, one cloud's metadata
            "192.88.99.0/24",  # 6to4 relays
            "168.63.129.16/32",  # public by its number, but one cloud's machines reach their host there
            "3fff::/20",  # documentation
        ),
    )
)
_METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254")))
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")  # all that is given out; the rest is private, or a way to write IPv4
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet's; IPv6 that carries an IPv4 address counts as that."""
    ip = _read(address)
    if ip is None or not ip.is_global or ip.is_multicast or any(ip in network for network in _SPECIAL):
        return False
    return ip.version == 4 or ip in _GLOBAL_IPV6


def is_metadata(address: str) -> bool:
    """Whether a machine asks there who it is: link-local addresses, and those that clouds have beside them."""
    ip = _read(address)
    return ip is not None and (ip.is_link_local or ip in _METADATA)


def _read(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that packets go to in the end: the IPv4 address that an IPv6 address carries, if it does."""
    try:
        ip = ipaddress.ip_address(address.split("%", 1)[0])
    except ValueError:
        return None
    if not isinstance(ip, ipaddress.IPv6Address):
        return ip
    inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
    if inner is None and (ip in _NAT64 or int(ip) >> 32 & 0xFFFFFFFF in _ISATAP):
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip if inner is None else inner


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
            raise OSError(errno.EACCES, f"{host} has no public address")  # with a number, aiohttp hands the reason on
        return allowed

    async def close(self) -> None:
        await self._inner.close()
