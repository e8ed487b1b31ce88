"""Training runs as the API shows them."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy import select

from store.database import Database
from store.tables import Run, RunEpoch


def list_runs(database: Database, limit: int) -> list[dict[str, Any]]:
    """The newest runs first, each with its epochs. Raises DatabaseError."""
    with database.reader() as session:
        runs = session.scalars(select(Run).order_by(Run.started.desc(), Run.id.desc()).limit(limit)).all()
        epochs: dict[int, list[dict[str, Any]]] = defaultdict(list)
        of_runs = select(RunEpoch).where(RunEpoch.run_id.in_([run.id for run in runs]))
        for row in session.scalars(of_runs.order_by(RunEpoch.part, RunEpoch.epoch)):
            epochs[row.run_id].append(_epoch(row))
        return [{**_run(run), "epochs": epochs[run.id]} for run in runs]


def _run(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "kind": run.kind,
        "trigger": run.trigger,
        "state": run.state,
        "recipe": run.recipe,
        "started": _moment(run.started),
        "ended": _moment(run.ended),
        "published": _moment(run.published),
        "stages": run.stages,
        "metrics": run.metrics,
        "champion_metrics": run.champion_metrics,
        "model": run.bundle_digest,
        "champion": run.champion_digest,
        "message": run.message,
    }


def _epoch(row: RunEpoch) -> dict[str, Any]:
    return {
        "part": row.part,
        "epoch": row.epoch,
        "train_loss": row.train_loss,
        "dev_loss": row.dev_loss,
        "learning_rate": row.learning_rate,
        "seconds": row.seconds,
        "samples": row.samples,
    }


def _moment(value: datetime | None) -> str | None:
    return value.isoformat() if value else None
