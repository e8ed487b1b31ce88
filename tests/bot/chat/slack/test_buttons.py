"""The buttons under an answer, before and after a restart, and reactions."""

from __future__ import annotations

import asyncio

import pytest

from bot.chat.slack.blocks import Handle
from bot.chat.slack.speaker import title
from store.answers import get_answer
from tests.bot.chat.slack.conftest import Talk, Talking, is_joke
from tests.servers.slack_server import Message

pytestmark = pytest.mark.asyncio(loop_scope="session")


def labels(message: Message) -> list[str]:
    return [element["text"]["text"] for element in message.elements]


async def test_again_tells_another_joke_below(talk: Talk) -> None:
    posted, answer = await talk.joke()
    told = {answer.plain}
    for _ in range(3):
        await talk.slack.click(answer, "boke_again", talk.taro)
        answer = await talk.slack.wait_for_message(talk.channel, thread=posted)
        assert is_joke(answer)
        assert answer.plain not in told
        told.add(answer.plain)
    await talk.slack.delete(posted)
    await talk.slack.wait_for_deletion(answer)
    await talk.idle()
    assert talk.slack.answers(talk.channel) == []


async def test_again_may_be_for_the_poster_only(talking: Talking) -> None:
    async with talking(chat={"again_by": "poster"}) as talk:
        posted, answer = await talk.joke()
        await talk.slack.click(answer, "boke_again", talk.taro)
        line = await talk.slack.wait_for_ephemeral(talk.taro, talk.channel)
        assert line.plain == "「もう一回」を押せるのは、写真を投稿した人だけです。"
        assert line.thread_ts == posted.ts
        await talk.slack.click(answer, "boke_again", talk.hanako)
        assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=posted))


async def test_votes_are_counted_on_the_buttons_and_taken_back(talk: Talk) -> None:
    _, answer = await talk.joke()
    text = answer.plain
    await talk.slack.click(answer, "boke_up", talk.taro)
    await talk.slack.wait_for_edit(answer)
    assert labels(answer) == ["もう一回", "👍 1", "👎", "カード"]
    await talk.slack.click(answer, "boke_down", talk.hanako)
    await talk.slack.wait_for_edit(answer)
    assert labels(answer) == ["もう一回", "👍 1", "👎 1", "カード"]
    await talk.slack.click(answer, "boke_up", talk.hanako)  # changes their mind
    await talk.slack.wait_for_edit(answer)
    assert labels(answer) == ["もう一回", "👍 2", "👎", "カード"]
    await talk.slack.click(answer, "boke_up", talk.hanako)  # takes it back
    await talk.slack.wait_for_edit(answer)
    assert labels(answer) == ["もう一回", "👍 1", "👎", "カード"]
    assert answer.plain == text


async def test_many_votes_at_once_end_in_the_right_count(talk: Talk) -> None:
    _, answer = await talk.joke()
    people = [talk.slack.add_user(f"U1{number:02d}") for number in range(12)]
    await asyncio.gather(*(talk.slack.click(answer, "boke_up", user) for user in people))
    await talk.idle()
    assert labels(answer)[1] == "👍 12"
    assert len(talk.slack.calls("chat.update")) < 12


async def test_a_card_shows_the_picture_with_the_joke(talk: Talk) -> None:
    posted, answer = await talk.joke()
    await talk.slack.click(answer, "boke_card", talk.taro)
    card = await talk.slack.wait_for_message(talk.channel, thread=posted)
    (file,) = card.files
    assert file.data.startswith(b"\x89PNG")
    assert (file.title, file.alt_txt) == (title(answer.plain), answer.plain)
    assert len(talk.slack.downloads(posted.files[0])) == 2


async def test_buttons_work_after_a_restart(talk: Talk) -> None:
    posted, answer = await talk.joke()
    await talk.restart()
    await talk.slack.click(answer, "boke_up", talk.taro)
    await talk.slack.wait_for_edit(answer)
    assert labels(answer)[1] == "👍 1"
    await talk.slack.click(answer, "boke_again", talk.taro)
    again = await talk.slack.wait_for_message(talk.channel, thread=posted)
    assert is_joke(again)
    assert again.plain != answer.plain
    await talk.slack.click(again, "boke_card", talk.taro)
    assert (await talk.slack.wait_for_message(talk.channel, thread=posted)).files


async def test_a_picture_that_is_gone_is_named_as_such(talk: Talk) -> None:
    posted, answer = await talk.joke()
    del talk.slack.workspace.files[posted.files[0].id]
    for button in ("boke_again", "boke_card"):
        await talk.slack.click(answer, button, talk.taro)
        line = await talk.slack.wait_for_ephemeral(talk.taro, talk.channel)
        assert line.plain == "元の写真が、もう見つかりませんでした。"


async def test_reactions_are_votes(talk: Talk) -> None:
    posted, answer = await talk.joke()
    await talk.slack.react(answer, "+1::skin-tone-3", talk.taro)
    await talk.slack.wait_for_edit(answer)
    assert labels(answer)[1:3] == ["👍 1", "👎"]
    await talk.slack.react(answer, "joy", talk.taro)
    await talk.slack.wait_for_edit(answer)
    assert labels(answer)[1:3] == ["👍 1", "👎"]  # one person, one vote
    await talk.slack.react(answer, "-1", talk.hanako)
    await talk.slack.wait_for_edit(answer)
    assert labels(answer)[1:3] == ["👍 1", "👎 1"]
    await talk.slack.unreact(answer, "joy", talk.taro)
    await talk.slack.wait_for_edit(answer)
    assert labels(answer)[1:3] == ["👍 1", "👎 1"]  # the thumb is still there
    await talk.slack.unreact(answer, "+1::skin-tone-3", talk.taro)
    await talk.slack.wait_for_edit(answer)
    assert labels(answer)[1:3] == ["👍", "👎 1"]
    edits = answer.edits
    await talk.slack.react(answer, "eyes", talk.taro)
    await talk.slack.react(posted, "+1", talk.taro)
    await talk.idle()
    assert answer.edits == edits


async def test_an_answer_that_a_moderator_deletes_is_no_longer_kept(talk: Talk) -> None:
    _, answer = await talk.joke()
    handle = Handle.of_message(answer.to_dict())
    assert handle is not None
    assert get_answer(talk.app.database, handle.answer_id) is not None
    await talk.slack.delete(answer)
    await talk.idle()
    assert get_answer(talk.app.database, handle.answer_id) is None


async def test_the_state_of_a_button_fits_and_comes_back() -> None:
    handle = Handle("a" * 32, "slack-file:F1", "U1", "1.5", 2)
    assert Handle.decode(handle.encode()) == handle
    long = Handle("a" * 32, "https://example.com/" + "x" * 2500, "U1", "1.5", 0)
    assert Handle.decode(long.encode()) == Handle("a" * 32, "", "U1", "1.5", 0)
    with pytest.raises(ValueError):
        Handle.decode('{"a": 1}')
    with pytest.raises(ValueError):
        Handle.decode("[]")
