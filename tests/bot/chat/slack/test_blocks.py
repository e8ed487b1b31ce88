"""What an answer looks like: nothing in it can ping, link or format, whatever was said."""

from __future__ import annotations

import pytest

from bot.chat.slack.blocks import Handle, answer_blocks, escape, mark
from bot.chat.slack.speaker import NotHere, Spot
from store.votes import VoteCounts
from tests.bot.chat.slack.conftest import Talk

pytestmark = pytest.mark.asyncio(loop_scope="session")

NASTY = "<!channel> <@U1> <https://example.com|ここ> & *太字* _斜体_ `x` ~y~ :joy: @here https://example.com"


async def test_text_arrives_as_it_was_said_and_does_nothing(talk: Talk) -> None:
    assert talk.front.speaker is not None
    await talk.front.speaker.line(Spot("C1"), NASTY)
    line = await talk.slack.wait_for_message(talk.channel)
    assert line.plain == NASTY
    assert line.entities == []
    assert line.blocks[0]["text"] == {"type": "plain_text", "text": NASTY, "emoji": False}
    (call,) = talk.slack.calls("chat.postMessage")
    off = {name: call.params[name] for name in ("unfurl_links", "unfurl_media", "mrkdwn", "parse")}
    assert off == {"unfurl_links": False, "unfurl_media": False, "mrkdwn": False, "parse": "none"}


async def test_escaping() -> None:
    assert escape("&lt; <b>") == "&amp;lt; &lt;b&gt;"


async def test_buttons_of_an_answer_that_was_not_kept() -> None:
    blocks = answer_blocks("ボケ", Handle(""), mark(), "ja")
    assert [button["text"]["text"] for button in blocks[-1]["elements"]] == ["もう一回", "カード"]


async def test_counts_and_numbers_in_either_language() -> None:
    handle = Handle("a" * 32, number=2)
    blocks = answer_blocks("boke", handle, mark(), "en", VoteCounts(3, 0))
    assert blocks[0]["elements"][0]["text"] == "Picture 2"
    assert [button["text"]["text"] for button in blocks[-1]["elements"]] == ["Again", "👍 3", "👎", "Card"]


async def test_where_it_is_no_member_it_says_so_to_who_called(talk: Talk) -> None:
    talk.slack.add_channel("C2", bot=False)
    assert talk.front.speaker is not None
    with pytest.raises(NotHere, match="C2"):
        await talk.front.speaker.line(Spot("C2"), "やあ")


async def test_a_long_joke_is_cut_in_a_cards_title_and_whole_in_its_description(talk: Talk) -> None:
    posted = await talk.slack.post(talk.channel, talk.hanako, "やあ")
    assert talk.front.speaker is not None
    text = "猫" * 250
    await talk.front.speaker.card(Spot("C1", posted.ts), b"\x89PNG", text)
    (file,) = (await talk.slack.wait_for_message(talk.channel)).files
    assert (len(file.title), file.title[-1], file.alt_txt) == (200, "…", text)
