"""Tells workers of a cluster that are stuck from those that are busy, by looking at them again and again. Knows no dask.

What a worker has to do for the night may wait behind answers for as long as people ask: that is no reason to replace it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from store.cluster import WorkerSeen

QUIET_S = 5.0  # ten heartbeats of a small cluster: fewer are missed where a machine is only busy


@dataclass
class _Record:
    """What a worker looked like, and since when it has shown no heartbeat, and no progress (None: it is not held against it)."""

    seen: WorkerSeen
    beat: float
    same: float | None


class Watch:
    """Remembers what workers looked like. Any clock will do that runs evenly."""

    def __init__(self, patience_s: float) -> None:
        """patience_s: how long a worker may show no life."""
        self._patience = patience_s
        self._records: dict[str, _Record] = {}

    def stuck(self, workers: Iterable[WorkerSeen], now: float) -> list[str]:
        """Addresses of workers that have had calls of ours for too long without a sign of life.

        That is: no heartbeat; or they work on calls of ours alone, the same ones all the time; or on nothing, while nothing that
        they had to do gets done. Who works on anybody else's call is busy.
        """
        before, self._records = self._records, {}
        for worker in workers:
            if worker.mine:
                self._records[worker.address] = _followed(before.get(worker.address), worker, now)
        return [address for address, record in self._records.items() if self._is_stuck(record, now)]

    def _is_stuck(self, record: _Record, now: float) -> bool:
        if now - record.beat >= max(self._patience, QUIET_S):
            return True
        return record.same is not None and now - record.same >= self._patience


def _followed(last: _Record | None, worker: WorkerSeen, now: float) -> _Record:
    beats = last is None or last.seen.heartbeat != worker.heartbeat
    beat = now if last is None or beats else last.beat
    if worker.doing is None or worker.doing - worker.mine:
        return _Record(worker, beat, None)
    if last is None or last.same is None or last.seen.doing != worker.doing:
        return _Record(worker, beat, now)
    if not worker.doing and last.seen.todo - worker.todo:  # something got done between the looks
        return _Record(worker, beat, now)
    return _Record(worker, beat, last.same)
