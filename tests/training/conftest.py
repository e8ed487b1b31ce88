"""Small runs within the tests' own process: one thread for matrix products, whatever else the machine is busy with."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two threads that wait for each other while others have the cores are a hundred times slower than one."""
    for library in Path(np.__file__).parents[1].joinpath("numpy.libs").glob("libscipy_openblas*"):
        ctypes.CDLL(str(library)).scipy_openblas_set_num_threads64_(1)
