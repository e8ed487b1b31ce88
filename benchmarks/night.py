"""What does a night cost as the corpus grows? Only what is new should cost.

    python -m benchmarks.night --data DIR [--jokes N]... [--new N]

`--data` is the folder of a corpus file with its pictures (newyorker). For each size: a first night with so many of its jokes,
shortly trained and not counted, then a night that brings `--new` jokes of pictures that were not there before. Printed are the
seconds of each stage of that night, as `retrain` counts them. The crawl is left out: its pace is the site's.
"""

from __future__ import annotations

import json
import logging
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from store.config import Config, load_config
from store.database import open_database
from training.bringing import Options
from training.recipe import Recipe, load_recipe
from training.recording import Stage
from training.retrain import FAILED, Ended, retrain

NEW_PICTURES = 10


def write_part(data: Path, folder: Path, *, jokes: int, new: bool) -> Path:
    """A corpus file with so many of the jokes of `data`: of its last pictures, or of all others, the same number of each."""
    by_picture: dict[str, list[str]] = {}
    for line in (data / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        by_picture.setdefault(json.loads(line)["image"], []).append(line)
    pictures = list(by_picture)
    chosen = pictures[-NEW_PICTURES:] if new else pictures[:-NEW_PICTURES]
    lines = [line for picture in chosen for line in by_picture[picture][: jokes // len(chosen)]]
    folder.mkdir()
    (folder / "images").symlink_to((data / "images").resolve())
    path = folder / "corpus.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def night(config: Config, recipe: Recipe, corpus: Path) -> Ended:
    """`retrain --no-crawl --import corpus --force-publish`."""
    database = open_database(config.database.url)
    try:
        ended = retrain(config, database, Options(recipe, config.models.dir, imports=(corpus,), force=True))
    finally:
        database.close()
    if ended.code == FAILED:
        raise SystemExit(f"night: {ended.message}")
    return ended


def house(place: Path) -> Config:
    """A configuration with all it keeps in one folder."""
    base = load_config(None)
    changed = {
        "data": base.data.model_copy(update={"dir": place / "data"}),
        "models": base.models.model_copy(update={"dir": place / "models"}),
        "database": base.database.model_copy(update={"url": f"sqlite:///{place / 'boke.db'}"}),
    }
    return base.model_copy(update=changed)


def main(
    data: Annotated[Path, typer.Option(metavar="DIR", help="Folder with corpus.jsonl.", show_default=False)],
    jokes: Annotated[list[int] | None, typer.Option(help="In the corpus before; more than once: to compare.")] = None,
    new: Annotated[int, typer.Option(min=NEW_PICTURES, help="Jokes that the night brings.")] = 300,
    epochs: Annotated[int, typer.Option(min=1, help="Of the first night.")] = 2,
) -> None:
    """Measure."""
    logging.basicConfig(level=logging.WARNING)
    console, recipe = Console(), load_recipe("default")
    first = replace(recipe, train=replace(recipe.train, epochs=epochs))
    columns: dict[int, list[Stage]] = {}
    for size in jokes or [2_800, 28_000]:
        with tempfile.TemporaryDirectory(prefix="boke-night-") as folder:
            config = house(Path(folder))
            night(config, first, write_part(data, Path(folder) / "old", jokes=size, new=False))
            ended = night(config, recipe, write_part(data, Path(folder) / "new", jokes=new, new=True))
        columns[size] = list(ended.stages)
        for stage in ended.stages:
            console.print(f"{size:,}: {stage.name}: {stage.note}", highlight=False, style="dim", soft_wrap=True)
    table = Table("stage", *(f"{size:,} + {new:,} (s)" for size in columns), box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in zip(*columns.values(), strict=True):
        table.add_row(row[0].name, *(f"{stage.seconds:.1f}" for stage in row))
    table.add_row("in all", *(f"{sum(stage.seconds for stage in stages):.1f}" for stages in columns.values()))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
