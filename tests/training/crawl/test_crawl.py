"""Whole nights against the copy of the site."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import select

from bokemodel.pictures import open_file
from store.config import Config
from store.database import Database, open_database
from store.tables import Boke, Odai, Picture
from tests.servers.bokete.world import CATEGORIES, LISTS
from tests.servers.bokete_server import BoketeSite
from tests.training.crawl.conftest import TestClock, corpus_of, expected_jokes, jokes_in, stored_jokes
from training.crawl import CrawlReport, crawl
from training.crawl.frontier import MISSES

Make = Callable[..., Config]


@pytest.mark.parametrize("generation", [1, 2, 3])
async def test_a_whole_night(
    generation: int, crawl_config: Make, any_database: Database, clock: TestClock, tmp_path: Path
) -> None:
    async with BoketeSite(odai=25, generation=generation, shown=100) as site:
        config = crawl_config(site)
        report = await crawl(config, any_database, scheduled=False, clock=clock)

        assert stored_jokes(any_database) == expected_jokes(site)
        with any_database.reader() as session:
            odai = {row.external_id: row for row in session.scalars(select(Odai))}
            assert set(odai) == {str(number) for number in site.world.odai}
            for number, posed in site.world.odai.items():
                assert (odai[str(number)].title or "") == posed.title
                assert odai[str(number)].picture_digest is not None
            assert all(row.picture_digest == row.odai.picture_digest for row in session.scalars(select(Boke)))  # type: ignore[union-attr]
            pictures = session.scalars(select(Picture)).all()
        assert len(pictures) == len({o.picture for o in site.world.odai.values()})
        for picture in pictures:
            file = config.data.dir / picture.path
            assert picture.path.startswith(f"pictures/{picture.digest[:2]}/{picture.digest}.jpg")
            assert (file.stat().st_size, open_file(file).size) == (picture.bytes, (picture.width, picture.height))

        assert report.ended == "done"
        assert report.requests == site.fetched.total()
        assert (report.new_odai, report.new_boke) == (25, len(site.world.boke))
        assert (report.pictures, report.bad_pictures, report.unknown, report.failed) == (len(pictures), 0, 0, 0)
        assert report.layouts == {generation: report.pages}
        assert (report.lists_gone, report.warnings) == ((), ())
        assert max(site.served.values()) == 1  # nothing twice
        assert site.most_at_once == 1
        for name in LISTS:
            assert site.served[f"/boke/{name}?page=0"] == 1
        for name in CATEGORIES:
            assert site.served[f"/boke/category/{quote(name)}/hot?page=0"] == 1


async def test_the_json_and_the_shown_page_give_the_same_jokes(
    crawl_config: Make, database: Database, clock: TestClock, tmp_path: Path
) -> None:
    other = open_database(f"sqlite:///{tmp_path / 'other.db'}")
    for next_data, into in ((True, database), (False, other)):
        async with BoketeSite(odai=30, next_data=next_data) as site:
            await crawl(crawl_config(site), into, scheduled=False, clock=clock)
    found, shown = corpus_of(database), corpus_of(other)
    assert [row[:5] for row in found["boke"]] == [row[:5] for row in shown["boke"]]
    assert found["pictures"] == shown["pictures"]
    other.close()


@pytest.mark.parametrize("validators", [{"etag": True}, {"etag": False}, {"etag": False, "last_modified": True}])
async def test_a_second_night_fetches_only_what_is_new(
    validators: dict[str, bool], crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=30, shown=100, **validators) as site:  # type: ignore[arg-type]
        config = crawl_config(site)
        await crawl(config, database, scheduled=True, clock=clock)
        first = site.fetched.copy()
        known_pictures = site.picture_paths()
        known_odai = set(site.world.odai)

        clock.pass_days(1)
        new_odai, new_boke = site.world.grow(odai=7)
        site.forget_counts()
        report = await crawl(config, database, scheduled=True, clock=clock)

        assert (report.new_odai, report.new_boke) == (7, len(new_boke))
        assert stored_jokes(database) == expected_jokes(site)
        assert all(site.served[f"/odai/{odai.id}"] == 1 for odai in new_odai)
        pictures = {path for path in site.fetched if path.startswith("/photo")}
        assert pictures == site.picture_paths() - known_pictures
        again = {path for path in site.fetched if path in first and "?page=" not in path and path != "/robots.txt"}
        assert not again & {f"/odai/{number}" for number in known_odai}
        assert sum(path.startswith("/odai/") for path in again) <= MISSES  # ids that were not there last night
        assert max(site.fetched.values()) == 1

        # A third night with nothing new costs a look at the lists and behind the newest odai.
        clock.pass_days(1)
        site.forget_counts()
        report = await crawl(config, database, scheduled=True, clock=clock)
        assert (report.new_odai, report.new_boke, report.pages * validators.get("etag", True)) == (0, 0, 0)
        assert site.fetched.total() <= 1 + 2 * (len(LISTS) + len(CATEGORIES)) + MISSES
        assert site.served.total() <= 1 + (0 if validators["etag"] or validators.get("last_modified") else 11)


async def test_a_new_joke_on_an_old_odai_comes_by_the_lists(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=40, shown=100) as site:
        await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        clock.pass_days(1)
        site.world.grow(jokes=5)
        report = await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        assert report.new_boke == 5
        assert stored_jokes(database) == expected_jokes(site)


async def test_new_odai_beyond_a_large_hole(crawl_config: Make, database: Database, clock: TestClock) -> None:
    async with BoketeSite(odai=30, shown=100, jokes=3) as site:
        await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        clock.pass_days(1)
        site.world._next_odai += 3 * MISSES
        beyond, _ = site.world.grow(odai=5)
        await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        assert {str(odai.id) for odai in beyond} <= {row[0] for row in corpus_of(database)["odai"]}


async def test_an_id_out_of_all_order_does_not_lead_the_range_away(
    crawl_config: Make, database: Database, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.crawl.frontier.HOLE", 50)
    async with BoketeSite(odai=20, shown=100) as site:
        await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        following, site.world._next_odai = site.world._next_odai, 10**9
        stray, _ = site.world.grow(odai=1)
        for _ in range(2):
            clock.pass_days(1)
            site.forget_counts()
            await crawl(crawl_config(site), database, scheduled=False, clock=clock)
            assert site.fetched.total() < 200
        site.world._next_odai = following
        new, _ = site.world.grow(odai=5)
        clock.pass_days(1)
        await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        assert {str(odai.id) for odai in (*stray, *new)} <= {row[0] for row in corpus_of(database)["odai"]}


async def test_lists_that_are_gone_are_noted_and_passed_over(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=30, gone_lists=("legend", "category/例え/hot"), shown=100) as site:
        report = await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        assert len(report.lists_gone) == 2
        assert report.lists_gone[0] == "legend"
        assert stored_jokes(database) == expected_jokes(site)
        site.gone_lists.clear()
        clock.pass_days(1)
        assert (await crawl(crawl_config(site), database, scheduled=False, clock=clock)).lists_gone == ()


async def test_no_list_at_all(crawl_config: Make, database: Database, clock: TestClock) -> None:
    async with BoketeSite(odai=30, first_id=1, gone_lists=LISTS, shown=100) as site:
        report = await crawl(crawl_config(site), database, scheduled=False, clock=clock)
        assert set(report.lists_gone) == {*LISTS, *(n for n in report.lists_gone if n.startswith("category/"))}
        assert stored_jokes(database) == expected_jokes(site)


async def test_only_the_lists_and_pages_that_the_owner_wants(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=60) as site:
        config = crawl_config(site, lists=["recent"], categories=["バカ"], list_pages=2, backfill=False)
        await crawl(config, database, scheduled=False, clock=clock)
        lists = {path for path in site.fetched if "?page=" in path}
        category = "/boke/category/%E3%83%90%E3%82%AB/hot"
        assert lists == {f"{name}?page={page}" for name in ("/boke/recent", category) for page in (0, 1)}
        named = {
            str(boke.odai_id)
            for name in ("recent", "category/バカ/hot")
            for boke in (site.world.listed(name) or [])[:20]
        }
        assert {row[0] for row in corpus_of(database)["odai"]} == named
        older = {f"/odai/{number}" for number in site.world.odai if str(number) not in named}
        assert older
        assert not older & set(site.fetched)


async def test_a_budget_over_many_nights_ends_with_the_same_corpus(
    crawl_config: Make, database: Database, clock: TestClock, tmp_path: Path
) -> None:
    async with BoketeSite(odai=40) as site:
        unbroken = open_database(f"sqlite:///{tmp_path / 'unbroken.db'}")
        await crawl(crawl_config(site), unbroken, scheduled=False, clock=clock)
        site.forget_counts()
        config = crawl_config(site, max_requests=25)
        reports: list[CrawlReport] = []
        while not reports or reports[-1].ended != "done":
            reports.append(await crawl(config, database, scheduled=False, clock=clock))
            assert reports[-1].requests == 25 or reports[-1].ended == "done"
            assert len(reports) < 30
        assert reports[0].ended == "budget"
        pages = {path: n for path, n in site.served.items() if path != "/robots.txt"}
        assert max(pages.values()) == 1
        assert corpus_of(database) == corpus_of(unbroken)
        unbroken.close()


async def test_jokes_have_their_pictures_even_on_a_small_budget(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=80) as site:
        config = crawl_config(site, max_requests=120, lists=["hot"], categories=["バカ"])
        await crawl(config, database, scheduled=False, clock=clock)
        bare = [boke for boke in jokes_in(database).values() if boke.picture_digest is None]
        assert len(bare) <= 0.1 * len(jokes_in(database))


async def test_the_next_night_begins_with_the_lists_even_if_the_last_was_cut_short(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=60) as site:
        await crawl(crawl_config(site, max_requests=100), database, scheduled=False, clock=clock)
        site.forget_counts()
        clock.pass_days(1)
        site.world.grow(odai=1)
        await crawl(crawl_config(site, max_requests=100), database, scheduled=False, clock=clock)
        assert {f"/boke/{name}?page=0" for name in LISTS} <= set(site.fetched)


async def test_hours_end_a_scheduled_night_in_order(crawl_config: Make, database: Database, clock: TestClock) -> None:
    async with BoketeSite(odai=30) as site:
        closed = crawl_config(site, hours="01:00-02:00")  # the clock stands at noon in Tokyo
        report = await crawl(closed, database, scheduled=True, clock=clock)
        assert (report.ended, report.requests, site.fetched.total()) == ("hours", 0, 0)
        assert (await crawl(closed, database, scheduled=False, clock=clock)).ended == "done"


async def test_stars_of_older_jokes_are_read_again_young_ones_first(
    crawl_config: Make, database: Database, clock: TestClock
) -> None:
    async with BoketeSite(odai=20, holes=0, shown=100) as site:
        config = crawl_config(site, lists=["recent"], list_pages=1, refresh_days=7)
        await crawl(config, database, scheduled=False, clock=clock)
        for boke_id in list(site.world.boke):
            site.world.rate(boke_id, 100)
        clock.pass_days(3)
        site.forget_counts()
        await crawl(config, database, scheduled=False, clock=clock)
        assert not [path for path in site.served if path.startswith("/odai/")]
        clock.pass_days(5)
        report = await crawl(config, database, scheduled=False, clock=clock)
        assert {f"/odai/{n}" for n in site.world.odai} <= set(site.fetched)
        assert report.new_boke == 0
        assert stored_jokes(database) == expected_jokes(site)
        # Half of its age goes by before an older one is read again.
        clock.pass_days(60)
        await crawl(config, database, scheduled=False, clock=clock)
        site.forget_counts()
        clock.pass_days(20)
        await crawl(config, database, scheduled=False, clock=clock)
        assert not [path for path in site.fetched if path in {f"/odai/{n}" for n in site.world.odai}]
        clock.pass_days(20)
        await crawl(config, database, scheduled=False, clock=clock)
        assert {f"/odai/{n}" for n in site.world.odai} <= set(site.fetched)
