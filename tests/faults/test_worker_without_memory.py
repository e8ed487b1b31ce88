"""A worker that runs out of memory, by its limit or by the kernel's hand: one picture is lost, never its neighbours."""

from __future__ import annotations

import asyncio
import io
import os
import resource
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from PIL import Image

from bot.inference import EngineSettings, Inference, WorkerLost
from bot.worker import Answered, Job, ModelPlace, Refused
from tests.bot.conftest import photo
from tests.bundles import tiny_bundle

SIDE = 7_900  # 62 million pixels, which are allowed: 190 MB once they are decoded
ROOM = 100 * 2**20  # what a worker may take beyond what it has


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def huge() -> bytes:
    """A picture that is small as a file and large once it is decoded."""
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), "orange").save(file, "PNG", compress_level=1)
    return file.getvalue()


@asynccontextmanager
async def worker(model: Path) -> AsyncIterator[Inference]:
    """A worker that waits a moment for a picture's company, so that all of a test come as one batch."""
    inference = Inference(EngineSettings(threads=1, batch_wait=0.3, timeout=60), ModelPlace(str(model)))
    await inference.start()
    try:
        yield inference
    finally:
        await inference.stop()


async def test_at_its_limit_it_loses_the_picture_that_is_too_large_and_no_other(model: Path, huge: bytes) -> None:
    async with worker(model) as inference:
        assert isinstance(await inference.answer(Job(photo())), Answered)
        (pid,) = inference.pids
        limit = psutil.Process(pid).memory_info().vms + ROOM
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        jobs = [Job(photo(), id="a"), Job(huge, id="huge"), Job(photo("coffee"), id="b")]
        results = await asyncio.gather(*(inference.answer(job) for job in jobs), return_exceptions=True)
        assert isinstance(results[0], Answered)
        assert isinstance(results[1], Refused)
        assert isinstance(results[2], Answered)
        assert (inference.pids, inference.restarts) == ([pid], 0)


async def test_without_any_memory_left_it_is_replaced_and_its_pictures_are_answered(model: Path) -> None:
    async with worker(model) as inference:
        (pid,) = inference.pids
        limit = psutil.Process(pid).memory_info().vms
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        results = await asyncio.gather(*(inference.answer(Job(photo())) for _ in range(8)))  # a batch takes room
        assert all(isinstance(result, Answered) for result in results), results
        assert inference.pids != [pid]
        assert inference.restarts == 1


async def test_killed_by_the_kernel_on_one_picture_it_answers_all_others(
    model: Path, huge: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with worker(model) as inference:
        killed: set[int] = set()

        async def kernel() -> None:
            """Kills whoever takes too much, as the kernel does."""
            while True:
                for pid in inference.pids:
                    try:
                        if psutil.Process(pid).memory_info().rss > 300 * 2**20 and pid not in killed:
                            os.kill(pid, signal.SIGKILL)
                            killed.add(pid)
                    except psutil.NoSuchProcess:
                        continue
                await asyncio.sleep(0.002)

        watching = asyncio.create_task(kernel())
        jobs = [Job(photo(), id="a"), Job(huge, id="huge"), Job(photo("coffee"), id="b")]
        results = await asyncio.gather(*(inference.answer(job) for job in jobs), return_exceptions=True)
        watching.cancel()
        assert isinstance(results[0], Answered)
        assert isinstance(results[1], WorkerLost)
        assert isinstance(results[2], Answered)
        assert inference.restarts == len(killed) == 2  # in company, and alone
        assert "lost on pictures a, huge, b" in caplog.text
        assert "lost on pictures huge " in caplog.text
