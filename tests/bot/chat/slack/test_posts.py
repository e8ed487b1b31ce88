"""Pictures posted in Slack, and the jokes that answer them."""

from __future__ import annotations

import pytest

from bot.chat.slack.speaker import title
from tests.bot.chat.slack.conftest import Talk, Talking, is_joke, picture
from tests.bundles import LINES

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_picture_in_an_enabled_channel_is_answered_in_its_thread(talk: Talk) -> None:
    posted = await talk.post("見て")
    answer = await talk.slack.wait_for_message(talk.channel, thread=posted)
    assert is_joke(answer)
    assert answer.blocks[0]["text"] == {"type": "plain_text", "text": answer.plain, "emoji": False}
    assert [element["text"]["text"] for element in answer.elements] == ["もう一回", "👍", "👎", "カード"]
    assert answer.entities == []
    await talk.idle()
    assert talk.slack.answers(talk.channel) == [answer]


async def test_answers_stand_in_the_channel_where_that_is_wanted(talking: Talking) -> None:
    async with talking(slack={"reply_in_thread": False}) as talk:
        posted = await talk.post()
        answer = await talk.slack.wait_for_message(talk.channel)
        assert is_joke(answer)
        assert answer.thread_ts is None
        under = await talk.slack.post(talk.channel, talk.taro, files=[talk.file("coffee.jpg")], thread=posted)
        in_thread = await talk.slack.wait_for_message(talk.channel)
        assert in_thread.thread_ts == posted.ts == under.thread_ts  # what began in a thread stays there


async def test_channels_that_nobody_enabled_are_left_alone(talk: Talk) -> None:
    other = talk.slack.add_channel("C2")
    await talk.slack.post(other, talk.hanako, files=[talk.file()])
    await talk.idle()
    assert talk.slack.answers(other) == []


async def test_each_of_several_pictures_gets_its_answer_up_to_the_limit(talking: Talking) -> None:
    async with talking(chat={"max_pictures_per_message": 2}) as talk:
        files = [
            talk.file("cat.jpg"),
            talk.slack.upload("notes.txt", b"hello"),
            talk.file("coffee.jpg"),
            talk.file("rocket.jpg"),
        ]
        posted = await talk.slack.post(talk.channel, talk.hanako, files=files)
        first = await talk.slack.wait_for_message(talk.channel, thread=posted)
        second = await talk.slack.wait_for_message(talk.channel, thread=posted)
        await talk.idle()
        assert talk.slack.answers(talk.channel) == [first, second]
        assert is_joke(first)
        assert is_joke(second)
        about = [message.blocks[0]["elements"][0]["text"] for message in (first, second)]
        assert about == ["1枚目の写真", "2枚目の写真"]
        assert talk.slack.downloads(files[1]) == talk.slack.downloads(files[3]) == []


async def test_the_same_picture_again_gets_another_joke(talk: Talk) -> None:
    jokes = [(await talk.joke())[1].plain for _ in range(4)]
    assert len(set(jokes)) == 4


async def test_a_mention_with_a_picture_is_answered_anywhere_and_once(talk: Talk) -> None:
    other = talk.slack.add_channel("C2")
    for channel in (other, talk.channel):
        posted = await talk.slack.post(channel, talk.hanako, f"{talk.slack.bot.mention} これ", files=[talk.file()])
        assert [event.kind for event in posted.events] == ["message.channels", "app_mention"]
        answer = await talk.slack.wait_for_message(channel, thread=posted)
        assert is_joke(answer)
        await talk.idle()
        assert talk.slack.answers(channel) == [answer]


async def test_a_mention_under_a_picture_takes_that_picture(talk: Talk) -> None:
    other = talk.slack.add_channel("C2")
    file = talk.file()
    posted = await talk.slack.post(other, talk.hanako, "うちの子です", files=[file])
    await talk.slack.post(other, talk.taro, f"{talk.slack.bot.mention} ボケて", thread=posted)
    answer = await talk.slack.wait_for_message(other, thread=posted)
    assert is_joke(answer)
    assert len(talk.slack.downloads(file)) == 1


async def test_a_mention_without_a_picture_is_told_how_it_works(talk: Talk) -> None:
    posted = await talk.slack.post(talk.channel, talk.hanako, f"{talk.slack.bot.mention} はじめまして")
    answer = await talk.slack.wait_for_message(talk.channel, thread=posted)
    assert answer.plain.startswith("写真と一緒に私を呼んでください。/boke だけなら直前の写真に")
    await talk.idle()
    assert talk.slack.answers(talk.channel) == [answer]


