"""What a very large corpus costs a training run: memory and processor time of each part, each in a process of its own.

    python -m benchmarks.large [--jokes N]... [--per-picture N] [--most N] [--batches N]

The jokes are synthetic, the vectors random; all else is what the night runs. `filter` takes the jokes through the filters of the
default recipe, with `--most` as its limit, `select` writes down what they leave, `cut` cuts that into units, `begin` is all that
comes before the first batch (looking up vectors, what the live model knows, the normaliser, the word layer, weights, the epoch's
order), `train` some batches of the default recipe, `bundle` writes a bundle that names the training pictures, and `load` reads
it, as each worker does. What it costs to make the jokes up counts nowhere.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.corpus import WORDS
from bokemodel.bundle import load_bundle, save_bundle
from bokemodel.encoders import load_encoder
from bokemodel.registry import MANIFEST, STARTER
from training.corpus import Joke
from training.dataset import Dataset
from training.features import FeatureStore
from training.filters import Filters
from training.fitting import choose_start, fit, load_tokens
from training.recipe import load_recipe
from training.selection import Selection, read_selection, write_selection
from training.train import Step

BUNDLE = "bundle"


@dataclass(frozen=True)
class Size:
    """How much is measured: jokes, how many of each picture, the filters' limit (0: none), and batches to train."""

    jokes: int
    per_picture: int = 6
    most: int = 0
    batches: int = 200


@dataclass(frozen=True)
class Part:
    """Seconds of processor time of a part, for how many jokes, and the most memory that its process had of its own, in MB:
    files that are mapped, such as the vectors, come and go as there is room.

    `jokes`: of `filter` those that it reads, of `train` those of its batches, of all others those that the filters left.
    """

    jokes: int
    seconds: float
    own_mb: float = 0.0


class Own:
    """Watches this process's own memory (Linux), from a thread."""

    def __init__(self) -> None:
        self.most = 0.0
        self.look()
        threading.Thread(target=self._watch, daemon=True).start()

    def look(self) -> None:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        self.most = max(self.most, int(status.partition("RssAnon:")[2].split()[0]) / 1024)

    def _watch(self) -> None:
        while True:
            self.look()
            time.sleep(0.02)


class _Timed:
    """A stream, and the processor time that was spent in it."""

    def __init__(self, jokes: Iterable[Joke]) -> None:
        self._jokes, self.seconds, self.count = iter(jokes), 0.0, 0

    def __iter__(self) -> Iterator[Joke]:
        while True:
            began = time.process_time()
            joke = next(self._jokes, None)
            self.seconds += time.process_time() - began
            if joke is None:
                return
            self.count += 1
            yield joke


class _Enough(Exception):
    """As many batches were trained as were asked for."""


