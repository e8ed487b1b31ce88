"""Damaged files of every format through the whole path, from bytes to reply, card and feed: the bot lives, and so does its
worker.

`make soak` sends tens of thousands. A reader that crashes costs its own picture and no other: the last test crashes one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import random
import signal
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from PIL import Image, ImageCms

from bot.inference import EngineSettings, Inference, WorkerLost
from bot.worker import Answered, Job, ModelPlace
from tests.bokemodel.formats import ORIENTATION, WRITERS, encode, photo, sample
from tests.bot.conftest import photo as whole_photo
from tests.bot.running import run_bot
from tests.bot.test_app import worker_of

STATUSES = {200, 400, 413, 415, 422, 503}
FEW, MANY = 2, 750  # of each sample
DEADLY = "deadly"


def samples() -> list[bytes]:
    """One small file of every format, and of kinds of them that people seldom post."""
    small = photo(size=(48, 32))
    grey, few, lines = small.convert("L"), small.quantize(16), small.convert("1")
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    lab = ImageCms.profileToProfile(
        small, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    return [
        *(sample(name, small) for name in WRITERS),
        *(encode(small, name, exif=exif, icc_profile=icc) for name in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF")),
        *(encode(image, "PNG") for image in (lines, small.convert("LA"))),
        encode(few, "PNG", transparency=bytes(range(16))),
        encode(few, "GIF", transparency=3),
        *(encode(small, "TIFF", compression=name) for name in ("packbits", "tiff_lzw", "jpeg")),
        *(encode(lines, "TIFF", compression=name) for name in ("group3", "group4")),
        *(encode(grey.convert(mode), "TIFF") for mode in ("F", "I")),
        *(encode(image, "TIFF") for image in (small.convert("CMYK"), lab)),
        *(encode(image, "BMP") for image in (few, lines, small.convert("RGBA"))),
    ]


def spoilt(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, most often among the first, where sizes and offsets lie; pieces cut, doubled, or put elsewhere."""
    made = bytearray(data)
    reach = chance.choice((64, 400, len(made)))
    for _ in range(chance.choice((1, 2, 8, 40))):
        made[chance.randrange(min(reach, len(made)))] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
    kind, at, length = chance.random(), chance.randrange(len(made)), chance.randrange(1, 200)
    if kind < 0.15:
        del made[at : at + length]
    elif kind < 0.3:
        made[at:at] = made[at : at + length]
    elif kind < 0.4:
        del made[at:]
    return bytes(made)


async def send(folder: Path, model: Path, each: int, seed: int) -> None:
    """Post spoilt files of every format: each is answered or refused, by the worker that was there from the start."""
    chance = random.Random(seed)
    files = [spoilt(data, chance) for data in samples() for _ in range(each)]
    chance.shuffle(files)
    variables = {
        "BOKE__WEB__POSTS_PER_MINUTE": "0",
        "BOKE__WEB__TRUSTED_PROXIES": "127.0.0.1",
        "BOKE__PICTURES__MAX_PIXELS": "2000000",
    }
    with run_bot(folder, BOKE__MODEL__PATH=str(model), **variables) as bot:
        pid, left = worker_of(bot).pid, enumerate(files)
        seen: Counter[object] = Counter()

        async def poster(session: aiohttp.ClientSession) -> None:
            for number, data in left:
                form = aiohttp.FormData()
                form.add_field("image", data, filename="picture")
                form.add_field("consent", "true")  # so that a small copy is made for the feed
                visitor = {"X-Forwarded-For": str(ipaddress.IPv4Address("100.64.0.0") + number)}
                async with session.post("/api/boke", data=form, headers=visitor) as response:
                    answer = await response.json()
                    assert response.status in STATUSES, data
                    seen[response.status] += 1
                if response.status == 200:
                    seen["in the feed"] += answer.get("shown", False)
                    async with session.get(f"/api/boke/{answer['id']}/card.png", headers=visitor) as response:
                        await response.read()
                        assert response.status in STATUSES, data
                        seen["card", response.status] += 1

        async with aiohttp.ClientSession(bot.url) as session:
            await asyncio.gather(*(poster(session) for _ in range(4)))
        print(f"{len(files)} files, seed {seed}: {dict(seen)}")
        assert {200, 415} <= seen.keys()
        assert seen["in the feed"] == seen["card", 200] == seen[200]
        assert "Traceback" not in bot.log
        assert worker_of(bot).pid == pid, bot.log
        assert bot.stop() == 0


async def test_a_few_of_each_format(tmp_path: Path, tiny_model: Path) -> None:
    await send(tmp_path, tiny_model, FEW, 1)


@pytest.mark.skipif(not os.environ.get("BOKE_SOAK"), reason="takes long; make soak runs it")
@pytest.mark.timeout(7200)
async def test_many_of_each_format(tmp_path: Path, tiny_model: Path) -> None:
    each = int(os.environ.get("BOKE_SOAK_FILES", str(MANY)))
    await send(tmp_path, tiny_model, each, random.SystemRandom().randrange(2**32))


class _Deadly(Inference):
    """Its workers die of one picture."""

    async def _try(self, slot, batch):  # type: ignore[no-untyped-def]
        working = asyncio.create_task(super()._try(slot, batch))
        if any(waiting.job.id == DEADLY for waiting in batch):
            await asyncio.sleep(0)  # the batch is on its way
            os.kill(slot.pid, signal.SIGKILL)
        return await working


async def test_a_picture_that_kills_its_reader_costs_no_other_an_answer(tiny_model: Path) -> None:
    """No file is known that does it: the worker is killed whenever this one is in its hands."""
    settings = EngineSettings(threads=1, batch_wait=0.2, timeout=60, log_level="error")
    inference = _Deadly(settings, ModelPlace(str(tiny_model)))
    await inference.start()
    try:
        jobs = [
            Job(whole_photo()),
            Job(whole_photo("coffee"), id=DEADLY),
            Job(whole_photo("temple")),
            Job(whole_photo()),
        ]
        results = await asyncio.gather(*map(inference.answer, jobs), return_exceptions=True)
        assert [type(result) for result in results] == [Answered, WorkerLost, Answered, Answered]
        assert inference.restarts == 2
    finally:
        await inference.stop()
