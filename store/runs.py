"""Training runs as they are kept: written by the run, read by the bot that tells people how it ended."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update

from store.database import Database
from store.processes import is_gone, name_of_process
from store.tables import Run, RunEpoch
from store.types import now

RUN_KILLED = "the run was killed"
SILENT = timedelta(seconds=90)  # a run that gave no sign of life for so long was killed, or its machine is gone


@dataclass(frozen=True)
class RunRecord:
    """A run. `seconds` is how long it took so far, or in all; `reason` is a word for why nothing was published."""

    id: int
    trigger: str
    state: str
    recipe: str | None
    message: str | None
    stages: tuple[dict[str, Any], ...]
    metrics: dict[str, Any]
    champion_metrics: dict[str, Any]
    bundle_digest: str | None
    champion_digest: str | None
    started: datetime
    ended: datetime | None

    @property
    def seconds(self) -> float:
        return ((self.ended or now()) - self.started).total_seconds()

    @property
    def reason(self) -> str | None:
        return next((stage["reason"] for stage in reversed(self.stages) if stage.get("reason")), None)


@dataclass(frozen=True)
class EpochRecord:
    """One pass over the training data, as `store.tables.RunEpoch`; losses in nats a token."""

    epoch: int
    train_loss: float
    dev_loss: float | None = None
    learning_rate: float | None = None
    seconds: float | None = None
    tokens: int | None = None
    part: str = "decoder"
    samples: tuple[dict[str, Any], ...] = field(default=())


def start_run(database: Database, trigger: str, recipe: str) -> int:
    """A new run of this process; returns its number."""
    with database.session() as session:
        process = {"host": socket.gethostname()[:255], "pid": os.getpid(), "process": name_of_process()}
        run = Run(trigger=trigger, recipe=recipe, **process)
        session.add(run)
        session.flush()
        return run.id


def update_run(database: Database, run_id: int, **values: Any) -> None:
    """Change columns of a run."""
    with database.session() as session:
        session.execute(update(Run).where(Run.id == run_id).values(heartbeat=now(), **values))


def stop_requested(database: Database, run_id: int) -> bool:
    """A sign of life, and whether somebody asked the run to stop."""
    with database.session() as session:
        alive = update(Run).where(Run.id == run_id).values(heartbeat=now()).returning(Run.stop_requested)
        return bool(session.scalars(alive).one_or_none())


def is_run_alive(database: Database) -> bool:
    """Is a run going on, in whichever process? One that is `SILENT` is not."""
    alive = select(Run.id).where(Run.state == "running", Run.heartbeat >= now() - SILENT).limit(1)
    with database.reader() as session:
        return session.scalars(alive).one_or_none() is not None


def request_stop(database: Database) -> int:
    """Ask every run that is going on to stop; returns how many there are."""
    with database.session() as session:
        asked = update(Run).where(Run.state == "running").values(stop_requested=True).returning(Run.id)
        return len(session.scalars(asked).all())


def save_epochs(database: Database, run_id: int, epochs: Sequence[EpochRecord]) -> None:
    """Keep epochs; those that are there already are replaced."""
    with database.session() as session:
        for epoch in epochs:
            same = (RunEpoch.run_id == run_id, RunEpoch.part == epoch.part, RunEpoch.epoch == epoch.epoch)
            session.execute(delete(RunEpoch).where(*same))
            session.add(RunEpoch(run_id=run_id, **{**asdict(epoch), "samples": list(epoch.samples)}))


def copy_epochs(database: Database, from_run: int, to_run: int, last_epoch: int) -> None:
    """What an interrupted run had learned belongs to the run that continues it."""
    with database.session() as session:
        rows = session.scalars(select(RunEpoch).where(RunEpoch.run_id == from_run, RunEpoch.epoch <= last_epoch)).all()
        names = [f for f in EpochRecord.__dataclass_fields__ if f != "samples"]
        copies = [RunEpoch(run_id=to_run, samples=row.samples, **{n: getattr(row, n) for n in names}) for row in rows]
        session.execute(delete(RunEpoch).where(RunEpoch.run_id == to_run))
        session.add_all(copies)


def close_lost_runs(database: Database, message: str) -> int:
    """Mark all runs that say they are running as stopped; returns how many. The caller holds the lock: none is going on."""
    return _close(database, message, Run.state == "running")


def close_gone_runs(database: Database, message: str) -> int:
    """Mark the runs as stopped whose process is certainly gone, as far as that can be told here; returns how many."""
    with database.reader() as session:
        rows = session.execute(
            select(Run.id, Run.process).where(Run.state == "running", Run.process.is_not(None))
        ).all()
    gone = [row.id for row in rows if is_gone(row.process)]
    return _close(database, message, Run.state == "running", Run.id.in_(gone)) if gone else 0


def _close(database: Database, message: str, *where: ColumnElement[bool]) -> int:
    with database.session() as session:
        lost = update(Run).where(*where).values(state="stopped", ended=now(), message=message).returning(Run.id)
        return len(session.scalars(lost).all())


def last_runs(database: Database, limit: int, states: Sequence[str] = ()) -> tuple[RunRecord, ...]:
    """The newest runs first, of those states if any are named."""
    statement = select(Run).order_by(Run.started.desc(), Run.id.desc()).limit(limit)
    if states:
        statement = statement.where(Run.state.in_(states))
    with database.reader() as session:
        return tuple(_record(run) for run in session.scalars(statement))


def runs_of_bundles(database: Database) -> dict[str, int]:
    """Which run published a bundle, by the bundle's digest."""
    with database.reader() as session:
        rows = session.execute(select(Run.bundle_digest, Run.id).where(Run.bundle_digest.is_not(None)).order_by(Run.id))
        return {str(digest): run for digest, run in rows}


def take_announcements(database: Database, younger_than: timedelta = timedelta(days=1)) -> tuple[RunRecord, ...]:
    """Runs that ended and of which nobody was told yet, oldest first. Each is given to one caller only."""
    with database.session() as session:
        claimed = update(Run).where(Run.ended.is_not(None), Run.announced.is_(None)).values(announced=now())
        runs = session.scalars(claimed.returning(Run)).all()
        found = [_record(run) for run in runs]
    oldest = now() - younger_than
    return tuple(sorted((run for run in found if run.ended and run.ended >= oldest), key=lambda run: run.id))


def _record(run: Run) -> RunRecord:
    return RunRecord(
        run.id,
        run.trigger,
        run.state,
        run.recipe,
        run.message,
        tuple(run.stages),
        dict(run.metrics),
        dict(run.champion_metrics),
        run.bundle_digest,
        run.champion_digest,
        run.started,
        run.ended,
    )
