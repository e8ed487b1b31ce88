"""HTTP mode: Slack calls the page's server, and every request's signature is checked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from bot.chat.web.server import WebFrontEnd
from store.errors import ConfigError
from tests.bot.chat.slack.conftest import SECRET, Talk, Talking, is_joke
from tests.servers.slack.signed_http import SignedHttp

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def called(talking: Talking) -> AsyncIterator[tuple[Talk, SignedHttp]]:
    """The bot behind its page's server, and Slack delivering to it."""
    async with talking(connect=False, slack={"mode": "http"}, web={"enabled": True}) as talk:
        (page,) = (front for front in talk.app.front_ends if isinstance(front, WebFrontEnd))
        await page.start()
        try:
            await talk.front.start()
            assert talk.front._connecting is not None
            await talk.front._connecting
            yield talk, talk.slack.send_to(f"{page.url}/slack/events", SECRET)
        finally:
            await page.stop()


async def test_a_whole_conversation(talking: Talking) -> None:
    async with called(talking) as (talk, http):
        assert await http.verify_url()
        posted, answer = await talk.joke()
        assert is_joke(answer)
        await posted.event.acked()
        await talk.slack.click(answer, "boke_up", talk.taro)
        await talk.slack.wait_for_edit(answer)
        await talk.slack.command("/boke", user=talk.taro, channel=talk.channel)
        assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=posted))
        await talk.slack.shortcut("boke_this", posted, talk.taro)
        assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=posted))
        await (await talk.slack.redeliver(posted)).acked()
        await talk.idle()
        assert len(talk.slack.answers(talk.channel)) == 3
        assert talk.slack.sockets.sockets == []


async def test_a_large_event_is_taken(talking: Talking) -> None:
    async with called(talking) as (talk, _):
        posted = await talk.slack.post(talk.channel, talk.hanako, "あ" * 39_000, files=[talk.file()])
        assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=posted))


async def test_what_slack_did_not_sign_is_refused(talking: Talking) -> None:
    async with called(talking) as (talk, http):
        posted, _ = await talk.joke()
        body = json.dumps({**posted.event.payload, "event": {**posted.event.body, "ts": "1.000001"}}).encode()
        assert (await http.post(body, secret="another secret")).status == 401
        assert (await http.post(body, timestamp=1_500_000_000)).status == 401
        async with aiohttp.ClientSession() as session, session.post(http.url, data=body) as answer:
            assert answer.status == 401
        await talk.idle()
        assert len(talk.slack.answers(talk.channel)) == 1


async def test_with_a_revoked_token_slack_is_told_to_come_again(talking: Talking) -> None:
    async with called(talking) as (talk, http):
        await talk.joke()
        talk.slack.revoke_token()
        await talk.post(name="coffee.jpg")
        await talk.slack.wait_for_call("chat.postMessage", 2)
        await talk.idle()
        assert (await http.post(b"{}")).status == 503


async def test_without_the_page_there_is_nowhere_to_call(talking: Talking) -> None:
    with pytest.raises(ConfigError, match=r"web\.enabled"):
        async with talking(connect=False, slack={"mode": "http"}):
            pass
