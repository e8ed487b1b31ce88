"""Conversations: the buttons under an answer, and reactions to it."""

from __future__ import annotations

import pytest

from store.votes import vote_counts
from tests.bot.chat.discord.bots import Bot, enabled, joke_to, post_picture, town
from tests.bot.chat.discord.conftest import StartBot
from tests.bundles import LINES
from tests.servers.discord_server import DiscordServer, Message

pytestmark = pytest.mark.asyncio(loop_scope="session")


def votes(bot: Bot, answer: Message) -> tuple[int, int]:
    """👍 and 👎 of an answer, as they are stored."""
    stored = next(found for found in bot.stored() if found.reply_id == str(answer.id))
    counts = vote_counts(bot.app.database, stored.public_id)
    return counts.up, counts.down


def labels(answer: Message) -> list[str]:
    return [f"{button.emoji}{button.label or ''}" for button in answer.buttons]


async def test_once_more(discord: DiscordServer, start_bot: StartBot, cat: bytes, coffee: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        files = [discord.upload("cat.jpg", cat), discord.upload("coffee.jpg", coffee)]
        post = await discord.post(here.channel, here.taro, attachments=files)
        first = await discord.wait_for_message(here.channel, lambda m: m.content.endswith("2枚目の写真"))
        await bot.idle()
        pressed = await discord.click(first, "もう一回", here.hanako)
        second = await pressed.answer()
        assert second.content in LINES
        assert second.content != first.content.split("\n")[0]
        assert not second.ephemeral
        await bot.idle()
        stored = bot.stored()
        assert stored[-1].again_of == stored[1].public_id
        assert (stored[-1].message_id, stored[-1].picture_url) == (str(post.id), stored[1].picture_url)
        assert stored[-1].user == bot.app.database.hash_user("discord", here.taro.id)
        third = await (await discord.click(second, "もう一回", here.hanako)).answer()
        assert third.content in set(LINES) - {first.content.split("\n")[0], second.content}
        await bot.idle()
        await discord.delete(post)
        for answer in (first, second, third):
            await discord.wait_until_deleted(answer)


async def test_once_more_for_the_poster_alone(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel) | {"again_by": "poster"}) as bot:
        first = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        await bot.idle()
        refused = await discord.click(first, "もう一回", here.hanako)
        assert (await refused.answer()).content == "「もう一回」を押せるのは、写真を投稿した人だけです。"
        assert refused.answers[0].ephemeral
        assert (await (await discord.click(first, "もう一回", here.taro)).answer()).content in LINES
        # whoever asked for a joke about another's picture may ask again
        post = await post_picture(discord, here.guild.add_channel("ほか"), here.taro, cat)
        asked = await (await discord.context_menu("これでボケて", post, here.hanako)).answer()
        assert (await (await discord.click(asked, "もう一回", here.hanako)).answer()).content in LINES


async def test_once_more_after_the_picture_is_gone(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        post = await post_picture(discord, here.channel, here.taro, cat)
        first = await joke_to(discord, post)
        await bot.idle()
        discord.fail_next("GET", rf"/messages/{post.id}$", 404, body={"message": "Unknown Message", "code": 10008})
        pressed = await discord.click(first, "もう一回", here.taro)
        assert (await pressed.answer()).content == "元の写真が、もう見つかりませんでした。"


async def test_once_more_of_a_picture_that_only_the_answer_has(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord):
        used = await discord.slash("boke", here.taro, here.channel, options={"picture": discord.upload("a.jpg", cat)})
        jokes = [await used.answer()]
        for _ in range(2):
            jokes.append(await (await discord.click(jokes[-1], "もう一回", here.hanako)).answer())
        assert len({joke.content for joke in jokes}) == 3
        assert [[a.filename for a in joke.attachments] for joke in jokes] == [["odai.jpg"]] * 3


async def test_votes(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        await bot.idle()
        for button, person, seen in [
            ("👍", here.taro, ["👍1", "👎"]),
            ("👍", here.hanako, ["👍2", "👎"]),
            ("👎", here.taro, ["👍1", "👎1"]),  # a change of mind
            ("👎", here.taro, ["👍1", "👎"]),  # pressed again: taken back
        ]:
            await discord.click(answer, button, person)
            await discord.until(lambda seen=seen: labels(answer)[1:3] == seen, what=f"{seen}")  # type: ignore[misc]
        assert labels(answer) == ["🔄もう一回", "👍1", "👎", "🖼️カード"]
        assert votes(bot, answer) == (1, 0)


async def test_reactions_are_votes(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    robot = discord.add_user("ほかのボット", bot=True)
    here.guild.add_member(robot)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        post = await post_picture(discord, here.channel, here.taro, cat)
        answer = await joke_to(discord, post)
        await bot.idle()

        async def counted(emoji: str, *, back: bool = False) -> tuple[int, int]:
            await (discord.unreact if back else discord.react)(answer, emoji, here.taro)
            await bot.idle()
            return votes(bot, answer)

        assert await counted("👍🏽") == (1, 0)
        assert await counted("👎") == (0, 1)
        assert await counted("👍🏽", back=True) == (0, 1)  # the later word stands
        assert await counted("👎", back=True) == (0, 0)
        assert await counted("😂") == (1, 0)
        assert await counted("🍣") == (1, 0)
        await discord.react(answer, "👍", robot)
        await discord.react(post, "👎", here.hanako)
        await bot.idle()
        assert votes(bot, answer) == (1, 0)


async def test_the_card(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat, spoiler=True))
        await bot.idle()
        await discord.click(answer, "👍", here.taro)
        await discord.until(lambda: answer.button("👍").label == "1")
        await discord.click(answer, "カード", here.hanako)
        await discord.until(lambda: answer.attachments, what="the card")
        assert [a.filename for a in answer.attachments] == ["SPOILER_card.png"]
        assert answer.attachments[0].data.startswith(b"\x89PNG")
        assert labels(answer) == ["🔄もう一回", "👍1", "👎"]
        assert answer.content in LINES
        await discord.click(answer, "👎", here.hanako)
        await discord.until(lambda: labels(answer)[2] == "👎1")
        assert len(answer.attachments) == 1


async def test_a_card_beside_the_picture_that_the_answer_carries(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord):
        used = await discord.slash("boke", here.taro, here.channel, options={"picture": discord.upload("a.jpg", cat)})
        answer = await used.answer()
        await discord.click(answer, "カード", here.hanako)
        await discord.until(lambda: len(answer.attachments) == 2, what="the card")
        assert [a.filename for a in answer.attachments] == ["odai.jpg", "card.png"]
        assert (await (await discord.click(answer, "もう一回", here.hanako)).answer()).content in LINES


async def test_buttons_work_after_a_restart(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        await bot.idle()
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        await discord.click(answer, "👍", here.hanako)
        await discord.until(lambda: answer.button("👍").label == "1")
        other = await (await discord.click(answer, "もう一回", here.hanako)).answer()
        assert other.content in set(LINES) - {answer.content}
        await discord.click(answer, "カード", here.hanako)
        await discord.until(lambda: answer.attachments, what="the card")
        await discord.react(answer, "👎", here.taro)
        await bot.idle()
        assert votes(bot, answer) == (1, 1)


async def test_a_button_of_an_answer_that_is_no_more(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        await bot.idle()
        await bot.front_end.conversation.take_back(bot.stored()[0].public_id)
        for button in ("もう一回", "👍", "カード"):
            pressed = await discord.click(answer, button, here.hanako)
            assert (await pressed.answer()).content == "そのボケは見つかりませんでした。"
            assert pressed.answers[0].ephemeral
