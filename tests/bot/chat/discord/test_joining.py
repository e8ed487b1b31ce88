"""Conversations: the bot is invited to a server."""

from __future__ import annotations

import pytest

from bot.boke import Place
from tests.bot.chat.discord.bots import Bot, enabled, joke_to, post_picture, town
from tests.bot.chat.discord.conftest import StartBot
from tests.servers.discord_server import Channel, DiscordServer, Permission

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETING = "はじめまして、写真に一言ボケるボットです。"


async def is_enabled(bot: Bot, channel: Channel) -> bool:
    return (await bot.front_end.conversation.rules(Place("discord", str(channel.id)))).enabled


async def test_an_invitation_is_greeted_and_moderators_enable_the_channel(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    taro, hanako = discord.add_user("たろう"), discord.add_user("花子")
    async with start_bot(discord) as bot:
        guild = discord.add_guild("新しい部", members=[taro], joined=False)
        guild.add_member(hanako, Permission.MANAGE_CHANNELS)
        silent, channel = guild.add_channel("お知らせ"), guild.add_channel("ざつだん")
        silent.deny(guild.everyone, Permission.SEND_MESSAGES)
        discord.invite_bot(guild)
        greeting = await discord.wait_for_message(channel)
        assert greeting.content.startswith(GREETING)
        assert "\n" not in greeting.content
        refused = await discord.click(greeting, "このチャンネルでボケる", taro)
        assert (await refused.answer()).content == "これができるのは、チャンネルを管理できる方だけです。"
        assert not await is_enabled(bot, channel)
        await discord.click(greeting, "このチャンネルでボケる", hanako)
        await discord.until(lambda: greeting.content.startswith("こんにちは！ここに写真を投稿すると、一言ボケます。"))
        assert greeting.buttons == []
        await joke_to(discord, await post_picture(discord, channel, taro, cat))


async def test_an_invitation_while_the_bot_was_away_is_greeted_once(
    discord: DiscordServer, start_bot: StartBot
) -> None:
    here = town(discord, invited=True)
    async with start_bot(discord) as bot:
        greeting = await discord.wait_for_message(here.channel)
        assert greeting.content.startswith(GREETING)
        await bot.idle()
    async with start_bot(discord) as bot:
        await bot.client.wait_until_ready()
        discord.guild_outage(here.guild)
        discord.guild_back(here.guild)
        await bot.idle()
        assert discord.said(here.channel) == [greeting]
        # the button of the first life works in the second
        await discord.click(greeting, "このチャンネルでボケる", discord.world.owner)
        await discord.until(lambda: greeting.buttons == [])
        assert await is_enabled(bot, here.channel)
        # thrown out and invited again: that is another invitation
        discord.kick_bot(here.guild)
        discord.invite_bot(here.guild)
        assert (await discord.wait_for_message(here.channel)).content.startswith("こんにちは！ここに写真を投稿すると")


async def test_a_server_that_knows_the_bot_for_long_is_not_greeted(discord: DiscordServer, start_bot: StartBot) -> None:
    here = town(discord)
    async with start_bot(discord) as bot:
        await bot.client.wait_until_ready()
        await bot.idle()
        assert discord.said(here.channel) == []


async def test_where_the_channel_is_enabled_already_it_says_hello(discord: DiscordServer, start_bot: StartBot) -> None:
    here = town(discord, invited=True)
    async with start_bot(discord, chat=enabled(here.channel)):
        greeting = await discord.wait_for_message(here.channel)
        assert greeting.content.startswith("こんにちは！ここに写真を投稿すると、一言ボケます。")
        assert greeting.buttons == []


async def test_a_greeting_that_fails_is_said_at_the_next_chance(discord: DiscordServer, start_bot: StartBot) -> None:
    here = town(discord, invited=True)
    discord.fail_next("POST", r"/messages$", 403, body={"message": "Missing Permissions", "code": 50013})
    async with start_bot(discord) as bot:
        await bot.client.wait_until_ready()
        await bot.idle()
        assert discord.said(here.channel) == []
    async with start_bot(discord):
        assert (await discord.wait_for_message(here.channel)).content.startswith(GREETING)


async def test_a_server_without_a_channel_to_speak_in_is_no_trouble(
    discord: DiscordServer, start_bot: StartBot, caplog: pytest.LogCaptureFixture
) -> None:
    here = town(discord, invited=True)
    here.channel.deny(discord.bot, Permission.SEND_MESSAGES)
    async with start_bot(discord) as bot:
        await bot.client.wait_until_ready()
        await bot.idle()
        assert discord.said(here.channel) == []
        assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
