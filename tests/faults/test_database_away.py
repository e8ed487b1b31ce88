"""The database goes away under a bot that answers, and comes back: jokes are told all the while, votes are still there."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.orm import Session

from bot.app import App
from bot.boke import Place
from store.config import Config
from store.copying import back_up
from store.database import Database, open_database
from store.errors import DatabaseError
from store.votes import VoteCounts
from tests.bot.conftest import MakeService, photo
from tests.bundles import LINES

pytestmark = pytest.mark.asyncio(loop_scope="session")

HERE = Place("discord", "C1", "taro", "G1", "M1")
OTHER = Place("discord", "C1", "hanako", "G1")
FREE = {"cooldown_s": 0}


@contextmanager
def away(database: Database) -> Iterator[None]:
    """Nobody reaches the database while the block runs; afterwards it is there as it was."""
    url = database.engine.url
    if database.dialect == "sqlite":
        files = list(Path(str(url.database)).parent.glob(f"{Path(str(url.database)).name}*"))
        for file in files:
            file.rename(file.with_name(f"away-{file.name}"))
        yield
        for file in Path(str(url.database)).parent.glob(f"{Path(str(url.database)).name}*"):
            file.unlink()
        for file in files:
            file.with_name(f"away-{file.name}").rename(file)
        return
    admin = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    name = sql.Identifier(str(url.database))
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [url.database])
        yield
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


async def test_gone_and_back(make_service: MakeService, any_database: Database) -> None:
    service = make_service(database=any_database, chat=FREE)
    told = await service.answer(photo(), HERE)
    assert await service.vote(told.id, OTHER, 1) == VoteCounts(1, 0)
    with away(any_database):
        for name in ("cat", "coffee"):
            answer = await service.answer(photo(name), HERE)
            assert answer.text in LINES
            assert answer.id == ""
        with pytest.raises(DatabaseError):
            await service.vote(told.id, HERE, 1)
    assert await service.vote(told.id, HERE, 1) == VoteCounts(2, 0)
    assert (await service.answer(photo(), HERE)).id


async def test_locked_for_long_a_crowd_does_not_wait_one_after_another(
    make_service: MakeService, make_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App(make_config())
    assert app.database.rest_s > 0
    app.service.close()
    app.database.close()
    database = open_database(f"sqlite:///{tmp_path / 'locked.db'}", busy_timeout_s=0.5)
    service, waited = make_service(database=database, chat=FREE), list[Session]()
    database.rest_s = 60
    assert (await service.answer(photo(), HERE)).id

    class Counted(Session):
        def __init__(self, bind: Any, **options: Any) -> None:
            if bind is database._writing:
                waited.append(self)
            super().__init__(bind, **options)

    monkeypatch.setattr("store.database.Session", Counted)
    with closing(sqlite3.connect(tmp_path / "locked.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        crowd = await asyncio.gather(*(service.answer(photo(), HERE) for _ in range(16)))
    assert [answer.id for answer in crowd] == [""] * 16
    assert all(answer.text in LINES for answer in crowd)
    assert 0 < len(waited) <= 4  # as many as have a thread; nobody waits behind them
    database.rest_s = database._resting_until = 0
    assert (await service.answer(photo(), HERE)).id
    database.close()


async def test_a_backup_that_is_put_back_under_a_running_bot(make_service: MakeService, tmp_path: Path) -> None:
    service = make_service(chat=FREE)
    told = await service.answer(photo(), HERE)
    await service.vote(told.id, OTHER, 1)
    url = service.config.database.url
    back_up(url, tmp_path / "copy")
    await service.vote(told.id, HERE, 1)
    database = Path(str(service.database.engine.url.database))
    for file in database.parent.glob(f"{database.name}-*"):
        file.unlink()
    (tmp_path / "copy").replace(database)
    assert await service.vote(told.id, OTHER, 1) == VoteCounts(1, 0)  # as at the time of the copy
    again = await service.answer(photo("coffee"), HERE)
    assert (await service.find(again.id)).text == again.text
