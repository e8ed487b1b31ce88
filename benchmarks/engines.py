"""What a cluster costs: the same pictures through the process engine and through a dask cluster, in turns within one run.

    python -m benchmarks.engines [--rounds N] [--pictures N] [--workers N] [--model DIR]

The cluster is a real one: a scheduler and workers, each a process, on loopback. Both engines have as many workers, of one
thread each, and the bot's default batches. Times are of one picture at a time, of eight at once, and of all pictures at once;
then of the vision network alone, over pictures of a corpus as the night computes them: in one process with as many threads as
there are cores, and on the cluster. The bytes are those between the bot and the scheduler, counted on the way; the scheduler
passes each task on to a worker, so that as many again travel there.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bokemodel.registry import STARTER
from bot.app import engine_settings
from bot.inference import EngineSettings, Inference
from bot.worker import THREAD_VARIABLES, Answered, Job, ModelPlace
from store.config import Config
from store.sections import Engine
from tests.cluster import Cluster
from training.cluster_features import ClusterEncoding
from training.corpus import StoredPicture
from training.encoders import EncoderChoice
from training.features import FeatureStore, compute_missing

ROOT = Path(__file__).resolve().parents[1]
TOGETHER = 8
FEATURES = 4  # times as many pictures are encoded for the corpus


class Relay:
    """Passes connections on to a port of this machine, and counts their bytes, to and fro."""

    def __init__(self, port: int) -> None:
        self.port, self.bytes = port, 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                there, back = await asyncio.open_connection("127.0.0.1", self.port)
                break
            except ConnectionRefusedError:  # the scheduler is still starting
                await asyncio.sleep(0.05)
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.CancelledError):  # either end may go first
            while data := await reader.read(2**16):
                self.bytes += len(data)
                writer.write(data)
                await writer.drain()
        writer.close()


@dataclass
class Times:
    """Seconds: of one picture alone, of eight at once, of all at once, and of the corpus's features."""

    alone: list[float] = field(default_factory=list)
    eight: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)
    features: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Found:
    """What was measured; bytes: of a photo's file, of what travels for it, and for a model."""

    process: Times
    cluster: Times
    picture_file: float
    picture_bytes: float
    bundle_bytes: int


@asynccontextmanager
async def engine(settings: EngineSettings, place: ModelPlace, workers: int) -> AsyncIterator[Inference]:
    """An engine whose workers are all up."""
    inference = Inference(settings, place)
    await inference.start()
    try:
        while len(inference.pids) < workers:  # noqa: ASYNC110 - the others start by themselves
            await asyncio.sleep(0.05)
        yield inference
    finally:
        await inference.stop()


async def answer_all(inference: Inference, jobs: list[Job]) -> float:
    """Seconds until the last of them is answered."""
    began = time.perf_counter()
    for answered in await asyncio.gather(*(inference.answer(job) for job in jobs)):
        assert isinstance(answered, Answered)
    return time.perf_counter() - began


async def compare(
    photos: list[bytes], folder: Path, place: ModelPlace, rounds: int, pictures: int, workers: int
) -> Found:
    """Run both engines."""
    settings = replace(engine_settings(Config()), workers=workers, threads=1, queue_size=max(128, pictures))
    jobs = [Job(photos[n % len(photos)], seed=n) for n in range(pictures)]
    cluster = Cluster(folder)
    try:
        cluster.scheduler()
        for _ in range(workers):
            cluster.worker()
        bundle, picture = await travelled(cluster.port, settings, place, jobs[:TOGETHER])
        process, dask = Times(), Times()
        on_dask = replace(settings, cluster=Engine(kind="dask", address=cluster.address, workers=workers))
        async with engine(settings, place, workers) as here, engine(on_dask, place, workers) as there:
            for number in range(-1, rounds):  # the first round warms up
                for inference, times in ((here, process), (there, dask)):
                    alone = [await answer_all(inference, [job]) for job in jobs[:TOGETHER]]
                    eight = await answer_all(inference, jobs[:TOGETHER])
                    many = await answer_all(inference, jobs)
                    if number >= 0:
                        times.alone += alone
                        times.eight.append(eight)
                        times.many.append(many)
        for _ in range(rounds):
            process.features.append(await asyncio.to_thread(features, photos, folder, FEATURES * pictures))
            dask.features.append(
                await asyncio.to_thread(features, photos, folder, FEATURES * pictures, on_dask.cluster)
            )
    finally:
        cluster.end()
    file = sum(len(job.picture) for job in jobs[:TOGETHER]) / TOGETHER
    return Found(process, dask, file, picture, bundle)


