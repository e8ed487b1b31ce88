"""Manners: robots.txt, delays, back-off, budget, hours, and whom a picture may come from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.servers.bokete_server import BoketeSite
from tests.training.crawl.conftest import TestClock
from training.crawl.clock import within_hours
from training.crawl.errors import CrawlRefused, NightOver, NotAllowed, PageFailed, SiteTooBusy
from training.crawl.fetcher import Fetcher, introduction

Make = Callable[..., Fetcher]
HOT = "/boke/hot?page=0"


# --- who asks, and what may be asked for ---


@pytest.mark.parametrize(
    ("contact", "headers"),
    [
        ("me@example.org", {"User-Agent": "bokebot/0.1 (+me@example.org)", "From": "me@example.org"}),
        ("https://example.org/bot", {"User-Agent": "bokebot/0.1 (+https://example.org/bot)"}),
        ("", {"User-Agent": "bokebot/0.1"}),
        ("a\r\nX-Evil: 1", {"User-Agent": "bokebot/0.1 (+a X-Evil: 1)"}),
    ],
)
async def test_it_says_who_it_is(fetcher_for: Make, contact: str, headers: dict[str, str]) -> None:
    assert introduction("bokebot/0.1", contact) == {**headers, "Accept-Language": "ja"}
    async with BoketeSite(odai=2) as site, fetcher_for(site, contact=contact) as fetcher:
        await fetcher.page(HOT)
        assert [request.path for request in site.seen] == ["/robots.txt", HOT]
        for request in site.seen:
            assert {name: request.headers[name] for name in headers} == headers
            assert "Cookie" not in request.headers


async def test_robots_closes_paths_for_this_program(fetcher_for: Make) -> None:
    robots = "User-agent: *\nDisallow: /\n\nUser-agent: bokebot\nDisallow: /boke/legend\n"
    async with BoketeSite(odai=2, robots=robots) as site, fetcher_for(site) as fetcher:
        assert (await fetcher.page(HOT)).status == 200
        with pytest.raises(NotAllowed, match=r"robots\.txt"):
            await fetcher.page("/boke/legend?page=0")
        assert site.fetched["/boke/legend?page=0"] == 0
        assert site.fetched["/robots.txt"] == 1


async def test_robots_for_everybody_counts_where_there_is_none_for_us(fetcher_for: Make) -> None:
    async with BoketeSite(odai=2, robots="User-agent: *\nDisallow: /") as site, fetcher_for(site) as fetcher:
        with pytest.raises(NotAllowed):
            await fetcher.page(HOT)
        assert site.fetched.total() == 1


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_no_robots_no_crawl(fetcher_for: Make, status: int) -> None:
    async with BoketeSite(odai=2, robots_status=status) as site, fetcher_for(site) as fetcher:
        with pytest.raises(CrawlRefused, match=rf"robots\.txt answers {status}"):
            await fetcher.page(HOT)
        assert site.fetched.total() == 1


@pytest.mark.parametrize(("robots", "status"), [(None, 404), ("x", 400), ("", 200), ("<html>?</html>", 200)])
async def test_without_rules_all_is_allowed(fetcher_for: Make, robots: str | None, status: int) -> None:
    async with BoketeSite(odai=2, robots=robots, robots_status=status) as site, fetcher_for(site) as fetcher:
        assert (await fetcher.page(HOT)).status == 200


# --- how fast ---


async def test_the_delay_with_jitter_between_any_two_requests(fetcher_for: Make, clock: TestClock) -> None:
    async with BoketeSite(odai=20) as site, fetcher_for(site, delay_s=1.0, jitter=0.3) as fetcher:
        for number in range(1001, 1011):
            await fetcher.page(f"/odai/{number}")
    assert len(clock.slept) == 10  # robots.txt and ten pages have ten gaps
    assert all(1.0 <= seconds <= 1.3 for seconds in clock.slept)
    assert len({round(seconds, 6) for seconds in clock.slept}) > 5


async def test_time_that_passes_anyway_counts(fetcher_for: Make, clock: TestClock) -> None:
    async with BoketeSite(odai=20) as site, fetcher_for(site, delay_s=1.0, jitter=0) as fetcher:
        await fetcher.page(HOT)
        clock.moment += timedelta(seconds=0.75)
        await fetcher.page(HOT)
    assert clock.slept == pytest.approx([1.0, 0.25], abs=1e-3)


@pytest.mark.parametrize("line", ["Crawl-delay: 7", "Request-rate: 1/7"])
async def test_a_slower_robots_txt_is_obeyed(fetcher_for: Make, clock: TestClock, line: str) -> None:
    async with BoketeSite(odai=2, robots=f"User-agent: *\n{line}\n") as site, fetcher_for(site, jitter=0) as fetcher:
        await fetcher.page(HOT)
        await fetcher.page(HOT)
    assert clock.slept == pytest.approx([7.0, 7.0], abs=1e-3)


async def test_one_request_at_a_time(fetcher_for: Make) -> None:
    async with BoketeSite(odai=20) as site, fetcher_for(site) as fetcher:
        site.on_request = lambda number, path: asyncio.sleep(0.01)
        await fetcher.page(HOT)
        await asyncio.gather(*(fetcher.page(f"/odai/{number}") for number in range(1001, 1007)))
        assert (site.most_at_once, len(site.seen)) == (1, 8)


# --- "slower" ---


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_in_seconds(fetcher_for: Make, clock: TestClock, status: int) -> None:
    async with BoketeSite(odai=2) as site, fetcher_for(site) as fetcher:
        site.fail(HOT, status, headers={"Retry-After": "17"})
        assert (await fetcher.page(HOT)).status == 200
    assert clock.slept == pytest.approx([17.0], abs=1e-3)


async def test_retry_after_as_a_date(fetcher_for: Make, clock: TestClock) -> None:
    async with BoketeSite(odai=2) as site, fetcher_for(site) as fetcher:
        site.fail(HOT, 429, headers={"Retry-After": format_datetime(clock.now() + timedelta(seconds=90), usegmt=True)})
        assert (await fetcher.page(HOT)).status == 200
    assert clock.slept == pytest.approx([90.0], abs=1.0)


@pytest.mark.parametrize("value", ["soon", "nan", "Thu, 99 Foo"])
async def test_a_retry_after_that_says_nothing(fetcher_for: Make, clock: TestClock, value: str) -> None:
    async with BoketeSite(odai=2) as site, fetcher_for(site, backoff_s=300, jitter=0) as fetcher:
        site.fail(HOT, 429, headers={"Retry-After": value})
        await fetcher.page(HOT)
    assert clock.slept == pytest.approx([300.0], abs=1e-3)


@pytest.mark.parametrize("value", ["7200", "inf", "Fri, 31 Dec 2099 23:59:59 GMT"])
async def test_who_asks_for_hours_is_left_in_peace(fetcher_for: Make, clock: TestClock, value: str) -> None:
    async with BoketeSite(odai=2) as site, fetcher_for(site) as fetcher:
        site.fail(HOT, 429, headers={"Retry-After": value})
        with pytest.raises(SiteTooBusy, match="asks to wait"):
            await fetcher.page(HOT)
    assert clock.slept == []


async def test_the_error_page_means_minutes_each_time_longer_and_then_the_end(
    fetcher_for: Make, clock: TestClock
) -> None:
    async with BoketeSite(odai=2) as site, fetcher_for(site, backoff_s=300, max_backoffs=3) as fetcher:
        site.say_too_fast(4)
        with pytest.raises(SiteTooBusy, match="too fast 4 times"):
            await fetcher.page(HOT)
        assert (site.fetched[HOT], fetcher.waits) == (4, 4)
    assert len(clock.slept) == 3
    for seconds, least in zip(clock.slept, (300, 600, 1200), strict=True):
        assert least <= seconds <= least * 1.3


async def test_after_a_good_answer_the_count_begins_anew_and_the_pace_is_slower(
    fetcher_for: Make, clock: TestClock
) -> None:
    async with (
        BoketeSite(odai=20) as site,
        fetcher_for(site, backoff_s=300, max_backoffs=1, delay_s=1, jitter=0) as fetcher,
    ):
        for number in (1001, 1002):
            site.say_too_fast(1, status=500)
            await fetcher.page(f"/odai/{number}")
        await fetcher.page(HOT)
    assert clock.slept == pytest.approx([1, 300, 1.5, 300, 2.25], abs=1e-2)


async def test_a_server_that_stumbles_is_asked_again_and_then_left(fetcher_for: Make, clock: TestClock) -> None:
    async with BoketeSite(odai=20) as site, fetcher_for(site, backoff_s=300) as fetcher:
        site.fail("/odai/1001", 500, times=3)
        assert (await fetcher.page("/odai/1001")).status == 200
        assert clock.slept == pytest.approx([5, 10, 20], abs=1e-2)
        site.fail("/odai/1002", 502, times=4)
        with pytest.raises(PageFailed, match="answered 502"):
            await fetcher.page("/odai/1002")
        assert (await fetcher.page("/odai/1003")).status in (200, 404)


async def test_a_site_that_is_down(fetcher_for: Make) -> None:
    async with BoketeSite(odai=2) as site:
        url = site.url
    async with fetcher_for(url) as fetcher:
        with pytest.raises(SiteTooBusy, match="does not answer"):
            await fetcher.page(HOT)


async def test_a_site_that_goes_down(fetcher_for: Make) -> None:
    async with BoketeSite(odai=20) as site, fetcher_for(site) as fetcher:
        site.fail("/", 500, times=1000)
        for number in range(1001, 1005):
            with pytest.raises(PageFailed):
                await fetcher.page(f"/odai/{number}")
        with pytest.raises(SiteTooBusy, match="does not answer"):
            await fetcher.page("/odai/1005")


async def test_a_server_that_says_nothing(fetcher_for: Make) -> None:
    silence = asyncio.Event()

    async def hang(number: int, path: str) -> None:
        if path == HOT:
            await silence.wait()

    async with BoketeSite(odai=2) as site, fetcher_for(site, timeout_s=0.1) as fetcher:
        site.on_request = hang
        with pytest.raises(PageFailed, match="TimeoutError"):
            await fetcher.page(HOT)
        silence.set()


# --- "no" ---


@pytest.mark.parametrize("status", [401, 403, 451])
async def test_a_refusal_ends_it(fetcher_for: Make, status: int) -> None:
    async with BoketeSite(odai=2) as site, fetcher_for(site) as fetcher:
        site.fail(HOT, status)
        with pytest.raises(CrawlRefused, match=str(status)):
            await fetcher.page(HOT)
        assert site.fetched[HOT] == 1


async def test_what_is_not_there(fetcher_for: Make) -> None:
    async with BoketeSite(odai=2) as site, fetcher_for(site) as fetcher:
        assert (await fetcher.page("/odai/7")).status == 404
        site.fail(HOT, 410)
        assert (await fetcher.page(HOT)).status == 404
        site.fail(HOT, 418)
        with pytest.raises(PageFailed, match="418"):
            await fetcher.page(HOT)


async def test_the_budget_counts_everything(fetcher_for: Make, clock: TestClock) -> None:
    async with BoketeSite(odai=20) as site, fetcher_for(site, max_requests=5, backoff_s=300) as fetcher:
        site.fail(HOT, 429)  # robots.txt, twice the list
        await fetcher.page(HOT)
        picture = next(iter(site.picture_paths()))
        await fetcher.picture(site.url + picture)
        site.fail("/odai/1001", 302, headers={"Location": "/odai/1002"})
        clock.slept.clear()
        with pytest.raises(NightOver, match="budget"):
            await fetcher.page("/odai/1001")
        assert (site.fetched.total(), fetcher.requests) == (5, 5)
        assert clock.slept == []  # it does not wait for what it may not do


async def test_no_budget_no_request(fetcher_for: Make) -> None:
    async with BoketeSite(odai=2) as site, fetcher_for(site, max_requests=0) as fetcher:
        with pytest.raises(NightOver):
            await fetcher.page(HOT)
        assert site.fetched.total() == 0


@pytest.mark.parametrize(
    ("hours", "at", "open_"),
    [
        ("01:00-06:00", "03:30", True),
        ("01:00-06:00", "06:00", False),
        ("01:00-06:00", "00:59", False),
        ("22:00-03:00", "23:00", True),
        ("22:00-03:00", "02:59", True),
        ("22:00-03:00", "12:00", False),
        ("00:00-24:00", "23:59", True),
        ("", "12:00", True),
    ],
)
def test_hours(hours: str, at: str, open_: bool) -> None:
    hour, minute = map(int, at.split(":"))
    in_tokyo = datetime(2026, 1, 15, hour, minute, tzinfo=UTC) - timedelta(hours=9)
    assert within_hours(in_tokyo, hours, "Asia/Tokyo") is open_


async def test_hours_bind_the_scheduled_run_only(fetcher_for: Make, clock: TestClock) -> None:
    clock.moment = datetime(2026, 1, 14, 20, 59, 30, tzinfo=UTC)  # 05:59:30 in Tokyo
    keys = {"hours": "01:00-06:00", "delay_s": 20, "jitter": 0}
    async with BoketeSite(odai=2) as site:
        async with fetcher_for(site, scheduled=True, **keys) as fetcher:
            await fetcher.page(HOT)  # the list at 05:59:50
            with pytest.raises(NightOver, match="hours"):
                await fetcher.page(HOT)
            assert site.fetched[HOT] == 1
        async with fetcher_for(site, scheduled=False, **keys) as fetcher:
            assert (await fetcher.page(HOT)).status == 200


# --- versions and places ---


async def test_conditional_requests(fetcher_for: Make) -> None:
    async with BoketeSite(odai=5, etag=True, last_modified=True) as site, fetcher_for(site) as fetcher:
        first = await fetcher.page(HOT)
        assert first.etag is not None
        assert first.last_modified is not None
        assert (await fetcher.page(HOT, etag=first.etag)).status == 304
        assert (await fetcher.page(HOT, last_modified=first.last_modified)).status == 304
        site.world.grow(odai=1)
        again = await fetcher.page(HOT, etag=first.etag, last_modified=first.last_modified)
        assert (again.status, again.etag == first.etag) == (200, False)


async def test_redirects_stay_on_the_site(fetcher_for: Make) -> None:
    async with BoketeSite(odai=20) as site, fetcher_for(site) as fetcher:
        site.fail("/odai/1001", 301, headers={"Location": "/odai/1002"})
        assert (await fetcher.page("/odai/1001")).url == f"{site.url}/odai/1002"
        site.fail("/odai/1003", 302, headers={"Location": "http://elsewhere.example/odai/1003"})
        with pytest.raises(PageFailed, match="elsewhere"):
            await fetcher.page("/odai/1003")
        site.fail("/odai/1004", 302, times=100, headers={"Location": "/odai/1004"})
        with pytest.raises(PageFailed, match="too many redirects"):
            await fetcher.page("/odai/1004")
        site.fail("/odai/1005", 302, headers={"Location": "http://[/"})
        with pytest.raises(PageFailed):
            await fetcher.page("/odai/1005")


async def test_a_page_without_end(fetcher_for: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.crawl.fetcher.MAX_PAGE_BYTES", 1000)
    async with BoketeSite(odai=5) as site, fetcher_for(site) as fetcher:
        with pytest.raises(PageFailed, match="larger than 1,000"):
            await fetcher.page(HOT)
