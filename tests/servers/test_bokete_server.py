"""The copy of the site is what other tests believe it to be."""

from __future__ import annotations

import io

import aiohttp
import pytest
from PIL import Image

from tests.servers.bokete.world import World, picture_bytes
from tests.servers.bokete_server import UNKNOWN, BoketeSite


async def get(site: BoketeSite, path: str, **headers: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session:
        async with session.get(site.url + path, headers=headers, allow_redirects=False) as response:
            return response.status, await response.text(errors="replace"), response.headers.get("ETag", "")


def test_the_same_seed_makes_the_same_world() -> None:
    first, second, other = World(50, 3), World(50, 3), World(50, 4)
    assert (first.odai, first.boke) == (second.odai, second.boke)
    assert first.boke != other.boke
    assert len(first.odai) == 50
    assert max(first.odai) - min(first.odai) > 49  # there are holes
    assert len({o.picture for o in first.odai.values()}) < 50  # and shared pictures
    before = dict(first.boke)
    new_odai, new_boke = first.grow(odai=3, jokes=4)
    assert len(new_odai) == 3
    assert min(o.id for o in new_odai) > max(second.odai)
    assert {b.id for b in new_boke} == set(first.boke) - set(before)


def test_thousands_of_odai() -> None:
    world = World(3000, 0)
    assert len(world.odai) == 3000
    assert 15_000 < len(world.boke) < 21_000
    assert len({boke.text for boke in world.boke.values()}) > 2000


def test_pictures_are_pictures() -> None:
    first, second = picture_bytes("a" * 32, 240), picture_bytes("b" * 32, 240)
    assert first != second
    assert max(Image.open(io.BytesIO(first)).size) == 240


@pytest.mark.parametrize("generation", [1, 2, 3, UNKNOWN])
async def test_pages_and_counters(generation: int) -> None:
    async with BoketeSite(odai=20, generation=generation, gone_lists=("legend",)) as site:
        odai = site.world.odai[1001]
        status, html, etag = await get(site, "/odai/1001")
        assert status == 200
        assert ("<x-app>" in html) is (generation == UNKNOWN)
        assert all(boke.text in html for boke in site.world.jokes_of(1001)[:10])
        assert (await get(site, "/odai/1001", **{"If-None-Match": etag}))[0] == 304
        assert (await get(site, "/odai/7"))[0] == 404
        assert (await get(site, "/boke/legend?page=0"))[0] == 404
        assert (await get(site, "/boke/hot?page=0"))[0] == 200
        assert (await get(site, "/boke/hot?page=99"))[0] == 404
        assert (await get(site, f"/photo/odai/400/{odai.picture}_400.jpg"))[0] == 200
        assert (await get(site, f"/photo/odai/400/{'f' * 32}_400.jpg"))[0] == 404
        assert (await get(site, "/robots.txt"))[0] == 200
        assert (site.fetched["/odai/1001"], site.served["/odai/1001"], site.unchanged["/odai/1001"]) == (2, 1, 1)
        assert [request.path for request in site.seen[:3]] == ["/odai/1001", "/odai/1001", "/odai/7"]
        site.forget_counts()
        assert site.fetched.total() == 0


async def test_ways_to_say_no() -> None:
    async with BoketeSite(odai=20) as site:
        site.fail("/odai/", 429, times=2, every=2, headers={"Retry-After": "9"})
        statuses = [(await get(site, "/odai/1001"))[0] for _ in range(6)]
        assert statuses == [200, 429, 200, 429, 200, 200]
        site.say_too_fast()
        assert "エラーが発生しました。" in (await get(site, "/boke/hot?page=0"))[1]
        assert "エラーが発生しました。" not in (await get(site, "/boke/hot?page=0"))[1]
        site.change_layout(2, after=2)
        pages = [(await get(site, "/boke/hot?page=0"))[1] for _ in range(3)]
        assert [("__next" in page) for page in pages] == [True, False, False]
