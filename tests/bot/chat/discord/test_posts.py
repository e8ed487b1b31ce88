"""Conversations: what people post, and what the bot says to it unasked."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from bot.boke import Place
from tests.bot.chat.discord.bots import enabled, joke_to, post_picture, town
from tests.bot.chat.discord.conftest import StartBot
from tests.bundles import LINES
from tests.servers.discord.protocol import MessageFlag
from tests.servers.discord_server import STICKER, DiscordServer, Permission

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_picture_in_an_enabled_channel_is_answered(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    elsewhere = here.guild.add_channel("ざつだん")
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        await post_picture(discord, elsewhere, here.taro, cat)
        answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        assert answer.pings == frozenset()
        assert answer.flags & MessageFlag.SUPPRESS_EMBEDS
        assert answer.attachments == []
        assert [button.label or button.emoji for button in answer.buttons] == ["もう一回", "👍", "👎", "カード"]
        assert here.channel.typings
        await bot.idle()
        assert discord.said(elsewhere) == []


async def test_no_channel_is_answered_unless_somebody_enables_it(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord) as bot:
        await post_picture(discord, here.channel, here.taro, cat)
        await bot.idle()
        assert discord.said(here.channel) == []


async def test_several_pictures_get_an_answer_each_up_to_the_limit(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, coffee: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel) | {"max_pictures_per_message": 2}) as bot:
        files = [
            discord.upload("notes.txt", b"hello"),
            discord.upload("cat.jpg", cat),
            discord.upload("coffee.jpg", coffee),
            discord.upload("again.jpg", cat),
        ]
        post = await discord.post(here.channel, here.taro, "今日の", attachments=files)
        answers = [await discord.wait_for_message(here.channel, lambda m: m.reply_to is post) for _ in range(2)]
        assert [answer.content.split("\n")[1] for answer in answers] == ["-# 1枚目の写真", "-# 2枚目の写真"]
        assert {answer.content.split("\n")[0] for answer in answers} <= set(LINES)
        await bot.idle()
        assert [str(a.picture_url).rsplit("/")[-1] for a in bot.stored()] == [str(a.id) for a in post.attachments[1:3]]
        assert len([m for m in discord.said(here.channel) if m.reply_to is post]) == 2


async def test_a_link_is_answered_when_discord_shows_its_picture(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    link = discord.host_file("cat.jpg", cat)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        post = await discord.post(here.channel, here.taro, f"見て {link}")
        await bot.idle()
        assert [m for m in discord.said(here.channel) if m.reply_to] == []
        await discord.unfurl(post, link)
        await joke_to(discord, post)
        await discord.unfurl(post, link)  # Discord likes to say things twice
        await bot.idle()
        assert len([m for m in discord.said(here.channel) if m.reply_to]) == 1
        assert [answer.picture_url for answer in bot.stored()] == [link]


async def test_links_to_other_hosts_and_pages_are_left_alone(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel), pictures={"allowed_hosts": []}) as bot:
        link = discord.host_file("cat.jpg", cat)
        await discord.unfurl(await discord.post(here.channel, here.taro, link), link)
        picture = {"url": "https://example.org/cat.jpg", "proxy_url": "https://media.discordapp.net/cat.jpg"}
        page = {"type": "article", "url": "https://example.org/", "title": "猫の記事", "thumbnail": picture}
        await discord.post(here.channel, here.taro, "https://example.org/", embeds=[page])
        await bot.idle()
        assert [m for m in discord.said(here.channel) if m.reply_to] == []
        assert discord.cdn.hits == {}


async def test_links_can_be_switched_off(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    link = discord.host_file("cat.jpg", cat)
    async with start_bot(discord, chat=enabled(here.channel) | {"answer_links": False}) as bot:
        await discord.unfurl(await discord.post(here.channel, here.taro, link), link)
        await bot.idle()
        assert discord.cdn.hits == {}


async def test_a_forwarded_picture_is_answered(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    far = here.guild.add_channel("とおく")
    async with start_bot(discord, chat=enabled(here.channel)):
        original = await post_picture(discord, far, here.hanako, cat)
        await joke_to(discord, await discord.forward(original, here.channel, here.taro))


async def test_stickers_and_words_are_left_alone(discord: DiscordServer, start_bot: StartBot) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        await discord.post(here.channel, here.taro, stickers=[STICKER])
        await discord.post(here.channel, here.taro, "こんにちは")
        await bot.idle()
        assert [m for m in discord.said(here.channel) if m.reply_to] == []
        assert here.channel.typings == 0


async def test_pictures_of_other_bots_are_left_alone(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    robot = discord.add_user("ほかのボット", bot=True)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        await post_picture(discord, here.channel, robot, cat)
        await bot.idle()
        assert [m for m in discord.said(here.channel) if m.reply_to] == []


async def test_a_thread_has_the_rules_of_its_channel(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)):
        thread = here.channel.add_thread("猫だけ", here.taro)
        await joke_to(discord, await post_picture(discord, thread, here.taro, cat))


async def test_a_spoilered_picture_stays_hidden_on_its_card(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel) | {"card_default": True}):
        open_card = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        hidden_card = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat, spoiler=True))
        assert [a.filename for a in open_card.attachments] == ["card.png"]
        assert [a.filename for a in hidden_card.attachments] == ["SPOILER_card.png"]
        pictures = [Image.open(io.BytesIO(m.attachments[0].data)) for m in (open_card, hidden_card)]
        assert [picture.format for picture in pictures] == ["PNG", "PNG"]
        assert [picture.width for picture in pictures] == [1080, 1080]
        sharp, blurred = (picture.convert("L").crop((0, 0, 300, 300)).getextrema() for picture in pictures)
        assert blurred[1] - blurred[0] < sharp[1] - sharp[0]
        assert "card" not in str(hidden_card.buttons)


async def test_a_link_between_spoiler_bars_is_hidden_on_its_card(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    link = discord.host_file("cat.jpg", cat)
    async with start_bot(discord, chat=enabled(here.channel) | {"card_default": True}):
        post = await discord.post(here.channel, here.taro, f"閲覧注意 ||{link} ||")
        await discord.unfurl(post, link)
        assert [a.filename for a in (await joke_to(discord, post)).attachments] == ["SPOILER_card.png"]


async def test_a_deleted_post_takes_its_answers_with_it(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, coffee: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        files = [discord.upload("cat.jpg", cat), discord.upload("coffee.jpg", coffee)]
        post = await discord.post(here.channel, here.taro, attachments=files)
        answers = [await discord.wait_for_message(here.channel, lambda m: m.reply_to is post) for _ in range(2)]
        await bot.idle()
        await discord.delete(post)
        for answer in answers:
            await discord.wait_until_deleted(answer)
        await bot.idle()
        assert bot.stored() == []


async def test_moderators_who_delete_many_posts_delete_their_answers(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        posts = [await post_picture(discord, here.channel, here.taro, cat) for _ in range(2)]
        answers = [await joke_to(discord, post) for post in posts]
        await bot.idle()
        await discord.delete(*posts)
        for answer in answers:
            await discord.wait_until_deleted(answer)


async def test_a_post_that_is_deleted_while_the_bot_thinks_is_not_answered(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        hold = discord.hold_next("POST", r"/messages$")
        post = await post_picture(discord, here.channel, here.taro, cat)
        await hold.reached()
        await discord.delete(post)
        await discord.sync()
        hold.release()
        await bot.idle()
        assert [m for m in discord.said(here.channel) if m.reply_to] == []
        assert bot.stored() == []


async def test_an_answer_that_is_deleted_is_forgotten(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        await bot.idle()
        assert len(bot.stored()) == 1
        await discord.delete(answer)
        await bot.idle()
        assert bot.stored() == []


async def test_a_picture_that_is_taken_out_of_its_post_takes_its_answer_with_it(
    discord: DiscordServer, start_bot: StartBot, cat: bytes, coffee: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        post = await discord.post(here.channel, here.taro, "消すかも", attachments=[discord.upload("cat.jpg", cat)])
        answer = await joke_to(discord, post)
        await bot.idle()
        await discord.edit(post, "消さない")
        await bot.idle()
        assert not answer.deleted
        await discord.edit(post, attachments=[])
        await discord.wait_until_deleted(answer)
        await bot.idle()
        assert bot.stored() == []


async def test_a_link_that_is_edited_in_is_answered_once(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    link = discord.host_file("cat.jpg", cat)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        post = await discord.post(here.channel, here.taro, "これ")
        await discord.edit(post, f"これ {link}")
        await discord.unfurl(post, link)
        await joke_to(discord, post)
        await discord.edit(post, f"これだよ {link}")
        await bot.idle()
        assert len([m for m in discord.said(here.channel) if m.reply_to is post]) == 1


async def test_an_edited_post_draws_no_second_lot(discord: DiscordServer, start_bot: StartBot, cat: bytes) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel) | {"probability": 0.0}) as bot:
        post = await post_picture(discord, here.channel, here.taro, cat)
        await bot.idle()
        place = Place("discord", str(here.channel.id))
        await bot.front_end.conversation.change_rules(place, probability=1.0)
        await discord.edit(post, "誤字をなおした")
        await bot.idle()
        assert [m for m in discord.said(here.channel) if m.reply_to] == []


async def test_the_same_picture_gets_another_joke_the_next_time(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel)):
        jokes = [
            (await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))).content
            for _ in range(4)
        ]
        assert len(set(jokes)) == 4


async def test_a_person_in_a_hurry_is_answered_once_in_a_while(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    async with start_bot(discord, chat=enabled(here.channel) | {"cooldown_s": 3600}) as bot:
        await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        await bot.idle()
        await post_picture(discord, here.channel, here.taro, cat)
        await bot.idle()
        assert len([m for m in discord.said(here.channel) if m.reply_to]) == 1
        await joke_to(discord, await post_picture(discord, here.channel, here.hanako, cat))


async def test_where_the_bot_may_not_speak_it_does_not_think(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    here.channel.deny(discord.bot, Permission.SEND_MESSAGES)
    async with start_bot(discord, chat=enabled(here.channel)) as bot:
        await post_picture(discord, here.channel, here.taro, cat)
        await bot.idle()
        assert discord.cdn.hits == {}
        assert discord.requests_to("POST", "/channels/") == []


async def test_without_the_permission_for_history_it_answers_without_a_reference(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    here.channel.deny(discord.bot, Permission.READ_MESSAGE_HISTORY)
    async with start_bot(discord, chat=enabled(here.channel)):
        await post_picture(discord, here.channel, here.taro, cat)
        answer = await discord.wait_for_message(here.channel, lambda m: m.content in LINES)
        assert answer.reply_to is None


async def test_without_the_permission_for_files_the_card_stays_away(
    discord: DiscordServer, start_bot: StartBot, cat: bytes
) -> None:
    here = town(discord)
    here.channel.deny(discord.bot, Permission.ATTACH_FILES)
    async with start_bot(discord, chat=enabled(here.channel) | {"card_default": True}):
        answer = await joke_to(discord, await post_picture(discord, here.channel, here.taro, cat))
        assert answer.attachments == []
