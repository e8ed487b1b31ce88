"""Nights on which something is wrong: with the site, with the configuration, with the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event, select

from store.config import Config
from store.database import Database, open_database
from store.tables import FrontierPage, Odai
from tests.servers.bokete_server import UNKNOWN, BoketeSite
from tests.training.crawl.conftest import TestClock, corpus_of, done_urls, expected_jokes, jokes_in, stored_jokes
from training.crawl import CrawlFailed, CrawlOff, CrawlRefused, CrawlReport, SiteTooBusy, crawl

Make = Callable[..., Config]


async def test_off_until_the_owner_turns_it_on(make_config: Make, database: Database) -> None:
    async with BoketeSite(odai=2) as site:
        with pytest.raises(CrawlOff, match=r"crawl\.enabled"):
            await crawl(make_config(crawl={"base_url": site.url}), database, scheduled=False)
        assert site.fetched.total() == 0


async def test_a_missing_contact_is_a_warning(crawl_config: Make, database: Database, clock: TestClock) -> None:
    async with BoketeSite(odai=2) as site:
        report = await crawl(crawl_config(site, contact=""), database, scheduled=False, clock=clock)
        assert report.ended == "done"
        assert any("crawl.contact" in line for line in report.warnings)


@pytest.mark.parametrize("robots", ["User-agent: *\nDisallow: /", "User-agent: *\nDisallow: /odai/"])
async def test_robots_that_close_the_odai_end_the_crawl(
    robots: str, crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=30, robots=robots) as site:
        with pytest.raises(CrawlRefused, match=r"robots\.txt") as caught:
            await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        assert not [path for path in site.fetched if path.startswith("/odai/")]
        assert caught.value.report is not None
        assert caught.value.report.requests == site.fetched.total()


async def test_a_403_in_the_middle_keeps_what_there_is(
    crawl_config: Make, database: Database, clock: TestClock, tmp_path: Path
) -> None:
    async with BoketeSite(odai=30) as site:
        site.fail("/odai/", 403)
        with pytest.raises(CrawlRefused) as caught:
            await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        before = corpus_of(database)
        assert caught.value.report is not None
        assert caught.value.report.new_boke == len(before["boke"]) > 0
        # Another time it goes on where it was.
        site.forget_counts()
        await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        assert not [path for path in site.fetched if path.startswith("/boke/") and "page=0" in path]
        whole = open_database(f"sqlite:///{tmp_path / 'whole.db'}")
        await crawl(crawl_config(site), whole, scheduled=False, clock=clock)
        assert corpus_of(database) == corpus_of(whole)
        whole.close()


async def test_a_site_in_a_bad_mood(crawl_config: Make, database: Database, clock: TestClock, tmp_path: Path) -> None:
    """429s with Retry-After, error pages and broken answers now and then: slower, but the same corpus."""
    async with BoketeSite(odai=40) as site:
        calm = open_database(f"sqlite:///{tmp_path / 'calm.db'}")
        await crawl(crawl_config(site), calm, scheduled=False, clock=clock)
        site.fail("/", 429, times=10, every=17, headers={"Retry-After": "3"})
        site.fail("/", 502, times=10, every=23)
        site.fail("/odai/", 200, times=3, every=10, body=site._words("エラーが発生しました。"))
        report = await crawl(crawl_config(site, backoff_s=300), database, scheduled=False, clock=clock)
        assert (report.ended, report.waits) == ("done", 13)
        assert max(clock.slept) >= 300
        assert corpus_of(database) == corpus_of(calm)
        calm.close()


async def test_a_site_that_stays_too_busy(crawl_config: Make, database: Database, clock: TestClock) -> None:
    async with BoketeSite(odai=30) as site:
        site.fail("/boke/popular", 429, times=100)
        with pytest.raises(SiteTooBusy) as caught:
            await crawl(crawl_config(site, max_backoffs=2), database, scheduled=False, clock=clock)
        assert caught.value.report is not None
        assert caught.value.report.waits == 3
        assert len(corpus_of(database)["boke"]) > 0


async def test_the_layout_changes_half_way(
    crawl_config: Make, database: Database, clock: TestClock, tmp_path: Path
) -> None:
    async with BoketeSite(odai=40, generation=2, shown=100) as site:
        site.change_layout(3, after=120)
        report = await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        assert report.ended == "done"
        assert set(report.layouts) == {2, 3}
        assert report.unknown == 0
        assert stored_jokes(database) == expected_jokes(site)
        with database.reader() as session:
            assert session.scalars(select(Odai.id).where(Odai.picture_digest.is_(None))).all() == []


async def test_pictures_are_fetched_once_whatever_size_a_page_names(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    """The first layout names pictures of 400 pixels, the others of 600: the name in the address is the picture."""
    async with BoketeSite(odai=30, generation=1) as site:
        await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        pictures = corpus_of(database)["pictures"]
        site.generation = 3
        site.forget_counts()
        clock.pass_days(30)
        site.world.grow(odai=3)
        report = await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        assert report.layouts[3] > 20
        assert report.pictures <= 3
        assert len(corpus_of(database)["pictures"]) == len(pictures) + report.pictures


async def test_a_new_layout_fails_loudly_and_touches_nothing(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=40, shown=100) as site:
        config = crawl_config(site)
        await crawl(config, database, scheduled=False, clock=clock)
        before, done = corpus_of(database), done_urls(database)
        site.generation = UNKNOWN
        site.world.grow(odai=10)
        site.forget_counts()
        clock.pass_days(40)
        with pytest.raises(CrawlFailed, match="no known layout") as caught:
            await crawl(config, database, scheduled=False, clock=clock)
        report = caught.value.report
        assert report is not None
        assert report.unknown >= 10
        assert site.fetched.total() <= 25  # it does not read the whole site to find out
        assert corpus_of(database) == before
        kept = list((config.data.dir / "unknown-pages").glob("*.html"))
        assert len(kept) == report.unknown
        assert "<x-app>" in kept[0].read_text()
        # Once the site is as it was (or the parser has learnt), nothing is missing.
        site.generation = 3
        clock.pass_days(1)
        await crawl(config, database, scheduled=False, clock=clock)
        assert stored_jokes(database) == expected_jokes(site)
        assert done <= done_urls(database)


async def test_a_few_odd_pages_are_kept_and_passed_over(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=60, shown=100) as site:
        site.unknown_share = 0.02
        config = crawl_config(site, unknown_share=0.1)
        report = await crawl(config, database, scheduled=False, clock=clock)
        assert report.ended == "done"
        assert 0 < report.unknown < 10
        assert len(list((config.data.dir / "unknown-pages").glob("*.html"))) == report.unknown
        site.unknown_share = 0.0
        clock.pass_days(1)
        await crawl(config, database, scheduled=False, clock=clock)
        assert stored_jokes(database) == expected_jokes(site)


async def test_a_share_above_the_limit_fails(crawl_config: Make, database: Database, clock: TestClock) -> None:
    async with BoketeSite(odai=60) as site:
        site.unknown_share = 0.5
        with pytest.raises(CrawlFailed, match="no known layout"):
            await crawl(crawl_config(site), database, scheduled=False, clock=clock)


async def test_a_single_odd_page_on_a_quiet_night_is_no_new_layout(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=30) as site:
        await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        clock.pass_days(1)
        (odd,), _ = site.world.grow(odai=1)
        site.fail(f"/odai/{odd.id}", 200, body="<html><body>?</body></html>")
        report = await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        assert (report.ended, report.unknown) == ("done", 1)


async def test_pictures_that_are_none_and_pictures_that_are_late(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=30) as site:
        bad, gone, *_ = sorted(site.picture_paths())
        site.fail(bad, 200, times=2, body="<html>no picture</html>")
        site.fail(gone, 404, times=1)
        report = await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        assert (report.bad_pictures, report.failed) == (1, 1)
        clock.pass_days(1)
        report = await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        assert (report.bad_pictures, report.pictures) == (1, 1)
        clock.pass_days(1)
        assert (await crawl(crawl_config(site), database, scheduled=False, clock=clock)).pictures == 1
        assert all(boke.picture_digest for boke in jokes_in(database).values())


async def test_a_picture_that_never_comes_is_given_up(crawl_config: Make, database: Database, clock: TestClock) -> None:
    async with BoketeSite(odai=10) as site:
        path = min(site.picture_paths())
        site.fail(path, 404, times=1000)
        for _ in range(8):
            await crawl(crawl_config(site), database, scheduled=False, clock=clock)
            clock.pass_days(1)
        assert site.fetched[path] == 5
        with database.reader() as session:
            row = session.scalars(select(FrontierPage).where(FrontierPage.url == site.url + path)).one()
            assert (row.state, row.attempts) == ("failed", 5)


async def test_no_place_for_pictures(crawl_config: Make, database: Database, clock: TestClock) -> None:
    async with BoketeSite(odai=10) as site:
        config = crawl_config(site)
        config.data.dir.mkdir(parents=True)
        (config.data.dir / "pictures").write_text("in the way")
        with pytest.raises(CrawlFailed, match="cannot keep a picture"):
            await crawl(config, database, scheduled=False, clock=clock)
        (config.data.dir / "pictures").unlink()
        assert (await crawl(config, database, scheduled=False, clock=clock)).ended == "done"
        assert all(boke.picture_digest for boke in jokes_in(database).values())


async def test_pictures_from_another_host(crawl_config: Make, database: Database, clock: TestClock) -> None:
    async with BoketeSite(odai=20, generation=2) as cdn:
        async with BoketeSite(odai=20, generation=2, picture_base=cdn.url.replace("127.0.0.1", "localhost")) as site:
            report = await crawl(crawl_config(site), database, scheduled=False, clock=clock)
            assert report.pictures == len(site.picture_paths())
            assert set(cdn.fetched) == {"/robots.txt", *site.picture_paths()}
            assert not [path for path in site.fetched if path.startswith("/photo")]


async def test_a_closed_picture_host_leaves_them_for_another_night(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=20) as cdn:
        async with BoketeSite(odai=20, picture_base=cdn.url.replace("127.0.0.1", "localhost")) as site:
            cdn.fail("/photo", 403)
            report = await crawl(crawl_config(site), database, scheduled=False, clock=clock)
            assert (report.ended, report.pictures) == ("done", 0)
            assert len(report.warnings) == 1
            assert cdn.fetched.total() == 2  # robots.txt and one no
            assert report.failed < len(site.picture_paths())  # put off together, not one by one
            assert len(jokes_in(database)) > 0
            clock.pass_days(1)
            report = await crawl(crawl_config(site), database, scheduled=False, clock=clock)
            assert report.pictures == len(site.picture_paths())


async def test_a_page_that_sends_on_to_the_front_page_is_gone(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=20) as site:
        number = next(iter(site.world.odai))
        site.fail(f"/odai/{number}", 302, times=1, headers={"Location": "/boke/hot?page=0"})
        await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        with database.reader() as session:
            row = session.scalars(select(FrontierPage).where(FrontierPage.url == f"/odai/{number}")).one()
            assert row.error == "404"


async def test_progress_is_told_after_every_address(crawl_config: Make, database: Database, clock: TestClock) -> None:
    told: list[CrawlReport] = []
    async with BoketeSite(odai=10) as site:
        report = await crawl(crawl_config(site), database, scheduled=False, clock=clock, progress=told.append)
    assert told[-1] == report
    assert [entry.requests for entry in told] == sorted(entry.requests for entry in told)
    assert len(told) >= report.requests - 1


async def test_the_next_task_is_a_step_in_an_index(crawl_config: Make, database: Database, clock: TestClock) -> None:
    """The queue may hold millions of addresses; each of its questions reads a few."""
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, parameters: object, *rest: object) -> None:
        if statement.startswith("SELECT") and "FROM frontier" in statement:
            statements.append(statement)

    async with BoketeSite(odai=5) as site:
        event.listen(database.engine, "before_cursor_execute", note)
        await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        event.remove(database.engine, "before_cursor_execute", note)
    assert len(set(statements)) >= 3
    with database.engine.connect() as connection:
        for statement in set(statements):
            values = tuple("1" for _ in range(statement.count("?")))
            plan = " ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values))
            assert "USING INDEX" in plan, plan
            assert "TEMP B-TREE" not in plan, plan
