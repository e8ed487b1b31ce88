"""Pictures answered on a real cluster: scheduler and workers are processes, which are killed, join and come back."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from distributed import Client

from bot.inference import EngineSettings, Inference, ModelRejected
from bot.worker import Answered, Job, ModelPlace
from store.sections import Engine
from tests.bundles import tiny_bundle

ROOT = Path(__file__).parents[2]
CAT = (ROOT / "tests/data/cat.jpg").read_bytes()


class Cluster:
    """A scheduler and workers on loopback. `tls` are the options that all of them need for it."""

    def __init__(self, folder: Path, tls: Sequence[str] = ()) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder, self.tls = folder, tls
        self.scheme = "tls" if tls else "tcp"
        self.address = f"{self.scheme}://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen[bytes]] = []

    def scheduler(self) -> subprocess.Popen[bytes]:
        return self._start("scheduler", "--host", "127.0.0.1", "--protocol", self.scheme, "--port", str(self.port))

    def worker(self, machine: str = "a") -> subprocess.Popen[bytes]:
        place = str(self.folder / machine)
        options = ("--nthreads", "1", "--memory-limit", "0", "--local-directory", place, "--host", "127.0.0.1")
        return self._start("worker", self.address, *options)

    def models(self, machine: str = "a") -> list[Path]:
        return sorted(self.folder.glob(f"{machine}/*/bokebot-models/[!.]*"))

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
        command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard", *self.tls]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def end(self) -> None:
        for process in self.processes:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """A machine that is gone: the nanny and its worker at once."""
    if process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
    process.wait()


def make_certificate(folder: Path) -> tuple[str, str]:
    """A key, and a certificate that is its own authority."""
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=boke", "-days", "2", "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True)
    return key, cert


def unclosed() -> list[Client]:
    """Clients that would be left to the garbage collector, in which closing may wait for ever for a lock of dask's."""
    return [each for each in gc.get_objects() if isinstance(each, Client) and each.status != "closed"]


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
