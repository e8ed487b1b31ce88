"""Real worker processes: killed, stopped, drained, and given another model while they answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from bot.inference import EngineSettings, Inference, ModelRejected, NoWorker, QueueFull, WorkerLost
from bot.worker import Answered, CardJob, Job, ModelPlace, Refused
from tests.bundles import LINES, quoted_at, tiny_bundle

CAT = Path(__file__).parents[1] / "data" / "cat.jpg"
ROOT = Path(__file__).parents[2]
SETTINGS = EngineSettings(workers=1, threads=1, queue_size=64, timeout=60)
HOLD_A_WORKER = """
import asyncio, sys
from bot.inference import EngineSettings, Inference
from bot.worker import ModelPlace

async def hold():
    inference = Inference(EngineSettings(), ModelPlace(sys.argv[1]))
    await inference.start()
    print(*inference.pids, flush=True)
    await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(hold())
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [tiny_bundle(folder, seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def cat() -> bytes:
    return CAT.read_bytes()


@asynccontextmanager
async def running(
    model: Path, settings: EngineSettings = SETTINGS, fallback: Path | None = None
) -> AsyncIterator[Inference]:
    inference = Inference(settings, ModelPlace(str(model)), ModelPlace(str(fallback)) if fallback else None)
    await inference.start()
    try:
        yield inference
    finally:
        await inference.stop()


async def worker_is_replaced(inference: Inference, old: int) -> None:
    while not inference.up or inference.pids == [old]:  # noqa: ASYNC110 - nobody else needs an event for it
        await asyncio.sleep(0.01)


async def gone(pid: int) -> None:
    """Wait until a process has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        await asyncio.to_thread(psutil.Process(pid).wait, 20)


async def test_a_picture_is_answered(models: list[Path], cat: bytes) -> None:
    async with running(models[0]) as inference:
        result = await inference.answer(Job(cat, 3, seed=1))
        assert isinstance(result, Answered)
        assert len({text for text, _ in result.candidates}) == 3
        assert {text for text, _ in result.candidates} <= set(LINES)
        assert (result.encoder, result.model) == ("efficientnet-lite0", inference.digest)
        assert len(result.features) == 4 * 1280
        assert result == await inference.answer(Job(cat, 3, seed=1))


async def test_what_is_no_picture_has_a_named_error_and_harms_no_other(models: list[Path], cat: bytes) -> None:
    async with running(models[0], replace(SETTINGS, batch_wait=0.5)) as inference:
        jobs = [Job(b"hello"), Job(cat), Job(cat[:2000]), Job(b""), Job(cat, max_pixels=100)]
        results = await asyncio.gather(*(inference.answer(job) for job in jobs))
        assert [result.error if isinstance(result, Refused) else "" for result in results] == [
            "NotAPicture", "", "CorruptPicture", "EmptyPicture", "TooManyPixels",
        ]  # fmt: skip


async def test_pictures_of_one_batch_get_what_they_would_get_alone(models: list[Path], cat: bytes) -> None:
    other = (CAT.parent / "coffee.jpg").read_bytes()
    async with running(models[0], replace(SETTINGS, batch_wait=0.5)) as inference:
        jobs = [Job(cat, 2, seed=1), Job(other, 2, seed=1), Job(cat, 1, "article")]
        together = await asyncio.gather(*(inference.answer(job) for job in jobs))
        alone = [await inference.answer(job) for job in jobs]
        for a, b in zip(together, alone, strict=True):
            assert isinstance(a, Answered)
            assert isinstance(b, Answered)
            assert [text for text, _ in a.candidates] == [text for text, _ in b.candidates]
        assert together[0].picture_key == together[2].picture_key != together[1].picture_key  # type: ignore[union-attr]


async def test_only_a_model_that_quotes_has_the_modes_that_quote(tmp_path: Path, cat: bytes) -> None:
    jobs = [Job(cat, 2, "retrieve"), Job(cat), Job(cat, 2, "mismatch"), Job(cat, mode="haiku")]
    async with running(tiny_bundle(tmp_path, 1)) as inference:
        assert (await inference.facts()).modes == ("boke", "article")
        results = [await inference.answer(job) for job in jobs]
        assert [r.error if isinstance(r, Refused) else "" for r in results] == ["UnknownMode", "", *["UnknownMode"] * 2]
        await inference.reload(ModelPlace(str(tiny_bundle(tmp_path, 2, quotes=["引用一", "引用二"]))))
        assert (await inference.facts()).modes == ("boke", "mismatch", "retrieve", "article")
        for job in (jobs[0], jobs[2]):
            quoted = await inference.answer(job)
            assert isinstance(quoted, Answered)
            assert quoted.candidates
            assert quoted.sources == {
                text: quoted_at(["引用一", "引用二"].index(text)) for text, _ in quoted.candidates
            }
        assert (await inference.answer(jobs[1])).sources == {}  # type: ignore[union-attr]


async def test_killed_while_it_works_every_picture_is_answered(models: list[Path], cat: bytes) -> None:
    async with running(models[0]) as inference:
        (old,) = inference.pids
        waiting = [asyncio.create_task(inference.answer(Job(cat, seed=n))) for n in range(12)]
        await asyncio.sleep(0)
        os.kill(old, signal.SIGKILL)
        results = await asyncio.gather(*waiting)
        assert all(isinstance(result, Answered) for result in results)
        assert inference.pids != [old]
        assert inference.restarts >= 1


async def test_hung_worker_is_replaced(models: list[Path], cat: bytes) -> None:
    async with running(models[0]) as inference:
        (old,) = inference.pids
        inference.settings = replace(SETTINGS, timeout=1.0)
        os.kill(old, signal.SIGSTOP)
        assert isinstance(await inference.answer(Job(cat)), Answered)
        with pytest.raises(ProcessLookupError):
            os.kill(old, 0)


async def test_a_picture_that_loses_two_workers_is_given_up_and_the_next_is_answered(
    models: list[Path], cat: bytes
) -> None:
    async with running(models[0]) as inference:
        inference.settings = replace(SETTINGS, timeout=1.0)
        (first,) = inference.pids
        os.kill(first, signal.SIGSTOP)
        waiting = asyncio.create_task(inference.answer(Job(cat)))
        await worker_is_replaced(inference, first)
        os.kill(inference.pids[0], signal.SIGSTOP)
        with pytest.raises(WorkerLost):
            await waiting
        inference.settings = SETTINGS
        assert isinstance(await inference.answer(Job(cat)), Answered)


async def test_a_worker_that_hangs_while_it_starts_is_not_left_behind(models: list[Path], cat: bytes) -> None:
    async with running(models[0], replace(SETTINGS, start_timeout=3.0)) as inference:
        before = set(psutil.Process().children())
        os.kill(inference.pids[0], signal.SIGKILL)
        waiting = asyncio.create_task(inference.answer(Job(cat)))
        while not (fresh := [p for p in psutil.Process().children() if p not in before]):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        fresh[0].suspend()  # before it has said who it is
        with pytest.raises(NoWorker):
            await waiting
        assert isinstance(await inference.answer(Job(cat)), Answered)
        await gone(fresh[0].pid)
        assert not fresh[0].is_running()


async def test_a_card_is_drawn_by_the_worker_that_takes_the_place_of_a_dead_one(models: list[Path], cat: bytes) -> None:
    async with running(models[0]) as inference:
        (old,) = inference.pids
        os.kill(old, signal.SIGKILL)
        drawn = await inference.draw(CardJob(cat, "猫", width=200))
        assert isinstance(drawn, bytes)
        assert drawn.startswith(b"\x89PNG")
        assert inference.pids != [old]
        assert inference.restarts == 1
        assert isinstance(await inference.draw(CardJob(b"hello", "猫")), Refused)


async def test_a_card_during_which_the_worker_hangs_costs_no_picture_its_answer(models: list[Path], cat: bytes) -> None:
    async with running(models[0]) as inference:
        inference.settings = replace(SETTINGS, timeout=1.0)
        os.kill(inference.pids[0], signal.SIGSTOP)
        cards = [asyncio.create_task(inference.draw(CardJob(cat, "猫", width=200))) for _ in range(4)]
        await asyncio.sleep(0)
        pictures = [asyncio.create_task(inference.answer(Job(cat))) for _ in range(4)]
        cards[3].cancel()  # whoever asked is gone
        inference.settings = replace(SETTINGS, timeout=60)  # of what comes after the first loss
        assert all(isinstance(drawn, bytes) for drawn in await asyncio.gather(*cards[:3]))
        assert all(isinstance(result, Answered) for result in await asyncio.gather(*pictures))
        assert inference.up


async def test_the_queue_is_bounded(models: list[Path], cat: bytes) -> None:
    async with running(models[0]) as inference:
        os.kill(inference.pids[0], signal.SIGSTOP)
        waiting = [asyncio.create_task(inference.answer(Job(cat))) for _ in range(64)]
        await asyncio.sleep(0)
        while inference.waiting < 64:  # the worker's batch has left the queue
            waiting.append(asyncio.create_task(inference.answer(Job(cat))))
            await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await inference.answer(Job(cat))
        os.kill(inference.pids[0], signal.SIGCONT)
        assert all(isinstance(result, Answered) for result in await asyncio.gather(*waiting))
        assert len(waiting) >= 64


async def test_stopping_finishes_what_waits_and_takes_nothing_new(models: list[Path], cat: bytes) -> None:
    async with running(models[0]) as inference:
        waiting = [asyncio.create_task(inference.answer(Job(cat))) for _ in range(10)]
        await asyncio.sleep(0)
        (pid,) = inference.pids
        stopping = asyncio.create_task(inference.stop())
        await asyncio.sleep(0)
        with pytest.raises(NoWorker):
            await inference.answer(Job(cat))
        assert all(isinstance(result, Answered) for result in await asyncio.gather(*waiting))
        await stopping
        assert not inference.up
        assert inference.pids == []
        await gone(pid)


async def test_another_model_is_swapped_in_without_losing_a_picture(models: list[Path], cat: bytes) -> None:
    async with running(models[0]) as inference:
        old = inference.digest
        waiting = [asyncio.create_task(inference.answer(Job(cat, seed=n))) for n in range(20)]
        await waiting[0]
        new = await inference.reload(ModelPlace(str(models[1])))
        results = [await task for task in waiting] + [await inference.answer(Job(cat))]
        assert new != old
        assert {result.model for result in results if isinstance(result, Answered)} == {old, new}
        assert results[-1].model == new  # type: ignore[union-attr]
        assert len(inference.pids) == 1


async def test_a_damaged_model_leaves_the_old_one_serving(models: list[Path], cat: bytes, tmp_path: Path) -> None:
    damaged = tiny_bundle(tmp_path, 2)
    (damaged / "decoder.npz").write_bytes(b"PK" + bytes(100))
    async with running(models[0]) as inference:
        old = inference.digest
        with pytest.raises(ModelRejected, match="old one stays"):
            await inference.reload(ModelPlace(str(damaged)))
        result = await inference.answer(Job(cat))
        assert isinstance(result, Answered)
        assert result.model == old == inference.digest


async def test_started_on_a_damaged_model_it_takes_the_one_that_ships(
    models: list[Path], cat: bytes, tmp_path: Path
) -> None:
    damaged = tiny_bundle(tmp_path, 2)
    (damaged / "manifest.json").write_text("{")
    async with running(damaged, fallback=models[0]) as inference:
        assert isinstance(await inference.answer(Job(cat)), Answered)
    with pytest.raises(ModelRejected):
        async with running(damaged):
            pass


async def test_several_workers_share_the_queue(models: list[Path], cat: bytes) -> None:
    async with running(models[0], replace(SETTINGS, workers=2, batch_size=1)) as inference:
        results = await asyncio.gather(*(inference.answer(Job(cat, seed=n)) for n in range(12)))
        assert all(isinstance(result, Answered) for result in results)
        assert len(inference.pids) == 2


async def test_a_signal_to_the_whole_group_leaves_the_worker_at_work(models: list[Path], cat: bytes) -> None:
    async with running(models[0]) as inference:
        (pid,) = inference.pids
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(pid, number)
        assert isinstance(await inference.answer(Job(cat)), Answered)
        assert (inference.pids, inference.restarts) == ([pid], 0)


async def test_probing_replaces_a_worker_that_died_unnoticed(models: list[Path], cat: bytes) -> None:
    async with running(models[0]) as inference:
        (old,) = inference.pids
        assert await inference.probe()
        os.kill(old, signal.SIGKILL)
        assert not await inference.probe()
        await worker_is_replaced(inference, old)
        assert await inference.probe()
        assert (await inference.facts()).model == inference.digest


async def test_a_worker_leaves_when_the_process_that_started_it_is_killed(models: list[Path]) -> None:
    bot = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD_A_WORKER, str(models[0]), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert bot.stdout is not None
    worker = psutil.Process(int(await bot.stdout.readline()))
    assert worker.ppid() == bot.pid
    bot.kill()
    await bot.wait()
    await gone(worker.pid)
    assert not worker.is_running()
