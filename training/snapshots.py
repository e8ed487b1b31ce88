"""Where a training run stands, on disk: arrays in .npz, facts in JSON, never pickled, each whole or not there at all."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

STATE = "state.json"


@dataclass(frozen=True)
class Snapshot:
    """What was known at one moment. `facts` is whatever JSON can hold."""

    facts: dict[str, Any]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


class Snapshots:
    """The newest snapshot of one piece of work, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, snapshot: Snapshot) -> None:
        """Replace the snapshot that is there; a process that ends on the way leaves the old one. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        before = self._facts()
        number = int(before["number"]) + 1 if before else 1
        name = f"arrays-{number}.npz"
        data = io.BytesIO()
        np.savez(data, **{_escape(key): array for key, array in snapshot.arrays.items()})  # type: ignore[arg-type]
        write_whole(self.folder / name, data.getvalue())
        state = {"number": number, "arrays": name, "facts": snapshot.facts}
        write_whole(self.folder / STATE, json.dumps(state, ensure_ascii=False).encode())
        for old in self.folder.glob("arrays-*.npz"):
            if old.name != name:
                old.unlink(missing_ok=True)

    def load(self) -> Snapshot | None:
        """The snapshot, or None where there is none that can be read."""
        state = self._facts()
        if state is None:
            return None
        try:
            with np.load(self.folder / state["arrays"], allow_pickle=False) as archive:
                arrays = {_unescape(name): archive[name] for name in archive.files}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        return Snapshot(state["facts"], arrays)

    def clear(self) -> None:
        """Nothing to continue from here on."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _facts(self) -> dict[str, Any] | None:
        try:
            state: Mapping[str, Any] = json.loads((self.folder / STATE).read_bytes())
            return {"number": int(state["number"]), "arrays": str(state["arrays"]), "facts": dict(state["facts"])}
        except (OSError, ValueError, KeyError, TypeError):
            return None


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it: readers see the old one or the new one. Raises OSError."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with half.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise


def _escape(name: str) -> str:
    """A parameter's path as a file's name inside the archive."""
    return name.replace("/", "|")


def _unescape(name: str) -> str:
    return name.replace("|", "/")
