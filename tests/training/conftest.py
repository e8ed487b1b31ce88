"""Fixtures of the training's tests: a database, and one thread for matrix products."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from store.database import Database, open_database


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two threads that wait for each other while others have the cores are a hundred times slower than one."""
    for library in Path(np.__file__).parents[1].joinpath("numpy.libs").glob("libscipy_openblas*"):
        ctypes.CDLL(str(library)).scipy_openblas_set_num_threads64_(1)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    """An empty database, where one kind is enough."""
    database = open_database(f"sqlite:///{tmp_path / 'one.db'}")
    yield database
    database.close()
