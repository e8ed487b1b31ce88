"""Training runs as the API shows them: many, one beside the champion's, and live."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web
from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session

from bot.boke import BokeRefused
from bot.chat.web.keys import parts
from bot.chat.web.refusals import reply
from bot.chat.web.upload import bad
from bot.limits import Limit
from store.database import Database
from store.runs import SILENT
from store.tables import Run, RunEpoch
from store.types import now

MAX_RUNS = 100
LISTENS_PER_MINUTE = 60  # from one address


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this module."""
    router.add_get("/api/runs", get_runs)
    router.add_get("/api/runs/events", get_events, allow_head=False)
    router.add_get(r"/api/runs/{id:\d{1,9}}", get_run)


async def get_runs(request: web.Request) -> web.Response:
    """Training runs, newest first, with their curves unless `epochs=false`."""
    mine = parts(request)
    asked = request.query.get("limit", str(MAX_RUNS))
    if not (asked.isascii() and asked.isdigit() and 1 <= int(asked[:6]) <= MAX_RUNS):
        raise bad("limit")
    epochs = request.query.get("epochs", "true")
    if epochs not in ("true", "false"):
        raise bad("epochs")
    runs = await mine.service.stored(list_runs, mine.database, int(asked), epochs=epochs == "true")
    return _compressed(reply({"runs": runs}))


async def get_run(request: web.Request) -> web.Response:
    """One run, and the run that its champion came from."""
    mine = parts(request)
    found = await mine.service.stored(find_run, mine.database, int(request.match_info["id"]))
    if found is None:
        raise BokeRefused("not_found")
    return _compressed(reply(found))


async def get_events(request: web.Request) -> web.StreamResponse:
    """What goes on in the newest run, as it happens (server-sent events)."""
    mine = parts(request)
    address = mine.callers.counted_as(request)
    mine.take(Limit("events", address, LISTENS_PER_MINUTE))
    return await mine.live.stream(request, address)


def list_runs(database: Database, limit: int, *, epochs: bool = True) -> list[dict[str, Any]]:
    """The newest runs first, with their epochs if wanted. Raises DatabaseError."""
    with database.reader() as session:
        runs = session.scalars(_newest().limit(limit)).all()
        of_runs = _epochs(session, [run.id for run in runs]) if epochs else {}
        return [{**run_to_json(run), **({"epochs": of_runs[run.id]} if epochs else {})} for run in runs]


def find_run(database: Database, run_id: int) -> dict[str, Any] | None:
    """`run` by its number, and `champion`, the run that trained what it had to beat, both with their epochs; None where
    there is no such run. Raises DatabaseError.
    """
    with database.reader() as session:
        run = session.get(Run, run_id)
        if run is None:
            return None
        champion = _champion(session, run)
        epochs = _epochs(session, [one.id for one in (run, champion) if one is not None])
        return {
            "run": {**run_to_json(run), "epochs": epochs[run.id]},
            "champion": {**run_to_json(champion), "epochs": epochs[champion.id]} if champion else None,
        }


@dataclass(frozen=True)
class News:
    """The newest run, None where there is none, and its epochs that were not known yet."""

    run: dict[str, Any] | None
    epochs: list[dict[str, Any]]


def read_news(database: Database, run_id: int | None, known: Mapping[str, int]) -> News:
    """What is new to somebody who knows the epochs of `run_id` up to those numbers, by part. Raises DatabaseError."""
    with database.reader() as session:
        run = session.scalars(_newest().limit(1)).one_or_none()
        if run is None:
            return News(None, [])
        new = select(RunEpoch).where(RunEpoch.run_id == run.id).order_by(RunEpoch.part, RunEpoch.epoch)
        if run.id == run_id and known:
            later = (and_(RunEpoch.part == part, RunEpoch.epoch > number) for part, number in known.items())
            new = new.where(or_(RunEpoch.part.not_in(known), *later))
        return News(run_to_json(run), [epoch_to_json(row) for row in session.scalars(new)])


def run_to_json(run: Run) -> dict[str, Any]:
    """A run without its epochs. `silent`: it says that it is running, but gave no sign of life for long."""
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
        "silent": run.state == "running" and now() - run.heartbeat > SILENT,
    }


def epoch_to_json(row: RunEpoch) -> dict[str, Any]:
    """One pass over the training data."""
    return {
        "part": row.part,
        "epoch": row.epoch,
        "train_loss": row.train_loss,
        "dev_loss": row.dev_loss,
        "learning_rate": row.learning_rate,
        "seconds": row.seconds,
        "samples": row.samples,
    }


def _compressed(response: web.Response) -> web.Response:
    """Curves and samples are long, and much the same from epoch to epoch."""
    response.enable_compression()
    return response


def _champion(session: Session, run: Run) -> Run | None:
    before = _newest().where(Run.id != run.id, Run.started <= run.started).limit(1)
    if run.champion_digest:
        return session.scalars(before.where(Run.bundle_digest == run.champion_digest)).one_or_none()
    if run.state == "running":  # it has not come to comparing yet
        return session.scalars(before.where(Run.published.is_not(None))).one_or_none()
    return None


def _newest() -> Select[Run]:
    return select(Run).order_by(Run.started.desc(), Run.id.desc())


def _epochs(session: Session, runs: list[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    rows = select(RunEpoch).where(RunEpoch.run_id.in_(runs)).order_by(RunEpoch.part, RunEpoch.epoch)
    for row in session.scalars(rows):
        found[row.run_id].append(epoch_to_json(row))
    return found


def _moment(value: datetime | None) -> str | None:
    return value.isoformat() if value else None
