"""A bot on the local Discord: the program's own parts, around a worker process that many tests share."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from discord.gateway import DiscordWebSocket
from discord.http import Route
from sqlalchemy import select

from bot.app import App
from bot.chat.discord import DiscordFrontEnd
from bot.chat.discord.client import BokeClient
from bot.inference import Inference
from store.answers import StoredAnswer, get_answer
from store.config import Config
from store.tables import Answer
from tests.bundles import LINES
from tests.servers.discord_server import Channel, DiscordServer, Guild, Message, Upload, User

FAST = {"guild_ready_timeout": 0.01, "identify_pause_s": 0.0}  # Discord wants patience, the local one does not


@dataclass
class Bot:
    """A bot that is connected and has read all there was."""

    app: App
    front_end: DiscordFrontEnd
    server: DiscordServer

    @property
    def client(self) -> BokeClient:
        """The present login."""
        assert self.front_end.client is not None
        return self.front_end.client

    async def idle(self) -> None:
        """Wait until the bot has read every event and is through with it: what it has not said by then it will not say."""
        await self.server.sync()
        await self.client.work.done()

    def stored(self) -> list[StoredAnswer]:
        """Every answer in the database that was not taken back, oldest first."""
        with self.app.database.reader() as session:
            ids = session.scalars(select(Answer.public_id).where(Answer.deleted.is_(None)).order_by(Answer.id))
            found = [get_answer(self.app.database, public_id) for public_id in ids]
        return [answer for answer in found if answer is not None]


@dataclass
class Town:
    """A guild with two people and a channel: most conversations need no more."""

    taro: User
    hanako: User
    guild: Guild
    channel: Channel


def town(server: DiscordServer, *, invited: bool = False) -> Town:
    """A town that has known the bot for long, or has invited it just now (then the bot has something to say)."""
    taro, hanako = server.add_user("たろう"), server.add_user("花子")
    guild = server.add_guild("ねこ部", members=[taro, hanako])
    if not invited:
        guild.members[server.bot.id].joined_at -= datetime.timedelta(days=30)
    return Town(taro, hanako, guild, guild.add_channel("しゃしん"))


def enabled(*channels: Channel) -> dict[str, Any]:
    """Configuration in which these channels are answered, and nobody has to wait."""
    return {"enabled_channels": [str(channel.id) for channel in channels], "cooldown_s": 0}


def as_owner(server: DiscordServer, model: Path | str, channel: Channel) -> dict[str, str]:
    """The environment of `python -m bot` on the local Discord, where this channel is answered."""
    return {
        "DISCORD_TOKEN": server.token,
        "BOKE__DISCORD__API_BASE": server.api_base,
        "BOKE__PICTURES__ALLOWED_HOSTS": "127.0.0.1",
        "BOKE__CHAT__ENABLED_CHANNELS": str(channel.id),
        "BOKE__CHAT__COOLDOWN_S": "0",
        "BOKE__MODEL__PATH": str(model),
    }


@asynccontextmanager
async def running(
    server: DiscordServer, worker: Inference, make_config: Callable[..., Config], sections: dict[str, dict[str, Any]]
) -> AsyncIterator[Bot]:
    """Start a bot with these sections of the configuration; discord.py points at Discord again afterwards."""
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    defaults: dict[str, dict[str, Any]] = {
        "discord": {"api_base": server.api_base},
        "pictures": {"allowed_hosts": ["127.0.0.1"]},
        "secrets": {"discord_token": server.token},
        "web": {"enabled": False},
    }
    app = App(
        make_config(**{name: {**defaults.get(name, {}), **sections.get(name, {})} for name in {**defaults, **sections}})
    )
    app.inference = app.service.inference = worker
    front_end = DiscordFrontEnd(app, client_options=FAST)
    try:
        await front_end.start()
        await server.ready()
        await server.wait_for_request("PUT", "/commands$")
        yield Bot(app, front_end, server)
    finally:
        app.leaving = True  # as App.stop says
        await front_end.stop()
        app.service.close()
        app.database.close()
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


async def joke_to(server: DiscordServer, post: Message) -> Message:
    """The bot's answer to a post, which is one of the lines that the small model knows."""
    answer = await server.wait_for_message(post.channel, lambda message: message.reply_to is post)
    assert answer.content in LINES, answer
    return answer


async def post_picture(server: DiscordServer, channel: Channel, author: User, data: bytes, **options: Any) -> Message:
    """Somebody posts one picture."""
    upload: Upload = server.upload("photo.jpg", data, **options)
    return await server.post(channel, author, attachments=[upload])
