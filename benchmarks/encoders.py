"""How fast the encoders are: Chainer against ONNX Runtime on a graph of the same weights, in one run.

    python -m benchmarks.encoders [--encoder NAME] [--caffemodel FILE] [--seconds S]

Times are of the network alone, for prepared pictures. Both ways take turns, each for a while and after a pause, so that
a slow spell of the machine and the threads that one of them left spinning do not count against the other. The ratio is
that of the fastest passes, which other programs disturb least; the median stands beside it. For CaffeNet there is a
floor: fc6 and fc7 are 218 MB, and no way of computing them takes less time than reading them once.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.caffemodel_writer import caffenet, write_caffemodel
from bokemodel.chainer_compat import chainer
from bokemodel.encoders import NAMES
from bokemodel.encoders.caffenet import CaffeNet
from bokemodel.encoders.efficientnet_lite0 import EfficientNetLite0
from bokemodel.encoders.onnx_runtime import OnnxEncoder
from bokemodel.errors import BokeModelError

BATCHES = (1, 8)
PAUSE_S = 0.3  # longer than the threads of OpenBLAS and ONNX Runtime spin after their work
Pass = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds of one pass: the fastest, and the median."""

    best: float
    median: float


@dataclass(frozen=True)
class Row:
    """One line of the table; times are of one pass, for `batch` pictures."""

    encoder: str
    batch: int
    chainer: Timing
    onnxruntime: Timing
    difference: float  # between the two vectors, largest, relative to the largest value
    floor: Timing | None  # reading the weights of fc6 and fc7

    @property
    def ratio(self) -> float:
        return self.chainer.best / self.onnxruntime.best


def take_turns(ways: list[Pass], seconds: float, turns: int = 4) -> list[Timing]:
    """Time several ways of doing the same in turns, for about `seconds` each."""
    times: list[list[float]] = [[] for _ in ways]
    for way in ways:
        way()
    for _ in range(turns):
        for way, spent in zip(ways, times, strict=True):
            time.sleep(PAUSE_S)
            way()  # wakes the threads
            end = time.perf_counter() + seconds / turns
            while not spent or time.perf_counter() < end:
                start = time.perf_counter()
                way()
                spent.append(time.perf_counter() - start)
    return [Timing(min(spent), float(np.median(spent))) for spent in times]


def measure(reference: CaffeNet | EfficientNetLite0, batch: int, seconds: float) -> Row:
    """Both ways of computing an encoder, for a batch of pictures of noise."""
    size = reference.input_size
    random = np.random.default_rng(0)
    scale = 120 if isinstance(reference, CaffeNet) else 1
    x = (random.uniform(-scale, scale, (batch, 3, size, size))).astype(np.float32)
    onnx = OnnxEncoder(reference)

    def in_chunks(forward: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> NDArray[np.float32]:
        step = reference.chunk
        return np.concatenate([forward(x[start : start + step]) for start in range(0, batch, step)])

    def with_chainer() -> NDArray[np.float32]:
        with chainer.no_backprop_mode(), chainer.using_config("train", False):
            return in_chunks(lambda part: reference.forward(part).array)

    def with_onnxruntime() -> NDArray[np.float32]:
        return in_chunks(onnx.forward)

    expected, got = with_chainer(), with_onnxruntime()
    difference = float(np.abs(expected - got).max() / np.abs(expected).max())
    ways: list[Pass] = [with_chainer, with_onnxruntime]
    with ThreadPoolExecutor(processors()) as pool:
        if isinstance(reference, CaffeNet):
            ways.append(reader(pool, reference))
        timings = take_turns(ways, seconds)
    return Row(reference.name, batch, timings[0], timings[1], difference, timings[2] if timings[2:] else None)


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def reader(pool: ThreadPoolExecutor, encoder: CaffeNet) -> Pass:
    """What reads the weights of the inner products once, with all processors, and does nothing else with them."""
    weights = [layer.blobs[0] for layer in encoder.layers if layer.type == "InnerProduct"]
    parts = [part for w in weights for part in np.array_split(w.reshape(-1).view(np.uint8), processors())]
    return lambda: list(pool.map(np.max, parts))


def table_of(rows: list[Row]) -> Table:
    """The rows as people read them, in milliseconds."""
    table = Table(title="milliseconds a picture: fastest pass (median)", title_justify="left")
    table.add_column("encoder")
    for heading in ("batch", "Chainer", "ONNX Runtime", "ratio", "floor", "difference"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.encoder,
            str(row.batch),
            *(_milliseconds(timing, row.batch) for timing in (row.chainer, row.onnxruntime)),
            f"{row.ratio:.2f}",
            "" if row.floor is None else f"{row.floor.best * 1e3 / row.batch:.1f}",
            f"{row.difference:.0e}",
        )
    return table


def _milliseconds(timing: Timing, pictures: int) -> str:
    return f"{timing.best * 1e3 / pictures:.1f} ({timing.median * 1e3 / pictures:.1f})"


@contextlib.contextmanager
def caffemodel(given: Path | None) -> Iterator[Path]:
    """The file that was named, or a full-size CaffeNet with random weights for as long as it is needed."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="bokemodel-") as folder:
        path = Path(folder) / "random.caffemodel"
        write_caffemodel(path, caffenet())
        yield path


def main(
    encoder: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(NAMES)}; left out, all.")] = None,
    caffemodel_file: Annotated[
        Path | None, typer.Option("--caffemodel", help="A real file; left out, one with random weights is written.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="For each way and batch.", min=0.0)] = 4.0,
) -> None:
    """Time the encoders."""
    names = encoder or list(NAMES)
    if unknown := [name for name in names if name not in NAMES]:
        raise typer.BadParameter(f"no encoder is called {unknown[0]!r}; there are {', '.join(NAMES)}")
    rows = []
    try:
        if "efficientnet-lite0" in names:
            rows += [measure(EfficientNetLite0(), batch, seconds) for batch in BATCHES]
        if "caffenet" in names:
            with caffemodel(caffemodel_file) as path:
                rows += [measure(CaffeNet(path), batch, seconds) for batch in BATCHES]
    except BokeModelError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    Console().print(table_of(rows))


if __name__ == "__main__":
    typer.run(main)
