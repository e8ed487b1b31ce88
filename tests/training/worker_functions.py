"""What runs inside a cluster's workers for tests: pictures that they do not survive, and who had his turn when."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np

from training.cluster_worker import Unfit, Vectors, Wanted
from training.cluster_worker import encode as real_encode

_turns = itertools.count()
KILLS, LOST = b"kills", b"lost"
# how such pictures' files begin; with these, a file's path and the real picture come after it
HANGS, FORGOTTEN = b"hangs", b"forgotten"


def encode(wanted: Wanted, pictures: Sequence[bytes], max_pixels: int) -> Vectors | Unfit:
    """`training.cluster_worker.encode`, with such pictures."""
    if any(data.startswith(KILLS) for data in pictures):
        os._exit(1)
    if any(data.startswith(LOST) for data in pictures):
        raise CancelledError  # which is what remains of a call when the connection breaks
    if pictures[0].startswith(HANGS) and _times(pictures[0]) == 0:
        while True:
            time.sleep(60)
    if pictures[0].startswith(FORGOTTEN):
        times = _times(pictures[0])
        if times == 0:
            return Vectors(np.array([_Fatal()]), {})
        if times == 1:
            os._exit(1)
    return real_encode(wanted, [_real(data) for data in pictures], max_pixels)


class _Fatal:
    """A result that its worker does not survive when it is fetched."""

    def __reduce__(self) -> Any:
        os._exit(1)


def marked(kind: bytes, path: Path, picture: bytes) -> bytes:
    """A picture's file of which something becomes when a worker gets it as the first of a parcel. `path`: remembers how often."""
    return kind + b" " + os.fsencode(path) + b"\n" + picture


def _times(data: bytes) -> int:
    """How often such a picture was here before."""
    path = Path(os.fsdecode(data.split(b"\n", 1)[0].split(b" ", 1)[1]))
    times = path.stat().st_size if path.exists() else 0
    with path.open("ab") as stream:
        stream.write(b".")
    return times


def _real(data: bytes) -> bytes:
    return data.split(b"\n", 1)[1] if data.startswith((HANGS, FORGOTTEN)) else data


def closed(gate: str) -> None:
    """Keeps the worker until there is this file."""
    while not Path(gate).exists():
        time.sleep(0.01)


def turn() -> int:
    """How many were called before in this process."""
    return next(_turns)


def question() -> int:
    """`turn` under a name of its own."""
    return turn()


def answer(ended: str) -> bool:
    """A short answer; whether people still ask."""
    time.sleep(0.05)
    return not Path(ended).exists()
