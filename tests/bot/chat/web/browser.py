"""A real Chromium for tests of the page; where there is none, tests skip and say how to get it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.bot.running import RunningBot

expect.set_options(timeout=30_000)  # a busy machine takes its time

ARGUMENTS = "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --no-first-run"
DESKTOP = {"viewport": {"width": 1280, "height": 860}}
RESTING = """() => new Promise((done) => {
    let before = -1;
    const look = () => {
        if (before === scrollY) return done();
        before = scrollY;
        setTimeout(look, 100);
    };
    look();
})"""  # the page is no longer scrolling
QUIET = """() => new Promise((done) => {
    let waiting = setTimeout(done, 400);
    new MutationObserver(() => {
        clearTimeout(waiting);
        waiting = setTimeout(done, 400);
    }).observe(document.body, { attributes: true, characterData: true, childList: true, subtree: true });
})"""  # scripts no longer change the page
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


def chromium() -> str:
    """The program's path. Skips without one; fails where everything has to be tested (CI=true)."""
    names = (os.environ.get("BOKE_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        reason = (
            "no Chromium here: apt-get install chromium fonts-noto-cjk fonts-noto-color-emoji, or set BOKE_CHROMIUM"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}


@asynccontextmanager
async def run_browser() -> AsyncIterator[Browser]:
    """A Chromium without a window."""
    program = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS.split())
        yield browser
        await browser.close()


class Visit:
    """One visitor's browser on the bot's page. What goes wrong inside the browser ends up in `complaints`."""

    def __init__(self, page: Page, bot: RunningBot) -> None:
        self.page, self.bot = page, bot
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("filechooser", lambda _: None)  # from now on: a test that is quick to press would get the real dialog
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    def _note(self, kind: str, text: str) -> None:
        # A refusal's status is reported as an error, too; that is the page's business.
        if kind in ("error", "warning") and not text.startswith("Failed to load resource"):
            self.complaints.append(text)

    async def open(self, path: str = "/") -> None:
        await self.page.goto(self.bot.url + path)

    async def choose(self, *files: Path) -> None:
        """Through the file dialog, opened with the button that is seen."""
        async with self.page.expect_file_chooser() as choosing:
            await self.page.locator('[data-pick="file"]:visible').click()
        await (await choosing.value).set_files(files)

    async def joke(self, number: int = -1) -> str:
        """The text of a joke, by default the last one's; waits for it."""
        await self.page.locator(".joke").nth(number).wait_for()
        return await self.page.locator(".joke").nth(number).inner_text()

    async def heard(self, text: str) -> None:
        """Waits until a screen reader is told."""
        await self.page.locator("#status", has_text=text).wait_for(state="attached")

    async def picture(self, name: str) -> None:
        """Keep a screenshot, where BOKE_SCREENSHOTS names a folder."""
        folder = os.environ.get("BOKE_SCREENSHOTS")
        if folder:
            await self.page.evaluate(RESTING)
            await self.page.screenshot(path=Path(folder) / f"{name}.png", animations="disabled")


@asynccontextmanager
async def visit(browser: Browser, bot: RunningBot, **options: Any) -> AsyncIterator[Visit]:
    """A fresh visitor, by default with a Japanese browser on a desktop. Asserts afterwards that the browser had no complaint
    and asked no other machine for anything."""
    context: BrowserContext = await browser.new_context(**{"locale": "ja-JP", **DESKTOP, **options})
    context.set_default_timeout(20_000)
    visitor = Visit(await context.new_page(), bot)
    try:
        yield visitor
        assert visitor.complaints == []
        assert visitor.hosts <= {bot.url.split("/")[2], ""}
    finally:
        await context.close()


async def accessible(page: Page, state: str = "") -> None:
    """Axe finds nothing against WCAG 2.2, A and AA."""
    # At the top: what the header covers half on the way down can be scrolled free, which axe does not know.
    await page.evaluate("() => scrollTo({ top: 0, behavior: 'instant' })")
    found = await Axe().run(page, options=RULES)
    assert found.violations_count == 0, f"{state}: {found.generate_report()}"
