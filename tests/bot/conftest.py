"""One worker process with a small model for all tests of the core."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bot.boke import BokeService
from bot.inference import EngineSettings, Inference
from bot.worker import ModelPlace
from store.config import Config
from store.database import Database, open_database
from tests.bundles import QUOTES, tiny_bundle

PICTURES = Path(__file__).parents[1] / "data"

MakeService = Callable[..., BokeService]


def photo(name: str = "cat") -> bytes:
    """A photo's file."""
    return (PICTURES / f"{name}.jpg").read_bytes()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model that has all modes."""
    return tiny_bundle(tmp_path_factory.mktemp("tiny"), quotes=QUOTES)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def core_worker(tiny_model: Path) -> AsyncIterator[Inference]:
    """A real worker process. Whoever stops it lets it go on afterwards."""
    inference = Inference(EngineSettings(workers=1, threads=1, queue_size=64, timeout=60), ModelPlace(str(tiny_model)))
    await inference.start()
    yield inference
    await inference.stop()


@pytest.fixture
def make_service(core_worker: Inference, make_config: Callable[..., Config]) -> Iterator[MakeService]:
    """Makes the core over the shared worker: `make_service(chat={"cooldown_s": 0})`.

    database: an open one; otherwise an SQLite file in the test's folder. Everything is closed at the end.
    """
    made: list[BokeService] = []
    opened: list[Database] = []

    def make(*, database: Database | None = None, **sections: dict[str, Any]) -> BokeService:
        config = make_config(**sections)
        if database is None:
            database = open_database(config.database.url, busy_timeout_s=config.database.busy_timeout_s)
            opened.append(database)
        made.append(BokeService(config, core_worker, database))
        return made[-1]

    yield make
    for service in made:
        service.close()
    for database in opened:
        database.close()
