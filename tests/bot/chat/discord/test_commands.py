"""Conversations: the slash commands and the entry in the menu of a message."""

from __future__ import annotations

import pytest

from tests.bot.chat.discord.bots import enabled, joke_to, post_picture, town
from tests.bot.chat.discord.conftest import StartBot
from tests.bundles import LINES, QUOTES, quoted_at
from tests.servers.discord_server import DiscordServer, Message

pytestmark = pytest.mark.asyncio(loop_scope="session")


def joke_of(message: Message) -> str:
    """The joke of an answer to a command, without what stands under it."""
    line = message.content.split("\n")[0]
    assert line in LINES, message
    return line


async def test_boke_with_a_picture_shows_the_picture_too(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord):
        used = await discord.slash("boke", here.taro, here.channel, options={"picture": discord.upload("a.jpg", cat)})
        answer = await used.answer()
        assert answer.content in LINES
        assert not answer.ephemeral
        assert [(a.filename, a.data) for a in answer.attachments] == [("odai.jpg", cat)]
        assert [button.label or button.emoji for button in answer.buttons] == ["もう一回", "👍", "👎", "カード"]
        hidden = discord.upload("a.jpg", cat, spoiler=True)
        used = await discord.slash("boke", here.taro, here.channel, options={"picture": hidden})
        assert [a.filename for a in (await used.answer()).attachments] == ["SPOILER_odai.jpg"]


