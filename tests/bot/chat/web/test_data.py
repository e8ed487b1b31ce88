"""データ in a real Chromium, over a bot with a corpus and over one without."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.bot.chat.web.browser import accessible, visit
from tests.bot.chat.web.stock import CAT_STARS, DEV, DROPPED, READ, STARS, TRAIN
from tests.bot.running import RunningBot

pytestmark = pytest.mark.asyncio(loop_scope="module")

EACH = len(STARS)  # jokes of a picture; the first has one more


async def cells(page: Page, rows: str) -> list[list[str]]:
    """What stands in a table's rows."""
    await page.locator(rows).first.wait_for(state="attached")
    found = await page.locator(rows).all()
    return [await row.locator("th, td").all_inner_texts() for row in found]


async def numbers(page: Page, chart: str) -> list[list[str]]:
    """The table of a chart, opened as people do."""
    await page.locator(f"#{chart} summary").click()
    return await cells(page, f"#{chart} tbody tr")


async def test_a_corpus_in_tables_and_charts(browser: Browser, stocked_bot: RunningBot) -> None:
    jokes, held_out = TRAIN * EACH + 1, DEV * EACH
    async with visit(browser, stocked_bot) as visitor:
        page = visitor.page
        await visitor.open("/data")
        assert await cells(page, "#sizes tbody tr") == [
            ["学習用", str(jokes), str(TRAIN)],
            ["検証用（学習には使わない）", str(held_out), str(DEV)],
            ["合計", str(jokes + held_out), str(TRAIN + DEV)],
        ]
        await expect(page.locator("#vocabulary dd")).to_have_text("390語")
        await expect(page.locator("#data canvas")).to_have_count(5)
        assert await numbers(page, "per_picture") == [["6", "12"], ["7", "1"]]
        growth = await numbers(page, "growth")
        assert [row[0] for row in growth] == ["11/1", "11/2", "11/3", "11/4", "11/5"], (
            "days of Tokyo, and the one before"
        )
        half = (jokes + held_out) // 2
        assert growth[0][1:] == ["0", "0"]
        assert [row[1:] for row in growth[1:4]] == [[str(half), str(TRAIN + DEV)]] * 3
        assert growth[4][1:] == [str(jokes + held_out), str(TRAIN + DEV)]
        assert [row[1] for row in await numbers(page, "added")] == [str(half), "0", "0", str(jokes + held_out - half)]
        starred = {row[0]: row[1] for row in await numbers(page, "stars")}
        assert starred == {"0": "0", "1": "0", "2–4": "26", "5–9": "26", "10–19": "13", "20–49": "0", "50–99": "1"}
        await expect(page.locator("#stars-note")).to_have_text(f"平均6.67、最大{CAT_STARS} · 星の分からないボケ：13件")
        await accessible(page)


async def test_what_the_filters_kept_out(browser: Browser, stocked_bot: RunningBot) -> None:
    async with visit(browser, stocked_bot, locale="en") as visitor:
        page = visitor.page
        await visitor.open("/data")
        assert await cells(page, "#filters tbody tr") == [
            ["Fill-in-the-blank odai", "0", "0%"],
            ["Too short or too long", "3", "3.3%"],
            ["Duplicates", "8", "8.9%"],
            ["of_tomorrow", "1", "1.1%"],
        ]
        kept = READ - sum(DROPPED.values())
        assert await cells(page, "#filters tfoot tr") == [["Jokes read", "90", ""], ["Jokes kept", str(kept), "86.7%"]]
        await expect(page.locator("#filters-note")).to_have_text("Run 1 (Nov 4, 2026)")
        widths = await page.locator("#filters .bar").evaluate_all("(bars) => bars.map((bar) => bar.offsetWidth)")
        assert widths[0] == 0
        assert widths[2] > 2 * widths[1] > 0


async def test_without_a_corpus_it_says_how_to_bring_jokes(browser: Browser, bot: RunningBot) -> None:
    async with visit(browser, bot) as visitor:
        page = visitor.page
        await visitor.open("/data")
        await expect(page.get_by_role("heading", name="まだボケが集まっていません。")).to_be_visible()
        await expect(page.locator("#empty code")).to_have_text("python -m training.corpus import jokes.jsonl")
        await expect(page.locator("#vocabulary dd")).to_have_text("390語")
        await expect(page.locator("#sizes, #charts, #counting, #seen, #no-model")).to_have_count(5)
        for hidden in ("#sizes", "#charts", "#counting", "#seen", "#no-model"):
            await expect(page.locator(hidden)).to_be_hidden()
