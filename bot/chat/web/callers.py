"""Who is calling: address behind proxies, visitor's cookie, language, and whether another site sent them."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Iterable
from urllib.parse import urlsplit

from aiohttp import web

from bot.messages import Language
from store.config import Config
from store.errors import ConfigError

VISITOR, LANGUAGE, THEME = "boke_visitor", "boke_lang", "boke_theme"
COOKIE_AGE_S = 365 * 24 * 3600
_VISITOR = re.compile(r"[A-Za-z0-9_-]{32}")
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Callers:
    """Reads requests. Proxies are believed only where `web.trusted_proxies` names them."""

    def __init__(self, config: Config) -> None:
        """Raises ConfigError for a proxy that is neither an address nor a network."""
        self.proxies = _networks(config.web.trusted_proxies)
        self.public = urlsplit(config.web.public_url)
        self.fixed_language = config.web.language

    def address(self, request: web.Request) -> str:
        """The caller's address: the last one that no trusted proxy has."""
        address = request.remote or ""
        if not self._is_proxy(address):
            return address
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
        for hop in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
            hop = _bare(hop)
            if not hop:
                break
            address = hop
            if not self._is_proxy(address):
                break
        return address

    def counted_as(self, request: web.Request) -> str:
        """Whom limits count: the address, or its /64, which one household or server has for itself."""
        address = self.address(request)
        try:
            ip = ipaddress.ip_address(address.split("%", 1)[0])
        except ValueError:
            return address
        if isinstance(ip, ipaddress.IPv6Address):
            return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
        return str(ip)

    def person(self, request: web.Request) -> str:
        """Whose votes and answers they are: the page's visitor, or the address of a caller that keeps no cookie."""
        visitor = self.visitor(request)
        return f"visitor:{visitor}" if visitor else f"address:{self.counted_as(request)}"

    def visitor(self, request: web.Request) -> str | None:
        """The cookie's value where it is one of ours."""
        value = request.cookies.get(VISITOR, "")
        return value if _VISITOR.fullmatch(value) else None

    def welcome(self, request: web.Request, response: web.StreamResponse) -> None:
        """Give a visitor of the page a name, or let the name live on."""
        name = self.visitor(request) or secrets.token_urlsafe(24)
        secure = self.is_https(request)
        response.set_cookie(VISITOR, name, max_age=COOKIE_AGE_S, path="/", httponly=True, samesite="Lax", secure=secure)

    def is_https(self, request: web.Request) -> bool:
        """As the browser sees it."""
        if self._is_proxy(request.remote or "") and "X-Forwarded-Proto" in request.headers:
            return request.headers["X-Forwarded-Proto"].split(",")[0].strip().lower() == "https"
        return request.secure or self.public.scheme == "https"

    def origin(self, request: web.Request) -> str:
        """How the world reaches the page, without a slash at the end: `web.public_url`, or as the browser asked."""
        if self.public.netloc:
            return f"{self.public.scheme}://{self.public.netloc}{self.public.path.rstrip('/')}"
        return f"{'https' if self.is_https(request) else 'http'}://{request.host}"

    def language(self, request: web.Request) -> Language:
        """Japanese or English: as chosen on the page, as configured, or as the browser asks."""
        chosen = request.cookies.get(LANGUAGE)
        asked = request.headers.get("Accept-Language")
        if request.path.startswith("/api/"):
            return preferred(asked)  # the page's script sends the language that is chosen there
        if chosen in ("ja", "en"):
            return "en" if chosen == "en" else "ja"
        return preferred(asked) if self.fixed_language == "auto" else self.fixed_language

    def from_elsewhere(self, request: web.Request) -> bool:
        """Does another site's page ask a browser to change something here? Programs send no Origin."""
        origin = request.headers.get("Origin")
        if request.method not in _UNSAFE or origin is None:
            return False
        own = {request.host.lower(), self.public.netloc.lower()}
        if self._is_proxy(request.remote or ""):
            own.add(request.headers.get("X-Forwarded-Host", "").split(",")[0].strip().lower())
        try:
            return (urlsplit(origin).netloc.lower() or None) not in own
        except ValueError:
            return True

    def _is_proxy(self, address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address.split("%", 1)[0])
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self.proxies if network.version == ip.version)


def preferred(accept_language: str | None) -> Language:
    """The better liked of Japanese and English; Japanese where nothing is asked for, English for other languages only."""
    liked: dict[str, float] = {}
    for part in (accept_language or "").split(","):
        tag, _, parameters = part.partition(";")
        name = tag.strip().lower().split("-")[0]
        match = re.search(r"q\s*=\s*([0-9.]+)", parameters)
        try:
            quality = float(match.group(1)) if match else 1.0
        except ValueError:
            quality = 0.0
        if name and quality > 0:
            liked[name] = max(liked.get(name, 0.0), quality)
    if not liked or ("*" in liked and "en" not in liked):
        return "ja"
    return "ja" if liked.get("ja", 0.0) >= liked.get("en", 0.0) and "ja" in liked else "en"


def _networks(named: Iterable[str]) -> tuple[Network, ...]:
    found, wrong = [], []
    for name in named:
        try:
            found.append(ipaddress.ip_network(name, strict=False))
        except ValueError:
            wrong.append(f"web.trusted_proxies: {name!r} should be an address or a network such as 10.0.0.0/8")
    if wrong:
        raise ConfigError(wrong)
    return tuple(found)


def _bare(hop: str) -> str:
    """A hop's address without port and brackets, "" where it is none."""
    match = re.fullmatch(r"\[([^\]]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+)(?::\d+)?|([0-9A-Fa-f:.%]+)", hop)
    bare = next((group for group in match.groups() if group), "") if match else ""
    try:
        return str(ipaddress.ip_address(bare.split("%", 1)[0]))
    except ValueError:
        return ""
