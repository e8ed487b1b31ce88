"""A whole reply, from posted bytes to ranked jokes, and where its time goes.

`python -m benchmarks.reply [--backend chainer|onnxruntime] [PHOTO...]` runs in a worker process what that runs for each picture:
decode the bytes, encode, sample the candidates, rerank; and apart from it the card, which a channel may want with its answers. It
prints the median and the 95th percentile of each step and of the whole, and the whole as a multiple of the encoder's own time in
the same run.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from bokemodel.bundle import load_bundle
from bokemodel.encoders import Backend, load_encoder
from bokemodel.model import BokeModel
from bokemodel.pictures import open_picture
from bokemodel.registry import STARTER
from bokemodel.search import rerank, sample
from bot import worker
from bot.executors import WorkerProcess
from bot.inference import EngineSettings
from bot.worker import THREAD_VARIABLES, CardJob

PHOTOS = Path(__file__).resolve().parents[1] / "tests" / "data"
CARD_EVERY = 5  # rounds
STEPS = ("decode", "encode", "sample", "rerank")


def steps(backend: Backend, files: list[bytes], rounds: int) -> dict[str, list[float]]:
    """Runs in a worker process: seconds of each step, for each photo and round."""
    encoder = load_encoder("efficientnet-lite0", backend=backend)
    model = BokeModel.load(encoder=encoder)
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(-1, rounds):
        for data in files:
            marks = [time.perf_counter()]
            image = open_picture(data, short_side=encoder.input_size)
            marks.append(time.perf_counter())
            features = encoder.encode([image])
            marks.append(time.perf_counter())
            pictures = model.bundle.normalizer(features)
            found = sample(model.network, model.tokenizer, pictures, model.settings, [number + 1])
            marks.append(time.perf_counter())
            rerank(found, model.settings, [number + 1], model.learned)
            marks.append(time.perf_counter())
            if number >= 0:  # the first round warms up
                for step, spent in zip(STEPS, np.diff(marks), strict=True):
                    seconds[step].append(float(spent))
                seconds["whole reply"].append(marks[-1] - marks[0])
            if number % CARD_EVERY == 0:
                began = time.perf_counter()
                worker.draw(CardJob(data, found[0][0].text))
                seconds["a card, apart"].append(time.perf_counter() - began)
    return dict(seconds)


def main(
    photos: Annotated[list[Path] | None, typer.Argument(help="Photos; the tests' own where none is named.")] = None,
    backend: Annotated[str, typer.Option(help="chainer, onnxruntime or auto.")] = "auto",
    rounds: Annotated[int, typer.Option(min=1, help="How often each photo is answered.")] = 20,
) -> None:
    """Measure a whole reply."""
    settings, files = EngineSettings(), [path.read_bytes() for path in photos or sorted(PHOTOS.glob("*.jpg"))]
    # A worker process imports this file, and numpy with it, before it is told how many threads numpy has.
    threads = str(settings.threads_each if backend == "chainer" else 1)
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, threads))
    with WorkerProcess(settings, backend) as process:
        seconds = process.submit(steps, cast(Backend, backend), files, rounds).result()
    candidates = load_bundle(STARTER).search.candidates
    table = Table("step", "median ms", "95th percentile ms", title=f"{backend}, {candidates} candidates")
    for step, values in seconds.items():
        table.add_row(step, f"{1000 * np.median(values):.1f}", f"{1000 * np.percentile(values, 95):.1f}")
    Console().print(table)
    ratio = np.median(seconds["whole reply"]) / np.median(seconds["encode"])
    print(f"whole reply / encoder alone, medians: {ratio:.2f}")


if __name__ == "__main__":
    typer.run(main)
