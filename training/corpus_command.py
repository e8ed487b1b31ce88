"""`python -m training.corpus import FILE... | export [--out FILE.jsonl] | stats`: the corpus in and out."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from store.config import Config, load_config
from store.database import Database, open_database
from store.errors import StoreError
from training.corpus_stats import CorpusStats, corpus_stats
from training.errors import CorpusError
from training.export import PICTURES, export_corpus
from training.importers import ImportReport, import_files
from training.progress import shown

app = typer.Typer(help="Jokes into the corpus and out of it.", no_args_is_help=True, add_completion=False)
ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The configuration.")]


@app.command("import")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="JSON lines, the article's items.json, or a folder of BoketeDB v3.",
            show_default=False,
        ),
    ],
    config: ConfigOption = None,
) -> None:
    """Take jokes and their pictures into the corpus. The same file again changes nothing."""
    with _corpus(config) as (settings, database):
        with shown() as report:
            done = import_files(
                database, settings.data.dir, files, max_pixels=settings.pictures.max_pixels, report=report
            )
        _print_import(done)


@app.command()
def export(
    out: Annotated[Path, typer.Option(metavar="FILE.jsonl", help="Pictures are written beside it.")] = Path(
        "corpus.jsonl"
    ),
    config: ConfigOption = None,
) -> None:
    """Write all that is stored, unfiltered, with the pictures in a folder beside the file."""
    with _corpus(config) as (settings, database):
        with shown() as report:
            done = export_corpus(database, settings.data.dir, out, report=report)
        print(f"{out}: {done.jokes:,} jokes; {done.pictures:,} new pictures in {out.parent / PICTURES}")
        if done.waiting:
            print(f"{done.waiting:,} jokes were left out: their pictures are not fetched yet")
        if done.lost:
            _complain(f"{done.lost:,} jokes were left out: their pictures are gone from {settings.data.dir}")


@app.command()
def stats(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of the tables.")] = False,
    config: ConfigOption = None,
) -> None:
    """Count jokes, pictures, stars and sources."""
    with _corpus(config) as (_, database):
        found = corpus_stats(database)
    if as_json:
        print(json.dumps(asdict(found), ensure_ascii=False))
    else:
        _print_stats(found)


@contextmanager
def _corpus(path: Path | None) -> Iterator[tuple[Config, Database]]:
    """The configuration and its database; what goes wrong is a line or two on stderr, and exit code 1."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        config = load_config(path)
        database = open_database(
            config.database.url,
            pool_size=config.database.pool_size,
            busy_timeout_s=config.database.busy_timeout_s,
        )
        try:
            yield config, database
        finally:
            database.close()
    except (StoreError, CorpusError) as error:
        _complain(str(error))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        _complain("stopped; what was done so far stays, run it again to go on")
        raise typer.Exit(130) from None


def _print_import(done: ImportReport) -> None:
    table = Table("", "count", show_header=False, box=None)
    table.columns[1].justify = "right"
    for name, count in (
        ("lines", done.lines),
        ("jokes added", done.added),
        ("jokes updated", done.updated),
        ("jokes already there", done.same),
        ("pictures added", done.pictures),
        ("bad lines", done.bad),
        ("files that are no picture", done.broken),
        ("jokes of such files, left out", done.pictureless),
    ):
        table.add_row(name, f"{count:,}")
    for problem in done.problems:
        _complain(problem)
    if done.bad + done.broken > len(done.problems):
        _complain(f"... and {done.bad + done.broken - len(done.problems):,} more")
    Console().print(table)


def _print_stats(found: CorpusStats) -> None:
    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(justify="right")
    rows: list[tuple[str, int | float | None]] = [
        ("jokes", found.jokes),
        ("  whose picture is not fetched yet", found.waiting),
        ("  with stars", found.starred),
        ("pictures", found.pictures),
        ("odai", found.odai),
        ("jokes per picture, mean", found.per_picture_mean),
        ("  median", found.per_picture_median),
        ("  most", found.per_picture_max),
        ("stars, least", found.stars_min),
        ("  mean", found.stars_mean),
        ("  median", found.stars_median),
        ("  most", found.stars_max),
        ("jokes that a file put into train", found.said_train),
        ("  into dev", found.said_dev),
    ]
    for name, value in rows:
        table.add_row(name, _shown(value))
    console = Console()
    console.print(table)
    if found.sources:
        sources = Table("source", box=None)
        for name in ("jokes", "pictures", "with stars", "mean stars"):
            sources.add_column(name, justify="right")
        for source in found.sources:
            counts = (source.jokes, source.pictures, source.starred, source.mean_stars)
            sources.add_row(source.source, *map(_shown, counts))
        console.print()
        console.print(sources)


def _shown(value: int | float | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _complain(message: str) -> None:
    print(f"corpus: {message}", file=sys.stderr)