def jokes_of(count: int, per_picture: int) -> Iterator[Joke]:
    """Synthetic jokes, a picture's together; the same numbers give the same jokes."""
    rng = random.Random(0)
    for number in range(count):
        digest, text = digest_of(number // per_picture), "".join(rng.choices(WORDS, k=rng.randint(2, 14)))
        side = "dev" if number // per_picture % 10 == 0 else "train"
        yield Joke(picture=digest, text=text, split=side, stars=float(int(rng.expovariate(0.05))))  # type: ignore[arg-type]


def digest_of(picture: int) -> str:
    return f"{picture:016x}{picture * 0x9E3779B97F4A7C15 % 2**64:016x}{0:032x}"


def write_vectors(folder: Path, pictures: int) -> None:
    """Random vectors, as many numbers in each as the encoder's have."""
    store, rng = FeatureStore.open(folder, load_encoder("efficientnet-lite0")), np.random.default_rng(0)
    with store.adding() as adder:
        for start in range(0, pictures, 4096):
            stop = min(start + 4096, pictures)
            vectors = np.maximum(rng.standard_normal((stop - start, store.dim), np.float32), 0)
            adder.add([digest_of(picture) for picture in range(start, stop)], vectors)


def filter_(folder: Path, size: Size) -> Part:
    made = _Timed(jokes_of(size.jokes, size.per_picture))
    began = time.process_time()
    for _ in _filters(size, folder).keep(made):
        pass
    return Part(made.count, time.process_time() - began - made.seconds)


def select(folder: Path, size: Size) -> Part:
    left = _Timed(_filters(size, folder).keep(jokes_of(size.jokes, size.per_picture)))
    began = time.process_time()
    write_selection(left, (), folder / "selection", dict)
    return Part(left.count, time.process_time() - began - left.seconds)


def cut(folder: Path, _size: Size) -> Part:
    encoder = load_encoder("efficientnet-lite0")
    dataset = Dataset.of(_selection(folder), FeatureStore.open(folder, encoder), frozenset())
    start = choose_start(dataset, load_recipe("default"), encoder, None, folder, 0)
    began = time.process_time()
    load_tokens(folder, dataset.selection.texts, start.tokenizer, lambda _: None)
    return Part(len(dataset.selection), time.process_time() - began)


def begin(folder: Path, size: Size) -> Part:
    return _train(folder, replace(size, batches=1))[0]


def train(folder: Path, size: Size) -> Part:
    return _train(folder, size)[1]


def bundle(folder: Path, _size: Size) -> Part:
    selection, store = _selection(folder), FeatureStore.open(folder, load_encoder("efficientnet-lite0"))
    listed = Dataset.of(selection, store, frozenset()).training_pictures()
    starter = load_bundle(STARTER)
    began = time.process_time()
    save_bundle(replace(starter, manifest=replace(starter.manifest, training_pictures=listed)), folder / BUNDLE)
    return Part(len(selection), time.process_time() - began)


def load(folder: Path, _size: Size) -> Part:
    began = time.process_time()
    load_bundle(folder / BUNDLE)
    return Part(len(_selection(folder)), time.process_time() - began)


def _filters(size: Size, folder: Path) -> Filters:
    return Filters(replace(load_recipe("default").filters, most=size.most or None), folder=folder)


def _train(folder: Path, size: Size) -> tuple[Part, Part]:
    """What comes before the first batch, with a live model that knows all pictures but the held-out ones; and some batches."""
    recipe, encoder = load_recipe("default"), load_encoder("efficientnet-lite0")
    began = time.process_time()
    selection, store = _selection(folder), FeatureStore.open(folder, encoder)
    seen = frozenset(selection.digest(int(picture)) for picture in np.flatnonzero(~selection.dev))
    dataset = Dataset.of(selection, store, seen)
    start = choose_start(dataset, recipe, encoder, None, folder, 0)
    tokens = load_tokens(folder, selection.texts, start.tokenizer, lambda _: None)
    marks: list[float] = []

    def stop(step: Step) -> None:
        marks.append(time.process_time())
        if step.done == size.batches:
            raise _Enough

    with tempfile.TemporaryDirectory(dir=folder) as run, suppress(_Enough):
        fit(
            dataset, tokens, recipe, start, encoder, folder=Path(run), seed=0, vote_weight=1.0, device="cpu", created="",
            on_epoch=lambda _: None, on_step=stop,
        )  # fmt: skip
    trained = recipe.train.batch_size * (len(marks) - 1)
    return Part(len(selection), marks[0] - began), Part(trained, marks[-1] - marks[0])


def _selection(folder: Path) -> Selection:
    found = read_selection(folder / "selection")
    assert found is not None
    return found


PARTS: dict[str, Callable[[Path, Size], Part]] = {
    "filter": filter_, "select": select, "cut": cut, "begin": begin, "train": train, "bundle": bundle, "load": load,
}  # fmt: skip


def run_part(name: str, folder: Path, size: Size) -> Part:
    """One part in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.large", "--part", name, "--folder", str(folder)]
    for option, value in asdict(size).items():
        command += [f"--{option.replace('_', '-')}", str(value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Part(**json.loads(done.stdout.splitlines()[-1]))


def measure(size: Size, folder: Path) -> dict[str, Part]:
    """All parts, one after the other, in an empty folder."""
    write_vectors(folder, -(-size.jokes // size.per_picture))
    return {name: run_part(name, folder, size) for name in PARTS}


def main(
    jokes: Annotated[list[int] | None, typer.Option(help="How many; more than once: to compare.")] = None,
    per_picture: Annotated[int, typer.Option(min=1, help="Jokes of each picture.")] = 6,
    most: Annotated[int, typer.Option(min=0, help="That are learned from, by the filter of that name; 0: all.")] = 0,
    batches: Annotated[int, typer.Option(min=2, help="That are trained, to see how long they take.")] = 200,
    part: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    """Measure."""
    sizes = [Size(count, per_picture, most, batches) for count in jokes or [100_000, 500_000]]
    if part:
        own = Own()
        found = PARTS[part](folder, sizes[0])
        own.look()
        print(json.dumps(asdict(found) | {"own_mb": own.most}))
        return
    table = Table("jokes", "pictures", "part", "of jokes", "seconds", "a second", "own MB", box=None)
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="boke-large-") as name:
            place = Path(name)
            written, pictures = f"{size.jokes:,}", f"{size.jokes // size.per_picture:,}"
            for each, done in measure(size, place).items():
                numbers = (f"{done.seconds:.1f}", f"{done.jokes / done.seconds:,.0f}", f"{done.own_mb:,.0f}")
                table.add_row(written, pictures, each, f"{done.jokes:,}", *numbers)
            manifest = (place / BUNDLE / MANIFEST).stat().st_size
            table.add_row(written, pictures, "the manifest, MB", "", "", "", f"{manifest / 2**20:.1f}")
    for column in table.columns[3:]:
        column.justify = "right"
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
