"""How far a long piece of work is: bars on a terminal, a log line now and then elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

Report = Callable[[str, int, int], None]  # what is being done, how much of it is done, of how much
LOG_EVERY_S = 30.0
log = logging.getLogger(__name__)


def quiet(stage: str, done: int, total: int) -> None:
    """The report that nobody reads."""


@contextmanager
def shown(console: Console | None = None) -> Iterator[Report]:
    """A report that people see while the block runs: on stderr, unless told otherwise."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _logged()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield _bars(progress)


def _bars(progress: Progress) -> Report:
    tasks: dict[str, TaskID] = {}

    def report(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = progress.add_task(stage, total=total)
        progress.update(tasks[stage], completed=done, total=total)

    return report


def _logged() -> Report:
    said: dict[str, float] = {}
    ended: set[str] = set()

    def report(stage: str, done: int, total: int) -> None:
        moment = time.monotonic()
        if stage not in ended and (done >= total or moment - said.setdefault(stage, moment) >= LOG_EVERY_S):
            said[stage] = moment
            if done >= total:
                ended.add(stage)
            log.info("%s: %s of %s", stage, f"{done:,}", f"{total:,}")

    return report
