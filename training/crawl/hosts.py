"""From which hosts the crawl may fetch: the site's own, and for pictures those that its pages name.

A picture's host is one of `crawl.picture_hosts`, or where that is empty any whose addresses are public. Where the site itself
is on this machine (a copy for trying out) its pictures may be, too.
"""

from __future__ import annotations

import ipaddress

from yarl import URL

from store.addresses import is_public


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
