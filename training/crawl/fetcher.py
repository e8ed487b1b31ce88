"""The polite client: one request at a time to a host, never faster than allowed, and an ear for "no" and "slower".

It knows HTTP and manners, no pages: whether a page says "too fast" in words is a question it passes on.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import NoReturn, Self

import aiohttp
from yarl import URL

from store.addresses import CheckedResolver
from store.config import Config
from training.crawl.clock import Clock, within_hours
from training.crawl.errors import CrawlRefused, HostClosed, NightOver, NotAllowed, PageFailed, SiteTooBusy
from training.crawl.hosts import Hosts
from training.crawl.robots import MAX_BYTES, Robots, read_robots

log = logging.getLogger(__name__)

MAX_PAGE_BYTES = 8 * 2**20
MAX_REDIRECTS = 5
MAX_WAIT_S = 3600.0  # who asks for more is asked again another night
STUMBLE_S = 5.0  # first wait after a broken connection or a server's error; doubles, up to crawl.backoff_s
STUMBLES = 3  # then the address is left for another night
SILENT = 5  # so many addresses in a row that fail, and the site counts as down
SLOWER = 1.5  # after each "too fast" the delay to that host grows by this, for the rest of the run
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Fetched:
    """An answer.

    Attributes:
        url: where it came from, after redirects.
        status: 200, 304, or 404 for all that is not there.
    """

    url: str
    status: int
    body: bytes = b""
    charset: str = "utf-8"
    etag: str | None = None
    last_modified: str | None = None

    @property
    def text(self) -> str:
        """The body as text; bytes that are none become U+FFFD."""
        try:
            return self.body.decode(self.charset, errors="replace")
        except LookupError:
            return self.body.decode(errors="replace")


@dataclass
class _Host:
    """How one host is treated now."""

    delay_s: float
    ready: float = 0.0  # the clock's monotonic time of the next request
    too_fast: int = 0  # answers of that kind in a row
    silent: int = 0  # addresses in a row that could not be had
    robots: Robots | None = None
    closed: str | None = None  # why nothing more is asked of it in this run
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True)
class _Answer:
    """What came back; status 0 where nothing did, and why in `reason`."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    charset: str = "utf-8"
    too_large: bool = False  # the body is cut at the limit
    reason: str = ""

    def fetched(self, url: URL) -> Fetched:
        """For the crawl."""
        etag, last_modified = self.headers.get("ETag"), self.headers.get("Last-Modified")
        return Fetched(str(url), self.status, self.body, self.charset, etag, last_modified)

    def retry_after(self, now: datetime) -> float | None:
        """Seconds that `Retry-After` asks for, as a number or as a date."""
        value = self.headers.get("Retry-After", "").strip()
        try:
            seconds = float(value)
            return None if math.isnan(seconds) else seconds
        except ValueError:
            pass
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()