async def test_direct_messages_are_always_answered_and_without_a_thread(talk: Talk) -> None:
    direct = talk.slack.dm(talk.hanako)
    await talk.slack.post(direct, talk.hanako, "やあ")
    assert (await talk.slack.wait_for_message(direct)).plain == "写真を送ってください。一言ボケます。"
    await talk.slack.post(direct, talk.hanako, files=[talk.file()])
    answer = await talk.slack.wait_for_message(direct)
    assert is_joke(answer)
    assert answer.thread_ts is None
    await talk.slack.post(direct, talk.hanako, files=[talk.slack.upload("notes.txt", b"hello")])
    assert "写真が見つかりませんでした" in (await talk.slack.wait_for_message(direct)).plain


async def test_a_link_counts_where_its_host_is_allowed_and_never_sees_the_token(talking: Talking) -> None:
    async with talking(pictures={"allowed_hosts": ["localhost"]}) as talk:
        url = talk.slack.elsewhere.put("/cat.jpg", picture(), "image/jpeg")
        posted = await talk.slack.post(talk.channel, talk.hanako, f"これ {url}")
        assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=posted))
        await talk.slack.unfurl(posted, {"image_url": url, "from_url": url})
        await talk.idle()
        assert len(talk.slack.answers(talk.channel)) == 1
        assert [request.authorization for request in talk.slack.elsewhere.requests] == [None]


async def test_a_page_is_answered_when_its_preview_brings_a_picture(talking: Talking) -> None:
    async with talking(pictures={"allowed_hosts": ["localhost"]}) as talk:
        url = talk.slack.elsewhere.put("/cat", picture(), "image/jpeg")
        page = "https://example.com/about-cats"
        posted = await talk.slack.post(talk.channel, talk.hanako, page)
        await talk.idle()
        assert talk.slack.answers(talk.channel) == []
        await talk.slack.unfurl(posted, {"image_url": url, "from_url": page, "title": "cats"})
        assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=posted))


async def test_a_link_elsewhere_is_not_followed(talk: Talk) -> None:
    url = talk.slack.elsewhere.put("/cat.jpg", picture(), "image/jpeg")
    posted = await talk.slack.post(talk.channel, talk.hanako, url)
    await talk.slack.unfurl(posted, {"image_url": url, "from_url": url})
    await talk.idle()
    assert talk.slack.answers(talk.channel) == []
    await talk.slack.post(talk.channel, talk.hanako, f"{talk.slack.bot.mention} {url}")
    assert "そのリンクは開けません" in (await talk.slack.wait_for_message(talk.channel)).plain
    assert talk.slack.elsewhere.requests == []


async def test_a_forwarded_picture_counts(talk: Talk) -> None:
    shared = {"is_share": True, "is_msg_unfurl": True, "files": [talk.file().to_dict()], "text": "元の投稿"}
    posted = await talk.slack.post(talk.channel, talk.taro, attachments=[shared])
    assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=posted))


async def test_a_deleted_post_takes_its_answers_and_cards_along(talking: Talking) -> None:
    async with talking(chat={"card_default": True}) as talk:
        posted, answer = await talk.joke()
        card = await talk.slack.wait_for_message(talk.channel, thread=posted)
        assert [file.title for file in card.files] == [title(answer.plain)]
        await talk.slack.delete(posted)
        await talk.slack.wait_for_deletion(answer)
        await talk.slack.wait_for_deletion(card)
        await talk.idle()
        assert talk.slack.answers(talk.channel) == []


async def test_a_deleted_post_takes_its_answer_along_out_of_the_channel(talking: Talking) -> None:
    async with talking(slack={"reply_in_thread": False}, chat={"card_default": True}) as talk:
        _, kept = await talk.joke(name="coffee.jpg")
        kept_card = await talk.slack.wait_for_message(talk.channel)
        posted, answer = await talk.joke()
        card = await talk.slack.wait_for_message(talk.channel)
        assert card.files
        await talk.slack.delete(posted)
        await talk.slack.wait_for_deletion(answer)
        await talk.slack.wait_for_deletion(card)
        assert talk.slack.answers(talk.channel) == [kept, kept_card]


async def test_a_post_deleted_while_the_bot_thinks_gets_no_answer(talk: Talk) -> None:
    gate = talk.slack.hold_next("chat.postMessage")
    posted = await talk.post()
    await gate.reached()
    await talk.slack.delete(posted)
    await talk.slack.settled()
    gate.open()
    await talk.idle()
    assert talk.slack.answers(talk.channel) == []


async def test_other_answers_in_a_thread_stay_when_one_of_its_posts_goes(talk: Talk) -> None:
    root, first = await talk.joke()
    reply = await talk.slack.post(talk.channel, talk.taro, files=[talk.file("coffee.jpg")], thread=root)
    second = await talk.slack.wait_for_message(talk.channel, thread=root)
    await talk.slack.delete(reply)
    await talk.slack.wait_for_deletion(second)
    await talk.idle()
    assert talk.slack.answers(talk.channel) == [first]


