"""ボケを見る in a real Chromium: filters, scrolling, keyboard, and what cannot be shown."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.bot.chat.web.browser import DESKTOP, accessible, visit
from tests.bot.chat.web.stock import CAT, CAT_STARS, DEV, TRAIN
from tests.bot.running import RunningBot
from tests.bundles import LINES

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = 4  # pictures in one request
LOW = {"viewport": {"width": 1280, "height": 300}}  # a window that two requests fill


def articles(page: Page) -> Locator:
    return page.get_by_role("feed").get_by_role("article")


async def position(page: Page) -> str | None:
    """Which picture has the focus."""
    return await page.locator(":focus").get_attribute("aria-posinset")


async def test_the_models_jokes_stand_beside_peoples(browser: Browser, stocked_bot: RunningBot) -> None:
    async with visit(browser, stocked_bot) as visitor:
        page = visitor.page
        await visitor.open("/check?split=dev")
        await expect(articles(page)).to_have_count(DEV)
        await expect(page.locator("#matching")).to_have_text(f"{DEV}枚の写真")
        await expect(page.get_by_text("これで全部です。")).to_be_visible()
        await expect(
            page.locator("#more, #loading, #trouble, #none, #none-of-side").filter(visible=True)
        ).to_have_count(0)
        for article in await articles(page).all():
            said = await article.locator(".joke, .others li").all_inner_texts()
            assert len(said) == 5
            assert set(said) <= set(LINES)
            written = article.locator(".written li")
            await expect(written).to_have_count(5)
            await expect(written.first).to_have_text(re.compile(r"^吾輩は\d+番目の写真です ★10星10$"))
            languages = await written.locator("[dir=auto]").evaluate_all("(all) => all.map((each) => each.lang)")
            assert languages == ["ja", "en", "", "ja", "en"]
            await expect(article.locator("img")).to_have_js_property("complete", True)
            assert await article.locator("img").evaluate("(image) => image.naturalWidth") > 0
        await accessible(page)


async def test_more_come_on_scrolling(browser: Browser, stocked_bot: RunningBot) -> None:
    async with visit(browser, stocked_bot, **LOW) as visitor:
        page = visitor.page
        await visitor.open("/check")
        await expect(articles(page)).not_to_have_count(0)
        await expect(page.locator("#feed")).to_have_attribute("aria-busy", "false")
        assert await articles(page).count() < TRAIN
        while await articles(page).count() < TRAIN:
            before = await articles(page).count()
            await page.mouse.wheel(0, 5000)
            await expect(articles(page).nth(before)).to_be_attached()
        await expect(articles(page)).to_have_count(TRAIN)
        digests = await articles(page).evaluate_all("(all) => all.map((each) => each.dataset.digest)")
        assert len(set(digests)) == TRAIN
        await expect(page.get_by_text("これで全部です。")).to_be_visible()
        await visitor.heard("枚の写真を追加しました")


async def test_more_come_by_the_button(browser: Browser, stocked_bot: RunningBot) -> None:
    """For whom scrolling does nothing."""
    async with visit(browser, stocked_bot, **LOW) as visitor:
        page = visitor.page
        await page.add_init_script("IntersectionObserver.prototype.observe = () => {}")
        await visitor.open("/check")
        for count in (AT_ONCE, 2 * AT_ONCE):
            await expect(articles(page)).to_have_count(count)
            await page.get_by_role("button", name="もっと見る").press("Enter")
        await expect(articles(page)).to_have_count(TRAIN)
        await expect(page.get_by_role("button", name="もっと見る")).to_be_hidden()


async def test_the_keyboard_alone(browser: Browser, stocked_bot: RunningBot) -> None:
    async with visit(browser, stocked_bot) as visitor:
        page = visitor.page
        await visitor.open("/check")
        await expect(articles(page)).not_to_have_count(0)
        for number in range(1, TRAIN + 1):  # past those that are there
            await page.keyboard.press("j" if number % 2 else "ArrowDown")
            await expect(page.locator(":focus")).to_have_attribute("aria-posinset", str(number))
            await expect(page.locator(":focus")).to_be_in_viewport()
        await page.keyboard.press("j")  # there are no more
        for key, number in (("k", TRAIN - 1), ("ArrowUp", TRAIN - 2), ("j", TRAIN - 1)):
            await page.keyboard.press(key)
            assert await position(page) == str(number)
        await page.keyboard.press("g")
        await visitor.heard("ボケ：")
        assert await position(page) == str(TRAIN - 1)
        assert await page.locator(":focus .joke").inner_text() in LINES
        await page.keyboard.press("/")
        await expect(page.get_by_role("searchbox")).to_be_focused()
        await page.keyboard.type("gjk/")
        await expect(page.get_by_role("searchbox")).to_have_value("gjk/")


async def test_letters_can_be_switched_off(browser: Browser, stocked_bot: RunningBot) -> None:
    async with visit(browser, stocked_bot) as visitor:
        page = visitor.page
        await visitor.open("/check?split=dev")
        await expect(articles(page)).to_have_count(DEV)
        await page.get_by_role("checkbox").uncheck()
        await page.reload()
        await expect(articles(page)).to_have_count(DEV)
        await expect(page.get_by_role("checkbox")).not_to_be_checked()
        await articles(page).first.focus()
        await page.keyboard.press("j")
        assert await position(page) == "1"
        await page.keyboard.press("ArrowDown")
        assert await position(page) == "2"


async def test_pictures_are_filtered(browser: Browser, stocked_bot: RunningBot) -> None:
    async with visit(browser, stocked_bot) as visitor:
        page = visitor.page
        await visitor.open("/check")
        await expect(articles(page)).not_to_have_count(0)
        await page.get_by_role("searchbox").fill("猫　社長")
        await page.keyboard.press("Enter")
        await expect(articles(page)).to_have_count(1)
        await expect(page.locator(".written li").first).to_have_text(f"{CAT} ★{CAT_STARS}星{CAT_STARS}")
        assert await page.locator("mark").all_inner_texts() == ["猫", "社長"]
        await page.reload()  # the address keeps it
        await expect(articles(page)).to_have_count(1)
        await expect(page.get_by_role("searchbox")).to_have_value("猫　社長")
        await page.get_by_role("spinbutton").fill(str(CAT_STARS + 1))
        await page.keyboard.press("Enter")
        await visitor.heard("条件に合う写真がありません。")
        await expect(articles(page)).to_have_count(0)
        await accessible(page)
        await page.get_by_role("button", name="条件を消す").click()
        await expect(page.locator("#matching")).to_have_text(f"{TRAIN}枚の写真")
        await expect(page.get_by_role("searchbox")).to_be_focused()
        await page.get_by_role("radio", name="検証用").check()
        await expect(articles(page)).to_have_count(DEV)
        await expect(page).to_have_url(f"{stocked_bot.url}/check?split=dev")


async def test_words_are_marked_as_they_are_written(browser: Browser, stocked_bot: RunningBot) -> None:
    async with visit(browser, stocked_bot) as visitor:
        page = visitor.page
        await visitor.open("/check?split=dev&query=cat+o%E2%80%99clock")
        await expect(articles(page)).to_have_count(DEV)
        assert await articles(page).first.locator("mark").all_inner_texts() == ["Cat", "o’clock"]
        await visitor.open("/check?query=" + "%28%2A%5B")
        await expect(page.locator("#none")).to_be_visible()


async def test_another_order_each_time(browser: Browser, stocked_bot: RunningBot) -> None:
    seen = set()
    async with visit(browser, stocked_bot) as visitor:
        page = visitor.page
        await visitor.open("/check")
        for _ in range(4):
            await expect(articles(page)).not_to_have_count(0)
            seen.add(
                tuple(await articles(page).evaluate_all("(all) => all.slice(0, 4).map((each) => each.dataset.digest)"))
            )
            await page.get_by_role("button", name="ボケさせる").click()
    assert len(seen) > 1


async def test_a_server_that_is_away(browser: Browser, stocked_bot: RunningBot) -> None:
    async with visit(browser, stocked_bot, **DESKTOP) as visitor:
        page = visitor.page
        await visitor.open("/check?split=dev")
        await expect(articles(page)).to_have_count(DEV)
        await page.context.set_offline(True)
        await page.get_by_role("button", name="もう一度ボケる").first.click()
        await visitor.heard("エラー：サーバーに届きませんでした")
        await expect(articles(page).first).to_contain_text("サーバーに届きませんでした")
        await page.get_by_role("button", name="ボケさせる").click()
        await expect(page.locator("#trouble")).to_contain_text("サーバーに届きませんでした")
        await accessible(page)
        await page.context.set_offline(False)
        await page.get_by_role("button", name="もう一度", exact=True).click()
        await expect(articles(page)).to_have_count(DEV)
        await expect(page.locator("#trouble")).to_be_hidden()
        assert await position(page) == "1"


async def test_an_empty_corpus(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        page = visitor.page
        await visitor.open("/check")
        await visitor.heard("こちら側にはまだ写真がありません。")
        await expect(page.locator("#none-of-side code")).to_have_text("python -m training.corpus import jokes.jsonl")
        await page.keyboard.press("j")  # leads nowhere
        await accessible(page)
