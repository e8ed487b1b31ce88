"""One worker process for all conversations on the local Discord; each test has a bot and a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bot.inference import EngineSettings, Inference
from bot.worker import ModelPlace
from store.config import Config
from tests.bot.chat.discord.bots import Bot, running
from tests.bundles import QUOTES, tiny_bundle
from tests.servers.discord_server import DiscordServer

StartBot = Callable[..., AbstractAsyncContextManager[Bot]]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def worker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Inference]:
    """A real worker process with a small model."""
    model = tiny_bundle(tmp_path_factory.mktemp("models"), quotes=QUOTES)
    inference = Inference(EngineSettings(workers=1, threads=1, queue_size=8, timeout=60), ModelPlace(str(model)))
    await inference.start()
    yield inference
    await inference.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def discord() -> AsyncIterator[DiscordServer]:
    """An empty local Discord."""
    async with DiscordServer() as server:
        yield server
        assert server.rest.unknown_routes == []


@pytest.fixture
def start_bot(worker: Inference, make_config: Callable[..., Config]) -> StartBot:
    """Starts a bot on a local Discord: `async with start_bot(discord, chat={...}) as bot`."""

    def start(server: DiscordServer, **sections: dict[str, Any]) -> AbstractAsyncContextManager[Bot]:
        return running(server, worker, make_config, sections)

    return start


@pytest.fixture(scope="session")
def cat() -> bytes:
    return (Path(__file__).parents[3] / "data" / "cat.jpg").read_bytes()


@pytest.fixture(scope="session")
def coffee() -> bytes:
    return (Path(__file__).parents[3] / "data" / "coffee.jpg").read_bytes()
