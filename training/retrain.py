"""`python -m training.retrain`: the nightly job, by hand or by the clock: crawl, train, publish if better.

Exit code 0: published; 3: nothing published, the old model stays; 1: failed, the old model is untouched.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bokemodel.errors import BokeModelError
from store.config import Config, load_config
from store.database import Database, open_database
from store.errors import DatabaseError, StoreError
from store.runs import close_lost_runs, start_run
from training.bringing import Options
from training.crawl.errors import CrawlError
from training.errors import CorpusError
from training.fitting import CannotTrain
from training.held_out import EvaluationError
from training.night import Night
from training.progress import shown
from training.publish import PublishError
from training.recipe import RecipeError, load_recipe
from training.recording import Kept, Recorder, Stage, Stopped
from training.single import one_run_at_a_time
from training.train import TrainingDiverged

log = logging.getLogger(__name__)

PUBLISHED, FAILED, NOTHING = 0, 1, 3
WIDTH = 120  # characters of the table where no terminal says
FAULTS = (
    StoreError,
    CorpusError,
    CrawlError,
    BokeModelError,
    EvaluationError,
    RecipeError,
    PublishError,
    CannotTrain,
    TrainingDiverged,
    OSError,
    MemoryError,
)


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, one line for people, and what each stage did."""

    code: int
    message: str
    stages: tuple[Stage, ...]


def retrain(config: Config, database: Database, options: Options, trigger: str = "hand") -> Ended:
    """One run, written down in the database.

    Raises: LockHeld: another run is going on. DatabaseUnavailable, OSError: nothing could be begun, or nothing noted at
    the end; whatever happened, the live model is whole.
    """
    with one_run_at_a_time(database, config.data.dir) as lost:
        close_lost_runs(database, "the run was killed; the next one went on from there")
        run_id = start_run(database, trigger, options.recipe.name)
        with Recorder(database, run_id, lost, config.retrain.time_limit_s) as recorder, shown() as report:
            return _outcome(Night(config, database, options, recorder, report), recorder)


def _outcome(night: Night, recorder: Recorder) -> Ended:
    code, state = FAILED, "failed"
    try:
        message = night.run()
        code, state = PUBLISHED, "published"
    except Kept as kept:
        code, state, message = NOTHING, "kept", str(kept)
    except Stopped as stopped:
        state, message = "stopped", str(stopped)
    except FAULTS as fault:
        message = _line(fault)
    except Exception as fault:  # a bug; whoever looks for it finds it in the run's record
        message = f"{_unforeseen(fault)}; the run's record has the details"
        log.debug("unforeseen", exc_info=True)
        recorder.set(log=traceback.format_exc())
    try:
        recorder.finish(state, message)
    except DatabaseError as fault:
        log.warning("how the run ended could not be written down: %s", fault)
    return Ended(code, message, tuple(recorder.stages))


def _line(fault: BaseException) -> str:
    if isinstance(fault, OSError) and fault.strerror:
        return f"{fault.filename}: {fault.strerror}" if fault.filename else fault.strerror
    if isinstance(fault, MemoryError):
        return "not enough memory"
    return str(fault)


def _unforeseen(fault: Exception) -> str:
    return f"something unforeseen went wrong ({type(fault).__name__}: {fault})"


def show(ended: Ended, console: Console) -> None:
    """The table of what each stage did, and the last word."""
    table = Table("stage", "seconds", "what it did", box=None, title_justify="left")
    table.columns[1].justify = "right"
    for stage in ended.stages:
        said = [stage.state] if stage.state != "done" else []
        table.add_row(stage.name, f"{stage.seconds:.1f}", ": ".join([*said, *([stage.note] if stage.note else [])]))
    total = sum(stage.seconds for stage in ended.stages)
    table.add_row("", f"{total:.1f}", "in all")
    console.print(table)
    words = {PUBLISHED: "published", NOTHING: "nothing published, the old model stays"}
    if ended.code in words:
        console.print(f"{words[ended.code]}: {ended.message}", highlight=False, markup=False, soft_wrap=True)


def main(
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="The configuration.", show_default=False)] = None,
    no_crawl: Annotated[bool, typer.Option("--no-crawl", help="Leave the site alone.")] = False,
    imports: Annotated[
        list[Path] | None,
        typer.Option("--import", metavar="FILE.jsonl", help="Take this file's jokes in first.", show_default=False),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE.toml", help="Instead of retrain.recipe.", show_default=False)
    ] = None,
    models: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Instead of models.dir.", show_default=False)
    ] = None,
    force_publish: Annotated[
        bool, typer.Option("--force-publish", help="Publish whatever comes out, better or not.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="cpu, or cuda:0 where CuPy is installed.", show_default=False)
    ] = None,
    trigger: Annotated[str, typer.Option(hidden=True)] = "hand",
) -> None:
    """Crawl, train, and publish the new model if it is better than the one that is live."""
    try:
        settings = load_config(config)
        _quiet_log(settings)
        if trigger != "hand":
            os.nice(settings.retrain.nice)
        options = Options(
            load_recipe(recipe or settings.retrain.recipe),
            models or settings.models.dir,
            crawl=not no_crawl,
            imports=tuple(imports or ()),
            force=force_publish,
            scheduled=trigger == "schedule",
            device=device or settings.retrain.device,
        )
        database = open_database(
            settings.database.url,
            pool_size=settings.database.pool_size,
            busy_timeout_s=settings.database.busy_timeout_s,
        )
        try:
            ended = retrain(settings, database, options, trigger)
        finally:
            database.close()
    except FAULTS as fault:
        for line in _line(fault).splitlines():
            print(f"retrain: {line}", file=sys.stderr)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(FAILED) from None
    except Exception as fault:
        log.debug("unforeseen", exc_info=True)
        print(f'retrain: {_unforeseen(fault)}; log.level = "debug" tells more', file=sys.stderr)
        raise typer.Exit(FAILED) from None
    with contextlib.suppress(BrokenPipeError):  # whoever started it may be gone
        show(ended, Console() if sys.stdout.isatty() else Console(width=WIDTH))
        if ended.code == FAILED:
            print(f"retrain: {ended.message}", file=sys.stderr)
        sys.stdout.flush()
    raise typer.Exit(ended.code)


def _quiet_log(config: Config) -> None:
    logging.basicConfig(
        level=config.log.level.upper(),
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    logging.raiseExceptions = False
    logging.getLogger("alembic").setLevel(logging.WARNING)


if __name__ == "__main__":
    typer.run(main)