class Fetcher:
    """One run's client. `requests` counts every request that was sent."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        *,
        scheduled: bool,
        is_too_fast: Callable[[str, str], bool],
        rng: random.Random | None = None,
    ) -> None:
        """`is_too_fast(url, html)` tells whether a page asks for slowness in words."""
        self.requests = 0
        self.waits = 0
        self._config = config
        self._settings = config.crawl
        self._clock = clock
        self._scheduled = scheduled
        self._is_too_fast = is_too_fast
        self._rng = rng or random.Random()
        self._rule = Hosts(self._settings.base_url, self._settings.picture_hosts)
        self._hosts: dict[str, _Host] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=CheckedResolver(self._rule.may_connect), limit_per_host=1),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=introduction(self._settings.user_agent, self._settings.contact),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def page(self, path: str, *, etag: str | None = None, last_modified: str | None = None) -> Fetched:
        """A page of the site, by its path from `crawl.base_url`; with what an earlier answer said of its version.

        Raises:
            PageFailed, NotAllowed: this page not now.
            CrawlRefused, SiteTooBusy: nothing more from this site.
            NightOver: budget or hours.
        """
        headers = {"Accept": "text/html"}
        if etag:
            headers["If-None-Match"] = etag
        if last_modified:
            headers["If-Modified-Since"] = last_modified
        return await self._get(URL(self._settings.base_url + path, encoded=True), headers, MAX_PAGE_BYTES, page=True)

    async def picture(self, url: str) -> Fetched:
        """A picture that a page of the site named. Raises as `page` does."""
        try:
            address = URL(url)
        except ValueError:
            raise NotAllowed("pictures may not come from an address that cannot be read") from None
        return await self._get(address, {"Accept": "image/*"}, self._config.pictures.max_bytes, page=False)

    async def _get(self, url: URL, headers: Mapping[str, str], limit: int, *, page: bool) -> Fetched:
        redirects = 0
        stumbles = 0
        while True:
            self._check_host(url, page)
            host = await self._ready_host(url, page)
            answer = await self._request(host, url, headers, limit)
            if answer.too_large:
                raise PageFailed(f"{url} is larger than {limit:,} bytes")
            fetched = answer.fetched(url)
            status = answer.status
            if status in (429, 503) or (page and answer.body and self._is_too_fast(fetched.url, fetched.text)):
                await self._back_off(host, url, answer)
                continue
            if status in REDIRECTS and "Location" in answer.headers:
                redirects += 1
                if redirects > MAX_REDIRECTS:
                    raise PageFailed(f"{url}: too many redirects")
                url = _target(url, answer.headers["Location"])
                continue
            if status == 0 or status >= 500:
                stumbles += 1
                await self._stumble(host, url, stumbles, answer.reason)
                continue
            host.too_fast = host.silent = 0
            if status in (200, 304, 404):
                return fetched
            if status in (401, 403, 451):
                self._refuse(host, url, f"{url} answered {status}: the site does not want this to be fetched")
            raise PageFailed(f"{url} answered {status}")

    def _check_host(self, url: URL, page: bool) -> None:
        if page and not self._rule.is_site(url):
            raise PageFailed(f"the site sends on to {url.host}, which is not crawl.base_url")
        if not page and not self._rule.may_hold_pictures(url):
            raise NotAllowed(f"pictures may not come from {url.host}")

    async def _ready_host(self, url: URL, page: bool) -> _Host:
        """The host, with its robots.txt read and this address allowed by it."""
        host = self._hosts.setdefault(url.authority, _Host(self._settings.delay_s))
        if host.robots is None and host.closed is None:
            host.robots = await self._robots(host, url)
        if host.closed is not None or host.robots is None:
            raise HostClosed(host.closed or f"no robots.txt of {url.host}")
        if not host.robots.allows(str(url)):
            raise NotAllowed(f"robots.txt of {url.host} closes some addresses")
        return host

    async def _robots(self, host: _Host, url: URL) -> Robots | None:
        address = url.origin() / "robots.txt"
        stumbles = redirects = 0
        while True:
            if not (self._rule.is_site(address) or self._rule.may_hold_pictures(address)):
                return read_robots(
                    "", self._settings.user_agent
                )  # sent on to where we may not go: as if there were none
            answer = await self._request(host, address, {}, MAX_BYTES)
            status = answer.status
            if status == 429:
                await self._back_off(host, address, answer)
            elif status == 0:
                stumbles += 1
                await self._stumble(host, address, stumbles, answer.reason)
            elif status in REDIRECTS and "Location" in answer.headers and redirects < MAX_REDIRECTS:
                redirects += 1
                address = _target(address, answer.headers["Location"])
            elif status in (401, 403):
                self._refuse(host, url, f"{address} answers {status}: the site does not want to be crawled")
            elif status >= 500:
                self._refuse(host, url, f"{address} answers {status}: without it nothing may be crawled")
            else:
                host.too_fast = 0
                text = answer.body.decode("utf-8-sig", errors="replace") if status == 200 else ""
                robots = read_robots(text, self._settings.user_agent)
                host.delay_s = max(host.delay_s, robots.delay_s)
                host.ready = max(host.ready, self._clock.monotonic() + self._pace(host.delay_s))
                return robots

    def _refuse(self, host: _Host, url: URL, reason: str) -> NoReturn:
        if self._rule.is_site(url):
            raise CrawlRefused(reason)
        host.closed = reason
        raise HostClosed(reason)

    def _give_up(self, host: _Host, url: URL, reason: str) -> NoReturn:
        if self._rule.is_site(url):
            raise SiteTooBusy(f"{reason}; the crawl ends for this night")
        host.closed = reason
        raise HostClosed(reason)

    def _check_night(self) -> None:
        if self.requests >= self._settings.max_requests:
            raise NightOver("budget")
        zone = self._config.retrain.timezone
        if self._scheduled and not within_hours(self._clock.now(), self._settings.hours, zone):
            raise NightOver("hours")

    async def _request(self, host: _Host, url: URL, headers: Mapping[str, str], limit: int) -> _Answer:
        """One request, when it is this host's turn."""
        async with host.turn:
            self._check_night()
            wait = host.ready - self._clock.monotonic()
            if wait > 0:
                await self._clock.sleep(wait)
                self._check_night()
            self.requests += 1
            try:
                answer = await self._send(url, headers, limit)
            except (
                aiohttp.ClientError,
                TimeoutError,
                OSError,
                ValueError,
            ) as error:  # ValueError: not the name of a host
                answer = _Answer(0, reason=f"{type(error).__name__}: {error}".rstrip(": "))
            finally:
                host.ready = self._clock.monotonic() + self._pace(host.delay_s)
        # A bucket of pictures that nobody may list answers 403 where a file is not there.
        bucket = answer.status == 403 and not self._rule.is_site(url) and b"<Code>AccessDenied</Code>" in answer.body
        return replace(answer, status=404) if bucket or answer.status == 410 else answer

    async def _send(self, url: URL, headers: Mapping[str, str], limit: int) -> _Answer:
        assert self._session is not None
        async with self._session.get(url, headers=headers, allow_redirects=False) as response:
            body = bytearray()
            async for chunk in response.content.iter_chunked(64 * 1024):
                body += chunk
                if len(body) > limit:
                    break
            return _Answer(
                response.status,
                response.headers,
                bytes(body[:limit]),
                response.charset or "utf-8",
                too_large=len(body) > limit,
                reason=f"answered {response.status}",
            )

    def _pace(self, delay_s: float) -> float:
        """The delay, and a part of it more: never shorter than asked for."""
        return delay_s * (1 + self._settings.jitter * self._rng.random())

    async def _back_off(self, host: _Host, url: URL, answer: _Answer) -> None:
        """The site says "too fast": wait as long as it asks, or longer each time."""
        asked_s = answer.retry_after(self._clock.now())
        self.waits += 1
        host.too_fast += 1
        if host.too_fast > self._settings.max_backoffs:
            self._give_up(host, url, f"{url.host} said too fast {host.too_fast} times in a row")
        own = self._pace(self._settings.backoff_s * 2 ** (host.too_fast - 1))
        wait = own if asked_s is None else max(asked_s, 0.0)
        if wait > MAX_WAIT_S:
            self._give_up(host, url, f"{url.host} asks to wait for {wait / 60:.0f} minutes")
        host.delay_s *= SLOWER
        log.warning("%s says too fast; waiting %.0f s", url.host, wait)
        host.ready = max(host.ready, self._clock.monotonic() + wait)

    async def _stumble(self, host: _Host, url: URL, times: int, reason: str) -> None:
        """No answer, or a server's error: once more after a while, then another night."""
        if times > STUMBLES:
            host.silent += 1
            if host.silent >= SILENT or url.path == "/robots.txt":
                self._give_up(host, url, f"{url.host} does not answer ({reason})")
            raise PageFailed(f"{url}: {reason}")
        wait = min(self._settings.backoff_s, STUMBLE_S * 2 ** (times - 1))
        log.info("%s: %s; once more in %.0f s", url, reason, wait)
        host.ready = max(host.ready, self._clock.monotonic() + wait)


def introduction(user_agent: str, contact: str) -> dict[str, str]:
    """The headers that say who asks, and whom to write to."""
    contact = " ".join(contact.split())
    headers = {"User-Agent": f"{user_agent} (+{contact})" if contact else user_agent, "Accept-Language": "ja"}
    return {**headers, "From": contact} if "@" in contact and "/" not in contact else headers


def _target(url: URL, location: str) -> URL:
    try:
        return url.join(URL(location))
    except ValueError:
        raise PageFailed(f"{url} sends on to an address that cannot be read") from None
