"""One night's crawl: fetch what is due, read it, store it, until nothing is left or the night is over."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session
from yarl import URL

from bokemodel.errors import PictureError
from store.config import Config
from store.database import Database
from training.crawl import storing
from training.crawl.clock import Clock, SystemClock
from training.crawl.errors import (
    CrawlError,
    CrawlFailed,
    CrawlOff,
    CrawlRefused,
    HostClosed,
    NightOver,
    NotAllowed,
    PageFailed,
    SiteTooBusy,
    UnknownLayout,
)
from training.crawl.fetcher import Fetched, Fetcher
from training.crawl.frontier import (
    AGAIN,
    FORBIDDEN,
    LIST,
    NAMED,
    NEW,
    OLD,
    PICTURE,
    REFRESH,
    Frontier,
    Kind,
    Task,
    boke_path,
    category_path,
    odai_path,
)
from training.crawl.night import Night
from training.crawl.pages import Page, is_too_fast, names_nothing, parse_page
from training.crawl.reading import id_in
from training.crawl.report import CrawlReport, Progress
from training.crawl.unknown import keep_unknown, too_many
from training.pictures import keep_picture

log = logging.getLogger(__name__)

MAX_CATEGORIES = 30
FAILURES = 20  # addresses in a row that cannot be had
MASS_LOSS = (
    10  # so many 404s of known pages, and more of them than known pages that are there: the site moved, jokes stay
)


async def crawl(
    config: Config,
    database: Database,
    *,
    scheduled: bool,
    progress: Progress | None = None,
    clock: Clock | None = None,
    rng: random.Random | None = None,
) -> CrawlReport:
    """Bring the corpus up to date with the site.

    Only one process may crawl at a time; the caller sees to that. It may be killed at any moment: what was stored stays, the
    next call continues, and nothing that was stored is fetched again.

    Args:
        scheduled: `crawl.hours` binds a scheduled run, not one by hand.
        progress: called after every request with the counts so far.
        clock: the time it lives by; tests bring their own.

    Returns:
        What was done; `ended` is "done", or "budget" or "hours" where the next night goes on.

    Raises (each with what was done by then in `report`):
        CrawlOff: the owner has not turned the crawl on.
        CrawlRefused: robots.txt or a 403 says no.
        SiteTooBusy: the site keeps saying "too fast", or is down.
        CrawlFailed: a new layout, or no place for pictures.
        DatabaseUnavailable
    """
    if not config.crawl.enabled:
        raise CrawlOff("crawl.enabled is false; read the site's terms, then turn it on in the configuration")
    run = _Crawl(config, database, progress or (lambda report: None), clock or SystemClock())
    try:
        await run.run(scheduled, rng or random.Random())
    except CrawlError as error:
        error.report = run.report
        raise
    return run.report


class _Crawl:
    """One run."""

    def __init__(self, config: Config, database: Database, progress: Progress, clock: Clock) -> None:
        self.report = CrawlReport()
        self._config = config
        self._settings = config.crawl
        self._database = database
        self._progress = progress
        self._clock = clock
        self._frontier = Frontier(database, config.crawl)
        self._known_found = 0  # pages of odai and jokes that the corpus had, and that are still there
        self._ripe: set[tuple[Kind, str]] = set()  # odai and jokes whose last 404 was one too many
        self._failures = 0  # addresses in a row that could not be had
        self._begun = self._clock.monotonic()

    async def run(self, scheduled: bool, rng: random.Random) -> None:
        if not self._settings.contact:
            self._warn("crawl.contact is empty: a site's owner should know whom to write to")
        async with Fetcher(self._config, self._clock, scheduled=scheduled, is_too_fast=is_too_fast, rng=rng) as fetcher:
            try:
                await self._work(fetcher)
                self.report = replace(self.report, ended="done")
            except NightOver as over:
                self.report = replace(self.report, ended=over.reason)
            finally:
                self._count(fetcher)
        self._check_layouts(at_end=True)
        await asyncio.to_thread(self._remove_gone)
        if self.report.ended == "done":
            await asyncio.to_thread(self._frontier.close_night, self._clock.now())
        self._progress(self.report)

    async def _work(self, fetcher: Fetcher) -> None:
        await asyncio.to_thread(self._frontier.open_night, self._clock.now())
        while task := await asyncio.to_thread(self._frontier.next_task, self._clock.now()):
            if task.kind == "picture":
                await self._picture(fetcher, task)
            else:
                await self._page(fetcher, task)
            self._count(fetcher)
            self._progress(self.report)

    def _count(self, fetcher: Fetcher) -> None:
        seconds = self._clock.monotonic() - self._begun
        self.report = replace(self.report, requests=fetcher.requests, waits=fetcher.waits, seconds=seconds)

    def _warn(self, line: str) -> None:
        if line not in self.report.warnings:
            log.warning("%s", line)
        self.report = self.report.with_warning(line)

    # --- pages ---

    async def _page(self, fetcher: Fetcher, task: Task) -> None:
        try:
            fetched = await fetcher.page(task.url, etag=task.etag, last_modified=task.last_modified)
        except PageFailed as error:
            await self._postpone(task, error)
            return
        self._failures = 0
        if fetched.status == 404 or not _is_same(task, fetched):
            await asyncio.to_thread(self._missing, task)
            return
        digest = hashlib.sha256(fetched.body).hexdigest()
        if fetched.status == 304 or digest == task.content_digest:
            await asyncio.to_thread(self._unchanged, task, fetched)
            return
        try:
            page = parse_page(fetched.url, fetched.text)
        except UnknownLayout as error:
            await self._unknown(task, fetched, error)
            return
        if page.kind == "not_found":
            await asyncio.to_thread(self._missing, task)
            return
        await asyncio.to_thread(self._store, task, fetched, page, digest)

    def _store(self, task: Task, fetched: Fetched, page: Page, digest: str) -> None:
        moment = self._clock.now()
        night = self._frontier.night
        with self._database.session() as session:
            stored = storing.store_page(
                session, page, moment, base_url=self._settings.base_url, night=night.began or moment
            )
            for url in stored.pictures:
                self._frontier.add(session, url, "picture", PICTURE, moment)
            numbers = [int(o) for o in stored.odai if o.isdecimal()]
            for number in numbers:
                self._frontier.add(session, odai_path(number), "odai", NAMED, moment)
            night = replace(night, highest=max([night.highest, *numbers]))
            if task.kind == "list":
                self._follow(session, task, page, stored.fresh > 0, moment)
            elif task.kind == "odai":
                self._look_for_unseen(session, task, stored.jokes, moment)
            night = self._add_categories(session, night, page, moment)
            night = self._frontier.moved(task, night, found=True)
            self._frontier.mark_done(
                session,
                task,
                moment,
                next_try=moment + refresh_after(moment - stored.oldest, self._settings.refresh_days),
                etag=fetched.etag,
                last_modified=fetched.last_modified,
                content_digest=digest,
            )
            self._frontier.save(session, night, moment)
        self._frontier.night = night
        self._known_found += task.known
        if page.generation not in self.report.layouts and self.report.layouts:
            log.warning("%s is of layout %d, unlike the pages before it", fetched.url, page.generation)
        self.report = self.report.with_layout(page.generation).plus(
            pages=1, new_odai=stored.new_odai, new_boke=stored.new_boke, updated_boke=stored.updated_boke
        )

    def _unchanged(self, task: Task, fetched: Fetched) -> None:
        moment = self._clock.now()
        night = self._frontier.moved(task, self._frontier.night, found=True)
        with self._database.session() as session:
            oldest = storing.seen_since(session, task.kind, _own_id(task)) or moment
            self._frontier.mark_done(
                session,
                task,
                moment,
                next_try=moment + refresh_after(moment - oldest, self._settings.refresh_days),
                etag=fetched.etag or task.etag,
                last_modified=fetched.last_modified or task.last_modified,
                content_digest=task.content_digest,
            )
            self._frontier.save(session, night, moment)
        self._frontier.night = night
        self._known_found += task.known
        self.report = self.report.plus(unchanged=1)

    def _missing(self, task: Task) -> None:
        """A 404. What the corpus has of it stays until it was missing often and long enough."""
        moment = self._clock.now()
        night = self._frontier.moved(task, self._frontier.night, found=False)
        with self._database.session() as session:
            known = task.kind != "list" and storing.mark_missing(session, task.kind, _own_id(task), moment)
            if known:
                limits = self._settings.gone_count, self._settings.gone_days
                self._ripe |= storing.ripe(session, task.kind, _own_id(task), moment, *limits)
            self._frontier.mark_missing(session, task, moment, again=known)
            self._frontier.save(session, night, moment)
        self._frontier.night = night
        self.report = self.report.plus(missing=int(known))
        if task.kind == "list" and _page_number(task) == 0:
            name = task.url.removeprefix("/boke/").partition("?")[0]
            log.info("the list %s is not there", name)
            self.report = replace(self.report, lists_gone=(*self.report.lists_gone, name))

    async def _postpone(self, task: Task, error: PageFailed) -> None:
        if isinstance(error, NotAllowed) and task.priority in (NEW, OLD):
            raise CrawlRefused(str(error)) from None  # the next thousand would be closed as well
        after, count = (
            (FORBIDDEN, False) if isinstance(error, NotAllowed) else (AGAIN, not isinstance(error, HostClosed))
        )
        await asyncio.to_thread(self._put_off, task, str(error), after, count)
        if isinstance(error, HostClosed):
            await asyncio.to_thread(self._put_off_host, task)
        if not count:
            self._warn(str(error))
        self.report = self.report.plus(**{"failed" if after == AGAIN else "forbidden": 1})
        self._failures = self._failures + 1 if count else self._failures
        if self._failures >= FAILURES:
            raise SiteTooBusy(f"{self._failures} addresses in a row could not be had, the last: {error}") from None

    def _put_off(self, task: Task, reason: str, after: timedelta, count: bool) -> None:
        moment = self._clock.now()
        night = self._frontier.moved(task, self._frontier.night, found=False)
        with self._database.session() as session:
            self._frontier.mark_postponed(session, task, moment, reason, after=after, count=count)
            self._frontier.save(session, night, moment)
        self._frontier.night = night

    def _put_off_host(self, task: Task) -> None:
        with self._database.session() as session:
            self._frontier.postpone_host(session, task.url, self._clock.now())

    async def _unknown(self, task: Task, fetched: Fetched, error: UnknownLayout) -> None:
        if task.kind == "list" and _page_number(task) > 0 and names_nothing(fetched.text):
            await asyncio.to_thread(self._unchanged, task, fetched)  # the empty page behind the list's end
            return
        path = await asyncio.to_thread(
            keep_unknown, self._config.data.dir, fetched.url, fetched.body, self._clock.now()
        )
        log.warning("%s; kept as %s", error, path)
        await asyncio.to_thread(self._put_off, task, str(error), AGAIN, True)
        self.report = self.report.plus(unknown=1)
        self._check_layouts(at_end=False)

    def _check_layouts(self, *, at_end: bool) -> None:
        unknown, understood = self.report.unknown, self.report.pages + self.report.unchanged
        if too_many(unknown, understood, self._settings.unknown_share, at_end=at_end):
            raise CrawlFailed(
                f"{unknown} of {unknown + understood} pages are of no known layout: the site has changed; nothing was taken"
                f" from them, they are kept in {self._config.data.dir / 'unknown-pages'}"
            )

    # --- within a page's transaction ---

    def _follow(self, session: Session, task: Task, page: Page, fresh: bool, moment: datetime) -> None:
        """The list's next page, unless this one brought nothing that this night had not seen."""
        number = _page_number(task) + 1
        if page.jokes and fresh and not page.last and number < self._settings.list_pages:
            path = task.url.partition("?")[0]
            self._frontier.add(session, f"{path}?page={number}", "list", LIST, moment, again=True)

    def _look_for_unseen(self, session: Session, task: Task, shown: tuple[str, ...], moment: datetime) -> None:
        """Jokes that the odai's page shows no longer have pages of their own, which tell whether they are still there."""
        before = moment - timedelta(days=self._settings.refresh_days)
        for external_id in storing.unseen_jokes(session, _own_id(task), shown, before):
            self._frontier.add(session, boke_path(external_id), "boke", REFRESH, moment)

    def _add_categories(self, session: Session, night: Night, page: Page, moment: datetime) -> Night:
        if self._settings.categories:
            return night
        room = MAX_CATEGORIES - len(night.categories)
        names = [name for name in page.categories if name not in night.categories][: max(room, 0)]
        for name in names:
            self._frontier.add(session, category_path(name), "list", LIST, moment)
        return replace(night, categories=(*night.categories, *names))

    # --- pictures, and what is gone ---

    async def _picture(self, fetcher: Fetcher, task: Task) -> None:
        try:
            fetched = await fetcher.picture(task.url)
            if fetched.status != 200:
                raise PageFailed(f"{task.url} answered {fetched.status}")
            self._failures = 0
            await asyncio.to_thread(self._store_picture, task, fetched)
        except PageFailed as error:
            await self._postpone(task, error)
        except PictureError as error:
            log.info("%s: %s", task.url, error)
            await asyncio.to_thread(self._put_off, task, str(error), AGAIN, True)
            self.report = self.report.plus(bad_pictures=1)

    def _store_picture(self, task: Task, fetched: Fetched) -> None:
        moment = self._clock.now()
        try:
            kept = keep_picture(self._config.data.dir, fetched.body, max_pixels=self._config.pictures.max_pixels)
        except OSError as error:
            raise CrawlFailed(f"{self._config.data.dir}: cannot keep a picture: {error.strerror or error}") from None
        with self._database.session() as session:
            storing.store_picture(session, self._database, task.url, kept, moment)
            self._frontier.mark_done(session, task, moment)
        self.report = self.report.plus(pictures=1)

    def _remove_gone(self) -> None:
        """Jokes leave the corpus, unless so much is missing at once that the site has rather moved than forgotten them."""
        if not self._ripe:
            return
        if self.report.missing >= MASS_LOSS and self.report.missing > self._known_found:
            self._warn(
                f"{self.report.missing} known pages are not there and only {self._known_found} are: no joke was removed"
            )
            return
        moment = self._clock.now()
        jokes = sorted(external_id for kind, external_id in self._ripe if kind == "boke")
        with self._database.session() as session:
            storing.remove_jokes(session, jokes)
            for kind, external_id in sorted(self._ripe):
                self._frontier.mark_gone(session, f"/{kind}/{external_id}", kind, moment)
        self.report = self.report.plus(gone=len(jokes))


def refresh_after(age: timedelta, refresh_days: float) -> timedelta:
    """How long until something of that age is read again: `refresh_days`, for older things half their age."""
    return max(timedelta(days=refresh_days), age / 2)


def _own_id(task: Task) -> str:
    return id_in(task.url, task.kind) or ""


def _page_number(task: Task) -> int:
    number = task.url.rpartition("?page=")[2]
    return int(number) if number.isdecimal() else 0


def _is_same(task: Task, fetched: Fetched) -> bool:
    """Did the site answer what it was asked, or send on to its front page?"""
    asked, answered = URL(task.url, encoded=True).path.rstrip("/"), URL(fetched.url).path.rstrip("/")
    return answered.endswith(asked)
