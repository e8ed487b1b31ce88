"""The page in a real Chromium, over a real bot."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Request, Route, expect

from tests.bokemodel import formats
from tests.bot.chat.web.browser import DESKTOP, PHONE, Visit, accessible, visit
from tests.bot.chat.web.conftest import DATA
from tests.bot.running import RunningBot
from tests.bundles import LINES, QUOTES, quoted_at

pytestmark = pytest.mark.asyncio(loop_scope="module")

CAT, ROCKET, COFFEE, WORDS = DATA / "cat.jpg", DATA / "rocket.jpg", DATA / "coffee.jpg", DATA / "README.md"
DROP = """([data, name, type]) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const transfer = new DataTransfer();
    if (name) transfer.items.add(new File([bytes], name, { type }));
    else transfer.setData("text/uri-list", "https://example.org/");
    const fire = (kind) => document.body.dispatchEvent(
        new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
    fire("dragenter"); fire("dragover");
    const seen = !document.getElementById("curtain").hidden;
    fire("drop");
    return [seen, document.getElementById("curtain").hidden];
}"""
PASTE = """([data, name, type]) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type }));
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
}"""


def carried(path: Path, type: str = "image/jpeg") -> list[str]:
    return [base64.b64encode(path.read_bytes()).decode(), path.name, type]


async def test_choose_a_picture_and_read_the_joke(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        await visitor.open()
        page = visitor.page
        await expect(page.get_by_role("heading", name="写真を渡すと、ひとことボケます。")).to_be_visible()
        await visitor.picture("empty-desktop-light")
        await visitor.choose(CAT)
        assert await visitor.joke() in LINES
        await visitor.heard(f"ボケ：{await visitor.joke()}")
        await expect(page.get_by_role("img", name="送った写真：cat.jpg")).to_be_visible()
        await expect(page.get_by_role("heading", name="1枚目の写真")).to_be_attached()
        await expect(page.locator("#hero")).to_have_count(0)
        await visitor.picture("answer-desktop-light")


async def test_drop(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        await visitor.open()
        assert await visitor.page.evaluate(DROP, carried(CAT)) == [True, True], "the curtain opens, and closes again"
        assert await visitor.joke() in LINES


async def test_drop_of_something_else(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        await visitor.open()
        await visitor.page.evaluate(DROP, ["", "", ""])
        await expect(visitor.page.locator(".problem")).to_have_text(re.compile("写真が見つかりませんでした"))


async def test_paste(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        await visitor.open()
        await visitor.page.evaluate(PASTE, carried(CAT))
        assert await visitor.joke() in LINES


async def test_another_one(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        await visitor.open()
        await visitor.choose(CAT)
        first = await visitor.joke()
        again = visitor.page.get_by_role("button", name="もう一回")
        await again.click()
        await expect(visitor.page.locator(".joke")).to_have_count(2)
        assert await visitor.joke(1) != first
        assert await visitor.joke(0) == first, "what was said stays"
        await expect(again).to_have_count(1)
        await expect(again).to_be_focused()
        await visitor.picture("again-desktop-light")


async def test_another_kind_of_joke(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        await visitor.open()
        choice = visitor.page.get_by_label("ボケ方")
        await expect(choice).to_have_value("boke")
        offered = await choice.locator("option").all_inner_texts()
        assert offered == ["いつものボケ", "よその写真のボケ", "似た写真の名作ボケ", "元になった記事のやり方"]
        await choice.select_option("retrieve")
        await visitor.choose(CAT)
        await visitor.page.locator(".joke").wait_for()
        joke = await visitor.page.locator(".joke").inner_text()
        assert joke in QUOTES
        link = visitor.page.get_by_role("link", name="jokes.example")
        assert await link.get_attribute("href") == quoted_at(QUOTES.index(joke))
        await expect(choice).to_have_value("retrieve")
        await choice.select_option("boke")
        await visitor.page.get_by_role("button", name="もう一回").click()
        await expect(visitor.page.locator(".joke")).to_have_count(2)
        assert await visitor.page.locator(".joke").last.inner_text() in LINES


async def test_it_is_thinking(browser: Browser, bot: RunningBot) -> None:
    go = asyncio.Event()

    async def later(route: Route, request: Request) -> None:
        await go.wait()
        await route.continue_()

    async with visit(browser, bot) as visitor:
        await visitor.page.route("**/api/boke", later)
        await visitor.open()
        await visitor.choose(CAT)
        await expect(visitor.page.locator(".thinking")).to_be_visible()
        await visitor.heard("考え中です")
        go.set()
        assert await visitor.joke() in LINES
        await expect(visitor.page.locator(".thinking")).to_have_count(0)


async def test_votes(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        await visitor.open()
        await visitor.choose(CAT)
        up = visitor.page.get_by_role("button", name="おもしろい")
        down = visitor.page.get_by_role("button", name="いまいち")
        await up.click()
        await visitor.heard("座布団一枚！")
        await expect(up).to_have_attribute("aria-pressed", "true")
        await expect(up).to_have_text(re.compile("1$"))
        await down.click()
        await visitor.heard("精進します。")
        await expect(up).to_have_attribute("aria-pressed", "false")
        await expect(down).to_have_text(re.compile("1$"))
        await down.click()
        await visitor.heard("票を取り消しました。")
        await expect(down).to_have_attribute("aria-pressed", "false")
        await expect(down).to_have_text("いまいち")


async def test_card(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        await visitor.open()
        await visitor.choose(CAT)
        card = visitor.page.get_by_role("button", name="カード")
        await card.click()
        dialog = visitor.page.get_by_role("dialog", name="写真とボケを一枚に")
        await expect(dialog.get_by_role("img", name=f"カード：写真の下に「{await visitor.joke()}」")).to_be_visible()
        await visitor.picture("card-desktop-light")
        async with visitor.page.expect_download() as downloading:
            await dialog.get_by_role("link", name="保存").click()
        download = await downloading.value
        assert re.fullmatch(r"boke-[0-9a-f]{8}\.png", download.suggested_filename)
        assert (await download.path()).read_bytes().startswith(b"\x89PNG")
        await visitor.page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await expect(card).to_be_focused()


async def test_several_in_a_row(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        await visitor.open()
        await visitor.choose(CAT, WORDS, ROCKET, COFFEE)
        posts = visitor.page.locator(".post")
        await expect(posts).to_have_count(4)
        for number in (0, 2, 3):
            await expect(posts.nth(number).locator(".joke")).to_have_count(1)
        await expect(posts.nth(1).locator(".problem")).to_have_count(1)
        await visitor.choose(CAT)
        await expect(posts).to_have_count(5)
        await expect(posts.nth(4).locator(".joke")).to_have_count(1)
        first = await posts.nth(0).locator(".joke").inner_text()
        assert await posts.nth(4).locator(".joke").inner_text() != first, "the same picture is not told the same joke"


async def test_problems_are_words_in_the_channel(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        await visitor.open()
        await visitor.choose(WORDS)
        problem = visitor.page.locator(".problem")
        await expect(problem).to_have_text(
            "これは読めない形式でした。JPEG・PNG・GIF・WebP・HEIC・AVIFの写真をください。"
        )
        await visitor.heard("エラー：これは読めない形式でした。")
        await expect(visitor.page.get_by_role("button", name="もう一度送る")).to_have_count(0)
        await visitor.picture("error-desktop-light")


async def test_too_large_is_said_before_anything_is_sent(
    browser: Browser, strict_bot: RunningBot, tmp_path: Path
) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(CAT.read_bytes() + bytes(60_000))
    async with visit(browser, strict_bot) as visitor:
        sent: list[str] = []
        visitor.page.on("request", lambda request: sent.append(request.url))
        await visitor.open()
        await visitor.choose(large)
        await expect(visitor.page.locator(".problem")).to_have_text(
            "ファイルが大きすぎました。58 kBまでの写真をください。"
        )
        assert not [url for url in sent if url.endswith("/api/boke")]


async def test_too_fast_may_try_again(browser: Browser, strict_bot: RunningBot) -> None:
    headers = {"X-Forwarded-For": "203.0.113.77"}
    async with visit(browser, strict_bot, extra_http_headers=headers) as visitor:
        await visitor.open()
        await visitor.choose(CAT, CAT, CAT, CAT)
        await expect(visitor.page.locator(".problem")).to_have_text(
            re.compile(r"^ネタが追いつきません。\d+秒ほど待ってください。$")
        )
        await visitor.page.set_extra_http_headers({"X-Forwarded-For": "203.0.113.78"})
        await visitor.page.get_by_role("button", name="もう一度送る").click()
        await expect(visitor.page.locator(".joke")).to_have_count(4)
        await expect(visitor.page.locator(".problem")).to_have_count(0)


async def test_without_a_connection(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        await visitor.open()
        await visitor.page.context.set_offline(True)
        await visitor.choose(CAT)
        await expect(visitor.page.locator(".problem")).to_have_text(re.compile("^サーバーに届きませんでした。"))
        await visitor.page.context.set_offline(False)
        await visitor.page.get_by_role("button", name="もう一度送る").click()
        assert await visitor.joke() in LINES


async def test_by_keyboard_alone(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        page, keyboard = visitor.page, visitor.page.keyboard

        async def tab_to(name: str) -> None:
            for _ in range(20):
                await keyboard.press("Tab")
                text, outline = await page.evaluate(
                    "() => [document.activeElement.innerText, getComputedStyle(document.activeElement).outlineStyle]"
                )
                if text.strip().startswith(name):
                    assert outline == "solid", "the focus is seen"
                    return
            pytest.fail(f"no way to {name!r} by Tab")

        await visitor.open()
        await keyboard.press("Tab")
        await expect(page.locator(":focus")).to_have_text("本文へ移動")
        await tab_to("写真を選ぶ")
        async with page.expect_file_chooser() as choosing:
            await keyboard.press("Enter")
        await (await choosing.value).set_files(CAT)
        await visitor.joke()
        await expect(page.locator("#composer [data-pick=file]")).to_be_focused()
        await page.locator(".joke").last.evaluate("(joke) => getSelection().collapse(joke, 0)")
        await tab_to("もう一回")
        await keyboard.press("Enter")
        await expect(page.locator(".joke")).to_have_count(2)
        await tab_to("おもしろい")
        await keyboard.press("Space")
        await visitor.heard("座布団一枚！")
        await tab_to("カード")
        await keyboard.press("Enter")
        await expect(page.get_by_role("dialog").locator("img")).to_be_visible()


async def colours(visitor: Visit) -> tuple[int, int]:
    """How light the paper and the ink are, 0 to 255."""
    values = await visitor.page.evaluate(
        "() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    paper, ink = (sum(map(int, re.findall(r"\d+", value)[:3])) // 3 for value in values)
    return paper, ink


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_light_and_dark(browser: Browser, bot: RunningBot, scheme: Any) -> None:
    async with visit(browser, bot, color_scheme=scheme) as visitor:
        switch = visitor.page.get_by_role("button", name="ダークモード")
        for dark in (scheme == "dark", scheme != "dark"):
            await visitor.open()  # what was chosen by hand lasts
            paper, ink = await colours(visitor)
            assert (paper < ink) == dark
            await expect(switch).to_have_attribute("aria-pressed", str(dark).lower())
            await switch.click()
        await visitor.picture(f"empty-desktop-{scheme}")


@pytest.mark.parametrize("device", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_and_axe_finds_nothing(browser: Browser, bot: RunningBot, device: Any, scheme: Any) -> None:
    async with visit(browser, bot, color_scheme=scheme, **device) as visitor:
        page, name = visitor.page, f"{'phone' if device is PHONE else 'desktop'}-{scheme}"

        async def look(state: str) -> None:
            await visitor.picture(f"{state}-{name}")
            width = await page.evaluate("() => document.documentElement.scrollWidth")
            assert width <= device["viewport"]["width"], state
            await accessible(page, state)

        await visitor.open()
        await look("empty")
        await visitor.choose(CAT)
        await visitor.joke()
        await look("answer")
        await page.get_by_role("button", name="もう一回").click()
        await expect(page.locator(".joke")).to_have_count(2)
        await page.get_by_role("button", name="おもしろい").last.click()
        await visitor.heard("座布団一枚！")
        await look("again")
        await visitor.choose(WORDS)
        await page.locator(".problem").wait_for()
        await look("error")
        await page.get_by_role("button", name="カード").last.click()
        await expect(page.get_by_role("dialog").locator("img")).to_be_visible()
        await look("card")


async def test_on_a_phone(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot, **PHONE) as visitor:
        await visitor.open()
        async with visitor.page.expect_file_chooser() as choosing:
            await visitor.page.get_by_role("button", name="カメラで撮る").tap()
        chooser = await choosing.value
        assert await chooser.element.get_attribute("capture") == "environment"
        await chooser.set_files(CAT)
        await visitor.joke()
        for button in await visitor.page.locator("button:visible, a.switch:visible").all():
            box = await button.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 44, await button.inner_text()


async def test_english(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot, locale="en-US") as visitor:
        page = visitor.page
        await visitor.open()
        await expect(page.locator("html")).to_have_attribute("lang", "en")
        await visitor.picture("empty-desktop-english")
        await visitor.choose(CAT)
        assert await visitor.joke() in LINES
        await expect(page.locator(".joke")).to_have_attribute("lang", "ja")
        await page.get_by_role("button", name="Another one").wait_for()
        await visitor.choose(WORDS)
        await expect(page.locator(".problem")).to_have_text(re.compile("^I can't read this format"))
        await page.get_by_role("link", name="日本語").click()
        await expect(page.locator("html")).to_have_attribute("lang", "ja")
        await page.reload()
        await expect(page.get_by_role("button", name="写真を選ぶ")).to_be_visible()


async def test_a_format_that_the_browser_cannot_show(browser: Browser, bot: RunningBot, tmp_path: Path) -> None:
    heic = tmp_path / "IMG_0001.HEIC"
    heic.write_bytes(formats.encode(formats.photo(), "HEIF"))
    async with visit(browser, bot) as visitor:
        await visitor.open()
        await visitor.choose(heic)
        assert await visitor.joke() in LINES
        caption = visitor.page.locator(".photo figcaption")
        await expect(caption).to_be_visible()
        await expect(caption).to_contain_text("IMG_0001.HEIC")
        await expect(caption).to_contain_text("ちゃんと見ています")
        await expect(visitor.page.locator(".photo img")).to_have_count(0)
        await visitor.picture("heic-desktop-light")


async def test_nothing_moves_where_that_is_not_wanted(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot, reduced_motion="reduce") as visitor:
        await visitor.open()
        await visitor.choose(CAT)
        await visitor.joke()
        moving = "() => document.getAnimations().filter((animation) => animation.playState === 'running').length"
        assert await visitor.page.evaluate(moving) == 0
        name = await visitor.page.locator(".joke").evaluate("(joke) => getComputedStyle(joke).animationName")
        assert name == "none"


async def test_a_bubble_closes_around_its_lines(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot, **PHONE) as visitor:
        await visitor.open()
        await visitor.choose(CAT)
        await visitor.joke()
        beside = """(joke) => {
            const range = document.createRange();
            range.selectNodeContents(joke);
            const lines = range.getBoundingClientRect(), box = joke.getBoundingClientRect();
            return [lines.left - box.left, box.right - lines.right];
        }"""
        await visitor.page.wait_for_timeout(0)
        await visitor.page.locator(".joke").evaluate(
            "(joke) => Promise.all(joke.getAnimations().map((a) => a.finished))"
        )
        left, right = await visitor.page.locator(".joke").evaluate(beside)
        assert abs(left - right) < 4


async def test_the_smallest_phone(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot, **{**PHONE, "viewport": {"width": 320, "height": 568}}) as visitor:
        await visitor.open()
        await visitor.choose(CAT)
        await visitor.joke()
        assert await visitor.page.evaluate("() => document.documentElement.scrollWidth") <= 320
        for button in await visitor.page.locator("button:visible").all():
            box = await button.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= 320, await button.inner_text()