async def test_an_edit_changes_nothing_unless_the_picture_goes(talk: Talk) -> None:
    files = [talk.file("cat.jpg"), talk.file("coffee.jpg")]
    posted = await talk.slack.post(talk.channel, talk.hanako, "見て", files=files)
    first = await talk.slack.wait_for_message(talk.channel, thread=posted)
    second = await talk.slack.wait_for_message(talk.channel, thread=posted)
    await talk.slack.edit(posted, "見てください")
    await talk.idle()
    assert talk.slack.answers(talk.channel) == [first, second]
    before = posted.to_dict()
    posted.files.remove(files[0])
    await talk.slack.feed.changed(posted, before)
    await talk.slack.wait_for_deletion(first)
    await talk.idle()
    assert talk.slack.answers(talk.channel) == [second]


async def test_a_picture_that_comes_to_an_old_post_is_left_alone(talking: Talking) -> None:
    async with talking(pictures={"allowed_hosts": ["localhost"]}) as talk:
        posted = await talk.slack.post(talk.channel, talk.hanako, "やあ")
        posted.ts = f"{float(posted.ts) - 3600:.6f}"
        await talk.slack.edit(posted, talk.slack.elsewhere.put("/cat.jpg", picture(), "image/jpeg"))
        await talk.idle()
        assert talk.slack.answers(talk.channel) == []


async def test_the_admin_channel_reads_how_training_ended(talking: Talking) -> None:
    async with talking(chat={"admin_channel": "slack:C9"}) as talk:
        await talk.connected()
        assert not await talk.app.announcements.announce("まだ誰もいません")
        admins = talk.slack.add_channel("C9")
        assert await talk.app.announcements.announce("新しいモデルに切り替えました。")
        assert (await talk.slack.wait_for_message(admins)).plain == "新しいモデルに切り替えました。"


async def test_inviting_the_bot_enables_the_channel_and_it_says_what_it_does(talk: Talk) -> None:
    private = talk.slack.add_channel("G2", kind="group", bot=False)
    await talk.slack.invite(private, by=talk.hanako)
    hello = await talk.slack.wait_for_message(private)
    assert hello.plain.startswith("こんにちは！ここに写真を投稿すると、一言ボケます。")
    assert "/boke-settings" in hello.plain
    assert hello.entities == []
    posted = await talk.slack.post(private, talk.hanako, files=[talk.file()])
    assert is_joke(await talk.slack.wait_for_message(private, thread=posted))


async def test_it_greets_nobody_else_and_only_once(talk: Talk) -> None:
    other = talk.slack.add_channel("C2", bot=False)
    event = await talk.slack.invite(other, by=talk.hanako)
    await talk.slack.wait_for_message(other)
    assert event is not None
    await (await talk.slack.redeliver(event)).acked()
    await talk.slack.invite(talk.channel, by=talk.hanako, user=talk.slack.add_user("U3"))
    await talk.idle()
    assert len(talk.slack.answers(other)) == 1
    assert talk.slack.answers(talk.channel) == []


async def test_chance_and_quiet_hours_keep_it_silent_unless_asked(talking: Talking) -> None:
    for section in ({"probability": 0.0}, {"quiet_hours": "00:00-24:00"}, {"automatic": False}):
        async with talking(chat=section) as talk:
            await talk.post()
            await talk.idle()
            assert talk.slack.answers(talk.channel) == []
            posted = await talk.post(talk.slack.bot.mention, name="coffee.jpg")
            assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=posted))


async def test_too_many_asked_pictures_are_put_off_politely(talking: Talking) -> None:
    async with talking(chat={"cooldown_s": 5, "user_per_minute": 1}) as talk:
        await talk.joke()
        await talk.post(name="coffee.jpg")  # within the cooldown: silence
        await talk.idle()
        assert len(talk.slack.answers(talk.channel)) == 1
        posted = await talk.post(talk.slack.bot.mention, name="rocket.jpg")
        line = await talk.slack.wait_for_message(talk.channel, thread=posted)
        assert line.plain.startswith("ネタが追いつきません。")


async def test_other_bots_and_notices_are_not_answered(talk: Talk) -> None:
    robot = talk.slack.workspace.add_user("U9", "robot", is_bot=True)
    await talk.slack.post(talk.channel, robot, files=[talk.file()], subtype="bot_message")
    await talk.slack.post(talk.channel, talk.hanako, "has joined the channel", subtype="channel_join")
    await talk.idle()
    assert talk.slack.answers(talk.channel) == []


async def test_what_it_says_is_one_of_the_models_lines(talk: Talk) -> None:
    _, answer = await talk.joke(name="astronaut.jpg")
    assert answer.plain in LINES
