"""Conversations without the privileged intent: what works all the same, and what the bot says where it does not."""

from __future__ import annotations

import logging

import pytest

from tests.bot.chat.discord.bots import enabled, joke_to, post_picture, town
from tests.bot.chat.discord.conftest import StartBot
from tests.bundles import LINES
from tests.servers.discord_server import DiscordServer, Permission

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_refused_intents_are_done_without_and_one_line_says_so(
    start_bot: StartBot, cat: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with DiscordServer(privileged=[]) as discord:
        here = town(discord)
        with caplog.at_level(logging.WARNING, "bot"):
            async with start_bot(discord, chat=enabled(here.channel)) as bot:
                post = await post_picture(discord, here.channel, here.taro, cat)
                await bot.idle()
                assert [m for m in discord.said(here.channel) if m.reply_to] == []
                bare = await discord.slash("boke", here.taro, here.channel)
                assert (await bare.answer()).content.startswith("写真が私からは見えません。")
                used = await discord.context_menu("これでボケて", post, here.taro)
                answer = await used.answer()
                assert answer.content in LINES
                # the bot could not find the picture again; so it keeps it in the answer
                assert [a.data for a in answer.attachments] == [cat]
                other = await (await discord.click(answer, "もう一回", here.taro)).answer()
                assert other.content in set(LINES) - {answer.content}
                upload = discord.upload("cat.jpg", cat)
                used = await discord.slash("boke", here.taro, here.channel, options={"picture": upload})
                assert (await used.answer()).content in LINES
                mention = await discord.post(here.channel, here.taro, discord.bot.mention, attachments=[upload])
                first = await joke_to(discord, mention)
                await bot.idle()
                other = await (await discord.click(first, "もう一回", here.taro)).answer()
                assert other.content in set(LINES) - {first.content}
                await joke_to(discord, await discord.post(here.channel, here.taro, discord.bot.mention, reply_to=post))
                await joke_to(discord, await post_picture(discord, discord.dm(here.taro), here.taro, cat))
        warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(warnings) == 1, warnings
        assert warnings[0].startswith("Discord: posted pictures are not seen, as its application may not see")
        assert "Message Content Intent" in warnings[0]


async def test_the_owner_may_do_without_the_intent(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    here = town(discord)
    with caplog.at_level(logging.WARNING, "bot"):
        async with start_bot(discord, discord={"api_base": discord.api_base, "message_content": False}) as bot:
            assert [r.message.split(";")[0] for r in caplog.records if r.levelno >= logging.WARNING] == [
                "Discord: posted pictures are not seen, as discord.message_content is false"
            ]
            assert discord.gateway.identifies == 1
            # nobody is left to wonder why the bot does not answer
            here.guild.add_member(here.hanako, Permission.MANAGE_CHANNELS)
            panel = await (await discord.slash("boke-settings", here.hanako, here.channel)).answer()
            assert "Message Content Intent" not in panel.content
            await discord.click(panel, "ここでボケる", here.hanako)
            await discord.until(lambda: "⚠️ いまの私には投稿の中身を見る許可がない" in panel.content)
            await post_picture(discord, here.channel, here.taro, cat)
            await bot.idle()
            assert [m for m in discord.said(here.channel) if m.reply_to] == []


async def test_a_greeting_promises_no_more_than_the_bot_can_do(start_bot: StartBot) -> None:
    async with DiscordServer(privileged=[]) as discord:
        here = town(discord, invited=True)
        async with start_bot(discord):
            greeting = await discord.wait_for_message(here.channel)
            await discord.click(greeting, "このチャンネルでボケる", discord.world.owner)
            await discord.until(lambda: greeting.buttons == [])
            assert greeting.content.startswith("こんにちは！写真と一緒に私を呼ぶか ")
            assert "Message Content Intent" in greeting.content


async def test_a_picture_that_discord_does_not_show_is_explained(start_bot: StartBot, cat: bytes) -> None:
    async with DiscordServer(privileged=[], referenced_content=False) as discord:
        here = town(discord)
        async with start_bot(discord):
            post = await post_picture(discord, here.channel, here.hanako, cat)
            call = await discord.post(here.channel, here.taro, discord.bot.mention, reply_to=post)
            told = await discord.wait_for_message(here.channel, lambda m: m.reply_to is call)
            assert told.content == (
                "写真が私からは見えません。写真を長押し（右クリック）して「アプリ」→「これでボケて」ならボケられます。"
            )


async def test_an_edit_that_discord_does_not_show_takes_nothing_back(start_bot: StartBot, cat: bytes) -> None:
    async with DiscordServer(privileged=[]) as discord:
        here = town(discord)
        async with start_bot(discord) as bot:
            post = await discord.post(here.channel, here.hanako, "ねこ", attachments=[discord.upload("cat.jpg", cat)])
            answer = await (await discord.context_menu("これでボケて", post, here.taro)).answer()
            await bot.idle()
            await discord.edit(post, "うちのねこ")
            await bot.idle()
            assert not answer.deleted
            assert len(bot.stored()) == 1
