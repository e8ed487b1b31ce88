"""Is the bot as quick and as small as it should be? Each goal with what is measured, in one run.

    python -m benchmarks.goals [--encoder NAME]... [--rounds N] [--caffemodel FILE]

Everything is measured on real processes with the bot's default settings, over the photos of the tests. A whole reply and
the bare encoder (ONNX Runtime on a prepared picture) take turns within a worker; eight pictures at once take turns
with eight that come one after the other, each when the one before it is answered. Start-up is taken twice: of a worker, from
its spawning to its first answer, and of `python -m bot`, from the command to the first answer of `POST /api/boke`. Memory is
what the kernel says (Linux): RSS, and PSS, in which a page that several processes share counts once among them.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import psutil
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.encoders import caffemodel
from benchmarks.goals.in_worker import replies
from bokemodel.bundle import load_bundle, save_bundle
from bokemodel.encoders import NAMES, load_encoder
from bokemodel.packing import Normalizer
from bokemodel.registry import STARTER
from bot import worker
from bot.app import engine_settings
from bot.inference import EngineSettings, Inference
from bot.worker import Job, ModelPlace
from store.config import Config

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "tests" / "data"
TOGETHER = 8
REPLY_MS, TOGETHER_RATIO, START_S = 25.0, 1.2, 3.0
MEMORY_MB = {"efficientnet-lite0": 250, "caffenet": 450}
STARTS = 4
MEBI = 2**20
PSS = "memory of the worker, PSS"


@dataclass(frozen=True)
class Goal:
    """One line of the table; `most` None: not a goal, but good to know."""

    name: str
    measured: float
    unit: str
    most: float | None = None

    @property
    def reached(self) -> bool:
        return self.most is None or self.measured <= self.most


async def speed(place: ModelPlace, settings: EngineSettings, photos: list[bytes], rounds: int) -> list[Goal]:
    """Start a worker, answer, and look at its memory; then start others beside it."""
    began = time.perf_counter()
    inference = Inference(settings, place)
    await inference.start()
    try:
        await inference.answer(Job(photos[0], seed=0))
        start = time.perf_counter() - began
        slot = inference._slots[0]
        bare, whole = await slot.call(replies, inference.digest, photos, rounds, timeout=600)
        singles: list[float] = []
        together: list[float] = []
        eight = [Job(photos[n % len(photos)], seed=n) for n in range(TOGETHER)]
        for _ in range(rounds):
            began = time.perf_counter()
            for job in eight:
                await slot.call(worker.answer, [job], inference.digest, timeout=60)
            between = time.perf_counter()
            await asyncio.gather(*(inference.answer(job) for job in eight))
            singles.append(between - began)
            together.append(time.perf_counter() - between)
        memory = psutil.Process(inference.pids[0]).memory_full_info()
    finally:
        await inference.stop()
    encoder, reply = 1000 * median(bare), 1000 * median(whole)
    most = MEMORY_MB[str(place.encoder)]
    return [
        Goal("bare encoder, median", encoder, "ms"),
        Goal("whole reply, median", reply, "ms", encoder + REPLY_MS),
        Goal("eight at once / eight single ones, medians", median(together) / median(singles), "", TOGETHER_RATIO),
        Goal("eight at once", 1000 * median(together), "ms"),
        Goal("worker: from spawning to the first answer", start, "s", START_S),
        Goal("memory of the worker, RSS", memory.rss / MEBI, "MB", most),
        Goal(PSS, memory.pss / MEBI, "MB", most),
        Goal("of it its own (USS)", memory.uss / MEBI, "MB"),
    ]


async def several(place: ModelPlace, settings: EngineSettings, photos: list[bytes], count: int) -> int:
    """Bytes of memory of so many workers, PSS together, after each answered."""
    inference = Inference(replace(settings, workers=count), place)
    await inference.start()
    try:
        while len(inference.pids) < count:  # noqa: ASYNC110 - the others start by themselves
            await asyncio.sleep(0.05)
        for slot in inference._slots:
            for data in photos:
                await slot.call(worker.answer, [Job(data, seed=0)], inference.digest, timeout=60)
        return sum(psutil.Process(pid).memory_full_info().pss for pid in inference.pids)
    finally:
        await inference.stop()


def start_of_the_bot(folder: Path, place: ModelPlace, photo: bytes) -> float:
    """Seconds from `python -m bot` to its first answer over HTTP."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("BOKE__", "DISCORD", "SLACK"))},
        "BOKE__DATA__DIR": str(folder / "data"),
        "BOKE__MODELS__DIR": str(folder / "models"),
        "BOKE__WEB__PORT": "0",
        "BOKE__LOG__LEVEL": "warning",
        "BOKE__MODEL__PATH": place.folder or "",
        "BOKE__MODEL__ENCODER": str(place.encoder),
        "BOKE__MODEL__ENCODER_PATH": place.weights or "",
    }
    began = time.perf_counter()
    command = [sys.executable, "-m", "bot"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as bot:
        try:
            assert bot.stdout is not None
            url = bot.stdout.readline().split()[0]
            mark = "f0f0f0"
            head = f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
            body = head.encode() + photo + f"\r\n--{mark}--\r\n".encode()
            heads = {"Content-Type": f"multipart/form-data; boundary={mark}"}
            with urllib.request.urlopen(urllib.request.Request(f"{url}/api/boke", body, heads)) as response:
                response.read()
            return time.perf_counter() - began
        finally:
            bot.terminate()


def random_bundle(folder: Path, encoder_path: Path) -> Path:
    """The starter's decoder for CaffeNet's vectors: what reads the picture is random, all sizes are those of a real one."""
    encoder, starter, random = load_encoder("caffenet", encoder_path), load_bundle(STARTER), np.random.default_rng(0)
    topics = len(starter.arrays["topic_w"])
    arrays = {**starter.arrays, "topic_w": random.normal(0, 0.1, (topics, encoder.dim)).astype(np.float16)}
    decoder = {**starter.manifest.decoder, "feature_dim": encoder.dim}
    normalizer = Normalizer(np.zeros(encoder.dim, np.float32), np.full(encoder.dim, encoder.dim**-0.5, np.float32))
    manifest = replace(starter.manifest, encoder=encoder.name, encoder_digest=encoder.weights_digest, decoder=decoder)
    manifest = replace(manifest, feature_dim=encoder.dim)
    save_bundle(replace(starter, manifest=manifest, normalizer=normalizer, arrays=arrays), folder / "bundle")
    return folder / "bundle"


def goals(place: ModelPlace, photos: list[bytes], rounds: int, workers: int) -> list[Goal]:
    """All goals of one encoder."""
    settings = engine_settings(Config())
    found = asyncio.run(speed(place, settings, photos, rounds))
    one = next(goal.measured for goal in found if goal.name == PSS)
    all_of_them = asyncio.run(several(place, settings, photos, workers)) / MEBI
    found.append(Goal(f"memory of {workers} workers, PSS together", all_of_them, "MB"))
    found.append(Goal("each further worker costs", (all_of_them - one) / (workers - 1), "MB"))
    with tempfile.TemporaryDirectory(prefix="boke-goals-") as folder:
        first, *others = (start_of_the_bot(Path(folder), place, photos[0]) for _ in range(STARTS))
    found.append(Goal("the bot: with a database to be made, to the first answer", first, "s", START_S))
    found.append(Goal("the bot: from the command to the first answer", median(others), "s", START_S))
    return found


def table_of(name: str, found: list[Goal]) -> Table:
    """As people read it."""
    table = Table(name, "measured", "goal, at most", "", box=None)
    for goal in found:
        digits = {"MB": 0, "ms": 1}.get(goal.unit, 2)
        measured, most = (f"{value:.{digits}f} {goal.unit}" for value in (goal.measured, goal.most or 0.0))
        table.add_row(goal.name, measured, "" if goal.most is None else most, "" if goal.reached else "missed")
    return table


def main(
    encoder: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(NAMES)}; left out, all.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each photo is answered.")] = 10,
    workers: Annotated[int, typer.Option(min=2, help="For the memory of several.")] = 3,
    caffemodel_file: Annotated[
        Path | None, typer.Option("--caffemodel", help="A real file; left out, one with random weights is written.")
    ] = None,
) -> None:
    """Measure."""
    photos = [path.read_bytes() for path in sorted(PHOTOS.glob("*.jpg"))]
    for name in encoder or NAMES:
        if name == "caffenet":
            with caffemodel(caffemodel_file) as weights, tempfile.TemporaryDirectory(prefix="boke-goals-") as folder:
                bundle = random_bundle(Path(folder), weights)
                found = goals(ModelPlace(str(bundle), name, str(weights)), photos, rounds, workers)
        else:
            found = goals(ModelPlace(None, name), photos, rounds, workers)
        Console().print(table_of(name, found))


if __name__ == "__main__":
    typer.run(main)
