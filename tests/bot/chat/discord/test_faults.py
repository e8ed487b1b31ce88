"""What goes wrong around a conversation, each fault caused on purpose: Discord, its CDN, the worker, the disk."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sqlite3

import pytest
from sqlalchemy import event

from bot.boke import Place
from bot.inference import Inference
from tests.bot.chat.discord.bots import Bot, enabled, joke_to, post_picture, town
from tests.bot.chat.discord.conftest import StartBot
from tests.bundles import LINES
from tests.servers.discord_server import DiscordServer, Limit, cdn

pytestmark = pytest.mark.asyncio(loop_scope="session")


def replies(discord: DiscordServer) -> list[str]:
    """What the bot has said in reply to people, everywhere."""
    channels = discord.world.channels.values()
    return [message.content for channel in channels for message in discord.said(channel) if message.reply_to]


# Discord itself


async def test_a_gateway_that_drops_mid_conversation_costs_no_answer_and_gives_none_twice(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        hold = discord.hold_next("POST", r"/messages$")
        posts = [await post_picture(discord, here.channel, here.taro, cat)]
        await hold.reached()
        await discord.drop_gateway(hold=True)
        posts += [await post_picture(discord, here.channel, here.taro, cat) for _ in range(2)]
        hold.release()
        discord.restore_gateway()
        await discord.until(lambda: discord.gateway.resumes == 1)
        for post in posts:
            await joke_to(discord, post)
            await discord.redeliver(post)
        await bot.idle()
        assert len(replies(discord)) == 3
        assert (
            len(bot.stored()) == 3
        )  # Discord keeps double words from being seen, for some minutes; they are not thought either
        assert discord.gateway.identifies == 1


async def test_a_gateway_that_does_not_let_it_in_is_a_line_in_the_log(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)):
        discord.fail_next("GET", "^/gateway$", 502)
        with caplog.at_level(logging.ERROR):
            await discord.drop_gateway()
            await discord.until(lambda: discord.gateway.resumes + discord.gateway.identifies == 2)
        await discord.ready()
        await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
    assert [record.name for record in caplog.records] == ["discord.shard"]
    assert "502" in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_lost_session_begins_anew_at_the_address_that_the_api_names(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)):
        discord.invalidate_sessions()
        await discord.until(lambda: discord.gateway.identifies == 2)
        await discord.ready()
        await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))


async def test_what_was_answered_before_a_restart_is_not_answered_after_it(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)):
        post = await post_picture(discord, here.channel, here.taro, cat)
        await joke_to(discord, post)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        await discord.redeliver(post)
        await bot.idle()
        assert len(replies(discord)) == 1
        assert len(bot.stored()) == 1


async def test_two_shards_answer_their_own_servers(start_bot: StartBot, cat: bytes) -> None:
    async with DiscordServer(shards=2) as discord:
        taro = discord.add_user("たろう")
        channels = [discord.add_guild(f"{shard}", shard=shard).add_channel("しゃしん") for shard in (0, 1)]
        async with start_bot(discord, chat=enabled(*channels)):
            for channel in channels:
                await joke_to(discord, await post_picture(discord, channel, taro, cat))


async def test_a_number_of_shards_can_be_set(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    keys = {"api_base": discord.api_base, "shard_count": 1, "shard_ids": [0]}
    async with start_bot(discord, chat=enabled(here.channel), discord=keys):
        await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))


async def test_too_many_requests_are_waited_out(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    discord.rate_limit("POST", r"/messages$", Limit(2, 0.5))
    async with start_bot(discord, chat=enabled(here.channel)):
        discord.limit_next("POST", r"/messages$", 0.2)
        discord.limit_next("POST", r"/typing$", 30.0)  # nobody waits for that one
        posts = [await post_picture(discord, here.channel, here.taro, cat) for _ in range(4)]
        for post in posts:
            await joke_to(discord, post)
        assert discord.too_many == 0


async def test_an_error_of_the_server_is_tried_again_and_nothing_is_said_twice(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        discord.fail_next("POST", r"/messages$", 500, after=True)  # it went through, and said that it did not
        await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        discord.drop_next("POST", r"/messages$", after=True)
        await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        discord.fail_next("POST", r"/typing$", 500, times=9)
        await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        await bot.idle()
        assert len(replies(discord)) == 3
        assert len(bot.stored()) == 3


async def test_a_card_that_discord_finds_too_large_stays_away(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel) | {"card_default": True}):
        discord.fail_next("POST", r"/messages$", 413, body={"message": "Request entity too large", "code": 40005})
        answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        assert answer.attachments == []


async def test_a_revoked_token_ends_discord_with_one_line_and_nothing_else(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    here = town(discord)
    with caplog.at_level(logging.WARNING):
        async with start_bot(discord, chat=enabled(here.channel)) as bot:
            hold = discord.hold_next("POST", r"/messages$")
            await post_picture(discord, here.channel, here.taro, cat)
            await hold.reached()
            discord.portal.revoked = True
            hold.release()
            await discord.wait_for_request("POST", r"/messages$")
            await bot.idle()
            await discord.revoke_token()
            assert bot.front_end._running is not None
            await asyncio.wait([bot.front_end._running])
            assert bot.app.service.inference.up
    lines = [record.message for record in caplog.records if record.name.startswith("bot")]
    assert len(lines) == 1, lines
    assert lines[0].startswith("Discord does not accept DISCORD_TOKEN")
    assert [record for record in caplog.records if record.exc_info] == []


# the CDN


@pytest.mark.parametrize(
    ("serving", "said"),
    [
        (cdn.hanging(), "写真を取りに行けませんでした。"),
        (cdn.stalled(1000), "写真を取りに行けませんでした。"),
        (cdn.cut_off(1000), "写真を取りに行けませんでした。"),
        (cdn.status(500), "写真を取りに行けませんでした。"),
        (cdn.redirect("http://127.0.0.2/cat.jpg"), "そのリンクは開けません。"),
        (cdn.endless(), "ファイルが大きすぎました。1 MBまでの写真をください。"),
        (cdn.gzip_bomb(30), "ファイルが大きすぎました。1 MBまでの写真をください。"),
    ],
    ids=["hanging", "stalled", "cut off", "500", "redirect", "endless", "gzip bomb"],
)
async def test_a_cdn_that_misbehaves_is_told_to_people_in_a_friendly_line(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, serving: cdn.Serving, said: str
) -> None:
    here = town(discord)
    pictures = {"allowed_hosts": ["127.0.0.1"], "max_bytes": 2**20, "fetch_timeout_s": 0.5}
    async with start_bot(discord, chat=enabled(here.channel), pictures=pictures) as bot:
        post = await post_picture(discord, here.channel, here.taro, cat, serving=serving)
        told = await discord.wait_for_message(here.channel, lambda m: m.reply_to is post)
        assert told.content.startswith(said)
        assert told.pings == frozenset()
        await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        await bot.idle()
        assert discord.cdn.sent.get("photo.jpg", 0) < 8 * 2**20


async def test_a_slow_cdn_is_waited_for(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)):
        await joke_to(
            discord, await post_picture(discord, here.channel, here.taro, cat, serving=cdn.slow(len(cat) // 4, 0.02))
        )


async def test_files_that_are_not_what_they_say(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)):
        for data, said in [
            (b"<html>hello</html>", "これは読めない形式でした。"),
            (cat[: len(cat) // 3], "写真が途中で途切れているようです。"),
            (cdn.png_bomb(30_000), "写真が大きすぎて開けませんでした。"),
        ]:
            post = await post_picture(discord, here.channel, here.taro, data)
            told = await discord.wait_for_message(here.channel, lambda m, post=post: m.reply_to is post)  # type: ignore[misc]
            assert told.content.startswith(said)
        lying = {"content_type": "image/png", "size": 10, "serving": cdn.as_type("text/html")}
        await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat, **lying))


# the worker


async def test_a_worker_that_is_killed_while_it_works_is_replaced(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, worker: Inference
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)):
        (pid,) = worker.pids
        os.kill(pid, signal.SIGSTOP)  # so that it is at work for certain
        post = await post_picture(discord, here.channel, here.taro, cat)
        await discord.wait_for_typing(here.channel)
        while worker.waiting or not worker._queue._unfinished_tasks:  # type: ignore[attr-defined]  # noqa: ASYNC110
            await asyncio.sleep(0)  # until the picture is with the worker, which nobody announces
        os.kill(pid, signal.SIGKILL)
        await joke_to(discord, post)
        assert worker.pids != [pid]


async def test_a_full_queue_says_that_it_is_crowded(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, worker: Inference
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)):
        (pid,) = worker.pids
        os.kill(pid, signal.SIGSTOP)
        try:
            # one batch of 8 is with the worker, 8 wait, the rest is too much
            posts = [await post_picture(discord, here.channel, here.taro, cat) for _ in range(20)]
            crowded = "ただいま混み合っています。少ししてからもう一度どうぞ。"
            await discord.until(lambda: crowded in replies(discord))
        finally:
            os.kill(pid, signal.SIGCONT)
        for post in posts:
            answer = await discord.wait_for_message(here.channel, lambda m, post=post: m.reply_to is post)  # type: ignore[misc]
            assert answer.content == crowded or answer.content in LINES


# the disk


async def test_a_locked_database_delays_no_joke_for_ever(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    database = {"busy_timeout_s": 0.2}
    async with start_bot(discord, chat=enabled(here.channel), database=database) as bot:
        other = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        await bot.idle()
        await discord.until(lambda: discord.portal.commands)
        locker = sqlite3.connect(bot.app.config.data.dir / "boke.db", isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        try:
            answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
            assert answer.buttons == []  # they could do nothing
            pressed = await discord.click(other, "👍", here.taro)
            assert (await pressed.answer()).content.startswith("いまは投票を受け付けられませんでした。")
            used = await discord.slash("boke-forget", here.taro, here.channel)
            assert (await used.answer()).content.startswith("いま記録を読み書きできません。")
        finally:
            locker.rollback()
            locker.close()
        await bot.idle()
        await discord.click(other, "👍", here.taro)
        await discord.until(lambda: other.button("👍").label == "1")


def fill_disk(bot: Bot) -> None:
    """From now on SQLite finds no room for another page: to it that is a full disk."""

    def no_room(connection: sqlite3.Connection, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")

    event.listen(bot.app.database.engine, "connect", no_room)
    bot.app.database.close()


async def test_on_a_full_disk_jokes_are_told_and_cards_are_drawn(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, coffee: bytes, worker: Inference
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel) | {"card_default": True}) as bot:
        plain = here.guild.add_channel("カードなし")
        await bot.idle()
        (pid,) = worker.pids
        limits = resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))  # not a byte into any file
        fill_disk(bot)
        try:
            while True:
                answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
                assert answer.attachments[0].data.startswith(b"\x89PNG")
                if not answer.buttons:  # no room for the record of it
                    break
            upload = discord.upload("coffee.jpg", coffee)
            await joke_to(discord, await discord.post(plain, here.taro, discord.bot.mention, attachments=[upload]))
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


async def test_a_card_that_cannot_be_drawn_is_no_reason_to_stay_silent(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, worker: Inference
) -> None:
    here = town(discord)
    card = {"font": "/nowhere/font.ttf"}
    async with start_bot(discord, chat=enabled(here.channel), card=card) as bot:
        answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        await bot.idle()
        pressed = await discord.click(answer, "カード", here.taro)
        assert (await pressed.answer()).content == "カードを作れませんでした。少ししてからもう一度どうぞ。"
        place = Place("discord", str(here.channel.id))
        await bot.front_end.conversation.change_rules(place, card=True)
        answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        assert answer.attachments == []
