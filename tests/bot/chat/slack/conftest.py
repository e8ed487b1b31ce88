"""Conversations with the bot in a local Slack: the real front end, slack-bolt, core, database, and one worker for them all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from bot.app import App
from bot.chat.slack import SlackFrontEnd
from bot.inference import EngineSettings, Inference
from bot.worker import ModelPlace
from store.config import Config
from tests.bundles import LINES, QUOTES, tiny_bundle
from tests.servers.slack_server import Channel, File, Message, SlackServer, User

ROOT = Path(__file__).resolve().parents[4]
PICTURES = ROOT / "tests/data"
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


@dataclass
class Talk:
    """A workspace with the bot in it: hanako and taro share the channel `C1`, where the bot is enabled."""

    slack: SlackServer
    app: App
    front: SlackFrontEnd
    channel: Channel
    hanako: User
    taro: User

    def file(self, name: str = "cat.jpg", user: User | None = None, **options: Any) -> File:
        """One of the test pictures, uploaded by hanako."""
        return self.slack.upload(name, picture(name), user=user or self.hanako, **options)

    async def post(self, text: str = "", *, name: str = "cat.jpg", user: User | None = None) -> Message:
        """A picture in the channel."""
        user = user or self.hanako
        return await self.slack.post(self.channel, user, text, files=[self.file(name, user)])

    async def joke(self, **options: Any) -> tuple[Message, Message]:
        """A picture in the channel, and the bot's answer to it."""
        posted = await self.post(**options)
        return posted, await self.slack.wait_for_message(self.channel)

    async def idle(self) -> None:
        """Wait until every event was taken, and whatever it led to has been done."""
        await self.slack.settled()
        while self.front._under_way:
            await self.idle_tasks()
            await self.slack.settled()

    async def connected(self) -> None:
        """Wait until the bot knows that it is connected."""
        assert self.front._connecting is not None
        await self.front._connecting

    async def idle_tasks(self) -> None:
        """Wait for what the bot has begun."""
        while self.front._under_way:
            await asyncio.wait(self.front._under_way)

    async def restart(self) -> None:
        """The bot leaves and another comes, with the same database."""
        await self.front.stop()
        self.front = SlackFrontEnd(self.app, ping_s=0.2)
        await self.front.start()
        await self.slack.wait_for_socket()


Talking = Callable[..., AbstractAsyncContextManager[Talk]]


def picture(name: str = "cat.jpg") -> bytes:
    return (PICTURES / name).read_bytes()


def is_joke(message: Message) -> bool:
    """Is the message's text one that the test model can say?"""
    return message.plain in LINES


def manifest() -> dict[str, Any]:
    """The app's manifest, as one pastes it into Slack."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "slack-manifest.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def worker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Inference]:
    """A worker process that every conversation shares."""
    model = tiny_bundle(tmp_path_factory.mktemp("models"), quotes=QUOTES)
    inference = Inference(EngineSettings(workers=1, threads=1, queue_size=64, timeout=60), ModelPlace(str(model)))
    await inference.start()
    yield inference
    await inference.stop()


@pytest.fixture(autouse=True)
def no_tracebacks(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever happens, the bot expected it."""
    yield
    assert [record for record in caplog.get_records("call") if record.exc_info] == []


@pytest.fixture
def talking(worker: Inference, tmp_path: Path) -> Talking:
    """Starts a conversation: `async with talking(chat={"probability": 0}) as talk`, with sections of the configuration."""

    @asynccontextmanager
    async def start(*, connect: bool = True, **sections: dict[str, Any]) -> AsyncIterator[Talk]:
        async with SlackServer(manifest=manifest()) as slack:
            hanako, taro = slack.add_user("U1", "hanako"), slack.add_user("U2", "taro")
            channel = slack.add_channel("C1")
            app = App(configuration(tmp_path, slack, sections))
            app.inference = app.service.inference = worker
            (front,) = (front for front in app.front_ends if isinstance(front, SlackFrontEnd))
            front._ping_s = 0.2
            if connect:
                await front.start()
                await slack.wait_for_socket()
            talk = Talk(slack, app, front, channel, hanako, taro)
            try:
                yield talk
            finally:
                await talk.front.stop()
                app.service.close()
                app.database.close()

    return start


@pytest_asyncio.fixture(loop_scope="session")
async def talk(talking: Talking) -> AsyncIterator[Talk]:
    """A conversation with nothing special about it."""
    async with talking() as started:
        yield started


def configuration(folder: Path, slack: SlackServer, sections: dict[str, dict[str, Any]]) -> Config:
    values: dict[str, dict[str, Any]] = {
        "data": {"dir": folder / "data"},
        "models": {"dir": folder / "models"},
        "web": {"enabled": False, "port": 0},
        "slack": {"base_url": slack.base_url},
        "chat": {"enabled_channels": ["C1"], "cooldown_s": 0},
        "secrets": {
            "slack_bot_token": slack.bot_token,
            "slack_app_token": slack.app_token,
            "slack_signing_secret": SECRET,
        },
    }
    for name, keys in sections.items():
        values[name] = {**values.get(name, {}), **keys}
    return Config.model_validate(values)
