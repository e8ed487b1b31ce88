"""Makes the README's pictures again, from the model that ships: `python -m docs.pictures`. Needs Chromium.

`answer.png` is a card of tests/data/cat.jpg (CC0) with what `python -m bokemodel tests/data/cat.jpg --seed 0` says;
the others are a running bot's page, as a visitor with such a browser sees it (Japanese and light, English and dark, a phone).

`python -m docs.pictures FOLDER` makes those of the views about data, training and models, of a bot whose folders `data` and
`models` lie in FOLDER and have a corpus and the record of a training run.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import Browser

from bokemodel import BokeModel
from bokemodel.pictures import open_file
from bot.card import make_card
from tests.bot.chat.web.browser import PHONE, QUIET, RESTING, run_browser, visit
from tests.bot.running import RunningBot, run_bot

DOCS = Path(__file__).resolve().parent
PHOTO = DOCS.parent / "tests" / "data" / "cat.jpg"
CARD_WIDTH = 560  # pixels
COLOURS = 160
DESK: dict[str, Any] = {"viewport": {"width": 1080, "height": 860}}
PAGES: dict[str, dict[str, Any]] = {
    "page-light": {**DESK, "color_scheme": "light"},
    "page-dark": {**DESK, "color_scheme": "dark", "locale": "en-GB"},
    "page-phone": {**PHONE, "color_scheme": "light", "device_scale_factor": 1},
}
TALL: dict[str, Any] = {"viewport": {"width": 1080, "height": 1080}}
VIEWS: dict[str, tuple[str, dict[str, Any]]] = {
    "view-data": ("/data", {**TALL, "color_scheme": "light"}),
    "view-training": ("/training", {**TALL, "color_scheme": "dark", "locale": "en-GB"}),
    "view-models": ("/models", {**DESK, "color_scheme": "light"}),
}


def save(png: bytes, name: str) -> None:
    """Keep a picture in as many colours as a palette has: a README should load quickly."""
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").quantize(COLOURS).save(DOCS / f"{name}.png", optimize=True)


def answer() -> None:
    """The card."""
    model = BokeModel.load()
    [[joke]] = model.boke([open_file(PHOTO, short_side=model.encoder.input_size)], n=1, mode="boke", seed=0)
    save(make_card(open_file(PHOTO), joke.text, width=CARD_WIDTH), "answer")
    print(f"answer.png: {joke.text}")


async def page(browser: Browser, bot: RunningBot, name: str, options: dict[str, Any]) -> None:
    """The page with an answer on it."""
    async with visit(browser, bot, **options) as visitor:
        await visitor.open()
        await visitor.choose(PHOTO)
        joke = await visitor.joke()
        await visitor.page.evaluate(RESTING)
        save(await visitor.page.screenshot(animations="disabled"), name)
    print(f"{name}.png: {joke}")


async def pages() -> None:
    """A bot with defaults, and each visitor in turn."""
    with tempfile.TemporaryDirectory() as folder, run_bot(Path(folder), BOKE__WEB__POSTS_PER_MINUTE="0") as bot:
        async with run_browser() as browser:
            for name, options in PAGES.items():
                await page(browser, bot, name, options)


async def views(folder: Path) -> None:
    """What a bot shows of what it has in a folder."""
    with run_bot(folder) as bot:
        async with run_browser() as browser:
            for name, (path, options) in VIEWS.items():
                async with visit(browser, bot, **options) as visitor:
                    await visitor.open(path)
                    await visitor.page.evaluate(QUIET)
                    save(await visitor.page.screenshot(animations="disabled"), name)
                print(f"{name}.png")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(views(Path(sys.argv[1])))
    else:
        answer()
        asyncio.run(pages())
