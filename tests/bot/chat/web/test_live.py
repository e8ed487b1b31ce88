"""What listeners are told about runs, over real sockets: in order, with signs of life, and only while somebody listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.announcements import Announcements
from bot.app import model_place
from bot.chat.web import live as module
from bot.chat.web.live import Live
from bot.chat.web.runs import News, read_news
from bot.inference import EngineSettings, Inference
from bot.schedule import Schedule
from store.config import Config
from store.database import Database, open_database
from store.errors import DatabaseUnavailable
from store.runs import EpochRecord, save_epochs, start_run, update_run
from tests.bot.chat.web.learning import events


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return open_database(f"sqlite:///{tmp_path / 'live.db'}")


@pytest.fixture
async def live(
    make_config: Callable[..., Config], database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Live]:
    """It looks at once, and its first look fails."""
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    config = make_config()
    place = model_place(config)
    schedule = Schedule(
        config, database, Inference(EngineSettings(), place), Announcements(""), lambda: place
    )  # neither is started: no run, no clock
    first = True

    async def look(run: int | None, known: Mapping[str, int]) -> News:
        nonlocal first
        if first:
            first = False
            raise DatabaseUnavailable("away for a moment")
        return await asyncio.to_thread(read_news, database, run, known)

    made = Live(look, schedule)
    yield made
    await made.close()
    database.close()


@pytest.fixture
async def server(live: Live) -> AsyncIterator[TestServer]:
    app = web.Application()

    async def stream(request: web.Request) -> web.StreamResponse:
        return await live.stream(request, "an address")

    app.router.add_get("/", stream)
    async with TestServer(app, host="127.0.0.1") as running:
        yield running


async def test_every_change_once_and_in_order(server: TestServer, database: Database) -> None:
    async with aiohttp.ClientSession() as http, http.get(server.make_url("/")) as response:
        told = events(response)
        assert await anext(told) == ("state", {"here": False, "stopping": False, "next_run": None})
        assert await anext(told) == ("run", None)
        run = start_run(database, "hand", "small")
        kind, whole = await anext(told)
        assert (kind, whole["id"], whole["epochs"]) == ("run", run, [])
        save_epochs(database, run, [EpochRecord(1, 3.0, 3.5), EpochRecord(2, 2.0, 2.5)])
        kind, new = await anext(told)
        assert (kind, new["run"]) == ("epochs", run)
        assert [(epoch["epoch"], epoch["train_loss"]) for epoch in new["epochs"]] == [(1, 3.0), (2, 2.0)]
        save_epochs(database, run, [EpochRecord(3, 1.0)])
        update_run(database, run, state="kept")
        kinds = [await anext(told)]
        while kinds[-1][0] != "run" or kinds[-1][1]["state"] == "running":
            kinds.append(await anext(told))
        assert [epoch["epoch"] for kind, new in kinds if kind == "epochs" for epoch in new["epochs"]] == [3]
        assert "epochs" not in kinds[-1][1]
        other = start_run(database, "hand", "small")
        kind, whole = await anext(told)
        assert (kind, whole["id"], whole["epochs"]) == ("run", other, [])


async def test_signs_of_life_and_nobody_looks_for_nobody(
    server: TestServer, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.05)
    async with aiohttp.ClientSession() as http:
        response = await http.get(server.make_url("/"))
        while await response.content.readline() != b": still here\n":
            pass
        assert live._watch is not None
        response.close()
        while live._watch is not None:  # noqa: ASYNC110  the next sign of life finds that nobody is there
            await asyncio.sleep(0.01)
        async with http.get(server.make_url("/")) as again:
            told = events(again)
            assert [(await anext(told))[0] for _ in range(2)] == ["state", "run"]


async def test_who_does_not_keep_up_is_let_go() -> None:
    listener = module._Listener("an address")
    for number in range(module.WAITING + 1):
        listener.tell(b"%d" % number)
    heard = [listener.messages.get_nowait() for _ in range(listener.messages.qsize())]
    assert heard[-1] is None
    assert len(heard) == module.WAITING
