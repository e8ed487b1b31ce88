"""Conversations: the bot is mentioned, replied to, or written to directly."""

from __future__ import annotations

import pytest

from tests.bot.chat.discord.bots import enabled, joke_to, post_picture, town
from tests.bot.chat.discord.conftest import StartBot
from tests.bundles import LINES
from tests.servers.discord_server import DiscordServer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_mention_with_a_picture_is_answered_everywhere(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord):
        upload = discord.upload("cat.jpg", cat)
        await joke_to(
            discord, await discord.post(here.channel, here.taro, f"{discord.bot.mention} これ", attachments=[upload])
        )
        role = next(role for role in here.guild.roles.values() if role.bot_id == discord.bot.id)
        await joke_to(discord, await discord.post(here.channel, here.taro, role.mention, attachments=[upload]))


async def test_a_mention_in_reply_to_a_picture_is_about_that_picture(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord) as bot:
        picture = await post_picture(discord, here.channel, here.hanako, cat)
        call = await discord.post(here.channel, here.taro, f"{discord.bot.mention} おねがい", reply_to=picture)
        answer = await joke_to(discord, call)
        await bot.idle()
        assert [stored.message_id for stored in bot.stored()] == [str(picture.id)]
        assert bot.stored()[0].user == bot.app.database.hash_user("discord", here.hanako.id)
        await discord.delete(picture)
        await discord.wait_until_deleted(answer)


async def test_a_picture_that_is_deleted_while_the_bot_thinks_about_it_is_not_answered(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, coffee: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord) as bot:
        files = [discord.upload("cat.jpg", cat), discord.upload("coffee.jpg", coffee)]
        picture = await discord.post(here.channel, here.hanako, attachments=files)
        hold = discord.hold_next("POST", r"/messages$")
        call = await discord.post(here.channel, here.taro, discord.bot.mention, reply_to=picture)
        await hold.reached()
        await discord.delete(picture)
        await discord.sync()
        hold.release()
        await bot.idle()
        assert not call.deleted
        assert discord.said(here.channel) == []
        assert bot.stored() == []
        assert len(discord.requests_to("POST", r"/messages$")) == 1  # nothing about the second picture


async def test_a_mention_in_reply_to_a_joke_gets_another_one(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        first = await joke_to(discord, await post_picture(discord, here.channel, here.hanako, cat))
        await bot.idle()
        call = await discord.post(here.channel, here.taro, f"{discord.bot.mention} もっと", reply_to=first)
        assert (await joke_to(discord, call)).content != first.content


async def test_laughing_at_a_joke_calls_nobody(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        joke = await joke_to(discord, await post_picture(discord, here.channel, here.hanako, cat))
        laugh = await discord.post(here.channel, here.taro, "www", reply_to=joke)
        assert laugh.mentions == [discord.bot]
        await bot.idle()
        assert [m for m in discord.said(here.channel) if m.reply_to is laugh] == []


async def test_a_picture_in_reply_to_a_joke_is_answered_everywhere(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, coffee: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord):
        call = await discord.post(
            here.channel, here.taro, discord.bot.mention, attachments=[discord.upload("cat.jpg", cat)]
        )
        joke = await joke_to(discord, call)
        back = discord.upload("coffee.jpg", coffee)
        await joke_to(discord, await discord.post(here.channel, here.hanako, attachments=[back], reply_to=joke))


async def test_direct_messages_are_answered(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord):
        direct = discord.dm(here.taro)
        await joke_to(discord, await post_picture(discord, direct, here.taro, cat))
        hello = await discord.post(direct, here.taro, "こんにちは")
        helped = await discord.wait_for_message(direct, lambda m: m.reply_to is hello)
        assert helped.content == "写真を送ってください。一言ボケます。"


async def test_a_call_without_a_picture_is_told_how(discord: DiscordServer, start_bot: StartBot) -> None:
    here = town(discord)
    async with start_bot(discord) as bot:
        call = await discord.post(here.channel, here.taro, discord.bot.mention)
        told = await discord.wait_for_message(here.channel, lambda m: m.reply_to is call)
        assert told.content.startswith("写真をつけて呼ぶか、写真への返信で呼んでください。</boke:")
        await discord.redeliver(call)
        await bot.idle()
        assert len([m for m in discord.said(here.channel) if m.reply_to is call]) == 1


async def test_a_call_with_a_link_waits_for_its_picture(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    link = discord.host_file("page", cat)  # by its name it could be anything
    async with start_bot(discord):
        call = await discord.post(here.channel, here.taro, f"{discord.bot.mention} {link}")
        await discord.unfurl(call, link)
        await joke_to(discord, call)
        direct = discord.host_file("cat.jpg", cat)
        await joke_to(discord, await discord.post(here.channel, here.taro, f"{discord.bot.mention} {direct}"))


async def test_a_link_that_is_not_allowed_is_refused(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, pictures={"allowed_hosts": []}):
        link = discord.host_file("cat.jpg", cat)
        picture = {"url": link, "proxy_url": link}
        embed = {"type": "image", "url": link, "thumbnail": picture}
        call = await discord.post(here.channel, here.taro, f"{discord.bot.mention} {link}", embeds=[embed])
        told = await discord.wait_for_message(here.channel, lambda m: m.reply_to is call)
        assert told.content == "そのリンクは開けません。写真を直接つけてください。"


async def test_who_opted_out_is_left_alone_by_everybody(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        out = await discord.slash("boke-optout", here.hanako, here.channel)
        assert (await out.answer()).content.startswith("わかりました。これからは、あなたの写真に触れません。")
        assert out.ephemeral
        picture = await post_picture(discord, here.channel, here.hanako, cat)
        await bot.idle()
        assert [m for m in discord.said(here.channel) if m.reply_to] == []
        call = await discord.post(here.channel, here.taro, discord.bot.mention, reply_to=picture)
        told = await discord.wait_for_message(here.channel, lambda m: m.reply_to is call)
        assert told.content == "この方の写真には触れない約束になっています。"
        used = await discord.context_menu("これでボケて", picture, here.taro)
        assert (await used.answer()).content == told.content
        bare = await discord.slash("boke", here.taro, here.channel)
        assert (await bare.answer()).content.startswith("最近の写真が見つかりませんでした。")
        # what they ask for themselves they get
        own = await discord.context_menu("これでボケて", picture, here.hanako)
        assert (await own.answer()).content.split("\n")[0] in LINES
        back = await discord.slash("boke-optout", here.hanako, here.channel, options={"undo": True})
        assert (await back.answer()).content == "おかえりなさい。また、あなたの写真にもボケますね。"
        await joke_to(discord, await post_picture(discord, here.channel, here.hanako, cat))
