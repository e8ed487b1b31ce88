"""Every view in a real Chromium: both languages, light and dark, a phone and a desktop; axe, keyboard, no complaint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from bokemodel.bundle import load_bundle
from bot.chat.web.texts import base, texts
from bot.chat.web.views import VIEWS
from bot.chat.web.views.base import View
from bot.messages import Language
from tests.bot.chat.web.browser import PHONE, QUIET, Visit, accessible, visit
from tests.bot.chat.web.conftest import ADMIN_TOKEN
from tests.bot.chat.web.stock import stock_photos
from tests.bot.running import RunningBot, run_bot
from training.publish import publish

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZES = ((1280, 860), (375, 812))
each_view = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)


async def look_over(visitor: Visit, view: View, language: Language, name: str) -> None:
    """A desktop and a phone, light and dark: nothing sticks out, and axe finds nothing."""
    page = visitor.page
    for width, height in SIZES:
        await page.set_viewport_size({"width": width, "height": height})
        await visitor.open(view.path)
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            await page.evaluate(QUIET)
            await visitor.picture(f"{name}-{language}-{scheme}-{width}")
            assert await page.evaluate("() => document.documentElement.scrollWidth") <= width
            await accessible(page)
    await expect(page.locator("html")).to_have_attribute("lang", language)
    await expect(page.get_by_role("heading", level=1)).to_have_count(1)
    await expect(page.get_by_role("main")).to_have_count(1)


@each_view
@pytest.mark.parametrize("language", ["ja", "en"])
async def test_it_fits_and_axe_finds_nothing(browser: Browser, bot: RunningBot, view: View, language: Language) -> None:
    async with visit(browser, bot, locale=language) as visitor:
        await look_over(visitor, view, language, view.name)


@pytest.fixture(scope="module")
def photo_bot(tmp_path_factory: pytest.TempPathFactory, bundle: Path, shared_data: Path) -> Iterator[RunningBot]:
    """A bot with photos and their descriptions from the measured data, and a run that learned from them."""
    folder = tmp_path_factory.mktemp("photos")
    stock_photos(folder / "data", folder / "corpus", shared_data / "flickr8k")
    publish(folder / "models", load_bundle(bundle), "20240101-000000-00000000", 5)
    with run_bot(folder, BOKE__WEB__POSTS_PER_MINUTE="0", BOKE_ADMIN_TOKEN=ADMIN_TOKEN) as running:
        yield running
        assert "Traceback" not in running.log


@each_view
@pytest.mark.parametrize("language", ["ja", "en"])
async def test_the_same_with_photos_and_a_run(
    browser: Browser, photo_bot: RunningBot, view: View, language: Language
) -> None:
    shown = {"data": ".chart canvas", "check": "article img", "training": ".chart canvas", "models": ".bundles li"}
    async with visit(browser, photo_bot, locale=language) as visitor:
        await visitor.open(view.path)
        if view.name in shown:
            await visitor.page.locator(shown[view.name]).first.wait_for()
        await look_over(visitor, view, language, f"{view.name}-photos")


@each_view
async def test_the_keyboard_finds_the_header_and_the_content(browser: Browser, bot: RunningBot, view: View) -> None:
    words = texts("ja", view.texts)
    tabs = [other.tab("ja") for other in VIEWS]
    async with visit(browser, bot) as visitor:
        await visitor.open(view.path)
        for label in (words["skip"], *tabs, words["other_language"], words["dark"]):
            await visitor.page.keyboard.press("Tab")
            await expect(visitor.page.locator(":focus")).to_have_text(label)
        await visitor.page.keyboard.press("Tab")
        await expect(visitor.page.locator("main :focus")).to_have_count(1)


@each_view
async def test_the_switch_of_languages_stays_on_the_page(browser: Browser, bot: RunningBot, view: View) -> None:
    async with visit(browser, bot) as visitor:
        await visitor.open(f"{view.path}?kept=1")
        await visitor.page.get_by_role("link", name=base.TEXTS["other_language"][0]).click()
        await expect(visitor.page.locator("html")).to_have_attribute("lang", "en")
        await expect(visitor.page).to_have_title(texts("en", view.texts)["title"])
        assert visitor.page.url == f"{bot.url}{view.path}?kept=1"


async def test_tabs_by_touch(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot, **{**PHONE, "viewport": {"width": 320, "height": 568}}) as visitor:
        await visitor.open()
        for view in (*VIEWS[1:], VIEWS[0]):
            tab = visitor.page.get_by_role("navigation").get_by_role("link", name=view.tab("ja"), exact=True)
            box = await tab.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 44
            await tab.tap()
            await expect(visitor.page.locator(".views [aria-current]")).to_have_text(view.tab("ja"))
            await expect(visitor.page.locator(".views [aria-current]")).to_be_in_viewport(ratio=0.9)
            assert await visitor.page.evaluate("() => document.documentElement.scrollWidth") <= 320
