"""Jokes that the site no longer has leave the corpus, but not at the first 404."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from store.config import Config
from store.database import Database
from store.tables import FrontierPage, Odai
from tests.servers.bokete_server import BoketeSite
from tests.training.crawl.conftest import TestClock, corpus_of, jokes_in
from training.crawl import CrawlReport, crawl

Make = Callable[..., Config]
KEYS = {"lists": ["recent"], "list_pages": 1, "categories": ["バカ"], "gone_count": 3, "gone_days": 3.0}


def state_of(database: Database, path: str) -> str:
    with database.reader() as session:
        return session.scalars(select(FrontierPage.state).where(FrontierPage.url == path)).one()


async def test_a_joke_leaves_after_repeated_404s_over_days(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=15, shown=100) as site:
        config = crawl_config(site, **KEYS)

        async def night(days: float = 1) -> CrawlReport:
            clock.pass_days(days)
            site.forget_counts()
            return await crawl(config, database, scheduled=True, clock=clock)

        await night()
        lost = str(min(site.world.boke))
        kept = set(jokes_in(database)) - {lost}
        site.world.remove_boke(int(lost))

        await night(1)  # nothing is due yet
        assert site.fetched[f"/boke/{lost}"] == 0
        for count, days in ((1, 7.0), (2, 1.0), (3, 1.0)):
            report = await night(days)
            assert (report.missing, report.gone, site.fetched[f"/boke/{lost}"]) == (1, 0, 1)
            joke = jokes_in(database)[lost]
            assert joke.missing_count == count  # marked, and still there
            assert joke.missing_since is not None
        assert (await night(0.1)).missing == 0  # the same night again counts nothing
        report = await night(0.9)  # the third day after the first 404
        assert (report.missing, report.gone) == (1, 1)
        assert set(jokes_in(database)) == kept
        assert state_of(database, f"/boke/{lost}") == "gone"
        assert (await night()).missing == 0  # nobody asks any more
        assert site.fetched[f"/boke/{lost}"] == 0


async def test_a_joke_that_comes_back_stays(crawl_config: Make, database: Database, clock: TestClock) -> None:
    async with BoketeSite(odai=15, shown=100) as site:
        config = crawl_config(site, **KEYS)
        await crawl(config, database, scheduled=True, clock=clock)
        lost = site.world.boke[min(site.world.boke)]
        site.world.remove_boke(lost.id)
        for days in (8, 1):
            clock.pass_days(days)
            await crawl(config, database, scheduled=True, clock=clock)
        assert jokes_in(database)[str(lost.id)].missing_count == 2
        site.world.boke[lost.id] = lost
        for _ in range(5):
            clock.pass_days(1)
            assert (await crawl(config, database, scheduled=True, clock=clock)).gone == 0
        joke = jokes_in(database)[str(lost.id)]
        assert (joke.missing_count, joke.missing_since) == (0, None)


async def test_an_odai_goes_with_its_jokes(crawl_config: Make, database: Database, clock: TestClock) -> None:
    async with BoketeSite(odai=15, shown=100) as site:
        config = crawl_config(site, **KEYS)
        await crawl(config, database, scheduled=True, clock=clock)
        number = next(n for n in site.world.odai if len(site.world.jokes_of(n)) >= 3)
        jokes = {str(boke.id) for boke in site.world.jokes_of(number)}
        site.world.remove_odai(number)
        for days in (8, 1, 1):
            clock.pass_days(days)
            await crawl(config, database, scheduled=True, clock=clock)
            assert jokes <= set(jokes_in(database))
        clock.pass_days(1)
        report = await crawl(config, database, scheduled=True, clock=clock)
        assert report.gone == len(jokes)
        assert set(jokes_in(database)) == {str(boke_id) for boke_id in site.world.boke}
        assert state_of(database, f"/odai/{number}") == "gone"
        with database.reader() as session:  # marked for good
            odai = session.scalars(select(Odai).where(Odai.external_id == str(number))).one()
            assert (odai.missing_count, odai.missing_since is not None) == (4, True)


async def test_a_site_that_moved_takes_nothing_with_it(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    """Every page answers 404 for weeks: that is no reason to forget everything."""
    async with BoketeSite(odai=25, shown=100) as site:
        config = crawl_config(site, **KEYS)
        await crawl(config, database, scheduled=True, clock=clock)
        before = corpus_of(database)
        site.world.odai.clear()
        site.world.boke.clear()
        for days in (8, 1, 1, 1, 1):
            clock.pass_days(days)
            report = await crawl(config, database, scheduled=True, clock=clock)
        assert report.missing > 10
        assert report.gone == 0
        assert any("no joke was removed" in line for line in report.warnings)
        assert corpus_of(database) == before


async def test_a_joke_that_is_only_further_down_is_not_missing(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    """The page of an odai shows the best few; the others are asked for one by one before anybody says they are gone."""
    async with BoketeSite(odai=12, shown=3, jokes=8) as site:
        config = crawl_config(site, lists=["recent"], categories=["バカ"])
        await crawl(config, database, scheduled=True, clock=clock)
        known = jokes_in(database)
        hidden = set(known) - {str(b.id) for n in site.world.odai for b in site.world.jokes_of(n)[:3]}
        assert hidden  # a list named them
        for boke_id in list(site.world.boke):
            site.world.rate(boke_id, 1)
        clock.pass_days(30)
        site.forget_counts()
        report = await crawl(
            crawl_config(site, lists=["legend"], categories=["x"]), database, scheduled=True, clock=clock
        )
        assert report.missing == 0
        now = jokes_in(database)
        for boke_id in hidden:
            assert site.fetched[f"/boke/{boke_id}"] == 1
            assert now[boke_id].stars == site.world.boke[int(boke_id)].stars
            assert now[boke_id].refreshed > known[boke_id].refreshed
