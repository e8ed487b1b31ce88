"""Things that one process at a time may do, on however many machines: leases in the database.

A holder renews its lease while it lives; one that crashed, or whose machine is gone, loses it when the lease runs out.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from store.database import Database, count_changed
from store.errors import DatabaseUnavailable, StoreError
from store.processes import name_of_process
from store.tables import Lock
from store.types import UtcDateTime, now

log = logging.getLogger(__name__)


class LockHeld(StoreError):
    """Somebody else has the lock; the message says who and until when."""


@dataclass(frozen=True)
class Lease:
    """Who holds a lock."""

    name: str
    holder: str
    acquired: datetime
    expires: datetime

    @property
    def process(self) -> str | None:
        """The holder's, as `store.processes` names it; None: it is not known."""
        parts = self.holder.split()
        return parts[1] if len(parts) == 3 else None


def new_holder() -> str:
    """A name that nobody else has: host and process id for people, `name_of_process`, something random."""
    return f"{socket.gethostname()[:32]}:{os.getpid()} {name_of_process() or '?'} {uuid.uuid4().hex[:12]}"


def acquire_lock(database: Database, name: str, holder: str, ttl_s: float) -> bool:
    """Take the lock if it is free, has run out, or is one's own already. The database's clock counts, not the machine's."""
    with database.session() as session:
        moment = _clock(session)
        values = {"holder": holder, "acquired": moment, "expires": moment + timedelta(seconds=ttl_s)}
        insert = database.insert(Lock).values(name=name, **values)
        taken = insert.on_conflict_do_update(
            index_elements=["name"], set_=values, where=or_(Lock.expires <= moment, Lock.holder == holder)
        )
        return session.scalars(taken.returning(Lock.name)).one_or_none() is not None


def renew_lock(database: Database, name: str, holder: str, ttl_s: float) -> bool:
    """Prolong one's lease. False: it ran out and somebody else has it, or it was taken away."""
    with database.session() as session:
        expires = _clock(session) + timedelta(seconds=ttl_s)
        mine = update(Lock).where(Lock.name == name, Lock.holder == holder).values(expires=expires)
        return count_changed(session, mine) == 1


def release_lock(database: Database, name: str, holder: str) -> None:
    """Give the lock back, if it is still one's own."""
    with database.session() as session:
        session.execute(delete(Lock).where(Lock.name == name, Lock.holder == holder))


def lock_lease(database: Database, name: str) -> Lease | None:
    """Who holds the lock now; None: nobody."""
    with database.reader() as session:
        row = session.scalars(select(Lock).where(Lock.name == name, Lock.expires > _clock(session))).one_or_none()
        return None if row is None else Lease(row.name, row.holder, row.acquired, row.expires)


@contextmanager
def hold_lock(database: Database, name: str, ttl_s: float = 120.0) -> Iterator[threading.Event]:
    """Hold the lock for a block, renewing it from a thread three times per `ttl_s`.

    Yields:
        An event that is set if the lease is lost on the way (the database away for longer than `ttl_s`, then another
        holder): what must not be done twice must not be done then.

    Raises:
        LockHeld
    """
    holder = new_holder()
    if not acquire_lock(database, name, holder, ttl_s):
        lease = lock_lease(database, name)
        who = f" by {lease.holder.split()[0]} until {lease.expires:%Y-%m-%d %H:%M:%S} UTC" if lease else ""
        raise LockHeld(f"{name} is already going on (held{who})")
    done, lost = threading.Event(), threading.Event()

    def renew() -> None:
        while not done.wait(ttl_s / 3):
            try:
                if not renew_lock(database, name, holder, ttl_s):
                    lost.set()
                    return
            except DatabaseUnavailable as error:
                log.warning("lock %s not renewed, trying again: %s", name, error)

    thread = threading.Thread(target=renew, name=f"lock {name}", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        done.set()
        thread.join()
        try:
            release_lock(database, name, holder)
        except DatabaseUnavailable as error:
            log.warning("lock %s not released, it runs out by itself: %s", name, error)


def _clock(session: Session) -> datetime:
    """The database's time: several machines may disagree about theirs. SQLite's is this machine's."""
    if session.get_bind().dialect.name == "sqlite":
        return now()
    return session.scalars(select(func.clock_timestamp(type_=UtcDateTime()))).one()
