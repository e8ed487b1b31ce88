"""What visitors share, in a real Chromium: the feed, permanent links, modes side by side, candidates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, expect

from tests.bot.chat.web.browser import DESKTOP, PHONE, QUIET, Visit, accessible, visit
from tests.bot.chat.web.conftest import DATA, ask, photo
from tests.bot.running import RunningBot, run_bot
from tests.bundles import LINES, QUOTES

pytestmark = pytest.mark.asyncio(loop_scope="module")

CAT = DATA / "cat.jpg"


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[RunningBot]:
    """A bot of this module's own: the small model knows few jokes, and others' would stand in the feed, too."""
    folder = tmp_path_factory.mktemp("together")
    with run_bot(folder, BOKE__MODEL__PATH=str(bundle), BOKE__WEB__POSTS_PER_MINUTE="0") as running:
        yield running
        assert "Traceback" not in running.log


async def post(visitor: Visit, *, show: bool = False) -> str:
    """Post a picture by hand; its joke."""
    await visitor.open()
    consent = visitor.page.get_by_label("みんなのボケにのせる")
    await expect(consent).not_to_be_checked()
    if show:
        await consent.check()
    await visitor.choose(CAT)
    return await visitor.joke()


async def copied_link(visitor: Visit) -> str:
    """What the button puts into the clipboard."""
    await visitor.page.get_by_role("button", name="リンク").click()
    await visitor.heard("リンクをコピーしました。")
    link: str = await visitor.page.evaluate("() => navigator.clipboard.readText()")
    return link


async def test_a_visitor_shows_a_joke_and_takes_it_back(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor, visit(browser, bot) as other:
        joke = await post(visitor, show=True)
        await expect(visitor.page.locator(".shown")).to_contain_text("みんなのボケにのりました。")
        await other.open()
        first = other.page.get_by_role("region", name="みんなのボケ").get_by_role("listitem").first
        await expect(first).to_contain_text(joke)
        await expect(first.get_by_role("button", name="取り下げる")).to_have_count(0)
        image = first.locator("img")
        await image.evaluate("(image) => image.decode()")
        await visitor.page.get_by_role("button", name="取り下げる").click()
        await visitor.heard("取り下げました。写真も消しました。")
        await other.page.reload()
        await other.page.evaluate(QUIET)
        await expect(other.page.locator("#feed li").filter(has_text=joke)).to_have_count(0)


async def test_taken_back_in_the_feed(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        joke = await post(visitor, show=True)
        await visitor.open()
        mine = visitor.page.locator("#feed li").filter(has_text=joke)
        await mine.get_by_role("button", name="取り下げる").click()
        await visitor.heard("取り下げました。写真も消しました。")
        await expect(mine).to_have_count(0)


async def test_without_consent_nobody_sees_it(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor, visit(browser, bot) as other:
        joke = await post(visitor)
        await expect(visitor.page.locator(".shown")).to_be_hidden()
        await other.open()
        await other.page.evaluate(QUIET)
        await expect(other.page.locator("#feed li").filter(has_text=joke)).to_have_count(0)


async def test_more_of_the_feed(browser: Browser, bot: RunningBot) -> None:
    async with aiohttp.ClientSession(bot.url, cookie_jar=aiohttp.DummyCookieJar()) as session:
        for _ in range(13):
            await ask(session, photo(), consent="true")
    async with visit(browser, bot) as visitor:
        await visitor.open()
        items = visitor.page.locator("#feed li")
        await expect(items).to_have_count(12)
        await visitor.page.get_by_role("button", name="もっと見る").click()
        await expect(items.nth(12)).to_be_attached()
        await expect(items.nth(12).get_by_role("link")).to_be_focused()


async def test_an_owner_may_do_without_a_feed(browser: Browser, strict_bot: RunningBot) -> None:
    async with visit(browser, strict_bot) as visitor:
        await visitor.open()
        await expect(visitor.page.get_by_role("checkbox")).to_have_count(0)
        await expect(visitor.page.locator("#feed")).to_have_count(0)
        await expect(visitor.page.locator(".privacy")).to_contain_text("写真は保存しません。")


async def test_a_permanent_link(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot, permissions=["clipboard-read", "clipboard-write"]) as visitor:
        joke = await post(visitor)
        link = await copied_link(visitor)
        assert re.fullmatch(re.escape(bot.url) + "/boke/[0-9a-f]{32}", link)
        path = link.removeprefix(bot.url)
        await visitor.open(path)
        await expect(visitor.page.get_by_role("heading", level=1)).to_have_text(joke)
        await expect(visitor.page).to_have_title(f"「{joke}」 · bokebot")
        await visitor.page.locator(".photo img").evaluate("(image) => image.decode()")
        await visitor.page.get_by_role("button", name="カード").click()
        await expect(visitor.page.get_by_role("dialog").locator("img")).to_be_visible()
        async with visit(browser, bot) as other:
            await other.open(path)
            await expect(other.page.get_by_role("heading", level=1)).to_have_text(joke)
            await expect(other.page.get_by_text("写真は、送った人だけのものです。")).to_be_visible()
            await expect(other.page.locator("main img")).to_have_count(0)
            await expect(other.page.get_by_role("button", name="カード")).to_have_count(0)
            await expect(other.page.locator("meta[name=robots]")).to_have_attribute("content", "noindex")
            await other.page.get_by_role("button", name="おもしろい").click()
            await other.heard("座布団一枚！")
            await other.page.get_by_role("link", name="自分の写真でもボケてもらう").click()
            await expect(other.page.locator("#hero")).to_be_visible()


async def test_a_link_to_what_is_shown(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot, permissions=["clipboard-read", "clipboard-write"]) as visitor:
        joke = await post(visitor, show=True)
        link = await copied_link(visitor)
        async with visit(browser, bot) as other:
            await other.open(link.removeprefix(bot.url))
            await other.page.locator(".photo img").evaluate("(image) => image.decode()")
            for name, content in (
                ("og:title", joke),
                ("og:url", link),
                ("og:type", "article"),
                ("og:image", link.replace("/boke/", "/api/boke/") + "/picture.jpg"),
            ):
                await expect(other.page.locator(f'meta[property="{name}"]')).to_have_attribute("content", content)
            await expect(other.page.get_by_role("button", name="取り下げる")).to_have_count(0)
        await visitor.open(link.removeprefix(bot.url))
        await visitor.page.get_by_role("button", name="取り下げる").click()
        await visitor.heard("取り下げました。写真も消しました。")


async def test_where_the_clipboard_is_closed_the_link_is_shown(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        await post(visitor)
        await visitor.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }")
        await visitor.page.get_by_role("button", name="リンク").click()
        link = visitor.page.locator(".thanks a")
        await expect(link).to_be_focused()
        await expect(link).to_have_text(re.compile("/boke/[0-9a-f]{32}$"))


async def test_a_link_that_leads_nowhere(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        await visitor.open(f"/boke/{'0' * 32}")
        await expect(visitor.page.get_by_role("heading", name="そのボケは見つかりませんでした。")).to_be_visible()
        await accessible(visitor.page)
        await visitor.page.get_by_role("link", name="はじめに戻る").click()
        await expect(visitor.page.locator("#hero")).to_be_visible()


async def test_modes_side_by_side(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        joke = await post(visitor)
        await visitor.page.get_by_role("button", name="ボケ比べ").click()
        await visitor.heard("4通りのボケが並びました。")
        section = visitor.page.locator(".modes")
        await expect(section.get_by_role("heading", level=3)).to_be_focused()
        kinds = await section.get_by_role("heading", level=4).all_inner_texts()
        assert kinds == ["いつものボケ", "よその写真のボケ", "似た写真の名作ボケ", "元になった記事のやり方"]
        texts = await section.locator(".text").all_inner_texts()
        assert texts[0] == joke
        assert texts[2] in QUOTES
        assert texts[3] in LINES
        await expect(section.get_by_role("link", name="jokes.example")).not_to_have_count(0)
        await section.get_by_role("button", name="おもしろい").nth(3).click()
        await visitor.heard("座布団一枚！")
        await expect(visitor.page.get_by_role("button", name="ボケ比べ")).to_have_count(0)


async def test_what_cannot_be_compared_is_said(browser: Browser, strict_bot: RunningBot) -> None:
    headers = {"X-Forwarded-For": "203.0.113.99"}
    async with visit(browser, strict_bot, extra_http_headers=headers) as visitor:
        await visitor.open()
        await visitor.choose(CAT)
        await visitor.joke()
        await visitor.page.get_by_role("button", name="ボケ比べ").click()
        await expect(visitor.page.locator(".thanks")).to_have_text(re.compile("^ネタが追いつきません。"))


async def test_candidates_with_their_scores(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        joke = await post(visitor)
        await visitor.page.get_by_text("ほかの候補とスコア").click()
        rows = visitor.page.locator(".candidates tbody tr")
        texts = await rows.locator(".text").all_inner_texts()
        assert len(texts) > 2
        assert joke in texts
        await expect(visitor.page.get_by_role("row", name="採用：")).to_have_count(1)
        await expect(visitor.page.get_by_role("row", name="採用：")).to_contain_text(joke)
        scores = [float(text.replace("−", "-")) for text in await rows.locator(".score").all_inner_texts()]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(("device", "locale"), [(PHONE, "ja"), (DESKTOP, "en")], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_and_axe_finds_nothing(
    browser: Browser, bot: RunningBot, device: Any, locale: str, scheme: Any
) -> None:
    async with visit(browser, bot, color_scheme=scheme, locale=locale, **device) as visitor:
        page, name = visitor.page, f"{locale}-{scheme}-{device['viewport']['width']}"

        async def look(state: str) -> None:
            await visitor.picture(f"{state}-{name}")
            assert await page.evaluate("() => document.documentElement.scrollWidth") <= device["viewport"]["width"]
            await accessible(page, state)

        await visitor.open()
        await page.locator("[name=consent]").check()
        await visitor.choose(CAT)
        await visitor.joke()
        await page.locator(".candidates summary").click()
        await page.locator(".compare").click()
        await page.locator(".modes li").nth(3).wait_for()
        await look("compared")
        await visitor.open()
        link = page.locator("#feed a").first
        await link.wait_for()
        await look("feed")
        await link.click()
        await page.locator(".one-joke").wait_for()
        await look("joke")
