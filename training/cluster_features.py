"""Feature vectors of the corpus's pictures, computed on a dask cluster: their bytes go out in parcels, vectors come back.

Several parcels are under way at a time. One whose worker dies is sent once more; if that one dies as well, its pictures are
sent one by one at the end, when nothing else is under way that could be to blame: dask blames a dead worker on all that it had
to do. Parcels wait behind answers for as long as it takes; workers that do nothing, or do not come to an end with a parcel,
are replaced (`training.cluster_watch`). Imported only where `engine.kind` is `dask`.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from bokemodel.encoders.base import Encoder
from store.cluster import ClusterExecutor, WorkerDied
from store.sections import Engine
from training.cluster_watch import Watch
from training.cluster_worker import Unfit, Vectors, Wanted, encode
from training.corpus import StoredPicture
from training.encoders import EncoderChoice
from training.errors import FeaturesClusterFailed
from training.features import Encoded
from training.opening import read_bytes

log = logging.getLogger(__name__)

PICTURES = 16  # in a parcel: an answer that needs the worker waits for one of them to be done
PARCEL_BYTES = 8 * 2**20  # that a parcel holds, unless one picture has more: all of it goes through the scheduler
AHEAD = 2  # parcels under way for each of engine.workers, so that none waits for the next
DEATHS = 2  # of a parcel's worker, after which its pictures go alone; of a lone picture's, after which it is given up
# In a row, with no vector between them: then it is not the pictures.
MOST_DEATHS = 10  # for each parcel under way
MOST_LOST = 20  # connections
MOST_SILENCES = 8  # after which workers were replaced; a scheduler may give the same parcel to four of them
LOOKS = 4  # at the workers, in engine.start_timeout_s, while nothing comes back
PRIORITY = -1  # people who wait for an answer come first


@dataclass
class _Parcel:
    """Pictures with their bytes, and how many workers have died that had them. alone: nothing else may be to blame."""

    pictures: list[StoredPicture]
    data: list[bytes]
    deaths: int = 0
    alone: bool = False


class ClusterEncoding:
    """An `Encoding` on the workers of a cluster. It connects when there is a first picture."""

    def __init__(self, engine: Engine, choice: EncoderChoice, encoder: Encoder) -> None:
        """encoder: what `choice` is on this machine; the workers' must have the same weights."""
        self._engine, self._dim = engine, encoder.dim
        self._wanted = Wanted(choice, encoder.weights_digest, engine.threads or 1)
        self._most = AHEAD * engine.workers
        self._executor: ClusterExecutor | None = None
        self._under_way: dict[Future[Vectors | Unfit], _Parcel] = {}
        self._again: deque[_Parcel] = deque()
        self._suspects: list[_Parcel] = []
        self._heard = 0.0  # when something last came back, or there were workers that had something to do
        self._watch: Watch | None = None  # while nothing comes back
        self._deaths = self._lost = self._silences = 0  # since there was a vector
        self._deadly: list[StoredPicture] = []  # each killed workers when it was alone
        self._encoded = False  # was there a vector in this run? Otherwise they may die of anything
        self._max_pixels = 0

    def __call__(
        self, batches: Iterable[Sequence[StoredPicture]], data_dir: Path, max_pixels: int, /
    ) -> Generator[Encoded]:
        """Raises: FeaturesClusterFailed: no scheduler, no worker, or one with another network; and what `batches` raises."""
        self._max_pixels = max_pixels
        self._deaths = self._lost = self._silences = 0
        self._deadly, self._encoded = [], False
        self._again.clear()
        self._suspects.clear()
        source = _parcels(batches, data_dir)
        try:
            while True:
                while len(self._under_way) < self._most and (parcel := self._next(source)):
                    if isinstance(parcel, Encoded):
                        yield parcel
                    else:
                        self._send(parcel)
                if not self._under_way:
                    break
                yield from self._arrived()
            if self._deadly and self._encoded:
                yield Encoded([], np.empty((0, 0), np.float32), [], self._deadly)
        finally:
            self._drop()

    def _next(self, source: Iterator[_Parcel | Encoded]) -> _Parcel | Encoded | None:
        if self._again:
            return self._again.popleft()
        parcel = next(source, None)
        if not self._under_way:
            self._heard = time.monotonic()  # nothing was to be heard while it was looked for
            if parcel is None and self._suspects:
                return self._suspects.pop()
        return parcel

    def _send(self, parcel: _Parcel) -> None:
        executor = self._executor = self._executor or self._connected()
        self._under_way[executor.submit(encode, self._wanted, parcel.data, self._max_pixels)] = parcel

    def _connected(self) -> ClusterExecutor:
        try:
            left = max(1.0, self._heard + self._engine.start_timeout_s - time.monotonic())
            return ClusterExecutor(self._engine, left, calls=self._most, priority=PRIORITY)
        except BrokenExecutor as error:
            raise FeaturesClusterFailed(f"{error}; the vectors computed so far are kept") from None

    def _arrived(self) -> Iterator[Encoded]:
        """Wait for a parcel to come back, and hand over what did. What was lost is to be sent again."""
        done, _ = wait(self._under_way, self._engine.start_timeout_s / LOOKS, FIRST_COMPLETED)
        if not done:
            self._look()
        lost: BrokenExecutor | None = None
        for future in done:
            parcel = self._under_way.pop(future)
            try:
                result = self._unpacked(parcel, future.result())
            except WorkerDied as error:
                log.warning("%d pictures lost on the cluster: %s", len(parcel.pictures), error)
                yield from self._blame(parcel, error)
            except BrokenExecutor as error:
                lost = error
                self._again.append(parcel)
            except FeaturesClusterFailed:
                raise
            except Exception as error:  # no memory there, or another version of this program
                said = " ".join(f"{type(error).__name__}: {error}".split())
                raise FeaturesClusterFailed(f"the cluster cannot encode; is the same program there? {said}") from error
            else:
                self._heard, self._watch = time.monotonic(), None
                self._deaths = self._lost = self._silences = 0
                self._encoded = self._encoded or bool(result.digests)
                yield result
        if lost is not None:
            self._lost += 1
            if self._lost > MOST_LOST:
                raise FeaturesClusterFailed(f"the connection to the cluster does not hold: {lost}")
            log.warning("connecting to the cluster again: %s", lost)
            self._again.extend(self._under_way.values())
            self._drop()

    def _look(self) -> None:
        """Nothing comes back. Whoever is busy is waited for; workers that are stuck are replaced, which loses what they have."""
        assert self._executor is not None
        seen, now = self._executor.look(), time.monotonic()
        workers = seen.workers if seen else ()
        if any(worker.mine for worker in workers) or (seen and seen.queued and any(worker.todo for worker in workers)):
            self._heard = now
            if self._watch is None:
                self._watch = Watch(self._engine.start_timeout_s)
                log.info("new pictures wait for workers of the cluster that are busy")
            if stuck := self._watch.stuck(workers, now):
                self._replace(stuck)
        elif now - self._heard >= self._engine.start_timeout_s:
            if not workers:
                self._give_up()
            self._replace([])  # nobody has anything of ours: it was forgotten

    def _replace(self, stuck: list[str]) -> None:
        """Replace these workers, and send all that is under way once more."""
        assert self._executor is not None
        self._silences += 1
        if self._silences > MOST_SILENCES:
            self._give_up()
        self._executor.evict(stuck)
        self._heard, self._watch = time.monotonic(), None
        self._again.extend(self._under_way.values())
        self._drop()

    def _give_up(self) -> NoReturn:
        raise FeaturesClusterFailed(
            f"no worker of the cluster at {self._engine.address} has answered in "
            f"{self._engine.start_timeout_s:g} s; the vectors computed so far are kept"
        )

    def _blame(self, parcel: _Parcel, error: WorkerDied) -> Iterator[Encoded]:
        """A worker died that had this parcel."""
        parcel.deaths += 1
        self._deaths += 1
        if self._deaths > MOST_DEATHS * self._most:
            raise FeaturesClusterFailed(f"the cluster's workers die of whatever they are sent: {error}")
        if parcel.deaths < DEATHS:
            self._again.append(parcel)
        elif not parcel.alone:
            pairs = zip(parcel.pictures, parcel.data, strict=True)
            self._suspects.extend(_Parcel([picture], [data], alone=True) for picture, data in pairs)
        else:
            self._heard, self._silences = time.monotonic(), 0
            self._deadly.extend(parcel.pictures)
            yield _nothing(f"{parcel.pictures[0].path}: workers of the cluster die of it")

    def _unpacked(self, parcel: _Parcel, result: Vectors | Unfit) -> Encoded:
        if isinstance(result, Unfit):
            raise FeaturesClusterFailed(f"a worker of the cluster, {result.worker}, cannot encode: {result.reason}")
        whole = [p.digest for number, p in enumerate(parcel.pictures) if number not in result.problems]
        if result.vectors.shape != (len(whole), self._dim):
            raise FeaturesClusterFailed(f"vectors of the shape {result.vectors.shape} came from the cluster")
        broken = [f"{parcel.pictures[number].path}: {why}" for number, why in result.problems.items()]
        return Encoded(whole, result.vectors, broken)

    def _drop(self) -> None:
        """Disconnect; whatever is under way is not waited for."""
        self._watch = None
        executor, self._executor = self._executor, None
        self._under_way.clear()
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)


def _parcels(batches: Iterable[Sequence[StoredPicture]], data_dir: Path) -> Iterator[_Parcel | Encoded]:
    """The pictures' files in parcels, and as `Encoded` the names of those that cannot be read."""
    parcel, size = _Parcel([], []), 0
    for batch in batches:
        for picture in batch:
            data = read_bytes(data_dir / picture.path)
            if isinstance(data, str):
                yield _nothing(f"{picture.path}: {data}")
                continue
            if parcel.data and (len(parcel.data) == PICTURES or size + len(data) > PARCEL_BYTES):
                yield parcel
                parcel, size = _Parcel([], []), 0
            parcel.pictures.append(picture)
            parcel.data.append(data)
            size += len(data)
    if parcel.data:
        yield parcel


def _nothing(unreadable: str) -> Encoded:
    return Encoded([], np.empty((0, 0), np.float32), [unreadable])
