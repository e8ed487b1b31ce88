"""/boke and its sisters, and the message shortcut."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.boke import Place
from bot.chat.slack.commands import Wish, read_wish
from tests.bot.chat.slack.conftest import Talk, Talking, is_joke, picture
from tests.bundles import QUOTES, quoted_at
from tests.servers.slack_server import Channel

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def boke(talk: Talk, text: str = "", *, command: str = "/boke", channel: Channel | None = None) -> Any:
    """taro types a command."""
    return await talk.slack.command(command, text, user=talk.taro, channel=channel or talk.channel)


async def private_line(talk: Talk, channel: Channel | None = None) -> str:
    return (await talk.slack.wait_for_ephemeral(talk.taro, channel or talk.channel)).plain


async def test_boke_alone_takes_the_last_picture_in_the_channel(talk: Talk) -> None:
    other = talk.slack.add_channel("C2")
    await talk.slack.post(other, talk.hanako, files=[talk.file("coffee.jpg")])
    file = talk.file("cat.jpg")
    last = await talk.slack.post(other, talk.hanako, files=[file])
    await talk.slack.post(other, talk.hanako, "かわいい")
    interaction = await boke(talk, channel=other)
    answer = await talk.slack.wait_for_message(other, thread=last)
    assert is_joke(answer)
    assert interaction.ack == {}
    assert len(talk.slack.downloads(file)) == 1
    await boke(talk, channel=other)
    again = await talk.slack.wait_for_message(other, thread=last)
    assert is_joke(again)
    assert again.plain != answer.plain


async def test_boke_where_there_is_no_picture(talk: Talk) -> None:
    await boke(talk)
    assert (await private_line(talk)).startswith("最近の写真が見つかりませんでした。")


async def test_boke_where_the_bot_is_not_asks_to_be_invited(talk: Talk) -> None:
    other = talk.slack.add_channel("C2", bot=False)
    await boke(talk, channel=other)
    assert await private_line(talk, other) == "このチャンネルにはまだ入っていません。/invite @boke で呼んでください。"


async def test_boke_with_a_link(talking: Talking) -> None:
    async with talking(pictures={"allowed_hosts": ["localhost"]}) as talk:
        url = talk.slack.elsewhere.put("/cat.jpg", picture(), "image/jpeg")
        interaction = await boke(talk, url)
        answer = await talk.slack.wait_for_message(talk.channel)
        assert is_joke(answer)
        assert answer.thread_ts is None
        assert interaction.ack["response_type"] == "in_channel"
        other = talk.slack.add_channel("C2", bot=False)  # no member: it answers at the command's own address
        await boke(talk, f"<{url}|cat>", channel=other)
        elsewhere = await talk.slack.wait_for_message(other)
        assert is_joke(elsewhere)
        await talk.slack.click(elsewhere, "boke_up", talk.hanako)
        await talk.slack.wait_for_edit(elsewhere)
        assert elsewhere.element("boke_up")["text"]["text"] == "👍 1"
        assert [request.authorization for request in talk.slack.elsewhere.requests] == [None, None]


async def test_boke_with_a_link_that_may_not_be_opened(talk: Talk) -> None:
    await boke(talk, talk.slack.elsewhere.put("/cat.jpg", picture()))
    assert await private_line(talk) == "そのリンクは開けません。写真を直接つけてください。"
    assert talk.slack.elsewhere.requests == []


async def test_boke_in_private(talk: Talk) -> None:
    await talk.joke()
    for text in ("private", "内緒 article"):
        await boke(talk, text)
        answer = await talk.slack.wait_for_ephemeral(talk.taro, talk.channel)
        assert is_joke(answer)
        assert [element["action_id"] for element in answer.elements] == ["boke_again", "boke_up", "boke_down"]
        await talk.slack.click(answer, "boke_again", talk.taro)
        another = await talk.slack.wait_for_ephemeral(talk.taro, talk.channel)
        assert is_joke(another)
        await talk.slack.click(another, "boke_down", talk.taro)
        await talk.slack.wait_for_edit(another)
        assert another.element("boke_down")["text"]["text"] == "👎 1"
    assert len(talk.slack.answers(talk.channel)) == 1


async def test_modes(talk: Talk) -> None:
    await talk.joke()
    await boke(talk, "mode=article")
    answer = await talk.slack.wait_for_message(talk.channel)
    assert is_joke(answer)
    await talk.idle()
    stored = await talk.front.conversation.answer_in(Place("slack", "C1"), answer.ts)
    assert stored is not None
    assert stored.mode == "article"
    await boke(talk, "mode=haiku")
    assert await private_line(talk) == "そのモードはありません。使えるのは boke・mismatch・retrieve・article です。"


async def test_a_quoted_joke_names_its_source(talk: Talk) -> None:
    await talk.joke()
    for mode in ("retrieve", "mismatch"):
        await boke(talk, mode)
        answer = await talk.slack.wait_for_message(talk.channel)
        quoted = next(number for number, text in enumerate(QUOTES) if text in answer.text)
        assert quoted_at(quoted) in json.dumps(answer.blocks)
        await talk.idle()
        stored = await talk.front.conversation.answer_in(Place("slack", "C1"), answer.ts)
        assert stored is not None
        assert (stored.mode, stored.source_url) == (mode, quoted_at(quoted))


async def test_help_and_what_it_does_not_understand(talk: Talk) -> None:
    await boke(talk, "help")
    help = await private_line(talk)
    assert "「これでボケて」" in help
    assert "retrieve（似た写真の名作ボケ）" in help
    await boke(talk, "<b> & co")
    line = await talk.slack.wait_for_ephemeral(talk.taro, talk.channel)
    assert line.plain.startswith("「<b>」の意味がわかりませんでした。")
    assert line.entities == []


async def test_the_shortcut_answers_any_message_with_a_picture(talk: Talk) -> None:
    other = talk.slack.add_channel("C2")
    posted = await talk.slack.post(other, talk.hanako, files=[talk.file()])
    await talk.slack.shortcut("boke_this", posted, talk.taro)
    assert is_joke(await talk.slack.wait_for_message(other, thread=posted))
    words = await talk.slack.post(other, talk.hanako, "やあ")
    await talk.slack.shortcut("boke_this", words, talk.taro)
    assert (await private_line(talk, other)).startswith("写真が見つかりませんでした。")


async def test_todays_best_by_votes(talk: Talk) -> None:
    await boke(talk, command="/boke-stats")
    assert await private_line(talk) == "今日はまだ、票の入ったボケがありません。気に入ったら👍をどうぞ。"
    jokes = [(await talk.joke(name=name))[1] for name in ("cat.jpg", "coffee.jpg", "rocket.jpg")]
    await talk.slack.click(jokes[1], "boke_up", talk.hanako)
    await talk.slack.click(jokes[1], "boke_up", talk.taro)
    await talk.slack.click(jokes[0], "boke_up", talk.taro)
    await talk.slack.click(jokes[2], "boke_down", talk.taro)
    await talk.idle()
    for command, text in (("/boke-stats", ""), ("/boke", "ランキング")):
        await boke(talk, text, command=command)
        best = await talk.slack.wait_for_message(talk.channel)
        assert best.plain.splitlines() == [
            "今日のベスト",
            f"1. {jokes[1].plain}　👍 2",
            f"2. {jokes[0].plain}　👍 1",
        ]
        links = [element["url"] for element in best.elements]
        assert links == [
            f"https://testers.slack.com/archives/C1/p{joke.ts.replace('.', '')}" for joke in (jokes[1], jokes[0])
        ]
        await talk.slack.click(best, "open_1", talk.taro)


async def test_todays_best_tells_nothing_of_other_channels(talk: Talk) -> None:
    _, answer = await talk.joke()
    await talk.slack.click(answer, "boke_up", talk.taro)
    await talk.idle()
    other = talk.slack.add_channel("C2")
    await boke(talk, command="/boke-stats", channel=other)
    assert (await private_line(talk, other)).startswith("今日はまだ")


async def test_todays_best_tells_nothing_that_one_person_saw(talk: Talk) -> None:
    await talk.joke()
    await boke(talk, "private")
    secret = await talk.slack.wait_for_ephemeral(talk.taro, talk.channel)
    await talk.slack.click(secret, "boke_up", talk.taro)
    await talk.slack.wait_for_edit(secret)
    await boke(talk, command="/boke-stats")
    assert (await private_line(talk)).startswith("今日はまだ")


async def test_forgetting_somebody(talk: Talk) -> None:
    await talk.slack.command("/boke-forget", user=talk.hanako, channel=talk.channel)
    line = await talk.slack.wait_for_ephemeral(talk.hanako, talk.channel)
    assert line.plain == "あなたについて覚えていることは、何もありませんでした。"
    _, answer = await talk.joke()
    await talk.slack.click(answer, "boke_up", talk.hanako)
    await talk.idle()
    await talk.slack.command("/boke-forget", user=talk.hanako, channel=talk.channel)
    line = await talk.slack.wait_for_ephemeral(talk.hanako, talk.channel)
    assert line.plain == "忘れました。あなたの写真へのボケ1件と、あなたの投票1件を消しました。"
    await talk.slack.click(answer, "boke_up", talk.taro)
    assert await private_line(talk) == "そのボケは見つかりませんでした。"


async def test_who_opts_out_is_left_alone_by_everybody(talk: Talk) -> None:
    await talk.joke(name="coffee.jpg", user=talk.taro)
    await talk.slack.command("/boke-optout", user=talk.hanako, channel=talk.channel)
    line = await talk.slack.wait_for_ephemeral(talk.hanako, talk.channel)
    assert (
        line.plain == "わかりました。これからは、あなたの写真に触れません。気が変わったら /boke-optout off でどうぞ。"
    )
    posted = await talk.post()
    await talk.idle()
    assert talk.slack.answers(talk.channel, thread=posted) == []
    await talk.slack.shortcut("boke_this", posted, talk.taro)
    assert await private_line(talk) == "この方の写真には触れない約束になっています。"
    await boke(talk)  # takes the last picture of somebody else
    assert is_joke(await talk.slack.wait_for_message(talk.channel))
    assert talk.slack.answers(talk.channel, thread=posted) == []
    await talk.post(talk.slack.bot.mention, name="rocket.jpg")  # asking oneself is asking
    assert is_joke(await talk.slack.wait_for_message(talk.channel))
    await talk.slack.command("/boke-optout", "off", user=talk.hanako, channel=talk.channel)
    line = await talk.slack.wait_for_ephemeral(talk.hanako, talk.channel)
    assert line.plain == "おかえりなさい。また、あなたの写真にもボケますね。"
    posted = await talk.post(name="temple.jpg")
    assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=posted))


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        ("", Wish()),
        ("https://a.example/x.jpg?a=1&amp;b=2", Wish("https://a.example/x.jpg?a=1&b=2")),
        ("<https://a.example/x.jpg|x.jpg> Article こっそり", Wish("https://a.example/x.jpg", "article", True)),
        ("mode=boke", Wish(mode="boke")),
        ("なにか", Wish(unknown="なにか")),
    ],
)
async def test_what_is_read_from_words(words: str, wish: Wish) -> None:
    assert read_wish(words.split()) == wish
