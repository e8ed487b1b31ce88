"""What the crawl knows of and has yet to fetch, in the table `frontier`.

A page of the site is kept by its path ("/odai/591"), a picture by its address. Nothing here opens a transaction to write: the
caller's session marks a page in the same transaction that stores what the page held, so that a process killed at any moment
has either both or none.

The order: lists, pictures of the odai known by then, new odai, odai that lists named, pages whose stars are due again, and
older odai, newest first, with what is left of the night's requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from store.database import Database
from store.sections import Crawl
from store.tables import FrontierPage
from training.crawl.night import Night, load_night, save_night
from training.crawl.reading import id_in

Kind = Literal["list", "odai", "boke", "picture"]

LIST, PICTURE, NEW, NAMED, REFRESH, OLD = 0, 10, 20, 30, 40, 50

AGAIN = timedelta(hours=20)  # the next night, even if it begins somewhat earlier
CONTINUES = timedelta(hours=12)  # a night that was cut short is continued for so long; later, a new one begins
FORBIDDEN = timedelta(days=7)
TRIES = 5  # nights on which an address may fail
MISSES = 20  # 404s in a row behind the newest odai that end the range
HOLE = 1000  # the same below an id that a page named
OLD_MISSES = 50  # the same for older ones, whose ids have larger holes
BATCH = 200  # ids looked up at once
MAX_URL = 512


@dataclass(frozen=True)
class Task:
    """One address to be fetched next.

    Attributes:
        url: the path of a page of the site, the address of a picture.
        priority: why it is fetched; NEW and OLD move the night's ranges on.
        known: it was stored before.
    """

    url: str
    kind: Kind
    priority: int
    known: bool = False
    etag: str | None = None
    last_modified: str | None = None
    content_digest: str | None = None

    @property
    def odai_id(self) -> int:
        """The id in the address of an odai; 0 in others."""
        return int(id_in(self.url, "odai") or 0)


class Frontier:
    """The queue of one process. `night` is where the crawl stands, as of the last transaction that went through."""

    def __init__(self, database: Database, settings: Crawl) -> None:
        self.night = Night()
        self._database = database
        self._settings = settings

    def open_night(self, moment: datetime) -> None:
        """Continue the night that was cut short, or begin a new one with the first page of every list."""
        with self._database.session() as session:
            night = load_night(session)
            if not (night.open and night.began and moment - night.began < CONTINUES):
                night = night.next_night(moment)
                for name in self._settings.lists:
                    self.add(session, list_path(name), "list", LIST, moment, again=True)
                for name in self._settings.categories or night.categories:
                    self.add(session, category_path(name), "list", LIST, moment, again=True)
                save_night(session, self._database, night, moment)
        self.night = night

    def close_night(self, moment: datetime) -> None:
        """Nothing is left to do."""
        night = replace(self.night, open=False)
        with self._database.session() as session:
            save_night(session, self._database, night, moment)
        self.night = night

    def next_task(self, moment: datetime) -> Task | None:
        """What to fetch now; None: nothing that is due."""
        with self._database.reader() as session:
            if task := self._waiting(session, moment, LIST, PICTURE):
                return task
            if self.night.ahead is None:
                self.night = self.night.with_range()
            if task := self._ahead(session, moment):
                return task
            if task := self._waiting(session, moment, NEW, NAMED) or self._first(session, moment, "done", REFRESH):
                return task
            if task := self._waiting(session, moment, REFRESH, OLD):
                return task
            return self._back(session) if self._settings.backfill else None

    # --- within the caller's transaction ---

    def add(
        self, session: Session, url: str, kind: Kind, priority: int, moment: datetime, *, again: bool = False
    ) -> None:
        """An address that a page named. `again`: fetch it anew if it was fetched before, else leave it as it is."""
        if len(url) > MAX_URL:
            return
        fresh = {"state": "waiting", "priority": priority, "next_try": moment, "attempts": 0}
        insert = self._database.insert(FrontierPage).values(url=url, kind=kind, found=moment, **fresh)
        if again:
            insert = insert.on_conflict_do_update(index_elements=["url"], set_=fresh)
        else:
            insert = insert.on_conflict_do_nothing(index_elements=["url"])
        session.execute(insert)

    def mark_done(
        self,
        session: Session,
        task: Task,
        moment: datetime,
        *,
        next_try: datetime | None = None,
        etag: str | None = None,
        last_modified: str | None = None,
        content_digest: str | None = None,
    ) -> None:
        """Fetched and stored. It comes round again at `next_try`."""
        self._mark(
            session,
            task,
            moment,
            state="done",
            priority=REFRESH if task.kind in ("odai", "boke") else task.priority,
            attempts=0,
            next_try=next_try or moment,
            fetched=moment,
            missing_since=None,
            error=None,
            etag=etag if len(etag or "") <= 256 else None,
            last_modified=last_modified if len(last_modified or "") <= 64 else None,
            content_digest=content_digest,
        )

    def mark_missing(self, session: Session, task: Task, moment: datetime, *, again: bool) -> None:
        """Not there. `again`: what the corpus has of it leaves only after several nights, so ask again the next one."""
        row = self._row(session, task)
        values: dict[str, Any] = {"etag": None, "last_modified": None, "content_digest": None, "error": "404"}
        since = row.missing_since if row is not None and row.missing_since else moment
        attempts = (row.attempts if row is not None else 0) + 1
        if again:
            priority = REFRESH if task.kind in ("odai", "boke") else task.priority
            values |= {"state": "waiting", "priority": priority, "next_try": moment + AGAIN}
        else:
            values |= {"state": "gone"}
        self._mark(session, task, moment, **values, attempts=attempts, missing_since=since)

    def mark_gone(self, session: Session, url: str, kind: Kind, moment: datetime) -> None:
        """It left the corpus: the mark that stays."""
        self.add(session, url, kind, REFRESH, moment)
        values = {"state": "gone", "error": "404"}
        session.execute(update(FrontierPage).where(FrontierPage.url == url).values(**values))

    def mark_postponed(
        self,
        session: Session,
        task: Task,
        moment: datetime,
        reason: str,
        *,
        after: timedelta = AGAIN,
        count: bool = True,
    ) -> None:
        """Not to be had now; another night. After TRIES nights that count it is given up."""
        row = self._row(session, task)
        attempts = (row.attempts if row is not None else 0) + int(count)
        state = "failed" if attempts >= TRIES else "waiting"
        if task.kind in ("odai", "boke") and task.known and state == "failed":
            state, attempts = "done", 0  # it was understood once: with the others that come round
        error = "".join(c for c in reason if c.isprintable())[:500]
        self._mark(session, task, moment, state=state, attempts=attempts, next_try=moment + after, error=error)

    def postpone_host(self, session: Session, url: str, moment: datetime) -> None:
        """Nothing more comes from this picture's host tonight: all that wait for it wait for the next night."""
        origin = "/".join(url.split("/")[:3]) + "/"
        due = update(FrontierPage).where(
            FrontierPage.state == "waiting", FrontierPage.priority == PICTURE, FrontierPage.next_try <= moment
        )
        session.execute(
            due.where(FrontierPage.url.startswith(origin, autoescape=True)).values(next_try=moment + AGAIN),
            execution_options={"synchronize_session": False},
        )

    def save(self, session: Session, night: Night, moment: datetime) -> None:
        """Write where the crawl stands; `night` becomes `self.night` once the transaction went through."""
        save_night(session, self._database, night, moment)

    def moved(self, task: Task, night: Night, *, found: bool | None) -> Night:
        """Where the ranges stand after this task. `found`: the odai is there; None: unknown."""
        number = task.odai_id
        if task.priority == NEW and number and night.ahead is not None and number >= night.ahead:
            misses = 0 if found else night.misses + int(found is False)
            return replace(night, ahead=number + 1, misses=misses, found=number if found else night.found)
        if task.priority == OLD and number and number <= night.back:
            misses = 0 if found else night.back_misses + int(found is False)
            back = 0 if misses >= OLD_MISSES else number - 1
            return replace(night, back=back, back_misses=misses)
        return night

    # --- what comes next ---

    def _waiting(self, session: Session, moment: datetime, *priorities: int) -> Task | None:
        return next(filter(None, (self._first(session, moment, "waiting", priority) for priority in priorities)), None)

    def _first(self, session: Session, moment: datetime, state: str, priority: int) -> Task | None:
        """The one that is due longest. One question per state and priority, so that each is a single step in the index
        however many addresses wait for another night."""
        query = (
            select(FrontierPage)
            .where(FrontierPage.state == state, FrontierPage.priority == priority, FrontierPage.next_try <= moment)
            .order_by(FrontierPage.next_try)
            .limit(1)
        )
        return _task(session.scalars(query).one_or_none())

    def _ahead(self, session: Session, moment: datetime) -> Task | None:
        """The next id of the range that is not stored yet. Ids that lists brought in meanwhile count as found."""
        night = self.night
        while not night.ahead_done:
            assert night.ahead is not None
            rows = self._odai_rows(session, range(night.ahead, night.ahead + BATCH))
            for number in range(night.ahead, night.ahead + BATCH):
                if night.misses >= HOLE:  # whatever named a higher one was wrong
                    night = replace(night, ahead_done=True, highest=night.found)
                    break
                if night.misses >= MISSES and number > night.highest:
                    night = replace(night, ahead_done=True)
                    break
                row = rows.get(odai_path(number))
                if row is None or row.state == "gone" or (row.state == "waiting" and row.next_try <= moment):
                    self.night = night
                    return replace(_task(row) or Task(odai_path(number), "odai", NEW), priority=NEW)
                done = row.state == "done"
                night = replace(
                    night,
                    ahead=number + 1,
                    misses=0 if done else night.misses,
                    found=number if done else night.found,
                )
        self.night = night
        return None

    def _back(self, session: Session) -> Task | None:
        """The next older odai that no list has named."""
        while self.night.back > 0:
            numbers = range(self.night.back, max(self.night.back - BATCH, 0), -1)
            rows = self._odai_rows(session, numbers)
            for number in numbers:
                self.night = replace(self.night, back=number)
                if odai_path(number) not in rows:
                    return Task(odai_path(number), "odai", OLD)
                self.night = replace(self.night, back=number - 1, back_misses=0)
        return None

    def _odai_rows(self, session: Session, numbers: Iterable[int]) -> dict[str, FrontierPage]:
        query = select(FrontierPage).where(FrontierPage.url.in_([odai_path(number) for number in numbers]))
        return {row.url: row for row in session.scalars(query)}

    def _row(self, session: Session, task: Task) -> FrontierPage | None:
        return session.scalars(select(FrontierPage).where(FrontierPage.url == task.url)).one_or_none()

    def _mark(self, session: Session, task: Task, moment: datetime, **values: object) -> None:
        first = {"url": task.url, "kind": task.kind, "found": moment, "priority": task.priority, "next_try": moment}
        insert = self._database.insert(FrontierPage).values({"state": "waiting", "attempts": 0, **first, **values})
        session.execute(insert.on_conflict_do_update(index_elements=["url"], set_=values))


def list_path(name: str, page: int = 0) -> str:
    """The path of one page of a list such as "hot"; 0 is the first."""
    return f"/boke/{quote(name, safe='/')}?page={page}"


def category_path(name: str, page: int = 0) -> str:
    """The path of one page of a category's list."""
    return f"/boke/category/{quote(name, safe='')}/hot?page={page}"


def odai_path(number: int | str) -> str:
    """The path of the page of one odai."""
    return f"/odai/{number}"


def boke_path(number: int | str) -> str:
    """The path of the page of one joke."""
    return f"/boke/{number}"


def _task(row: FrontierPage | None) -> Task | None:
    if row is None:
        return None
    kind: Kind = row.kind  # type: ignore[assignment]
    return Task(row.url, kind, row.priority, row.fetched is not None, row.etag, row.last_modified, row.content_digest)
