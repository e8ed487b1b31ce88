"""Pictures answered on a real cluster: scheduler and workers are processes, which are killed, join and come back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from bot.inference import EngineSettings, Inference, ModelRejected
from bot.worker import Answered, Job, ModelPlace
from store.sections import Engine
from tests.bundles import tiny_bundle
from tests.cluster import Cluster, kill, make_certificate, unclosed

ROOT = Path(__file__).parents[2]
CAT = (ROOT / "tests/data/cat.jpg").read_bytes()


@asynccontextmanager
async def answering(cluster: Cluster, model: Path, **keys: object) -> AsyncIterator[Inference]:
    engine = Engine.model_validate({"kind": "dask", "address": cluster.address, **keys})
    inference = Inference(EngineSettings(queue_size=64, timeout=60, cluster=engine), ModelPlace(str(model)))
    try:
        await inference.start()
        yield inference
    finally:
        await inference.stop()


async def answers(inference: Inference, count: int) -> list[str]:
    """Each picture's joke; fails where one has none."""
    results = await asyncio.gather(*(inference.answer(Job(CAT, seed=n)) for n in range(count)))
    assert all(isinstance(result, Answered) for result in results)
    return [result.candidates[0][0] for result in results if isinstance(result, Answered)]


async def test_workers_that_die_and_join_and_a_scheduler_that_restarts_cost_no_picture(tmp_path: Path) -> None:
    models = [tiny_bundle(tmp_path, seed) for seed in (0, 1)]
    cluster = Cluster(tmp_path)
    try:
        scheduler, first = cluster.scheduler(), cluster.worker()
        async with answering(cluster, models[0]) as inference:
            told = await answers(inference, 12)
            assert [path.name for path in cluster.models()] == [inference.digest]

            waiting = asyncio.create_task(answers(inference, 12))
            await asyncio.sleep(0)
            kill(first)  # and another machine joins, which has no model yet
            second = cluster.worker("b")
            assert await waiting == told
            assert [path.name for path in cluster.models("b")] == [inference.digest]

            waiting = asyncio.create_task(answers(inference, 12))
            await asyncio.sleep(0)
            kill(scheduler)
            second.wait(30)  # dask's workers leave with their scheduler; a service manager starts them again
            cluster.scheduler()
            sent = cluster.models("b")[0].stat().st_ino
            cluster.worker("b")
            assert await waiting == told
            assert cluster.models("b")[0].stat().st_ino == sent  # once: it was still on the disk

            assert await inference.reload(ModelPlace(str(models[1]))) in {path.name for path in cluster.models("b")}
            assert len(cluster.models("b")) == 2
            assert len(await answers(inference, 3)) == 3
    finally:
        cluster.end()


async def test_tls_and_nobody_without_a_certificate(tmp_path: Path) -> None:
    key, cert = make_certificate(tmp_path)
    cluster = Cluster(tmp_path, ("--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key))
    try:
        cluster.scheduler()
        cluster.worker()
        async with answering(cluster, tiny_bundle(tmp_path, 0), tls_ca=cert, tls_cert=cert, tls_key=key) as inference:
            assert len(await answers(inference, 2)) == 2
        with pytest.raises(ModelRejected, match="cannot be reached"):
            async with answering(cluster, tmp_path):
                pytest.fail("connected without a certificate")
        async with asyncio.timeout(30):
            while unclosed():  # noqa: ASYNC110 - they are closed in threads of their own
                await asyncio.sleep(0.05)
    finally:
        cluster.end()


async def test_a_silent_worker_is_replaced(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    try:
        cluster.scheduler()
        nanny = cluster.worker()
        async with answering(cluster, tiny_bundle(tmp_path, 0)) as inference:
            assert inference.pids[0] in {child.pid for child in psutil.Process(nanny.pid).children(recursive=True)}
            silent = inference.pids[0]
            inference.settings = EngineSettings(timeout=2.0)
            os.kill(silent, signal.SIGSTOP)
            waiting = asyncio.create_task(answers(inference, 1))
            while inference.restarts == 0:  # noqa: ASYNC110 - nobody else needs an event for it
                await asyncio.sleep(0.05)
            inference.settings = EngineSettings(timeout=60)
            assert len(await waiting) == 1
            assert not psutil.pid_exists(silent)
    finally:
        cluster.end()
