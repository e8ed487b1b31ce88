"""One run at a time: a file's lock on this machine, a lease in the database for all others. A crash keeps neither."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store.database import Database
from store.locks import LockHeld, hold_lock, lock_lease, release_lock
from store.processes import is_gone

LOCK = "retrain"
LEASE_S = 90.0  # another machine waits no longer for a holder that is gone


@contextmanager
def one_run_at_a_time(database: Database, data_dir: Path, lease_s: float = LEASE_S) -> Iterator[threading.Event]:
    """Hold both locks for a block.

    Yields: an event that is set if the lease is lost on the way.

    Raises: LockHeld: a run is going on, here or elsewhere. OSError: data.dir cannot be written. DatabaseUnavailable
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "retrain.lock").open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LockHeld("a training run is already going on here; wait for its end") from None
        _forget_the_dead(database)
        with hold_lock(database, LOCK, lease_s) as lost:
            yield lost


def _forget_the_dead(database: Database) -> None:
    """A holder whose process is gone does not come back; its lease need not run out first."""
    lease = lock_lease(database, LOCK)
    if lease is not None and lease.process is not None and is_gone(lease.process):
        release_lock(database, LOCK, lease.holder)
