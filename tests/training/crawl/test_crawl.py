"""Whole nights against the copy of the site."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import event, select

from bokemodel.pictures import open_file
from store.config import Config
from store.database import Database, open_database
from store.tables import Boke, FrontierPage, Odai, Picture
from tests.servers.bokete.world import CATEGORIES, LISTS
from tests.servers.bokete_server import UNKNOWN, BoketeSite
from tests.training.crawl.conftest import TestClock, corpus_of, done_urls, jokes_in
from training.crawl import CrawlFailed, CrawlOff, CrawlRefused, CrawlReport, SiteTooBusy, crawl
from training.crawl.frontier import MISSES

Make = Callable[..., Config]


def expected_jokes(site: BoketeSite) -> set[tuple[str, str, str, float]]:
    """What the corpus must hold; a site that shows every joke of an odai on its page."""
    return {(str(b.id), str(b.odai_id), b.text, float(b.stars)) for b in site.world.boke.values()}


def stored_jokes(database: Database) -> set[tuple[str | None, str, str, float | None]]:
    return {(row[0], row[1], row[2], row[4] or 0.0) for row in corpus_of(database)["boke"]}


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


# --- what can be wrong ---


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
