"""A local copy of the joke site for tests: three layouts, pictures, robots.txt, lists, and every way to say no.

    async with BoketeSite(odai=200, generation=3, seed=0) as site:
        ...  # crawl.base_url = site.url
        assert site.served["/odai/1001"] == 1

It runs on loopback, on its own port; `python -m tests.servers.bokete_server --odai 2000` runs one to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime, parsedate_to_datetime
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.servers.bokete import layout1, layout2, layout3
from tests.servers.bokete.view import View
from tests.servers.bokete.world import CATEGORIES, LISTS, SIZES, SiteBoke, SiteOdai, World, picture_bytes

__all__ = ["BoketeSite", "Seen", "SiteBoke", "SiteOdai", "World"]

UNKNOWN = 0  # a layout that nobody knows
ALLOW_ALL = "User-agent: *\nDisallow: /user/\n"


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    path: str  # with query
    headers: Mapping[str, str]
    at: float  # time.monotonic()


@dataclass
class Fault:
    """An answer instead of the page, for so many requests whose path starts so; every n-th where `every` is set."""

    path: str
    status: int
    times: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    every: int = 1
    met: int = 0


class BoketeSite:
    """The site. Counters are by path with query, as it was asked for.

    Attributes:
        fetched: all requests. served: those that got the thing itself. unchanged: those that got a 304.
        seen: every request in its order.
        most_at_once: how many requests were ever open at the same time.
        generation: of the layout that is live; 0 is one that nobody knows.
        on_request: awaited before each answer, with its number (from 1) and path.
    """

    def __init__(
        self,
        odai: int = 200,
        generation: int = 3,
        seed: int = 0,
        *,
        first_id: int = 1001,
        holes: float = 0.05,
        jokes: int = 6,
        page_size: int = 10,
        shown: int = 10,
        next_data: bool = True,
        etag: bool = True,
        last_modified: bool = False,
        robots: str | None = ALLOW_ALL,
        robots_status: int = 200,
        gone_lists: tuple[str, ...] = (),
        picture_base: str = "",
    ) -> None:
        """
        Args:
            page_size: jokes on one page of a list.
            shown: jokes on the page of an odai; the rest only comes by script.
            next_data: embed the page's data as JSON (third layout).
            etag, last_modified: what pages carry for conditional requests.
            robots: its text; None: there is none.
            gone_lists: lists that answer 404.
            picture_base: "http://host:port" that pages name as the pictures' host; "": this server.
        """
        self.world = World(odai, seed, first_id=first_id, holes=holes, jokes=jokes)
        self.generation = generation
        self.page_size, self.shown, self.next_data = page_size, shown, next_data
        self.etag, self.last_modified = etag, last_modified
        self.robots, self.robots_status = robots, robots_status
        self.gone_lists = set(gone_lists)
        self.picture_base = picture_base
        self.unknown_share = 0.0  # share of the odai whose pages are of a layout that nobody knows
        self.fetched: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        self.unchanged: Counter[str] = Counter()
        self.seen: list[Seen] = []
        self.most_at_once = 0
        self.on_request: Callable[[int, str], Awaitable[None]] | None = None
        self.url = ""
        self._faults: list[Fault] = []
        self._changes: list[tuple[int, int]] = []
        self._open = 0
        self._runner: web.AppRunner | None = None

    # --- what tests do to it ---

    def fail(
        self,
        path: str = "/",
        status: int = 500,
        *,
        times: int = 1,
        every: int = 1,
        body: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """The next `times` requests whose path starts so (robots.txt only if named) get this instead; every n-th of them."""
        self._faults.append(Fault(path, status, times, body, headers or {}, every))

    def say_too_fast(self, times: int = 1, *, status: int = 200) -> None:
        """The next pages are the one with the words "エラーが発生しました。"."""
        self.fail("/", status, times=times, body=self._words("エラーが発生しました。"))

    def change_layout(self, generation: int, *, after: int) -> None:
        """From that request on (counted from now) the site wears another layout."""
        self._changes.append((len(self.seen) + after, generation))

    def forget_counts(self) -> None:
        """Count from zero again."""
        for counter in (self.fetched, self.served, self.unchanged):
            counter.clear()
        self.seen.clear()

    def picture_paths(self) -> set[str]:
        """Paths of all pictures in the size that this layout's pages of odai name."""
        size = 400 if self.generation == 1 else 600
        return {f"/photo/odai/{size}/{o.picture}_{size}.jpg" for o in self.world.odai.values()}

    # --- running ---

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; 0 takes a free port."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=False, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path_qs
        self.fetched[path] += 1
        self.seen.append(Seen(path, dict(request.headers), time.monotonic()))
        for at, generation in self._changes:
            if len(self.seen) >= at:
                self.generation = generation
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            if self.on_request is not None:
                await self.on_request(len(self.seen), path)
            response = self._fault(path) or self._answer(request)
            counter = self.served if response.status == 200 else self.unchanged if response.status == 304 else None
            if counter is not None:
                counter[path] += 1
            return response
        finally:
            self._open -= 1

    def _fault(self, path: str) -> web.Response | None:
        for fault in self._faults:
            named = path.startswith(fault.path) and (path != "/robots.txt" or fault.path == path)
            if not named or fault.times <= 0:
                continue
            fault.met += 1
            if fault.met % fault.every == 0:
                fault.times -= 1
                return _html(fault.body, fault.status, dict(fault.headers))
        return None

    # --- pages ---

    def _answer(self, request: web.Request) -> web.Response:
        parts = [part for part in request.path.split("/") if part]
        match parts:
            case ["robots.txt"]:
                text = self.robots
                return web.Response(text=text or "", status=404 if text is None else self.robots_status)
            case ["photo", "odai", size, name] if size.isdecimal() and int(size) in SIZES:
                return self._picture(name, int(size))
            case ["odai", number] if number.isdecimal():
                return self._conditional(request, self._odai(int(number)))
            case ["boke", number] if number.isdecimal():
                return self._conditional(request, self._boke(int(number)))
            case ["boke", *names]:
                page = request.query.get("page", "0")
                return self._conditional(request, self._list("/".join(names), int(page) if page.isdecimal() else 0))
        return self._not_found()

    def _conditional(self, request: web.Request, html: str | None) -> web.Response:
        if html is None:
            return self._not_found()
        tag = f'"{hashlib.sha1(html.encode()).hexdigest()[:16]}"'
        headers = {}
        if self.etag:
            headers["ETag"] = tag
            if request.headers.get("If-None-Match") == tag:
                return web.Response(status=304, headers=headers)
        if self.last_modified:
            headers["Last-Modified"] = format_datetime(self.world.changed, usegmt=True)
            since = request.headers.get("If-Modified-Since")
            if since and parsedate_to_datetime(since) >= self.world.changed.replace(microsecond=0):
                return web.Response(status=304, headers=headers)
        return _html(html, 200, headers)

    def _not_found(self) -> web.Response:
        return _html(self._words("ページが見つかりません"), 404, {})

    def _picture(self, name: str, size: int) -> web.Response:
        stem = name.removesuffix(f"_{size}.jpg")
        if stem not in {o.picture for o in self.world.odai.values()}:
            return web.Response(status=404)
        return web.Response(body=picture_bytes(stem, size), content_type="image/jpeg")

    def _odai(self, number: int) -> str | None:
        odai = self.world.odai.get(number)
        if odai is None:
            return None
        unknown = hashlib.md5(str(number).encode()).digest()[0] < 256 * self.unknown_share
        jokes = self.world.jokes_of(number)[: self.shown]
        return self._draw("odai", f"お題 {number}", jokes, odai=odai, unknown=unknown)

    def _boke(self, number: int) -> str | None:
        boke = self.world.boke.get(number)
        return None if boke is None else self._draw("boke", boke.text, [boke])

    def _list(self, name: str, page: int) -> str | None:
        jokes = None if name in self.gone_lists else self.world.listed(name)
        start, end = page * self.page_size, (page + 1) * self.page_size
        if jokes is None or (page and start >= len(jokes)):
            return None
        following = f"/boke/{name}?page={page + 1}" if end < len(jokes) else ""
        return self._draw("list", f"{name}のボケ一覧", jokes[start:end], number=page, next_path=following)

    def _draw(
        self,
        kind: str,
        title: str,
        jokes: list[SiteBoke],
        *,
        odai: SiteOdai | None = None,
        number: int = 0,
        next_path: str = "",
        unknown: bool = False,
    ) -> str:
        view = View(
            kind=kind,  # type: ignore[arg-type]
            title=title,
            entries=tuple((self.world.odai[boke.odai_id], boke) for boke in jokes),
            odai=odai,
            number=number,
            next_path=next_path,
            categories=CATEGORIES,
            jokes_in_all=len(self.world.boke),
            odai_in_all=len(self.world.odai),
            picture=self._picture_address,
            joke_count=lambda o: len(self.world.jokes_of(o.id)),
        )
        if self.generation == UNKNOWN or unknown:
            cards = "".join(f'<x-card data-boke="{b.id}"><b>{b.text}</b></x-card>' for b in jokes)
            return f"<!DOCTYPE html><html><body><x-app>{cards}</x-app></body></html>"
        if self.generation == 3:
            return layout3.render(view, next_data=self.next_data)
        return (layout1 if self.generation == 1 else layout2).render(view)

    def _words(self, text: str) -> str:
        layout = {1: layout1, 2: layout2}.get(self.generation, layout3)
        return layout.words(text)

    def _picture_address(self, odai: SiteOdai, size: int) -> str:
        base = self.picture_base or self.url
        return f"{base.removeprefix('http:')}/photo/odai/{size}/{odai.picture}_{size}.jpg"


def _html(body: str, status: int, headers: Mapping[str, str]) -> web.Response:
    return web.Response(text=body, status=status, headers=headers, content_type="text/html", charset="utf-8")


async def _serve(arguments: argparse.Namespace) -> None:
    site = BoketeSite(arguments.odai, arguments.generation, arguments.seed)
    await site.start(arguments.port)
    print(
        f"{site.url}  ({len(site.world.odai)} odai, {len(site.world.boke)} jokes, lists {', '.join(LISTS)})", flush=True
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a local copy of the joke site")
    for name, default in (("odai", 200), ("generation", 3), ("seed", 0), ("port", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asyncio.run(_serve(parser.parse_args()))
