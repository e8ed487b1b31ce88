"""Arrays to bytes and back: .npz files that are never pickled, whose bytes depend on the arrays alone."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NEVER = (1980, 1, 1, 0, 0, 0)  # numpy's own archives carry the time


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An .npz archive of arrays, the same for the same arrays."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _NEVER), data.getvalue())
    return out.getvalue()


def read_npz(data: bytes) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz archive. Raises ValueError where it is none, or holds anything but arrays."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, EOFError, ValueError, KeyError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"no archive of arrays ({type(error).__name__})") from error
