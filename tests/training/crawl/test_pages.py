"""The three layouts: a saved page of the real site, pages of the local copy, and pages that are none of them."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.servers.bokete.world import CATEGORIES
from tests.servers.bokete_server import BoketeSite
from training.crawl.errors import UnknownLayout
from training.crawl.pages import is_too_fast, names_nothing, parse_page
from training.crawl.parsed import Page

LIST = "https://bokete.jp/boke/hot?page=0"
PHOTO = "//cdn.example/photo/odai/400/0123456789abcdef0123456789abcdef_400.jpg"


@pytest.fixture
def saved(shared_data: Path) -> str:
    return (shared_data / "bokete" / "list-hot-2013.html").read_text(encoding="utf-8")


def test_the_saved_list_page(saved: str) -> None:
    page = parse_page(LIST, saved)
    assert (page.kind, page.generation, page.last) == ("list", 1, False)
    assert page.next == "https://bokete.jp/boke/hot?page=2"
    found = [(b.external_id, b.odai_id, b.text, b.stars, b.ratings, b.category) for b in page.jokes]
    assert found == [
        ("11141771", "469179", "鼻に仕込んだピーナッツが絶望的な場所まで入りこんだ", 1324, 595, "バカ"),
        ("11141129", "469087", "空を自由に～飛～びた～いな～♪見たまえ！飛行石！(ﾁｬﾘｰﾝ！ｳｫﾝｳｫﾝｳｫﾝｳｫﾝ)ハッハッハ！ハッハッハッハ！", 928, 398, "バカ"),  # noqa: E501
        ("11142528", "469225", "むちゃぶり", 806, 373, "バカ"),
        ("11141246", "469171", "蚊に刺された", 688, 327, "バカ"),
        ("11142130", "468010", "本日は故人のために参列頂き まじあざっす", 672, 319, "バカ"),
        ("11140934", "469154", "「母さん、お元気ですか。今、　　方向オンチの父さんと旅行に　来ています。おそらくあれが　　　バッキンガム宮殿です」", 584, 273, "バカ"),  # noqa: E501
        ("11142564", "469226", "「妊婦さんこの席どうぞ」/「ただのデブかい！」", 525, 249, "バカ"),
        ("11139975", "469122", "だーれd…", 445, 211, "バカ"),
        ("11142488", "457656", "「あの、まだ似顔絵描き終わらないんですか？」", 428, 203, "バカ"),
        ("11145224", "468514", "ケートの結果、抱き枕にしたいのは絶", 407, 187, "バカ"),
    ]  # fmt: skip
    host = "https://d2dcan0armyq93.cloudfront.net/photo/odai/400/"
    assert [o.external_id for o in page.odai] == [b.odai_id for b in page.jokes]
    assert len({o.picture_url for o in page.odai}) == 10
    assert page.odai[0].picture_url == host + "e0e6f82aa21cf2a9df4878cdd87b257e_400.jpg"
    assert {o.external_id: o.title for o in page.odai if o.title} == {
        "469171": "トゥルーブラッド（True Blood）",
        "469226": "【前屈立ち】からの動作でボケる",
    }
    assert page.categories == ("バカ", "シュール", "お下劣", "ブラック", "身内", "例え", "その他")


def test_the_saved_page_cut_anywhere_is_a_part_of_itself_or_unknown(saved: str) -> None:
    whole = parse_page(LIST, saved).jokes
    for length in range(0, len(saved), 1501):
        try:
            part = parse_page(LIST, saved[:length]).jokes
        except UnknownLayout:
            continue
        assert [b.external_id for b in part] == [b.external_id for b in whole[: len(part)]]


async def page_of(site: BoketeSite, path: str) -> Page:
    async with aiohttp.ClientSession() as session, session.get(site.url + path) as response:
        return parse_page(site.url + path, await response.text())


VARIANTS = [(1, False), (2, False), (3, True), (3, False)]
variants = pytest.mark.parametrize(("generation", "next_data"), VARIANTS)


@variants
@pytest.mark.parametrize("name", ["hot", "recent", "category/バカ/hot"])
async def test_a_list_page(generation: int, next_data: bool, name: str) -> None:
    async with BoketeSite(odai=60, generation=generation, next_data=next_data) as site:
        page = await page_of(site, f"/boke/{name}?page=1")
        expected = (site.world.listed(name) or [])[10:20]
        assert (page.kind, page.generation) == ("list", generation)
        found = [(b.external_id, b.odai_id, b.text, b.category) for b in page.jokes]
        assert found == [(str(b.id), str(b.odai_id), b.text, b.category) for b in expected]
        assert {o.external_id: o.picture_url for o in page.odai} == {
            str(b.odai_id): f"{site.url}/photo/odai/{400 if generation == 1 else 600}/"
            f"{site.world.odai[b.odai_id].picture}_{400 if generation == 1 else 600}.jpg"
            for b in expected
        }
        assert {o.external_id: o.title or "" for o in page.odai} == {
            str(b.odai_id): site.world.odai[b.odai_id].title for b in expected
        }
        assert set(CATEGORIES) <= set(page.categories)
        rated = [(b.stars, b.ratings) for b in page.jokes]
        if generation == 1:  # says nothing of jokes that nobody rated
            assert rated == [(b.stars, b.ratings) if b.ratings else (None, None) for b in expected]
        elif next_data:
            assert rated == [(b.stars, b.ratings) for b in expected]
        else:
            assert rated == [(b.stars, None) for b in expected]


@variants
async def test_the_page_of_an_odai(generation: int, next_data: bool) -> None:
    async with BoketeSite(odai=60, generation=generation, next_data=next_data, shown=100) as site:
        by_count = {len(site.world.jokes_of(number)): number for number in site.world.odai}
        assert {0, 1, 2, 10} <= set(by_count)
        for count in (0, 1, 2, 10):
            odai = site.world.odai[by_count[count]]
            page = await page_of(site, f"/odai/{odai.id}")
            assert (page.kind, page.generation) == ("odai", generation)
            expected = site.world.jokes_of(odai.id)
            assert [(b.external_id, b.odai_id, b.text) for b in page.jokes] == [
                (str(b.id), str(odai.id), b.text) for b in expected
            ]
            if generation != 1:
                assert [b.stars for b in page.jokes] == [b.stars for b in expected]
                days = [
                    b.posted.astimezone(boke.posted.tzinfo).date()
                    for b, boke in zip(page.jokes, expected, strict=True)
                    if b.posted
                ]
                assert len(days) == count
            assert [o.external_id for o in page.odai] == [str(odai.id)]
            assert odai.picture in (page.odai[0].picture_url or "")


@variants
async def test_the_page_of_a_joke(generation: int, next_data: bool) -> None:
    async with BoketeSite(odai=20, generation=generation, next_data=next_data) as site:
        boke = max(site.world.boke.values(), key=lambda b: b.stars)
        page = await page_of(site, f"/boke/{boke.id}")
        assert (page.kind, page.generation) == ("boke", generation)
        assert [(b.external_id, b.odai_id, b.text, b.stars) for b in page.jokes] == [
            (str(boke.id), str(boke.odai_id), boke.text, boke.stars)
        ]
        assert [o.external_id for o in page.odai] == [str(boke.odai_id)]


@variants
async def test_a_list_that_is_empty(generation: int, next_data: bool) -> None:
    async with BoketeSite(odai=3, generation=generation, next_data=next_data) as site:
        site.world.boke.clear()
        page = await page_of(site, "/boke/legend?page=0")
        assert (page.kind, page.generation, page.jokes) == ("list", generation, ())


@variants
async def test_pages_that_speak(generation: int, next_data: bool) -> None:
    async with BoketeSite(odai=20, generation=generation, next_data=next_data) as site:
        assert (await page_of(site, "/odai/7")).kind == "not_found"
        site.say_too_fast()
        assert (await page_of(site, "/boke/hot?page=0")).kind == "too_fast"
        assert (await page_of(site, "/boke/hot?page=0")).kind == "list"


@variants
async def test_a_joke_may_hold_the_words_of_an_error_page(generation: int, next_data: bool) -> None:
    async with BoketeSite(odai=20, generation=generation, next_data=next_data) as site:
        boke = next(iter(site.world.boke.values()))
        site.world.boke[boke.id] = replace(boke, text="エラーが発生しました。ページが見つかりません")
        page = await page_of(site, f"/boke/{boke.id}")
        assert page.kind == "boke"
        assert page.jokes[0].text == "エラーが発生しました。ページが見つかりません"


async def test_the_json_is_preferred_and_does_not_take_people_or_comments_for_jokes() -> None:
    async with BoketeSite(odai=20, generation=3, next_data=True) as site:
        flagged = next(iter(site.world.boke.values()))
        site.world.boke[flagged.id] = replace(flagged, flagged=True, stars=1234)
        page = await page_of(site, f"/odai/{flagged.odai_id}")
        assert [b.external_id for b in page.jokes] == [str(b.id) for b in site.world.jokes_of(flagged.odai_id)]
        assert [o.external_id for o in page.odai] == [str(flagged.odai_id)]
        first = page.jokes[0]
        assert first.flagged  # only the JSON says so
        assert first.posted == flagged.posted
        assert page.odai[0].boke_count == len(page.jokes)
        assert page.odai[0].posted == site.world.odai[flagged.odai_id].posted


def test_second_layout_without_the_odai_keeps_the_picture_as_its_name() -> None:
    block = (
        '<div class="boke"><div class="boke-photo-content"><a href="/boke/5"><img src="{}"></a></div>'
        '<a class="boke-text" href="/boke/{}">あ{}</a></div>'
    )
    blocks = block.format(PHOTO, 5, 5) + block.format(PHOTO, 6, 6)
    html = f'<html><body><div class="content-boke">{blocks}</div></body></html>'
    page = parse_page(LIST, html)
    assert [o.external_id for o in page.odai] == ["photo-0123456789abcdef0123456789abcdef"]
    assert [(b.external_id, b.odai_id, b.text, b.stars) for b in page.jokes] == [
        ("5", "photo-0123456789abcdef0123456789abcdef", "あ5", None),
        ("6", "photo-0123456789abcdef0123456789abcdef", "あ6", None),
    ]


@pytest.mark.parametrize("stars", ["<i></i>\n1,234\n", "★<!-- -->1,234", " <span>★</span> 1,234 ", "1,234"])
def test_second_layout_stars_in_any_dress(stars: str) -> None:
    html = f"""<html><body><div class="photo-content"><img src="{PHOTO}"></div><div id="content"><div class="boke">
    <a class="boke-text" href="/boke/5"><div>むちゃぶり</div></a><div class="boke-stars"><a href="/boke/5">{stars}</a></div>
    </div></div></body></html>"""
    page = parse_page("https://bokete.jp/odai/591", html)
    assert [(b.odai_id, b.text, b.stars) for b in page.jokes] == [("591", "むちゃぶり", 1234)]
    assert page.odai[0].picture_url == "https:" + PHOTO


def test_third_layout_in_its_barest_form() -> None:
    joke = (
        '<div><a href="/user/1">だれか</a><a href="/boke/{0}"><div><h1>ボケ{0}</h1></div></a>'
        '<a href="/boke/{0}">1,234</a><a href="/boke/{0}">2022年05月03日</a></div>'
    )
    picture = f'<div><a href="/odai/591"><figure><img src="{PHOTO}"></figure></a></div>'
    beside = '<div><a href="/boke/77"><h1>よその人気ボケ</h1></a></div>'
    column = f"<div>{picture}{joke.format(1)}{joke.format(2)}</div>"
    html = f'<html><body><div id="__next"><h1>ボケて</h1><main>{column}{beside}</main></div></body></html>'
    page = parse_page("https://bokete.jp/odai/591", html)
    assert [(b.external_id, b.odai_id, b.text, b.stars) for b in page.jokes] == [
        ("1", "591", "ボケ1", 1234),
        ("2", "591", "ボケ2", 1234),
    ]
    assert all(b.posted is not None and b.posted.year == 2022 for b in page.jokes)


@pytest.mark.parametrize("name", ["hot?page=0", "hot?page=4"])
def test_an_empty_list_is_known_where_its_layout_is(name: str) -> None:
    page = parse_page(
        f"https://bokete.jp/boke/{name}", '<html><body><div id="__next"><main><div></div></main></div></body></html>'
    )
    assert (page.kind, page.jokes) == ("list", ())


@pytest.mark.parametrize(
    "html",
    [
        "",
        "plain text",
        "<html><body><h1>Welcome</h1></body></html>",
        '<html><body><x-app><a href="/boke/5">むちゃぶり</a></x-app></body></html>',
        f'<html><body><div id="__next"><img src="{PHOTO}"><a href="/boke/5">むちゃぶり</a></div></body></html>',
        '{"error": "no html"}',
        "\x00\ufffd<div",
    ],
)
def test_what_nobody_knows_is_named_so(html: str) -> None:
    with pytest.raises(UnknownLayout, match="boke/hot"):
        parse_page(LIST, html)


def test_an_odai_without_picture_and_jokes_is_no_page() -> None:
    with pytest.raises(UnknownLayout, match="neither picture nor joke"):
        parse_page("https://bokete.jp/odai/5", '<html><body><div id="__next"><main></main></div></body></html>')


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.sampled_from("<>/=\"'abdhivpu 1ボ&;!-[]{}#_"), max_size=300))
def test_no_page_breaks_the_parser(inside: str) -> None:
    for shell in (
        '<div id="__next"><main>{}</main></div>',
        '<div class="boke-entry">{}</div>',
        '<div class="content-boke"><div class="boke">{}</div></div>',
        '<script id="__NEXT_DATA__">{}</script><div id="__next"></div>',
    ):
        with contextlib.suppress(UnknownLayout):
            parse_page("https://bokete.jp/odai/5", shell.replace("{}", inside))


def test_small_questions() -> None:
    assert is_too_fast(LIST, "<p>エラーが発生しました。</p>")
    assert not is_too_fast(LIST, "<p>ふつう</p>")
    assert names_nothing("<html><body><a href='/about'>x</a></body></html>")
    assert not names_nothing("<html><body><a href='/odai/5'>x</a></body></html>")
