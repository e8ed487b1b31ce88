"""Hours of load in short: many pictures through the bot and its worker, and the memory of neither grows.

`make soak` posts 20,000; the short form only sees what leaks with every picture.
"""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path

import aiohttp
import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest
from PIL import Image

from bot.chat.web.posted import MAX_PICTURES
from tests.bot.running import RunningBot, run_bot
from tests.bot.test_app import worker_of

MB = 2**20
AT_ONCE = 8


def picture(number: int) -> bytes:
    """A picture that no other number has, in one of three formats, every tenth of them damaged.

    It takes 100 kB and more, decoded or not, so that one that is kept shows.
    """
    noise = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
    image = Image.fromarray(noise).resize((256 + number % 7 * 16, 256), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, ("JPEG", "PNG", "WEBP")[number % 3])
    data = file.getvalue() + bytes(100_000)
    return data[: file.tell() // 2] if number % 10 == 9 else data


async def post_all(url: str, numbers: range) -> int:
    """Post these pictures, some at once; returns how many were answered."""
    left, answered = iter(numbers), 0

    async def poster(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        for number in left:
            form = aiohttp.FormData()
            form.add_field("image", picture(number), filename=f"{number}.jpg")
            async with session.post("/api/boke", data=form) as response:
                await response.read()
                assert response.status in (200, 415), await response.text()
                answered += response.status == 200

    async with aiohttp.ClientSession(url) as session:
        await asyncio.gather(*(poster(session) for _ in range(AT_ONCE)))
    return answered


def memory(bot: RunningBot) -> tuple[float, float]:
    """Resident memory of the bot and of its worker, MB."""
    return psutil.Process(bot.process.pid).memory_info().rss / MB, worker_of(bot).memory_info().rss / MB


async def soak(folder: Path, model: Path, warm_up: int, pictures: int) -> list[tuple[float, float]]:
    """Memory after the warm-up and after each quarter of the pictures; all that were whole are answered, by one worker."""
    variables = {"BOKE__WEB__POSTS_PER_MINUTE": "0", "BOKE__ENGINE__THREADS": "1", "BOKE__LOG__LEVEL": "warning"}
    with run_bot(folder, BOKE__MODEL__PATH=str(model), **variables) as bot:
        answered = await post_all(bot.url, range(warm_up))
        pid, found = worker_of(bot).pid, [memory(bot)]
        for quarter in range(4):
            begin, end = (warm_up + pictures * part // 4 for part in (quarter, quarter + 1))
            answered += await post_all(bot.url, range(begin, end))
            found.append(memory(bot))
        assert worker_of(bot).pid == pid
        assert answered == sum(1 for number in range(warm_up + pictures) if number % 10 != 9)
        assert "Traceback" not in bot.log
    return found


def assert_flat(found: list[tuple[float, float]], bot_mb: float, worker_mb: float) -> None:
    first, last = found[0], found[-1]
    assert last[0] - first[0] < bot_mb, found
    assert last[1] - first[1] < worker_mb, found


async def test_memory_over_a_few_hundred_pictures(tmp_path: Path, tiny_model: Path) -> None:
    found = await soak(tmp_path, tiny_model, MAX_PICTURES * 6 // 5, 240)
    assert_flat(found, 12, 20)  # 85 kB for each would show: less than one picture


@pytest.mark.skipif(not os.environ.get("BOKE_SOAK"), reason="takes long; make soak runs it")
@pytest.mark.timeout(7200)
async def test_memory_over_20_000_pictures(tmp_path: Path, tiny_model: Path) -> None:
    pictures = int(os.environ.get("BOKE_SOAK_PICTURES", "20000"))
    found = await soak(tmp_path, tiny_model, 2000, pictures)
    for bot_mb, worker_mb in found:
        print(f"bot {bot_mb:.1f} MB, worker {worker_mb:.1f} MB")
    assert_flat(found, 24, 24)  # 1.2 kB for each
