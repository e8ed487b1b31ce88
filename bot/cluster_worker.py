"""What runs inside a worker of a dask cluster: models by digest, on disk and in memory, around the functions of `bot.worker`.

The worker's machine has the same program installed. The bundles lie beside dask's own files in its `--local-directory`, whose
workers share them; they are verified when they arrive and each time they are loaded.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from distributed import Worker, get_worker

from bot import worker
from bot.worker import ModelPlace

T = TypeVar("T")

SHELF = "bokebot-models"
IN_MEMORY = 2  # the live model, and the one that takes its place
ON_DISK = 8

_turn = threading.Lock()  # a worker with several threads answers one batch at a time all the same
_recent: list[str] = []  # digests of what is in memory, the last used last


@dataclass(frozen=True)
class Parcel:
    """A model as the bot names it: `folder` and `place.folder` are paths of the bot's machine, the rest holds anywhere."""

    digest: str
    folder: str
    place: ModelPlace


@dataclass(frozen=True)
class BundleAbsent:
    """The worker at this address does not have the model. No exception: it is to be expected, and dask would log it."""

    worker: str


def perform(parcel: Parcel | None, function: Callable[..., T], args: tuple[Any, ...]) -> T | BundleAbsent:
    """Run a function of `bot.worker` with the model that it needs. Raises BundleError, EncoderError, and what it raises."""
    with _turn:
        if parcel is not None and not _hold(parcel):
            return BundleAbsent(get_worker().address)
        return function(*args)


def receive(digest: str, files: Mapping[str, bytes], dask_worker: Worker) -> None:
    """Put a bundle on this machine's disk, if it is what its name says. Raises BundleError, OSError.

    Runs beside the worker's tasks, so that dask has to name the worker.
    """
    from bokemodel.bundle import load_bundle
    from bokemodel.errors import BundleTampered

    shelf = _shelf(dask_worker)
    shelf.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=shelf, prefix=".", ignore_cleanup_errors=True) as name:
        arrived = Path(name)
        for file, data in files.items():
            if Path(file).name != file:
                raise BundleTampered(f"a file outside its folder: {file}")
            (arrived / file).write_bytes(data)
        if load_bundle(arrived).digest != digest:
            raise BundleTampered(f"what arrived is not model {digest[:12]}")
        with contextlib.suppress(OSError):  # another worker of this machine was faster
            os.rename(arrived, shelf / digest)
    for old in sorted(shelf.glob("[!.]*"), key=_age)[ON_DISK:]:
        shutil.rmtree(old, ignore_errors=True)


def _hold(parcel: Parcel) -> bool:
    """Have the model in memory; False where it has to be sent first."""
    from bokemodel.errors import BundleMissing, BundleTampered, BundleTruncated

    digest = parcel.digest
    if digest in _recent:
        _recent.remove(digest)
        _recent.append(digest)
        return True
    folder = _shelf(get_worker()) / digest
    try:
        if worker.load(replace(parcel.place, folder=str(folder))) != digest:
            raise BundleTampered(f"{folder} holds another model")
    except (BundleMissing, BundleTruncated, BundleTampered):
        shutil.rmtree(folder, ignore_errors=True)
        return False
    os.utime(folder)
    _recent.append(digest)
    while len(_recent) > IN_MEMORY:
        worker.forget(_recent.pop(0))
    return True


def _shelf(dask_worker: Worker) -> Path:
    """Beside the folder that dask makes for a worker and removes at its end."""
    return Path(dask_worker.local_directory).parent / SHELF


def _age(folder: Path) -> float:
    with contextlib.suppress(OSError):
        return -folder.stat().st_mtime
    return 0.0
