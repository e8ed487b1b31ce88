"""The whole bot on Discord: started from its environment, stopped by a signal, kept out by a wrong token."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from discord.http import Route

from bot.app import App
from bot.chat.discord import DiscordFrontEnd
from bot.inference import Inference
from store.config import Config
from tests.bot.chat.discord.bots import FAST, as_owner, enabled, joke_to, post_picture, town
from tests.bot.chat.discord.conftest import StartBot
from tests.bot.running import run_bot
from tests.servers.discord_server import DiscordServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_bot_as_its_owner_starts_it_and_stops_it(
    discord: DiscordServer, worker: Inference, tmp_path: Path, cat: bytes
) -> None:
    here = town(discord)
    variables = as_owner(discord, worker.place.folder, here.channel)
    with ExitStack() as stack:
        bot = await asyncio.to_thread(stack.enter_context, run_bot(tmp_path, **variables))
        await discord.ready()
        await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        # what it has begun when it is told to stop, it finishes
        hold = discord.hold_next("POST", r"/messages$")
        post = await post_picture(discord, here.channel, here.taro, cat)
        await hold.reached()
        stopping = asyncio.create_task(asyncio.to_thread(bot.stop, signal.SIGTERM))
        while "stopping" not in bot.log:  # noqa: ASYNC110  # a log announces nothing
            await asyncio.sleep(0.01)
        hold.release()
        await joke_to(discord, post)
        assert await stopping == 0
        assert "Traceback" not in bot.log
        assert discord.token not in bot.log


async def test_a_wrong_token_is_told_in_one_line(
    discord: DiscordServer,
    worker: Inference,
    make_config: Callable[..., Config],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Route, "BASE", Route.BASE)  # to be put back afterwards
    app = App(make_config(discord={"api_base": discord.api_base}, secrets={"discord_token": "mistyped"}))
    front_end = DiscordFrontEnd(app, client_options=FAST)
    with caplog.at_level(logging.WARNING):
        await front_end.start()
        assert front_end._running is not None
        await front_end._running  # it gives up, and raises nothing
    assert len(caplog.records) == 1
    assert caplog.records[0].message.startswith("Discord does not accept DISCORD_TOKEN")
    assert "mistyped)" in caplog.text
    assert caplog.records[0].exc_info is None
    await front_end.stop()
    app.service.close()
    app.database.close()


async def test_a_discord_that_cannot_be_reached_is_tried_again(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    here = town(discord)
    discord.fail_next("GET", "/users/@me$", 503, body="down for maintenance")
    with caplog.at_level(logging.ERROR):
        async with start_bot(discord, chat=enabled(here.channel)):
            await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "Discord cannot be reached, trying again in 1 s"
    ]


async def test_commands_that_discord_refuses_stop_nothing_else(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    here = town(discord)
    discord.fail_next("PUT", "/commands$", 403, body={"message": "Missing Access", "code": 50001})
    with caplog.at_level(logging.ERROR):
        async with start_bot(discord, chat=enabled(here.channel)):
            await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
    assert "applications.commands" in caplog.text


async def test_discord_is_there_only_with_a_token_and_when_wanted(make_config: Callable[..., Config]) -> None:
    found = []
    for sections in (
        {},
        {"secrets": {"discord_token": "x"}, "discord": {"enabled": False}},
        {"secrets": {"discord_token": "x"}},
    ):
        app = App(make_config(web={"enabled": False}, **sections))
        found.append([front_end.name for front_end in app.front_ends])
        app.service.close()
        app.database.close()
    assert found == [[], [], ["discord"]]


async def test_the_admin_channel_is_told(discord: DiscordServer, start_bot: StartBot) -> None:
    here = town(discord)
    async with start_bot(discord, chat={"admin_channel": f"discord:{here.channel.id}"}) as bot:
        assert await bot.app.announcements.announce("新しいモデルに切り替えました")
        assert (await discord.wait_for_message(here.channel)).content == "新しいモデルに切り替えました"


async def test_a_bot_in_no_server_says_how_to_invite_it(
    discord: DiscordServer, start_bot: StartBot, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "bot"):
        async with start_bot(discord) as bot:
            await bot.client.wait_until_ready()
            await bot.idle()
            await asyncio.sleep(0)
    assert f"client_id={discord.bot.id}&scope=bot+applications.commands&permissions=274878008320" in caplog.text
