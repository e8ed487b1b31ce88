"""The worker's functions on a dask cluster. A model travels as the bytes of its bundle, named by their digest.

A call names the model that it needs. A worker that has it neither in memory nor on its disk says so, is sent the files, and
is asked again: so each machine gets a model once, whenever it joined.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any, TypeVar

from bot import cluster_worker, worker
from bot.cluster_worker import BundleAbsent, Parcel
from bot.worker import ModelPlace
from store.cluster import ClusterExecutor
from store.sections import Engine

log = logging.getLogger(__name__)
T = TypeVar("T")

STARTS = 3
SENDINGS = 3  # of one bundle for one call: the worker that was sent it may not be the one that is asked next


class ModelCluster(ClusterExecutor):
    """Runs functions of `bot.worker` on whichever worker is free, and sees to it that it has the model."""

    def __init__(self, engine: Engine, connect_s: float) -> None:
        super().__init__(engine, connect_s)
        self._parcels: dict[str, Parcel] = {}

    def leave(self, pid: int | None = None, *, hung: bool = False) -> None:
        super().leave(hung=hung)

    def _run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if function is worker.load:
            (place,) = args
            new = pack(place)
            self._start(new)
            self._parcels[new.digest] = new
            return new.digest
        if function is worker.pid:
            return self._start(None)
        if function is worker.keep:
            self._parcels = {digest: parcel for digest, parcel in self._parcels.items() if digest in args}
            return None
        parcel = next((parcel for digest, parcel in self._parcels.items() if digest in args), None)
        return self._perform(parcel, function, *args)

    def _start(self, parcel: Parcel | None) -> int:
        """Have a worker hold a model. Another call's silent worker may be taken away meanwhile: then another one is asked."""
        for _ in range(STARTS - 1):
            with contextlib.suppress(BrokenExecutor):
                return self._perform(parcel, worker.pid)
        return self._perform(parcel, worker.pid)

    def _perform(self, parcel: Parcel | None, function: Callable[..., T], *args: Any) -> T:
        for _ in range(SENDINGS + 1):
            result = super()._run(cluster_worker.perform, parcel, function, args)
            if not isinstance(result, BundleAbsent):
                return result
            assert parcel is not None
            files = bundle_files(parcel)
            self.run_on(result.worker, cluster_worker.receive, parcel.digest, files)
            size = sum(map(len, files.values())) / 2**20
            log.info("model %s sent to %s (%.1f MB)", parcel.digest[:12], result.worker, size)
        raise BrokenExecutor("the model does not stay on the workers; are their disks full?")


def pack(place: ModelPlace) -> Parcel:
    """Verify a bundle that is to be sent. Raises BundleError."""
    from bokemodel.bundle import load_bundle
    from bokemodel.model import STARTER

    folder = Path(place.folder or STARTER).resolve()
    return Parcel(load_bundle(folder).digest, str(folder), place)


def bundle_files(parcel: Parcel) -> dict[str, bytes]:
    """The bytes of a bundle's files by name. Raises BundleError where the folder holds another one by now."""
    from bokemodel.bundle import MANIFEST, load_bundle
    from bokemodel.errors import BundleMissing

    folder = Path(parcel.folder)
    bundle = load_bundle(folder)
    if bundle.digest != parcel.digest:
        raise BundleMissing(f"{folder} holds another model by now")
    return {name: (folder / name).read_bytes() for name in (MANIFEST, *bundle.manifest.files)}
