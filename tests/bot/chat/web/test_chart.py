"""static/js/chart.js in a real Chromium, on a page of its own."""

from __future__ import annotations

import json
from typing import Any

import jinja2
import pytest
from playwright.async_api import Browser, Page, expect

from bot.chat.web import pages
from bot.chat.web.texts import texts
from tests.bot.chat.web.browser import DESKTOP, Visit, accessible, visit
from tests.bot.running import RunningBot

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOSSES = {
    "kind": "lines",
    "x": {"label": "エポック", "values": list(range(1, 13))},
    "series": [
        {"label": "学習", "values": [6.5 / n for n in range(1, 13)]},
        {"label": "開発", "values": [None, *(6.8 / n for n in range(2, 13))]},
    ],
}
LENGTHS = {
    "kind": "bars",
    "x": {"label": "文字数", "names": ["1–5", "6–10", "11–15"]},
    "series": [{"label": "ボケ", "values": [3, 12345, 7]}],
}
NIGHTS = {
    "kind": "lines",
    "x": {"label": "夜", "values": [1764000000 + 86400 * n for n in range(5)], "time": True},
    "series": [{"label": "ボケ", "values": [0, 10, 30, 60, 100]}],
}
INK = """(canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const data = copy.getImageData(0, 0, canvas.width, canvas.height).data;
    const colours = {};
    for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] < 255) continue;
        const name = [data[at], data[at + 1], data[at + 2]].join(",");
        colours[name] = (colours[name] ?? 0) + 1;
    }
    return colours;
}"""  # how many pixels of each solid colour


async def draw(visitor: Visit, content: dict[str, Any]) -> Page:
    """A chart in place of the page's content."""
    loader = jinja2.FileSystemLoader(pages.TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    static = f"/static/{pages.static_version()}"
    environment.globals["static"] = static
    figure = environment.get_template("charts.html").module.chart("it", "損失", texts("ja"))  # type: ignore[attr-defined]
    page = visitor.page
    await visitor.open()
    await page.add_style_tag(url=f"{static}/vendor/uplot.css")
    await page.add_style_tag(url=f"{static}/css/chart.css")
    await page.add_script_tag(url=f"{static}/vendor/uplot.js")
    await page.evaluate(
        """async ([html, static, content]) => {
            document.querySelector("main").innerHTML = "<h1>Chart</h1>" + html;
            const { Chart } = await import(static + "/js/chart.js");
            window.chart = new Chart(document.getElementById("it"), content);
        }""",
        [str(figure), static, content],
    )
    return page


async def drawn(page: Page, colour: str) -> int:
    """Pixels in the colour that a style variable has now."""
    wanted: str = await page.evaluate(
        """(name) => {
            const value = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
            return value.match(/[0-9a-f]{2}/g).map((pair) => parseInt(pair, 16)).join(",");
        }""",
        colour,
    )
    colours: dict[str, int] = await page.locator("#it canvas").evaluate(INK)
    return colours.get(wanted, 0)


@pytest.mark.parametrize("content", [LOSSES, LENGTHS, NIGHTS], ids=["lines", "bars", "nights"])
async def test_it_draws_and_tells_its_numbers(browser: Browser, bot: RunningBot, content: dict[str, Any]) -> None:
    async with visit(browser, bot) as visitor:
        page = await draw(visitor, content)
        await expect(page.get_by_role("img", name="損失")).to_be_visible()
        for number in range(1, len(content["series"]) + 1):
            assert await drawn(page, f"--series-{number}") > 50
        await page.keyboard.press("Tab")
        await page.locator("summary").focus()
        await page.keyboard.press("Enter")
        table = page.get_by_role("table")
        headings = await table.get_by_role("columnheader").all_inner_texts()
        assert headings == [content["x"]["label"], *(one["label"] for one in content["series"])]
        await expect(table.get_by_role("rowheader")).to_have_count(len(content["series"][0]["values"]))
        words = await table.inner_text()
        assert "0.5417" in words if content is LOSSES else True
        assert "12,345" in words if content is LENGTHS else True
        assert "2025/11/25" in words if content is NIGHTS else True
        await visitor.picture(f"chart-{content['x']['label']}")
        await accessible(page)


async def test_it_follows_the_pointer_the_window_and_the_colours(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot, **DESKTOP) as visitor:
        page = await draw(visitor, LOSSES)
        await page.locator("#it .u-over").hover(position={"x": 1, "y": 100})
        await expect(page.locator(".legend .at")).to_have_text("エポック 1")
        await expect(page.locator(".legend .value")).to_have_text(["6.5", "–"])
        light = await drawn(page, "--series-1")
        await page.get_by_role("button", name="ダークモード").click()
        dark = await drawn(page, "--series-1")
        assert min(light, dark) > 50
        await page.set_viewport_size({"width": 375, "height": 700})
        await expect(page.locator("#it canvas")).to_have_js_property("clientWidth", await width(page))
        assert await page.evaluate("() => document.documentElement.scrollWidth") <= 375


async def width(page: Page) -> int:
    return int(await page.locator("#it .plot").evaluate("(plot) => plot.clientWidth"))


async def test_other_numbers_take_the_place_of_the_old(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        page = await draw(visitor, LENGTHS)
        more = json.loads(json.dumps(LENGTHS))
        more["x"]["names"].append("16–20")
        more["series"][0]["values"].append(1)
        await page.evaluate("(content) => window.chart.show(content)", more)
        await page.locator("summary").click()
        await expect(page.get_by_role("rowheader")).to_have_text(["1–5", "6–10", "11–15", "16–20"])
        await expect(page.locator("#it canvas")).to_have_count(1)