async def test_boke_with_a_link(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    link = discord.host_file("cat.jpg", cat)
    async with start_bot(discord):
        answer = await (await discord.slash("boke", here.taro, here.channel, options={"link": link})).answer()
        assert joke_of(answer)
        assert [a.data for a in answer.attachments] == [cat]
        for link in ("http://127.0.0.2/cat.jpg", "ねこ", "https://example.org/cat.jpg"):
            used = await discord.slash("boke", here.taro, here.channel, options={"link": link})
            assert (await used.answer()).content == "そのリンクは開けません。写真を直接つけてください。"
            assert used.answers[0].ephemeral


async def test_bare_boke_takes_the_last_picture(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, coffee: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord) as bot:
        used = await discord.slash("boke", here.taro, here.channel)
        told = await used.answer()
        assert told.content.startswith("最近の写真が見つかりませんでした。写真を投稿してから </boke:")
        assert told.ephemeral
        await post_picture(discord, here.channel, here.hanako, coffee)
        post = await post_picture(discord, here.channel, here.hanako, cat)
        await discord.post(here.channel, here.taro, "かわいい")
        answer = await (await discord.slash("boke", here.taro, here.channel)).answer()
        assert joke_of(answer)
        assert answer.content.endswith(f"\n-# お題 {post.url}")
        assert answer.attachments == []
        await bot.idle()
        assert [(a.message_id, a.reply_id) for a in bot.stored()] == [(str(post.id), str(answer.id))]


async def test_only_who_asked_sees_a_private_answer(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord) as bot:
        options = {"picture": discord.upload("a.jpg", cat), "private": True}
        used = await discord.slash("boke", here.taro, here.channel, options=options)
        answer = await used.answer()
        assert answer.ephemeral
        again = await discord.click(answer, "もう一回", here.taro)
        other = await again.answer()
        assert other.ephemeral
        assert joke_of(other) != joke_of(answer)
        await discord.click(other, "👍", here.taro)
        await discord.until(lambda: other.button("👍").label == "1")
        await bot.idle()
        # nobody else is to read it in the list of the best, either
        best = await discord.slash("boke-stats", here.hanako, here.channel)
        assert (await best.answer()).content == "今日はまだ、票の入ったボケがありません。気に入ったら👍をどうぞ。"


async def test_boke_in_a_mode(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord) as bot:
        options = {"picture": discord.upload("a.jpg", cat), "mode": "article"}
        assert joke_of(await (await discord.slash("boke", here.taro, here.channel, options=options)).answer())
        await bot.idle()
        assert [answer.mode for answer in bot.stored()] == ["article"]


async def test_a_quoted_joke_names_its_source(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord) as bot:
        for mode in ("retrieve", "mismatch"):
            options = {"picture": discord.upload("a.jpg", cat), "mode": mode}
            answer = await (await discord.slash("boke", here.taro, here.channel, options=options)).answer()
            text = answer.content.split("\n")[0]
            assert text in QUOTES
            assert f"<{quoted_at(QUOTES.index(text))}>" in answer.content
        await bot.idle()
        assert [answer.mode for answer in bot.stored()] == ["retrieve", "mismatch"]


async def test_the_modes_of_the_live_model_are_offered(discord: DiscordServer, start_bot: StartBot) -> None:
    here = town(discord)
    async with start_bot(discord):
        await discord.wait_for_commands()
        offered = await discord.autocomplete("boke", "mode", "", here.taro, here.channel)
        assert [(choice["value"], choice["name"]) for choice in offered] == [
            ("boke", "いつものボケ（boke）"),
            ("mismatch", "よその写真のボケ（mismatch）"),
            ("retrieve", "似た写真の名作ボケ（retrieve）"),
            ("article", "元になった記事のやり方（article）"),
        ]
        for typed in ("Ret", "名作"):
            (choice,) = await discord.autocomplete("boke", "mode", typed, here.taro, here.channel)
            assert choice["value"] == "retrieve"


async def test_boke_in_direct_messages(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord):
        direct = discord.dm(here.taro)
        await joke_to(discord, await post_picture(discord, direct, here.taro, cat))
        assert joke_of(await (await discord.slash("boke", here.taro, direct)).answer())


async def test_the_menu_of_a_message(discord: DiscordServer, start_bot: StartBot, cat: bytes, coffee: bytes) -> None:
    here = town(discord)
    async with start_bot(discord) as bot:
        files = [discord.upload("cat.jpg", cat), discord.upload("coffee.jpg", coffee)]
        post = await discord.post(here.channel, here.hanako, attachments=files)
        used = await discord.context_menu("これでボケて", post, here.taro)
        await discord.until(lambda: len(used.answers) == 2)
        assert [a.content.split("\n")[1] for a in used.answers] == [
            f"-# 1枚目の写真 お題 {post.url}",
            f"-# 2枚目の写真 お題 {post.url}",
        ]
        for answer in used.answers:
            assert joke_of(answer)
        await bot.idle()
        # on one of the bot's own answers it means the picture behind it
        used = await discord.context_menu("これでボケて", used.answers[1], here.taro)
        assert joke_of(await used.answer())
        await bot.idle()
        assert [str(a.picture_url).rsplit("/")[-1] for a in bot.stored()][1:] == [str(post.attachments[1].id)] * 2
        words = await discord.post(here.channel, here.hanako, "写真はない")
        used = await discord.context_menu("これでボケて", words, here.taro)
        assert (await used.answer()).content == "写真が見つかりませんでした。画像を一枚つけてください。"
        assert used.answers[0].ephemeral


async def test_a_file_that_is_no_picture_is_refused_in_private(discord: DiscordServer, start_bot: StartBot) -> None:
    here = town(discord)
    async with start_bot(discord):
        options = {"picture": discord.upload("a.pdf", b"%PDF-1.7 hello")}
        used = await discord.slash("boke", here.taro, here.channel, options=options)
        assert (await used.answer()).content.startswith("これは読めない形式でした。")
        assert used.answers[0].ephemeral
        assert [m for m in here.channel.messages.values() if m.interaction is used] == []


async def test_the_best_of_today(discord: DiscordServer, start_bot: StartBot, cat: bytes, coffee: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        first = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        second = await joke_to(discord, await post_picture(discord, here.channel, here.taro, coffee))
        await bot.idle()
        await discord.click(first, "👍", here.taro)
        for person in (here.taro, here.hanako):
            await discord.click(second, "👍", person)
        await bot.idle()
        used = await discord.slash("boke-stats", here.taro, here.channel)
        answer = await used.answer()
        assert answer.content.split("\n") == [
            "**今日のベスト**",
            f"1. {second.content}　👍 2　{second.url}",
            f"2. {first.content}　👍 1　{first.url}",
        ]
        assert not answer.ephemeral


async def test_who_wants_to_be_forgotten_is(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        mine = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        theirs = await joke_to(discord, await post_picture(discord, here.channel, here.hanako, cat))
        await bot.idle()
        await discord.click(theirs, "👍", here.taro)
        await bot.idle()
        used = await discord.slash("boke-forget", here.taro, here.channel)
        assert (await used.answer()).content == "忘れました。あなたの写真へのボケ1件と、あなたの投票1件を消しました。"
        assert used.ephemeral
        assert [answer.reply_id for answer in bot.stored()] == [str(theirs.id)]
        pressed = await discord.click(mine, "👍", here.hanako)
        assert (await pressed.answer()).content == "そのボケは見つかりませんでした。"
        used = await discord.slash("boke-forget", here.taro, here.channel)
        assert (await used.answer()).content == "あなたについて覚えていることは、何もありませんでした。"


async def test_names_are_in_the_clients_language(discord: DiscordServer, start_bot: StartBot) -> None:
    town(discord)
    async with start_bot(discord):
        commands = {command["name"]: command for command in await discord.wait_for_commands()}
        assert set(commands) == {"boke", "boke-settings", "boke-stats", "boke-forget", "boke-optout", "これでボケて"}
        boke = commands["boke"]
        assert boke["description_localizations"] == {"ja": "写真に一言ボケます"}
        assert {o["name"]: o["name_localizations"]["ja"] for o in boke["options"]} == {
            "picture": "写真",
            "link": "リンク",
            "mode": "モード",
            "private": "自分だけ",
        }
        for command in commands.values():
            assert command["type"] == 3 or command["description_localizations"]["ja"]
            for option in command.get("options", []):
                for name in (option["name"], *option["name_localizations"].values()):
                    assert all(letter.isalnum() or letter in "-_ー" for letter in name)
                    assert name == name.lower()
                    assert len(name) <= 32
                assert 1 <= len(option["description_localizations"]["ja"]) <= 100
        assert commands["これでボケて"]["name_localizations"] == {"en-US": "Boke this", "en-GB": "Boke this"}
        assert int(commands["boke-settings"]["default_member_permissions"]) == 1 << 4


async def test_commands_can_be_registered_in_one_server_only(discord: DiscordServer, start_bot: StartBot) -> None:
    here = town(discord)
    async with start_bot(discord, discord={"api_base": discord.api_base, "command_guild": here.guild.id}):
        assert len(await discord.wait_for_commands(here.guild)) == 6
        assert None not in discord.portal.commands
