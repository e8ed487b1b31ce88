"""Refusals that a healthy bot does not give: a bug, a full queue, a bot that is leaving, a database that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.app import App
from bot.chat.web.refusals import STATUS
from bot.chat.web.server import WebFrontEnd
from bot.inference import NoWorker
from bot.messages import TEXTS
from bot.worker import Job
from store.config import Config
from store.errors import DatabaseFull
from tests.bot.chat.web.conftest import error_of, form, photo

pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")  # of aiohttp-jinja2
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def app(make_config: Callable[..., Config]) -> AsyncIterator[App]:
    """The bot's parts, without workers: what is posted waits."""
    made = App(make_config())
    made.inference.settings = replace(made.inference.settings, drain=0.1)
    yield made
    made.service.close()
    made.database.close()


@pytest.fixture
async def client(app: App) -> AsyncIterator[Client]:
    """A client of the web front end over a real socket, with routes that fail."""
    front_end = app.front_ends[0]
    assert isinstance(front_end, WebFrontEnd)
    served = front_end._application()

    async def bug(request: web.Request) -> web.Response:
        raise ZeroDivisionError("a secret detail")

    async def full(request: web.Request) -> web.Response:
        raise DatabaseFull("the disk is full")

    for folder in ("/", "/api/"):
        served.router.add_get(f"{folder}bug", bug)
        served.router.add_get(f"{folder}full", full)
    async with TestClient(TestServer(served)) as client:
        yield client


async def test_a_bug_is_told_without_its_details(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    async with client.get("/api/bug") as response:
        assert (response.status, await error_of(response)) == (500, "bug")
        assert "secret" not in await response.text()
    assert "a secret detail" in caplog.text, "the owner finds them in the log"
    async with client.get("/bug") as response:
        assert (response.status, response.content_type) == (500, "text/html")
        assert "secret" not in await response.text()


async def test_a_database_that_is_gone(client: Client) -> None:
    async with client.get("/api/full") as response:
        assert (response.status, await error_of(response)) == (503, "down")


async def test_a_full_queue_is_busy(client: Client, app: App) -> None:
    async with asyncio.TaskGroup() as others:
        for _ in range(app.config.inference.queue_size):
            others.create_task(never_answered(app))
        await asyncio.sleep(0)  # they take their places
        async with client.post("/api/boke", data=form(photo())) as response:
            assert (response.status, await error_of(response)) == (503, "busy")
        await app.inference.stop()


async def never_answered(app: App) -> None:
    with pytest.raises(NoWorker):
        await app.inference.answer(Job(photo()))


async def test_without_a_worker_it_is_down(client: Client, app: App) -> None:
    async with client.get("/healthz") as response:
        assert (response.status, await error_of(response)) == (503, "down")
    async with client.get("/api/stats") as response:
        assert (response.status, await error_of(response)) == (503, "down")
    await app.inference.stop()
    async with client.post("/api/boke", data=form(photo())) as response:
        assert (response.status, await error_of(response)) == (503, "down")


def test_every_code_has_words() -> None:
    assert set(STATUS) <= set(TEXTS)
