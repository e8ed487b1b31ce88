"""学習 and モデル in a real Chromium: a run watched while it learns, the owner's form, two models beside each other."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, Page, expect

from store.runs import EpochRecord, save_epochs, start_run, update_run
from store.types import now
from tests.bot.chat.web.browser import accessible, visit
from tests.bot.chat.web.conftest import ADMIN_TOKEN, DATA
from tests.bot.chat.web.learning import NEW, OLD, database_of, run_learner
from tests.bot.running import RunningBot
from tests.bundles import LINES, QUOTES
from tests.training.small import PHOTOS

pytestmark = pytest.mark.asyncio(loop_scope="module")

CAT = DATA / "cat.jpg"
METRICS = {"bits_per_char": 1.4, "bits_per_char_ci95": [1.3, 1.5], "r_at_10": 0.75, "chance_r_at_10": 0.1}
CHAMPION = {"bits_per_char": 1.5, "r_at_10": 0.7, "novelty": 0.9}


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBot]:
    with run_learner(tmp_path_factory.mktemp("learner")) as running:
        yield running


async def unlock(page: Page, token: str = ADMIN_TOKEN) -> None:
    await page.get_by_text("管理者の操作").click()
    await page.get_by_label("管理者トークン").fill(token)
    await page.keyboard.press("Enter")


async def test_an_install_that_never_learned_says_what_to_do(browser: Browser, learner: RunningBot) -> None:
    async with visit(browser, learner) as visitor:
        await visitor.open("/training")
        page = visitor.page
        await expect(page.get_by_role("heading", name="まだ一度も学習していません。")).to_be_visible()
        await expect(page.get_by_text("python -m training.corpus import jokes.jsonl")).to_be_visible()
        await expect(page.get_by_text("学習は動いていません。")).to_be_visible()
        await expect(page.get_by_text(re.compile("^次の学習："))).to_be_visible()
        await expect(page.get_by_role("button", name="いま学習する")).to_be_hidden()
        await visitor.picture("training-empty")


async def test_a_token_opens_and_a_wrong_one_does_not(browser: Browser, learner: RunningBot) -> None:
    async with visit(browser, learner) as visitor:
        await visitor.open("/training")
        page = visitor.page
        await unlock(page, "a guess")
        await expect(page.get_by_role("alert").filter(has_text="管理者のトークンが必要です。")).to_be_visible()
        await expect(page.get_by_role("button", name="いま学習する")).to_be_hidden()
        await page.get_by_label("管理者トークン").fill(ADMIN_TOKEN)
        await page.get_by_role("button", name="操作できるようにする").click()
        await visitor.heard("管理者として操作できます。")
        await expect(page.get_by_role("button", name="いま学習する")).to_be_visible()
        await accessible(page)
        await page.reload()
        await expect(page.get_by_role("button", name="いま学習する")).to_be_visible()
        await page.get_by_role("button", name="鍵をかける").click()
        await expect(page.get_by_role("button", name="いま学習する")).to_be_hidden()
        await expect(page.get_by_text("管理者の操作")).to_be_focused()


async def test_without_a_token_it_says_how_to_set_one(browser: Browser, strict_bot: RunningBot) -> None:
    async with visit(browser, strict_bot) as visitor:
        for path in ("/training", "/models"):
            await visitor.open(path)
            await expect(visitor.page.get_by_text("BOKE_ADMIN_TOKENを設定して")).to_be_visible()
            await expect(visitor.page.get_by_label("管理者トークン")).to_have_count(0)


async def test_a_run_is_started_watched_and_stopped(browser: Browser, learner: RunningBot) -> None:
    async with visit(browser, learner) as visitor:
        await visitor.open("/training")
        page = visitor.page
        page.set_default_timeout(60_000)
        await unlock(page)
        await page.get_by_role("button", name="いま学習する").click()
        await visitor.heard("学習を始めました。")
        await expect(page.locator("#doing")).to_have_text(re.compile(r"^学習 #\d+ が進んでいます。$"))
        await expect(page.locator("#doing-more")).to_have_text(re.compile(r"^学ぶ · [2-9]\d*周目$"))
        await expect(page.locator("#stages li.running")).to_have_text(re.compile("^学ぶ"))
        rows = page.locator("#curves tbody tr")
        before = await rows.count()
        await expect(rows.nth(before + 1)).to_be_attached(timeout=60_000)  # the chart grows by itself
        await page.get_by_role("button", name="学習を止める").click()
        await visitor.heard("止めるように伝えました。")
        await expect(page.locator("#doing")).to_have_text("学習は動いていません。")
        await expect(page.locator("#verdict")).to_contain_text("途中で止まりました。")
        await expect(page.locator("#runs li").first).to_contain_text("中断")
        await expect(page.get_by_role("button", name="いま学習する")).to_be_visible()


def told_run(bot: RunningBot) -> tuple[int, int]:
    """Two runs as they are written down; the second beat what the first had made."""
    database = database_of(bot)
    pictures = [hashlib.sha256(photo.read_bytes()).hexdigest() for photo in PHOTOS[:2]]
    numbers = []
    for which, (digest, beaten) in enumerate((("a" * 64, None), ("b" * 64, "a" * 64))):
        run = start_run(database, "schedule", "default")
        epochs = [
            EpochRecord(
                n,
                3.0 - n / 4 - which,
                3.2 - n / 8 - which,
                samples=tuple({"picture": p, "text": f"{n}周目のボケ{i}"} for i, p in enumerate(pictures)),
            )
            for n in range(1, 5 - which)
        ]
        save_epochs(database, run, epochs)
        figures = {"metrics": METRICS, "champion_metrics": CHAMPION if beaten else {}}
        stages = [
            {"name": "crawl", "state": "skipped", "seconds": 0.0},
            {"name": "train", "state": "done", "seconds": 200},
        ]
        ended = {"state": "published", "ended": now(), "stages": stages, "message": "it is live"}
        update_run(database, run, **figures, **ended, bundle_digest=digest, champion_digest=beaten)
        numbers.append(run)
    database.close()
    return numbers[0], numbers[1]


async def test_a_run_beside_its_champion(browser: Browser, learner: RunningBot) -> None:
    first, second = told_run(learner)
    async with visit(browser, learner) as visitor:
        await visitor.open(f"/training?run={second}")
        page = visitor.page
        await expect(page.get_by_role("heading", name=f"学習 #{second}")).to_be_visible()
        await expect(page.locator("#verdict")).to_contain_text("入れ替わりました。")
        await expect(page.locator("#stages li")).to_have_text(["ボケを集める飛ばした", "学ぶ3分"])
        await expect(page.locator("#curves .legend li:not(.at)")).to_have_text(
            [
                re.compile(f"^{name} ?$")
                for name in ("学習用", "見せていない写真", "比べた相手・学習用", "比べた相手・見せていない写真")
            ]
        )
        await page.locator("#curves summary").click()
        await expect(page.locator("#curves tbody tr").last).to_have_text("4––22.7")
        bits = page.locator("#figures tbody tr", has_text="1文字あたりのビット数")
        await expect(bits.locator("td")).to_have_text(["1.41.3〜1.5▲ 良い", "1.5"])
        await expect(page.locator("#figures tbody tr", has_text="写真を当てる").locator("td").first).to_contain_text(
            "75%"
        )

        said = page.locator(".said")
        await expect(said).to_have_text(["3周目のボケ0", "3周目のボケ1"])
        slider = page.get_by_role("slider")
        await slider.focus()
        await expect(page.get_by_role("img", name="学習に使っていない写真1")).not_to_have_js_property("naturalWidth", 0)
        await page.keyboard.press("Home")
        await expect(said).to_have_text(["1周目のボケ0", "1周目のボケ1"])
        await expect(slider).to_have_attribute("aria-valuetext", "1周目")
        await page.get_by_role("button", name="再生").click()
        await visitor.heard("3周目")
        await expect(said.first).to_have_text("3周目のボケ0")
        await expect(page.get_by_role("button", name="再生")).to_be_visible()
        await accessible(page)
        await visitor.picture("training-run")

        await page.locator("#runs a", has_text=f"#{first}").click()
        await expect(page.get_by_role("heading", name=f"学習 #{first}")).to_be_focused()
        await expect(page.locator("#curves .legend li:not(.at)")).to_have_count(2)
        await expect(page.locator("#runs [aria-current]")).to_contain_text(f"#{first}")
        await page.go_back()
        await expect(page.get_by_role("heading", name=f"学習 #{second}")).to_be_visible()


async def test_another_model_is_used_and_rolled_back(browser: Browser, learner: RunningBot) -> None:
    async with visit(browser, learner) as visitor:
        await visitor.open("/models")
        page = visitor.page
        page.set_default_timeout(60_000)
        live = page.locator("#bundles .live .name")
        await expect(live).to_have_text(NEW)
        await expect(page.locator("#bundles .name")).to_have_text([NEW, OLD, "付属のモデル"])
        await expect(page.get_by_role("button", name="一つ前に戻す")).to_be_hidden()
        await unlock(page)
        await page.get_by_role("button", name=f"{OLD} を使う").click()
        await visitor.heard(f"{OLD} に切り替えました。")
        await expect(live).to_have_text(OLD)
        await page.get_by_role("button", name="一つ前に戻す").click()
        await visitor.heard("付属のモデル に切り替えました。")
        await expect(page.locator("#bundles li", has_text=OLD)).to_contain_text("取り下げた")
        await page.get_by_role("button", name=f"{NEW} を使う").click()
        await visitor.heard(f"{NEW} に切り替えました。")
        await expect(live).to_have_text(NEW)
        await accessible(page)


async def test_two_models_beside_each_other(browser: Browser, learner: RunningBot) -> None:
    async with visit(browser, learner) as visitor:
        await visitor.open("/models")
        page = visitor.page
        page.set_default_timeout(60_000)
        await expect(page.get_by_text("写真での比べっこは、管理者だけができます。")).to_be_visible()
        await unlock(page)
        await page.get_by_label("こちら").select_option(NEW)
        await page.get_by_label("あちら").select_option(OLD)
        await expect(page.get_by_text("この二つには、比べられる数字がありません。")).to_be_visible()
        async with page.expect_file_chooser() as choosing:
            await page.get_by_role("button", name="写真を選ぶ").click()
        await (await choosing.value).set_files(CAT)
        opinions = page.locator("#opinions article")
        await expect(opinions.locator("h3")).to_have_text([NEW, OLD])
        await visitor.heard("ふたつのモデルのボケが並びました。")
        for text in await page.locator(".sayings .said").all_inner_texts():
            assert text in LINES
        for text in await opinions.first.locator(".written").all_inner_texts():
            assert text in QUOTES
        await expect(opinions.last.get_by_text("元ネタは分かりません。")).to_be_visible()
        await accessible(page)
        await visitor.picture("models-compared")
        async with page.expect_file_chooser() as choosing:
            await page.get_by_role("button", name="写真を選ぶ").click()
        await (await choosing.value).set_files(DATA / "README.md")
        await expect(page.locator("#compare-refused")).to_have_text(re.compile("読めない形式"))
