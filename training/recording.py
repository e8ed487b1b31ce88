"""What a run does, written down while it does it: stages, epochs, signs of life; and how it is told to stop.

A database that is away for a while does not stop the run: what is to be written waits for it.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from store.database import Database
from store.errors import DatabaseBusy, DatabaseDamaged, DatabaseFull, DatabaseUnavailable
from store.runs import EpochRecord, save_epochs, stop_requested, update_run
from store.types import now

log = logging.getLogger(__name__)
T = TypeVar("T")

HEARTBEAT_S = 2.0
PATIENCE_S = 120.0  # a database may be away for so long
FIRST_WAIT_S = 1.0


class Stopped(BaseException):
    """The run was told to stop. No Exception, so that nothing on the way takes it for a fault of its own."""


class Kept(Exception):
    """Nothing is published, and that is no fault. `reason` is "nothing_new", "too_few" or "not_better"."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Stage:
    """One step of a run, and what is counted in it."""

    def __init__(self, name: str) -> None:
        self.name, self.state, self.seconds = name, "running", 0.0
        self.counts: dict[str, Any] = {}
        self.note = ""  # for people, in the table

    def count(self, **counts: Any) -> None:
        """Numbers and words for the table of runs."""
        self.counts |= counts

    def skip(self, note: str) -> None:
        """Nothing was done, and why."""
        self.state, self.note = "skipped", note

    def to_json(self) -> dict[str, Any]:
        facts = {"name": self.name, "state": self.state, "seconds": round(self.seconds, 2), **self.counts}
        return facts | ({"note": self.note} if self.note else {})


class Recorder:
    """Keeps a run's row in the database up to date, and raises `Stopped` in the main thread when the run shall end."""

    def __init__(self, database: Database, run_id: int, lost: threading.Event, time_limit_s: float = 0.0) -> None:
        """`lost`: set when another process has taken over. time_limit_s: 0 for none."""
        self.database, self.run_id, self.lost = database, run_id, lost
        self.stages: list[Stage] = []
        self._deadline = time.monotonic() + time_limit_s if time_limit_s else None
        self._values: dict[str, Any] = {}
        self._epochs: dict[tuple[str, int], EpochRecord] = {}
        self._writing = threading.Lock()
        self._reason = ""
        self._shielded = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Recorder:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._handlers[number] = signal.signal(number, self._signalled)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """A step of the run, timed and written down at its beginning and end."""
        self.check()
        stage = Stage(name)
        self.stages.append(stage)
        began = time.monotonic()
        self._write_stages()
        try:
            yield stage
        except Kept as kept:
            stage.count(reason=kept.reason)
            raise
        except BaseException as error:
            stage.state = "stopped" if isinstance(error, Stopped) else "failed"
            raise
        finally:
            stage.seconds = time.monotonic() - began
            if stage.state == "running":
                stage.state = "done"
            self._write_stages()

    def epoch(self, epoch: EpochRecord) -> None:
        """Write an epoch down."""
        with self._writing:
            self._epochs[epoch.part, epoch.epoch] = epoch
        self._flush()

    def set(self, **values: Any) -> None:
        """Columns of the run's row."""
        with self._writing:
            self._values |= values
        self._flush()

    def finish(self, state: str, message: str) -> None:
        """The run's end. Waits for a database that is away. Raises: DatabaseUnavailable"""
        self._done.set()
        with self._writing:
            self._values |= {"state": state, "message": message, "ended": now()}
            self._values |= {"stages": [stage.to_json() for stage in self.stages]}
        self.patiently(self._write, stoppable=False)

    def check(self) -> None:
        """Raises Stopped where the run shall end."""
        if self._reason and not self._shielded:
            raise Stopped(self._reason)

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """A block that is not stopped half way, short of a kill."""
        self.check()
        self._shielded = True
        try:
            yield
        finally:
            self._shielded = False

    def patiently(self, work: Callable[[], T], *, stoppable: bool = True) -> T:
        """Do something that can be begun again, and begin again while the database is away. Raises: DatabaseUnavailable"""
        wait, end = FIRST_WAIT_S, time.monotonic() + PATIENCE_S
        while True:
            try:
                return work()
            except DatabaseUnavailable as error:
                if time.monotonic() + wait > end or not self._may_come_back(error):
                    raise
                log.warning("%s; trying again in %.0f s", error, wait)
                time.sleep(wait)
                wait = min(2 * wait, 15.0)
                if stoppable:
                    self.check()

    def _may_come_back(self, error: DatabaseUnavailable) -> bool:
        """A server may; a file on this machine's disk that cannot be written now will not be writable in a minute."""
        if isinstance(error, DatabaseBusy):
            return True
        return self.database.dialect != "sqlite" and not isinstance(error, DatabaseFull | DatabaseDamaged)

    def _write_stages(self) -> None:
        self.set(stages=[stage.to_json() for stage in self.stages])

    def _flush(self) -> None:
        try:
            self._write()
        except DatabaseUnavailable as error:
            log.warning("the run's record waits: %s", error)

    def _write(self) -> None:
        with self._writing:
            if self._values:
                update_run(self.database, self.run_id, **self._values)
                self._values = {}
            if self._epochs:
                save_epochs(self.database, self.run_id, list(self._epochs.values()))
                self._epochs = {}

    def _beat(self) -> None:
        while not self._done.wait(HEARTBEAT_S):
            if self.lost.is_set():
                self._stop("another process has taken over")
            elif self._deadline is not None and time.monotonic() > self._deadline:
                self._stop("over the time limit (retrain.time_limit_s); the next run goes on from here")
            try:
                if stop_requested(self.database, self.run_id):
                    self._stop("stopped on request")
                self._write()
            except DatabaseUnavailable:
                log.debug("no sign of life could be written")

    def _stop(self, reason: str) -> None:
        if not self._reason:
            self._reason = reason
        if self._handlers and not self._shielded and not self._done.is_set():
            os.kill(os.getpid(), signal.SIGTERM)  # the handler runs in the main thread, whatever it waits for

    def _signalled(self, _number: int, _frame: object) -> None:
        self._reason = self._reason or "stopped by a signal; the next run goes on from here"
        if not self._done.is_set():
            self.check()
