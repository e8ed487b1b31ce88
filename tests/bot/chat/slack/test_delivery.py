"""Each post is answered once, however often and however late Slack tells of it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bot.chat.slack import SlackFrontEnd
from tests.bot.chat.slack.conftest import Talk, Talking, is_joke

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_event_is_acknowledged_before_the_answer_is_ready(talk: Talk) -> None:
    gate = talk.slack.hold_next("chat.postMessage")
    posted = await talk.post()
    await gate.reached()
    await posted.event.acked()
    assert talk.slack.answers(talk.channel) == []
    gate.open()
    assert is_joke(await talk.slack.wait_for_message(talk.channel))


async def test_an_event_that_comes_again_is_not_answered_again(talk: Talk) -> None:
    posted, answer = await talk.joke()
    for retry in (1, 2, 3):
        await (await talk.slack.redeliver(posted, retry)).acked()
    await talk.restart()
    await (await talk.slack.redeliver(posted, 3)).acked()
    await talk.idle()
    assert talk.slack.answers(talk.channel) == [answer]


async def test_an_event_that_comes_again_meanwhile_is_not_answered_again(talk: Talk) -> None:
    gate = talk.slack.hold_next("chat.postMessage")
    posted = await talk.post()
    await gate.reached()
    await (await talk.slack.redeliver(posted)).acked()
    gate.open()
    await talk.idle()
    assert len(talk.slack.answers(talk.channel)) == 1


async def test_an_event_that_comes_only_as_a_retry_is_answered(talk: Talk) -> None:
    talk.slack.sockets.refuses = True
    await talk.slack.disconnect("refresh_requested")
    posted = await talk.post()
    assert not posted.event.deliveries[0].sent
    talk.slack.sockets.refuses = False
    await talk.slack.redeliver_until_acked(posted)
    answer = await talk.slack.wait_for_message(talk.channel, thread=posted)
    assert is_joke(answer)
    assert posted.event.deliveries[-1].retry_attempt >= 1
    await talk.idle()
    assert talk.slack.answers(talk.channel) == [answer]


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_a_connection_that_is_renewed_loses_nothing(talk: Talk, reason: str) -> None:
    gate = talk.slack.hold_next("chat.postMessage")
    first = await talk.post()
    await gate.reached()
    await talk.slack.disconnect(reason)
    gate.open()
    assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=first))
    await talk.slack.wait_for_socket()
    second = await talk.post(name="coffee.jpg")
    await talk.slack.redeliver_until_acked(second)
    assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=second))
    for event in talk.slack.unacked():  # of the bot's own words
        await talk.slack.redeliver_until_acked(event)
    await talk.idle()
    assert len(talk.slack.answers(talk.channel)) == 2


async def test_a_line_that_breaks_is_taken_up_again(talk: Talk) -> None:
    talk.slack.sockets.drop()
    posted = await talk.post()
    await talk.slack.redeliver_until_acked(posted)
    assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=posted))


async def test_socket_mode_switched_off_and_on(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    opened = len(talk.slack.calls("apps.connections.open"))
    await talk.slack.disconnect("link_disabled")
    await talk.slack.wait_for_call("apps.connections.open", opened + 4)
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == len(set(lines))  # it is tried again and again, and said once
    assert all(record.exc_info is None for record in caplog.records)
    talk.slack.socket_mode = True
    await talk.slack.wait_for_socket()
    assert is_joke((await talk.joke())[1])


async def test_two_processes_share_the_events(talk: Talk) -> None:
    other = SlackFrontEnd(talk.app, ping_s=0.2)
    await other.start()
    await talk.slack.happenings.until(lambda: len(talk.slack.sockets.open) == 2, "a second socket")
    try:
        posted = await talk.post()
        for _ in range(3):
            await (await talk.slack.redeliver(posted)).acked()  # over one socket, then over the other
        assert {delivery.socket for delivery in posted.event.deliveries} == {1, 2}
        await talk.slack.wait_for_message(talk.channel)
        await talk.idle()
        while other._under_way:
            await asyncio.wait(other._under_way)
        assert len(talk.slack.answers(talk.channel)) == 1
    finally:
        await other.stop()


async def test_on_the_way_out_posts_are_left_to_the_next(talk: Talk) -> None:
    gate = talk.slack.hold_next("chat.postMessage")
    first = await talk.post()
    await gate.reached()
    talk.app.leaving = True
    second = await talk.post(name="coffee.jpg")
    await talk.slack.command("/boke", "help", user=talk.taro, channel=talk.channel)  # commands are not sent again
    await talk.slack.wait_for_ephemeral(talk.taro, talk.channel)
    gate.open()
    await talk.slack.wait_for_message(talk.channel, thread=first)  # what was begun is finished
    assert not second.event.was_acked
    talk.app.leaving = False
    await talk.restart()
    await talk.slack.redeliver_until_acked(second)
    assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=second))


async def test_stopping_finishes_what_is_under_way(talking: Talking) -> None:
    async with talking() as talk:
        gate = talk.slack.hold_next("chat.postMessage")
        await talk.post()
        await gate.reached()
        gate.open()
        await talk.front.stop()
        assert len(talk.slack.answers(talk.channel)) == 1
        assert talk.slack.sockets.open == []
