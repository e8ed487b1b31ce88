"""Whom a picture may come from, and how such a host is treated."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from yarl import URL

from store.addresses import is_public
from tests.servers.bokete_server import BoketeSite
from tests.training.crawl.conftest import TestClock
from training.crawl.errors import HostClosed, NotAllowed, PageFailed
from training.crawl.fetcher import Fetcher
from training.crawl.hosts import Hosts

Make = Callable[..., Fetcher]
HOT = "/boke/hot?page=0"


async def test_pictures_only_from_hosts_that_are_allowed(fetcher_for: Make) -> None:
    async with BoketeSite(odai=2) as site:
        picture = next(iter(site.picture_paths()))
        elsewhere = site.url.replace("127.0.0.1", "localhost")
        async with fetcher_for(site, picture_hosts=["cdn.example"]) as fetcher:
            assert (await fetcher.picture(site.url + picture)).status == 200  # the site itself
            with pytest.raises(NotAllowed, match="localhost"):
                await fetcher.picture(elsewhere + picture)
        async with fetcher_for(site) as fetcher:  # a site on loopback may have its pictures there
            assert (await fetcher.picture(elsewhere + picture)).status == 200
        async with fetcher_for("http://bokete.example") as fetcher:
            site.forget_counts()
            with pytest.raises(NotAllowed):
                await fetcher.picture(site.url + picture)
            with pytest.raises(PageFailed):  # a name that leads to loopback
                await fetcher.picture(elsewhere + picture)
            assert site.fetched.total() == 0


@pytest.mark.parametrize(
    "url", ["http://cdn.example:99999/x.jpg", f"http://{'a' * 70}.example/x.jpg", "http://a b/x.jpg"]
)
async def test_an_address_that_is_none(fetcher_for: Make, url: str) -> None:
    async with fetcher_for("http://127.0.0.1:9") as fetcher:
        with pytest.raises(PageFailed):
            await fetcher.picture(url)


async def test_a_host_of_pictures_that_says_no_does_not_end_the_crawl(fetcher_for: Make) -> None:
    async with BoketeSite(odai=20) as site, BoketeSite(odai=20) as cdn, fetcher_for(site) as fetcher:
        base = cdn.url.replace("127.0.0.1", "localhost")
        first, second, third = sorted(cdn.picture_paths())[:3]
        cdn.fail(first, 403, body="<Error><Code>AccessDenied</Code></Error>")  # a bucket: no such file
        assert (await fetcher.picture(base + first)).status == 404
        cdn.fail(second, 403)
        with pytest.raises(HostClosed):
            await fetcher.picture(base + second)
        with pytest.raises(HostClosed):
            await fetcher.picture(base + third)
        assert (cdn.fetched["/robots.txt"], cdn.fetched[third]) == (1, 0)
        assert (await fetcher.page(HOT)).status == 200


async def test_each_host_has_its_own_pace(fetcher_for: Make, clock: TestClock) -> None:
    async with BoketeSite(odai=20) as site, BoketeSite(odai=20) as cdn:
        async with fetcher_for(site, delay_s=10, jitter=0) as fetcher:
            await fetcher.page(HOT)
            await fetcher.picture(cdn.url.replace("127.0.0.1", "localhost") + min(cdn.picture_paths()))
    assert clock.slept == pytest.approx([10, 10], abs=1e-2)  # between robots.txt and page, on each


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://cdn.example/photo/x.jpg", True),
        ("http://93.184.216.34/x.jpg", True),
        ("http://127.0.0.1/x.jpg", False),
        ("http://10.1.2.3/x.jpg", False),
        ("http://169.254.169.254/latest", False),
        ("http://[::1]/x.jpg", False),
        ("http://[::ffff:127.0.0.1]/x.jpg", False),
        ("http://[64:ff9b::7f00:1]/x.jpg", False),
        ("ftp://cdn.example/x.jpg", False),
        ("file:///etc/passwd", False),
    ],
)
def test_hosts(url: str, allowed: bool) -> None:
    assert Hosts("https://bokete.jp", ()).may_hold_pictures(URL(url)) is allowed


def test_addresses() -> None:
    assert is_public("93.184.216.34")
    assert not is_public("not an address")
    rule = Hosts("https://bokete.jp", ("Cdn.Example.",))
    assert rule.may_connect("cdn.example", "127.0.0.1")  # the owner named it
    assert not rule.may_connect("other.example", "127.0.0.1")
