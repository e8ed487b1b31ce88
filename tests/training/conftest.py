"""Fixtures of the training's tests: a database, a cluster, and one thread for matrix products."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bokemodel.encoders import load_encoder
from bokemodel.encoders.base import Encoder
from store.database import Database, open_database
from tests.cluster import Cluster, unclosed
from training import cluster_features


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


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("efficientnet-lite0", threads=1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With one worker, for tests that leave it whole."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.scheduler()
    made.worker()
    yield made
    made.end()


@pytest.fixture
def small_parcels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What goes to a cluster goes in more parcels than one, and each client is closed in the end."""
    monkeypatch.setattr(cluster_features, "PICTURES", 4)
    yield
    assert not unclosed()
