"""The real discord.py in conversation on the local Discord: what people do, and what the bot may see and do."""

from __future__ import annotations

import discord
import pytest

from tests.servers.discord.sample_bot import CAT, bot_intents, connected
from tests.servers.discord_server import DiscordServer, NotAllowed, Permission


async def test_a_picture_is_answered_with_a_file() -> None:
    async with DiscordServer() as server:
        taro = server.add_user("たろう")
        channel = server.add_guild("ねこ部").add_channel("しゃしん")
        async with connected(server) as bot:
            picture = await server.post(
                channel, taro, "ねこ", attachments=[server.upload("cat.png", CAT, spoiler=True)]
            )
            answer = await server.wait_for_message(channel)
            assert bot.messages[0].content == "ねこ"
            assert answer.content == f"{len(CAT)} 8x6"
            assert answer.reply_to is picture
            assert [(a.data, a.filename, a.spoiler) for a in answer.attachments] == [(CAT, "SPOILER_card.png", True)]
            assert answer.pings == frozenset()
            assert [b.label or b.emoji for b in answer.buttons] == ["もう一回", "👍", "こっそり", "ねる"]
            assert channel.typings == 1
            assert {r.authorization for r in server.requests_to("POST", "/messages")} == {f"Bot {server.token}"}
        assert not server.rest.unknown_routes


async def test_buttons_reach_a_restarted_bot() -> None:
    async with DiscordServer() as server:
        taro, hanako = server.add_user("たろう"), server.add_user("花子")
        channel = server.add_guild("ねこ部", members=[taro, hanako]).add_channel("しゃしん")
        async with connected(server):
            await server.post(channel, taro, attachments=[server.upload("cat.png", CAT)])
            answer = await server.wait_for_message(channel)
        async with connected(server):
            again = await server.click(answer, "もう一回", hanako)
            assert again.callback == 5
            # the first follow-up takes the place of "thinking", which was for all; the next is as private as it asked
            assert (await again.answer()).content == "もう一つ"
            await server.until(lambda: len(again.answers) == 2)
            assert [message.ephemeral for message in again.answers] == [False, True]
            voted = await server.click(answer, "👍", hanako)
            assert (voted.callback, answer.content) == (7, "👍 1")
            secret = await server.click(answer, "secret", hanako)
            assert secret.ephemeral
            assert secret.answers[0] not in channel.messages.values()
            with pytest.raises(AssertionError, match="no button"):
                await server.click(answer, "ない", hanako)


async def test_commands_carry_options_locale_and_target() -> None:
    async with DiscordServer(privileged=[]) as server:
        taro = server.add_user("たろう", locale="en-US")
        guild = server.add_guild("ねこ部", members=[taro])
        channel = guild.add_channel("しゃしん")
        async with connected(server, bot_intents(message_content=False)):
            assert {command["name"] for command in await server.wait_for_commands()} == {
                "boke",
                "settings",
                "これでボケて",
            }
            used = await server.slash("boke", taro, channel, options={"picture": server.upload("cat.png", CAT)})
            answer = await used.answer()
            assert (answer.content, len(answer.attachments), used.ephemeral) == (f"{len(CAT)} bytes", 1, False)
            used = await server.slash("boke", taro, channel, options={"link": "x", "private": True})
            assert ((await used.answer()).content, used.ephemeral) == ("x", True)
            assert (await (await server.slash("boke", taro, server.dm(taro))).answer()).content == "なにもない"
            post = await server.post(channel, taro, "見て", attachments=[server.upload("cat.png", CAT)])
            used = await server.context_menu("これでボケて", post, taro)
            assert (await used.answer()).content == "見て 1"
            with pytest.raises(NotAllowed):
                await server.slash("settings", taro, channel)
            guild.add_member(taro, Permission.MANAGE_CHANNELS)
            assert (await (await server.slash("settings", taro, channel)).answer()).content == "設定 en-US"
            with pytest.raises(AssertionError, match="takes"):
                await server.slash("boke", taro, channel, options={"private": "yes"})


async def test_without_the_intent_content_comes_only_where_discord_gives_it() -> None:
    async with DiscordServer(privileged=[]) as server:
        taro = server.add_user("たろう")
        channel = server.add_guild("ねこ部").add_channel("しゃしん")
        async with connected(server, bot_intents(message_content=False)) as bot:
            cat = [server.upload("cat.png", CAT)]
            plain = await server.post(channel, taro, "ねこ", attachments=cat)
            await server.post(channel, taro, f"{server.bot.mention} これ", reply_to=plain)
            await server.post(server.dm(taro), taro, "ねこ", attachments=cat)
            await server.wait_for_message(server.dm(taro))
            seen = [(m.content, len(m.attachments)) for m in bot.messages]
            assert seen == [("", 0), (f"{server.bot.mention} これ", 0), ("ねこ", 1)]
            assert bot.messages[1].reference
            referred = bot.messages[1].reference.resolved
            assert isinstance(referred, discord.Message)
            assert len(referred.attachments) == 1
            fetched = await bot.messages[0].channel.fetch_message(plain.id)
            assert (fetched.content, fetched.attachments) == ("", [])
            own = await bot.place(channel).send("mine")
            assert (await own.fetch()).content == "mine"


