"""What runs inside a worker of a cluster during the night: pictures' bytes in, vectors out. Whatever runs it, this knows no dask.

The worker's machine has the same program installed, and weights that do not come with it at the same path.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bokemodel.encoders.base import Encoder
from bokemodel.errors import EncoderError, PictureError
from training.decoding import open_fitted
from training.encoders import EncoderChoice

_turn = threading.Lock()  # a worker with several threads decodes in all of them and computes in one
_loaded: dict[Wanted, Encoder] = {}


@dataclass(frozen=True)
class Wanted:
    """An encoder, the SHA-256 (hex) that its weights must have, and how many threads it may compute with."""

    choice: EncoderChoice
    weights_digest: str
    threads: int = 1


@dataclass(frozen=True)
class Vectors:
    """The vectors, float32 (N, dim), of the pictures that have one, in their order; by number, why the others have none."""

    vectors: NDArray[np.float32]
    problems: dict[int, str]


@dataclass(frozen=True)
class Unfit:
    """This worker cannot encode; why, for people. No exception: dask would log it where nobody looks."""

    worker: str
    reason: str


def encode(wanted: Wanted, pictures: Sequence[bytes], max_pixels: int) -> Vectors | Unfit:
    """Whole picture files to vectors; the encoder is loaded once in a process.

    Args:
        max_pixels: of a picture that is still decoded.
    """
    try:
        with _turn:
            encoder = _hold(wanted)
        if encoder.weights_digest != wanted.weights_digest:
            return Unfit(_here(), f"its weights are {encoder.weights_digest}, wanted are {wanted.weights_digest}")
        images, problems = [], {}
        for number, data in enumerate(pictures):
            try:
                images.append(open_fitted(data, encoder.input_size, max_pixels))
            except PictureError as error:
                problems[number] = str(error)
        with _turn:
            vectors = encoder.encode(images) if images else np.empty((0, encoder.dim), np.float32)
    except EncoderError as error:
        return Unfit(_here(), str(error))
    return Vectors(vectors, problems)


def _hold(wanted: Wanted) -> Encoder:
    """The encoder; one whose weights are wrong is not kept, so that a file that is put right is seen."""
    found = _loaded.get(wanted)
    if found is None:
        found = wanted.choice.load(wanted.threads)
        if found.weights_digest == wanted.weights_digest:
            _loaded.clear()
            _loaded[wanted] = found
    return found


def _here() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"
