"""The local Slack in HTTP mode: signed requests to slack-bolt's own aiohttp adapter."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_sdk.signature import SignatureVerifier

from tests.servers.slack.signed_http import SignedHttp, signature
from tests.servers.slack_server import NothingHappened, SlackServer
from tests.servers.test_slack_server import PICTURE, a_bot

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer() as server:
        server.add_user("U1", "hanako")
        yield server


@pytest.fixture
async def http(slack: SlackServer) -> AsyncIterator[SignedHttp]:
    """The bot behind a request URL, and Slack delivering to it."""
    bolt = a_bot(slack, signing_secret=SECRET)

    async def events(request: web.Request) -> web.Response:
        return await to_aiohttp_response(await bolt.async_dispatch(await to_bolt_request(request)))

    app = web.Application()
    app.router.add_post("/slack/events", events)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield slack.send_to(f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events", SECRET)
    await runner.cleanup()


def test_the_signature_is_the_one_that_slack_documents() -> None:
    body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J"
    ours = signature(SECRET, "1531420618", body)
    assert ours == SignatureVerifier(SECRET).generate_signature(timestamp="1531420618", body=body)


async def test_the_same_conversation_goes_over_http(slack: SlackServer, http: SignedHttp) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    assert await http.verify_url()
    message = await slack.post(channel, hanako, files=[slack.upload("cat.png", PICTURE)])
    reply = await slack.wait_for_message(channel, thread=message)
    await message.event.acked()
    await slack.click(reply, "again", hanako)
    await slack.wait_for_edit(reply, text="U1 wants 591 again")
    await slack.command("/boke", "猫", user=hanako, channel=channel)
    assert (await slack.wait_for_ephemeral(hanako, channel)).text == "考え中…"
    assert (await slack.wait_for_message(channel)).text == "猫で一言"
    await slack.shortcut("boke_this", message, hanako)
    assert (await slack.wait_for_ephemeral(hanako, channel)).text == "1 file"
    again = await slack.redeliver(message, retry=1)
    await again.acked()
    assert again.retry_reason == "http_timeout"


async def test_a_wrong_or_old_signature_is_refused(slack: SlackServer, http: SignedHttp) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    message = await slack.post(channel, hanako, "やあ")
    await message.event.acked()
    body = json.dumps(message.event.payload).encode()
    assert (await http.post(body)).status == 200
    assert (await http.post(body, secret="another secret")).status == 401
    assert (await http.post(body, timestamp=1_500_000_000)).status == 401


async def test_nobody_at_the_address_loses_the_event() -> None:
    async with SlackServer(timeout=0.5) as slack:
        channel, hanako = slack.add_channel("C1"), slack.add_user("U1")
        slack.send_to(f"{slack.url}/nowhere", SECRET)
        message = await slack.post(channel, hanako, "やあ")
        with pytest.raises(NothingHappened):
            await message.event.acked()
        assert message.event.deliveries[0].lost
