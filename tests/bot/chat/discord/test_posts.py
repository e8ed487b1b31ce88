"""Conversations: what people post, and what the bot says to it."""

from __future__ import annotations

import pytest

from tests.bot.chat.discord.bots import enabled, joke_to, post_picture, town
from tests.bot.chat.discord.conftest import StartBot
from tests.servers.discord_server import DiscordServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_picture_in_an_enabled_channel_is_answered(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    elsewhere = here.guild.add_channel("ざつだん")
    async with start_bot(discord, chat=enabled(here.channel)):
        await post_picture(discord, elsewhere, here.taro, cat)
        answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        assert answer.pings == frozenset()
        assert answer.attachments == []
        assert [button.label or button.emoji for button in answer.buttons] == ["もう一回", "👍", "👎", "カード"]
        assert here.channel.typings
        assert discord.said(elsewhere) == []
