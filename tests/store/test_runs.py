"""Runs as they are kept: one whose process was killed is closed, and no other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import select, text, update

from store.database import Database, open_database
from store.migrations import alembic_config
from store.processes import name_of_process
from store.runs import RUN_KILLED, close_gone_runs, close_lost_runs, is_run_alive, last_runs, start_run, update_run
from store.tables import Run

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from store.database import open_database
from store.runs import start_run
print(start_run(open_database(sys.argv[1]), "hand", "default"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def elsewhere(any_database_url: str, any_database: Database) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A real process with a run, and the run's number."""
    arguments = [sys.executable, "-c", PROGRAM, any_database_url]
    with subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        process.kill()


def states(database: Database) -> dict[int, str]:
    return {run.id: run.state for run in last_runs(database, 10)}


def test_a_run_whose_process_was_killed_is_closed_at_once(
    any_database: Database, elsewhere: tuple[subprocess.Popen[str], int]
) -> None:
    process, run = elsewhere
    assert close_gone_runs(any_database, RUN_KILLED) == 0
    assert is_run_alive(any_database)
    process.kill()
    process.wait()
    assert is_run_alive(any_database), "its last sign of life is young"
    assert close_gone_runs(any_database, RUN_KILLED) == 1
    assert not is_run_alive(any_database)
    (closed,) = last_runs(any_database, 5)
    assert (closed.id, closed.state, closed.message) == (run, "stopped", RUN_KILLED)
    assert closed.ended is not None
    assert close_gone_runs(any_database, RUN_KILLED) == 0


def test_what_is_not_certain_is_left_to_its_signs_of_life(
    any_database: Database, elsewhere: tuple[subprocess.Popen[str], int]
) -> None:
    process, killed = elsewhere
    own, of_another_machine, of_an_older_program, ended = (start_run(any_database, "hand", "r") for _ in range(4))
    with any_database.session() as session:
        name = session.scalars(select(Run.process).where(Run.id == killed)).one()
        assert name is not None
        # Another container or machine of this name: the same host, the same process id.
        session.execute(update(Run).where(Run.id == of_another_machine).values(process=f"0{name}"))
        session.execute(update(Run).where(Run.id == of_an_older_program).values(process=None, pid=process.pid))
        session.execute(update(Run).where(Run.id == ended).values(process=name))
    update_run(any_database, ended, state="published")
    process.kill()
    process.wait()
    assert close_gone_runs(any_database, RUN_KILLED) == 1
    assert states(any_database) == {
        killed: "stopped", own: "running", of_another_machine: "running", of_an_older_program: "running",
        ended: "published",
    }  # fmt: skip
    assert close_lost_runs(any_database, "whoever holds the lock knows better") == 3


def test_a_database_with_runs_of_before_is_taken_over(any_database_url: str) -> None:
    database = open_database(any_database_url)
    with database.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0002")
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO runs (kind, trigger, state, started, heartbeat, stop_requested, pid, stages, metrics,"
                " champion_metrics) VALUES ('retrain', 'hand', 'running', '2024-01-01', '2024-01-01', false, 1,"
                " '[]', '{}', '{}')"
            )
        )
    database.close()
    database = open_database(any_database_url)
    assert close_gone_runs(database, RUN_KILLED) == 0
    new = start_run(database, "hand", "default")
    with database.reader() as session:
        assert session.scalars(select(Run.process).order_by(Run.id)).all() == [None, name_of_process()]
    assert sorted(states(database)) == [new - 1, new]
    database.close()