def features(photos: list[bytes], folder: Path, count: int, cluster: Engine | None = None) -> float:
    """Seconds to get the vectors of so many pictures of a corpus, in this process or on the cluster."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place, choice = Path(name), EncoderChoice("efficientnet-lite0")
        for number, photo in enumerate(photos):
            (place / str(number)).write_bytes(photo)
        pictures = [StoredPicture(f"{number:064x}", str(number % len(photos))) for number in range(count)]
        encoder = choice.load()
        encoding = ClusterEncoding(cluster, choice, encoder) if cluster else None
        store = FeatureStore.open(place, encoder)
        began = time.perf_counter()
        found = compute_missing(store, place, pictures, encoder, encoding=encoding)
        assert found.computed == count
        return time.perf_counter() - began


async def travelled(port: int, settings: EngineSettings, place: ModelPlace, jobs: list[Job]) -> tuple[int, float]:
    """Bytes between the bot and the scheduler until a model is loaded that no worker has, and for each picture after that."""
    relay = Relay(port)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    async with server:
        address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        one = replace(settings, workers=1, cluster=Engine(kind="dask", address=address))
        async with engine(one, place, 1) as inference:
            bundle = relay.bytes
            for job in jobs:
                await answer_all(inference, [job])
            return bundle, (relay.bytes - bundle) / len(jobs)


def table_of(found: Found, model: int, pictures: int, workers: int) -> Table:
    """As people read it; `model` is the size of its files."""
    table = Table(f"{workers} workers each", "process", "dask", "dask / process", box=None)
    for column in table.columns[1:]:
        column.justify = "right"

    def row(name: str, take: Callable[[Times], float], unit: str) -> None:
        process, cluster = take(found.process), take(found.cluster)
        table.add_row(name, f"{process:.1f} {unit}", f"{cluster:.1f} {unit}", f"{cluster / process:.2f}")

    row("one picture alone, median", lambda times: 1000 * median(times.alone), "ms")
    row("eight at once, median", lambda times: 1000 * median(times.eight), "ms")
    row(f"{pictures} at once, median", lambda times: 1000 * median(times.many), "ms")
    row("pictures a second", lambda times: pictures / median(times.many), "")
    row("features of a corpus, pictures a second", lambda times: FEATURES * pictures / median(times.features), "")
    kilo = 1000
    table.add_row(
        f"a photo of {found.picture_file / kilo:.0f} kB, to and fro", "", f"{found.picture_bytes / kilo:.0f} kB"
    )
    table.add_row(f"the model of {model / kilo:.0f} kB, once", "", f"{found.bundle_bytes / kilo:.0f} kB")
    return table


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    pictures: Annotated[int, typer.Option(min=TOGETHER, help="At once, for the throughput.")] = 48,
    workers: Annotated[int, typer.Option(min=1, help="Of each engine.")] = 2,
    model: Annotated[Path | None, typer.Option(help="A bundle's folder; the starter where none is named.")] = None,
) -> None:
    """Measure."""
    # Worker processes import this file, and numpy with it, before they are told how many threads they have.
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    photos = [path.read_bytes() for path in sorted((ROOT / "tests" / "data").glob("*.jpg"))]
    place = ModelPlace(str(model) if model else None)
    with tempfile.TemporaryDirectory(prefix="boke-engines-") as folder:
        found = asyncio.run(compare(photos, Path(folder), place, rounds, pictures, workers))
    size = sum(path.stat().st_size for path in Path(place.folder or STARTER).iterdir())
    Console().print(table_of(found, size, pictures, workers))


if __name__ == "__main__":
    typer.run(main)