async def test_edits_deletions_reactions_and_history() -> None:
    async with DiscordServer() as server:
        taro = server.add_user("たろう")
        guild = server.add_guild("ねこ部")
        channel = guild.add_channel("しゃしん")
        first = await server.post(channel, taro, "first")
        second = await server.post(channel, taro, "second")
        async with connected(server) as bot:
            place = bot.place(channel)
            assert [m.content async for m in place.history(limit=5)] == ["second", "first"]
            assert [m.content async for m in place.history(before=discord.Object(second.id))] == ["first"]
            assert [m.content async for m in place.history(around=discord.Object(second.id), limit=2)] == [
                "second",
                "first",
            ]
            await server.edit(first, "changed")
            await server.unfurl(second, server.host_file("x.png", CAT))
            await server.react(second, "👍", taro)
            await server.delete(first)
            await server.sync()
            assert bot.events == [f"edited {first.id} changed", f"edited {second.id} second", f"deleted {first.id}"]
            assert [(str(r.emoji), r.user_id, str(r.member)) for r in bot.reactions] == [("👍", taro.id, "たろう")]
            message = await place.fetch_message(second.id)
            assert message.embeds[0].thumbnail.url == server.host_file("x.png", CAT)
            assert message.edited_at is None
            await message.add_reaction("🎨")
            await server.wait_for_reaction(second, "🎨")
            with pytest.raises(discord.Forbidden):
                await message.delete()
            with pytest.raises(discord.NotFound):
                await place.fetch_message(first.id)
            forwarded = await server.forward(second, guild.add_channel("もう一つ"), taro)
            await server.sync()
            assert bot.messages[-1].id == forwarded.id
            assert bot.messages[-1].message_snapshots[0].content == "second"


async def test_permissions_hold_for_events_and_for_rest() -> None:
    async with DiscordServer() as server:
        taro = server.add_user("たろう")
        channel = server.add_guild("ねこ部").add_channel("しゃしん")
        async with connected(server) as bot:
            place = bot.place(channel)
            channel.deny(server.bot, Permission.SEND_MESSAGES)
            await server.sync()
            assert not place.permissions_for(place.guild.me).send_messages
            with pytest.raises(discord.Forbidden, match="50013"):
                await place.send("no")
            channel.deny(server.bot, Permission.VIEW_CHANNEL)
            await server.post(channel, taro, "unseen")
            await server.sync()
            assert bot.messages == []
            with pytest.raises(discord.Forbidden, match="50001"):
                await place.send("no")


async def test_who_is_pinged_follows_allowed_mentions() -> None:
    async with DiscordServer() as server:
        taro = server.add_user("たろう")
        channel = server.add_guild("ねこ部", members=[taro]).add_channel("しゃしん")
        async with connected(server) as bot:
            place = bot.place(channel)
            text = f"{taro.mention} @everyone"
            await place.send(text)
            assert (await server.wait_for_message(channel)).pings == {taro, "everyone"}
            await place.send(text, allowed_mentions=discord.AllowedMentions.none())
            assert (await server.wait_for_message(channel)).pings == frozenset()
            with pytest.raises(discord.HTTPException, match="50035"):
                await place.send("あ" * 2001)


async def test_a_thread_is_a_channel_of_its_own() -> None:
    async with DiscordServer() as server:
        taro = server.add_user("たろう")
        channel = server.add_guild("ねこ部", members=[taro]).add_channel("しゃしん")
        old = channel.add_thread("前から", taro)
        async with connected(server) as bot:
            new = channel.add_thread("あとで", taro)
            for thread in (old, new):
                await server.post(thread, taro, attachments=[server.upload("cat.png", CAT)])
                assert (await server.wait_for_message(thread)).content == f"{len(CAT)} 8x6"
            assert [m.channel.name for m in bot.messages if isinstance(m.channel, discord.Thread)] == [
                "前から",
                "あとで",
            ]
            assert bot.place(channel).threads


async def test_joining_a_guild_later_is_an_invitation() -> None:
    async with DiscordServer() as server:
        server.add_guild("old")
        async with connected(server) as bot:
            await bot.wait_until_ready()
            guild = server.add_guild("new", joined=False)
            channel = guild.add_channel("ようこそ")
            server.invite_bot(guild)
            assert (await server.wait_for_message(channel)).content == "はじめまして"
            assert bot.events == ["joined new"]
            server.kick_bot(guild)
            await server.sync()
            assert [g.name for g in bot.guilds] == ["old"]


async def test_waiting_says_what_came_instead() -> None:
    async with DiscordServer(timeout_s=0.05) as server:
        taro = server.add_user("たろう")
        channel = server.add_guild("ねこ部").add_channel("しゃしん")
        await server.post(channel, taro, "hello")
        with pytest.raises(AssertionError, match=r"a message of the bot in #しゃしん; last messages .*hello"):
            await server.wait_for_message(channel)
