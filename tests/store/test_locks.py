"""A lock has one holder; one that died loses it, one that lives keeps it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from store.database import Database
from store.locks import Lease, LockHeld, acquire_lock, hold_lock, lock_lease, new_holder, release_lock, renew_lock
from store.processes import name_of_process
from store.tables import Lock
from store.types import now


def run_out(database: Database) -> None:
    with database.session() as session:
        session.execute(update(Lock).values(expires=now() - timedelta(seconds=1)))


def test_one_holder(any_database: Database) -> None:
    assert acquire_lock(any_database, "retrain", "a", 60)
    assert not acquire_lock(any_database, "retrain", "b", 60)
    assert acquire_lock(any_database, "crawl", "b", 60)
    assert acquire_lock(any_database, "retrain", "a", 60)
    lease = lock_lease(any_database, "retrain")
    assert lease is not None
    assert lease.holder == "a"
    assert timedelta(seconds=50) < lease.expires - now() <= timedelta(seconds=61)


def test_of_many_at_once_one_wins(any_database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: acquire_lock(any_database, "retrain", f"h{n}", 60), range(24)))
    assert won.count(True) == 1


def test_only_the_holder_renews_and_releases(any_database: Database) -> None:
    acquire_lock(any_database, "retrain", "a", 60)
    assert not renew_lock(any_database, "retrain", "b", 60)
    release_lock(any_database, "retrain", "b")
    assert renew_lock(any_database, "retrain", "a", 600)
    lease = lock_lease(any_database, "retrain")
    assert lease is not None
    assert lease.expires - now() > timedelta(seconds=500)
    release_lock(any_database, "retrain", "a")
    assert lock_lease(any_database, "retrain") is None
    assert acquire_lock(any_database, "retrain", "b", 60)


def test_a_lease_that_ran_out_is_free(any_database: Database) -> None:
    acquire_lock(any_database, "retrain", "a", 60)
    run_out(any_database)
    assert lock_lease(any_database, "retrain") is None
    assert acquire_lock(any_database, "retrain", "b", 60)
    assert not renew_lock(any_database, "retrain", "a", 60)


def test_holding_for_a_block(any_database: Database) -> None:
    with hold_lock(any_database, "retrain") as lost:
        with pytest.raises(LockHeld, match="retrain is already going on"), hold_lock(any_database, "retrain"):
            pytest.fail("two holders")
        assert not lost.is_set()
    with hold_lock(any_database, "retrain"):
        pass
    assert lock_lease(any_database, "retrain") is None


def test_a_block_that_fails_gives_the_lock_back(any_database: Database) -> None:
    with pytest.raises(ZeroDivisionError), hold_lock(any_database, "retrain"):
        _ = 1 / 0
    assert lock_lease(any_database, "retrain") is None


def test_a_living_holder_renews(any_database: Database) -> None:
    with hold_lock(any_database, "retrain", ttl_s=0.3):
        first = lock_lease(any_database, "retrain")
        renewed = threading.Event()
        while first is None or not renewed.is_set():  # ends by the test's time limit if nobody renews
            lease = lock_lease(any_database, "retrain")
            if first is not None and lease is not None and lease.expires > first.expires:
                renewed.set()
            first = first or lease


def test_a_holder_learns_that_it_lost(any_database: Database) -> None:
    with hold_lock(any_database, "retrain", ttl_s=0.3) as lost:
        with any_database.session() as session:
            session.execute(update(Lock).values(holder="b", expires=now() + timedelta(seconds=60)))
        assert lost.wait(30)
    lease = lock_lease(any_database, "retrain")
    assert lease is not None
    assert lease.holder == "b"  # what is not one's own any more is not released


def test_a_killed_holder_does_not_keep_the_lock(any_database_url: str, any_database: Database) -> None:
    program = (
        "import sys\nfrom store.database import open_database\nfrom store.locks import hold_lock\n"
        "with hold_lock(open_database(sys.argv[1]), 'retrain', 1.0):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", program, any_database_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert not acquire_lock(any_database, "retrain", "next", 60)
        process.kill()
    pause = threading.Event()
    while not acquire_lock(any_database, "retrain", "next", 60):  # ends by the test's time limit if it is kept
        pause.wait(0.05)


def test_holders_have_names_of_their_own() -> None:
    assert new_holder() != new_holder()
    assert len(new_holder()) <= 128


def test_a_lease_tells_whose_process_it_is(any_database: Database) -> None:
    with hold_lock(any_database, "retrain"):
        lease = lock_lease(any_database, "retrain")
        assert lease is not None
        assert lease.process == name_of_process()
        with pytest.raises(LockHeld) as refused, hold_lock(any_database, "retrain"):
            pytest.fail("two holders")
    assert f"(held by {socket.gethostname()[:32]}:{os.getpid()} until " in str(refused.value)
    assert Lease("retrain", "host:1:from-an-older-program", now(), now()).process is None
