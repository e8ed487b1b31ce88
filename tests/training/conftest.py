"""Fixtures of the training's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.database import Database, open_database


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    """An empty database, where one kind is enough."""
    database = open_database(f"sqlite:///{tmp_path / 'one.db'}")
    yield database
    database.close()
