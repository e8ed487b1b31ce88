"""Does memory stay flat as the corpus grows? Import, read, filter and export synthetic jokes; peak memory of each step.

    python -m benchmarks.corpus [--jokes N]... [--odai N] [--pictures N] [--database postgresql://...]

Each step runs in a process of its own, so that its peak is its own. The jokes are 5 to 40 characters long and spread
unevenly over the odai (a few have thousands, most have a handful), the odai over the pictures. Steps: `import` a file,
import it `again` (nothing changes), `read` what training reads, `filter` it, `export` it, count `stats`; for the page, count
its `figures` and `find` pictures by a word. At the end: what a joke takes in the database, with its odai and picture.
"""

from __future__ import annotations

import json
import logging
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.answers import size as database_size
from store.corpus import read_pictures
from store.database import Database, open_database
from store.figures import corpus_figures
from store.shown import find_pictures
from training.corpus import read_jokes
from training.corpus_stats import corpus_stats
from training.export import export_corpus
from training.filters import FilterConfig, Filters
from training.importers import import_files
from training.progress import shown

WORDS = tuple("猫犬海山月火水木金土日人口目耳手足上下左右先生校長部長今昨明笑泣寝食飲帰来行見聞言知全部半分")
FILE = "corpus.jsonl"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """What one process did: jokes it dealt with, seconds, its processor's seconds, and the most memory it held, in MB."""

    jokes: int
    seconds: float
    cpu_seconds: float
    peak_mb: float


def write_synthetic(folder: Path, jokes: int, odai: int, pictures: int) -> Path:
    """A corpus file with its pictures; the same numbers give the same file."""
    rng = random.Random(0)
    for number in range(pictures):
        path = folder / f"images/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number % 256, number // 256 % 256, number // 65536)).save(path)
    path = folder / FILE
    with path.open("w", encoding="utf-8") as stream:
        for number in range(jokes):
            its_odai = int(odai * rng.random() ** 2)
            line: dict[str, object] = {
                "image": f"images/{its_odai % pictures}.png",
                "text": "".join(rng.choices(WORDS, k=rng.randint(2, 14))),
                "stars": int(rng.expovariate(0.05)),
                "odai_id": its_odai,
            }
            if number % 2:
                line["boke_id"] = number
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
    return path


def _import(database: Database, folder: Path) -> int:
    with shown() as report:
        return import_files(database, folder / "data", [folder / FILE], report=report).lines


def _read(database: Database, _folder: Path) -> int:
    return sum(1 for _ in read_jokes(database))


def _filter(database: Database, _folder: Path) -> int:
    chosen = Filters(FilterConfig(min_stars=1, per_picture_cap=200))
    return sum(1 for _ in chosen.keep(read_jokes(database)))


def _export(database: Database, folder: Path) -> int:
    return export_corpus(database, folder / "data", folder / "out" / FILE).jokes


def _stats(database: Database, _folder: Path) -> int:
    return corpus_stats(database).jokes


def _figures(database: Database, _folder: Path) -> int:
    return corpus_figures(database, read_pictures(database, 0.1), "Asia/Tokyo").lengths.count


def _find(database: Database, _folder: Path) -> int:
    return len(find_pictures(database, ["猫犬"]))


STEPS: dict[str, Callable[[Database, Path], int]] = {
    "import": _import,
    "again": _import,
    "read": _read,
    "filter": _filter,
    "export": _export,
    "stats": _stats,
    "figures": _figures,
    "find": _find,
}


def peak_mb() -> float:
    """Most memory that this process held so far, in MB (Linux; its parent's peak does not count)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def bytes_of(url: str) -> int:
    """How large a database is."""
    opened = open_database(url)
    try:
        return database_size(opened)
    finally:
        opened.close()


def run_step(name: str, url: str, folder: Path) -> Step:
    """One step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.corpus", "--step", name, "--database", url, "--folder", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Step(**json.loads(done.stdout.splitlines()[-1]))


def main(
    jokes: Annotated[list[int] | None, typer.Option(help="How many; more than once: to compare.")] = None,
    odai: Annotated[int, typer.Option(min=1)] = 50_000,
    pictures: Annotated[int, typer.Option(min=1, max=65536)] = 2_000,
    database: Annotated[str, typer.Option(help="An empty database; left out: SQLite in a temporary folder.")] = "",
    step: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    """Measure."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if step:
        opened = open_database(database)
        began, cpu = time.perf_counter(), time.process_time()
        count = STEPS[step](opened, folder)
        took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
        print(json.dumps({"jokes": count, **took, "peak_mb": peak_mb()}))
        return
    console, grown = Console(), list[str]()
    table = Table("jokes", "step", "of them", "seconds", "CPU", "a second", "peak MB", box=None)
    for column in table.columns[2:]:
        column.justify = "right"
    for size in jokes or [10_000, 100_000, 1_000_000]:
        with tempfile.TemporaryDirectory(prefix="boke-corpus-") as name:
            place = Path(name)
            write_synthetic(place, size, odai, pictures)
            url = database or f"sqlite:///{place / 'boke.db'}"
            empty = bytes_of(url)
            for each in STEPS:
                done = run_step(each, url, place)
                numbers = (done.seconds, done.cpu_seconds, done.jokes / max(done.seconds, 1e-9), done.peak_mb)
                table.add_row(f"{size:,}", each, f"{done.jokes:,}", *(f"{number:,.1f}" for number in numbers))
                log.info("%s: %s", f"{size:,}", done)
            grown.append(f"{size:,} jokes: {(bytes_of(url) - empty) / size:,.0f} bytes each in the database")
    console.print(table, *grown, sep="\n", highlight=False)


if __name__ == "__main__":
    typer.run(main)
