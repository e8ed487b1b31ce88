"""A clock that tests move, configurations for the copy of the site, and the corpus as something to compare."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from store.config import Config
from store.database import Database, open_database
from store.tables import Boke, FrontierPage, Odai, Picture
from tests.servers.bokete.world import FIRST_DAY
from tests.servers.bokete_server import BoketeSite
from training.crawl.fetcher import Fetcher
from training.crawl.pages import is_too_fast


class TestClock:
    """Time that passes only where somebody sleeps, or where the test says so. `slept` is every wait, in seconds."""

    __test__ = False

    def __init__(self, start: datetime = FIRST_DAY + timedelta(days=10)) -> None:
        self.moment = start
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.moment += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    def pass_days(self, days: float) -> None:
        self.moment += timedelta(days=days)


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def crawl_config(make_config: Callable[..., Config]) -> Callable[..., Config]:
    """`crawl_config(site, max_requests=30)`: turned on, no delays unless the test wants them."""

    def make(site: BoketeSite | str, **keys: Any) -> Config:
        url = site if isinstance(site, str) else site.url
        quick = {"delay_s": 0, "backoff_s": 0, "max_requests": 100_000, "contact": "owner@example.org"}
        return make_config(crawl={"enabled": True, "base_url": url, **quick, **keys})

    return make


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'corpus.db'}")
    yield opened
    opened.close()


@pytest.fixture
def fetcher_for(crawl_config: Callable[..., Config], clock: TestClock) -> Callable[..., Fetcher]:
    """A Fetcher on the test's clock, with a fixed seed for its jitter."""

    def make(site: BoketeSite | str, *, scheduled: bool = False, **keys: Any) -> Fetcher:
        config = crawl_config(site, **keys)
        return Fetcher(config, clock, scheduled=scheduled, is_too_fast=is_too_fast, rng=random.Random(1))

    return make


def corpus_of(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Everything of the corpus that does not depend on when it was crawled."""
    with database.reader() as session:
        odai = select(Odai.external_id, Odai.picture_digest, Odai.title, Odai.category, Odai.boke_count)
        boke = select(
            Boke.external_id, Odai.external_id, Boke.text, Boke.text_hash, Boke.stars, Boke.ratings, Boke.category,
            Boke.picture_digest, Boke.posted, Boke.flagged,
        ).join(Odai, Boke.odai_id == Odai.id)  # fmt: skip
        picture = select(Picture.digest, Picture.path, Picture.width, Picture.height)
        found = {"odai": odai, "boke": boke, "pictures": picture}
        return {name: sorted(tuple(row) for row in session.execute(query)) for name, query in found.items()}


def done_urls(database: Database) -> set[str]:
    """What the frontier says was fetched and stored."""
    with database.reader() as session:
        return set(session.scalars(select(FrontierPage.url).where(FrontierPage.state == "done")))


def jokes_in(database: Database) -> dict[str, Boke]:
    """Jokes by the site's id; their own columns only."""
    with database.reader() as session:
        rows = {row.external_id or "": row for row in session.scalars(select(Boke))}
        session.expunge_all()
    return rows


def expected_jokes(site: BoketeSite) -> set[tuple[str, str, str, float]]:
    """What the corpus must hold; a site that shows every joke of an odai on its page."""
    return {(str(b.id), str(b.odai_id), b.text, float(b.stars)) for b in site.world.boke.values()}


def stored_jokes(database: Database) -> set[tuple[str | None, str, str, float | None]]:
    return {(row[0], row[1], row[2], row[4] or 0.0) for row in corpus_of(database)["boke"]}
