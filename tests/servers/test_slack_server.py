"""The local Slack against the real slack-bolt: conversations over Socket Mode, reconnects, redelivery, faults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient

from tests.servers.slack_server import NotDelivered, NothingHappened, SlackServer

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
BUTTONS = {
    "type": "actions",
    "elements": [
        {"type": "button", "action_id": "again", "value": "591", "text": {"type": "plain_text", "text": "もう一回"}}
    ],
}
OPTIONS = [{"text": {"type": "plain_text", "text": text}, "value": text} for text in ("always", "never")]
SELECT = {"type": "static_select", "action_id": "often", "options": OPTIONS}
SETTINGS = {
    "type": "modal",
    "callback_id": "settings",
    "title": {"type": "plain_text", "text": "設定"},
    "submit": {"type": "plain_text", "text": "保存"},
    "blocks": [{"type": "input", "block_id": "b", "label": {"type": "plain_text", "text": "頻度"}, "element": SELECT}],
}


def a_bot(slack: SlackServer, **app_options: Any) -> AsyncApp:
    """A small bot: says how long a posted file is, in its thread, with a button."""
    client = AsyncWebClient(
        token=slack.bot_token,
        base_url=slack.base_url,
        retry_handlers=[AsyncConnectionErrorRetryHandler(), AsyncRateLimitErrorRetryHandler(max_retry_count=2)],
    )
    app = AsyncApp(client=client, **app_options)

    @app.event("message")
    async def on_message(event: dict[str, Any], client: AsyncWebClient) -> None:
        for file in event.get("files", []):
            headers = {"Authorization": f"Bearer {client.token}"}
            async with aiohttp.ClientSession() as session, session.get(file["url_private"], headers=headers) as answer:
                text = f"{file['name']}: {answer.content_type}, {len(await answer.read())} bytes"
            section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
            await client.chat_postMessage(
                channel=event["channel"], thread_ts=event["ts"], text=text, blocks=[section, BUTTONS]
            )

    @app.event("app_mention")
    async def on_mention(event: dict[str, Any], say: Any) -> None:
        await say("呼びました?", thread_ts=event["ts"])

    @app.action("again")
    async def on_again(ack: Any, body: dict[str, Any], action: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        text = f"{body['user']['id']} wants {action['value']} again"
        await client.chat_update(channel=body["channel"]["id"], ts=body["message"]["ts"], text=text, blocks=[])

    @app.command("/boke")
    async def on_command(ack: Any, respond: Any, command: dict[str, Any]) -> None:
        await ack("考え中…")
        await respond(f"{command['text']}で一言", response_type="in_channel")

    @app.shortcut("boke_this")
    async def on_shortcut(ack: Any, shortcut: dict[str, Any], respond: Any) -> None:
        await ack()
        await respond(f"{len(shortcut['message']['files'])} file")

    @app.command("/boke-settings")
    async def on_settings(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=SETTINGS)

    @app.view("settings")
    async def on_saved(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        often = body["view"]["state"]["values"]["b"]["often"]["selected_option"]["value"]
        if often == "never":
            await ack(response_action="errors", errors={"b": "それはちょっと"})
            return
        await ack()
        menu = [{"type": "actions", "elements": [SELECT]}]
        await client.chat_postEphemeral(channel="C1", user=body["user"]["id"], text="頻度", blocks=menu)

    @app.action("often")
    async def on_often(ack: Any, action: dict[str, Any], respond: Any) -> None:
        await ack()
        await respond(action["selected_option"]["value"], replace_original=True)

    @app.event("reaction_added")
    async def on_reaction(event: dict[str, Any], client: AsyncWebClient) -> None:
        item = event["item"]
        await client.reactions_add(channel=item["channel"], timestamp=item["ts"], name=event["reaction"])

    return app


@asynccontextmanager
async def connected(slack: SlackServer, *, ping_interval: float = 10) -> AsyncIterator[AsyncSocketModeHandler]:
    """The bot on a socket of its own."""
    handler = AsyncSocketModeHandler(a_bot(slack), slack.app_token, ping_interval=ping_interval)
    await handler.connect_async()
    await slack.wait_for_socket()
    try:
        yield handler
    finally:
        await handler.close_async()


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer() as server:
        server.add_user("U1", "hanako")
        yield server


async def test_a_file_is_fetched_with_the_token_and_answered_in_its_thread(slack: SlackServer) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    async with connected(slack):
        file = slack.upload("cat.png", PICTURE)
        message = await slack.post(channel, hanako, "見て <3 https://example.com/", files=[file])
        reply = await slack.wait_for_message(channel, thread=message)
        assert reply.text == f"cat.png: image/png, {len(PICTURE)} bytes"
        assert message.text == "見て &lt;3 <https://example.com/>"
        assert message.event.body["subtype"] == "file_share"
        assert [request.authorization for request in slack.downloads(file)] == [f"Bearer {slack.bot_token}"]
        await message.event.acked()
        # the bot's own answer comes back to it as an event too, and bolt takes it without answering
        await reply.event.acked()
        assert slack.answers(channel) == [reply]


async def test_a_button_reaches_the_bot_and_the_bot_edits(slack: SlackServer) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    async with connected(slack):
        await slack.post(channel, hanako, files=[slack.upload("cat.png", PICTURE)])
        reply = await slack.wait_for_message(channel)
        with pytest.raises(AssertionError, match="again"):
            await slack.click(reply, "more", hanako)
        interaction = await slack.click(reply, "again", hanako)
        await slack.wait_for_edit(reply, text="U1 wants 591 again")
        assert reply.blocks == []
        assert interaction.ack == {}


async def test_a_command_is_acknowledged_with_a_message_and_answered_at_its_address(slack: SlackServer) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    async with connected(slack):
        interaction = await slack.command("/boke", text="猫", user=hanako, channel=channel)
        assert interaction.ack["text"] == "考え中…"
        assert (await slack.wait_for_ephemeral(hanako, channel)).text == "考え中…"
        assert (await slack.wait_for_message(channel)).text == "猫で一言"
        assert interaction.responses == [{"text": "猫で一言", "response_type": "in_channel"}]


async def test_a_shortcut_a_reaction_and_a_mention(slack: SlackServer) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    async with connected(slack):
        mention = await slack.post(channel, hanako, f"{slack.bot.mention} ねえ")
        await slack.wait_for_message(channel, thread=mention)
        assert [event.kind for event in mention.events] == ["message.channels", "app_mention"]
        assert len({event.body["ts"] for event in mention.events}) == 1
        message = await slack.post(channel, hanako, files=[slack.upload("cat.png", PICTURE)])
        await slack.shortcut("boke_this", message, hanako)
        assert (await slack.wait_for_ephemeral(hanako, channel)).text == "1 file"
        await slack.react(message, "+1", hanako)
        await slack.wait_for_reaction(message, "+1")
        assert message.reactions == {"+1": ["U1", slack.bot.id]}


async def test_a_modal_is_opened_refused_and_sent_and_an_option_chosen(slack: SlackServer) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    async with connected(slack):
        await slack.command("/boke-settings", user=hanako, channel=channel)
        view = await slack.wait_for_view(hanako)
        wrong = await slack.submit(view, {"b": {"often": {"selected_option": OPTIONS[1]}}})
        assert (wrong.ack["errors"], view.closed) == ({"b": "それはちょっと"}, False)
        await slack.submit(view, {"b": {"often": {"selected_option": OPTIONS[0]}}})
        assert view.closed
        menu = await slack.wait_for_ephemeral(hanako, channel)
        await slack.choose(menu, "often", hanako, "never")
        await slack.wait_for_edit(menu, text="never")


async def test_edits_and_previews_come_as_changes(slack: SlackServer) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    async with connected(slack):
        message = await slack.post(channel, hanako, "https://example.com/cat.png")
        await slack.unfurl(message, {"image_url": "https://example.com/cat.png", "from_url": message.text[1:-1]})
        await slack.edit(message, "やめた")
        await slack.settled()
        preview, edit = (event.body for event in message.events[1:])
        assert preview["message"]["attachments"][0]["image_url"] == "https://example.com/cat.png"
        assert (edit["subtype"], edit["hidden"]) == ("message_changed", True)
        assert (edit["previous_message"]["text"], edit["message"]["text"]) == (
            "<https://example.com/cat.png>",
            "やめた",
        )


async def test_a_refreshed_connection_loses_nothing(slack: SlackServer) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    async with connected(slack, ping_interval=0.2):
        slack.sockets.refuses = True
        await slack.disconnect("refresh_requested")
        message = await slack.post(channel, hanako, files=[slack.upload("cat.png", PICTURE)])
        assert not message.event.deliveries[0].sent
        with pytest.raises(NotDelivered):
            await slack.command("/boke", user=hanako, channel=channel)
        slack.sockets.refuses = False
        await slack.wait_for_socket()
        assert slack.unacked() == [message.event]
        await slack.redeliver_until_acked(message)
        await slack.wait_for_message(channel, thread=message)
        first, second = message.event.deliveries[:2]
        assert (second.retry_attempt, second.retry_reason) == (1, "timeout")
        assert first.payload == second.payload
        assert first.envelope_id != second.envelope_id
        await slack.settled()
        again = await slack.redeliver(message, retry=2)
        await again.acked()
        assert again.payload == first.payload


async def test_a_warning_and_a_dropped_line_move_the_bot_to_a_new_socket(slack: SlackServer) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    async with connected(slack, ping_interval=0.2):
        await slack.disconnect("warning")
        await slack.wait_for_socket()
        slack.sockets.drop()
        await slack.wait_for_socket()
        assert len(slack.sockets.sockets) >= 3
        await slack.post(channel, hanako, files=[slack.upload("cat.png", PICTURE)])
        await slack.wait_for_message(channel)


async def test_a_disabled_link_lets_nobody_back_until_it_is_enabled(slack: SlackServer) -> None:
    async with connected(slack, ping_interval=0.2):
        opened = len(slack.calls("apps.connections.open"))
        await slack.disconnect("link_disabled")
        call = await slack.wait_for_call("apps.connections.open", opened + 1)
        assert call.error == "access_denied"
        assert slack.sockets.open == []
        slack.socket_mode = True
        await slack.wait_for_socket()


async def test_pings_go_both_ways_and_silence_makes_the_bot_reconnect(slack: SlackServer) -> None:
    async with connected(slack, ping_interval=0.2):
        await slack.sockets.ping()
        (socket,) = slack.sockets.open
        slack.sockets.answers_pings = False
        await slack.happenings.until(lambda: not socket.open, "the mute socket to be left")
        slack.sockets.answers_pings = True
        await slack.wait_for_socket()


async def test_several_sockets_share_the_events(slack: SlackServer) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    async with connected(slack), connected(slack):
        assert len(slack.sockets.open) == 2
        posts = [await slack.post(channel, hanako, "やあ") for _ in range(4)]
        for message in posts:
            await message.event.acked()
        assert {message.event.deliveries[0].socket for message in posts} == {1, 2}


async def test_an_event_of_a_closing_socket_stays_unacked(slack: SlackServer) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    url = (await AsyncWebClient(base_url=slack.base_url).apps_connections_open(app_token=slack.app_token))["url"]
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as ws:
            hello = await ws.receive_json()
            assert (hello["type"], hello["num_connections"]) == ("hello", 1)
            assert hello["debug_info"]["host"]
            message = await slack.post(channel, hanako, "やあ")
            envelope = await ws.receive_json()
            assert (envelope["retry_attempt"], envelope["accepts_response_payload"]) == (0, False)
            assert envelope["payload"]["event_id"] == message.event.id
        delivery = message.event.deliveries[0]
        await slack.happenings.until(lambda: delivery.lost, "the delivery to be lost")
        assert slack.unacked() == [message.event]
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)  # a ticket is good for one connection


async def test_a_rate_limit_is_waited_out(slack: SlackServer) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    async with connected(slack):
        slack.fail_next("chat.postMessage", retry_after=1)
        await slack.post(channel, hanako, files=[slack.upload("cat.png", PICTURE)])
        await slack.wait_for_message(channel)
        assert [(call.status, call.error) for call in slack.calls("chat.postMessage")] == [
            (429, "ratelimited"),
            (200, None),
        ]


async def test_a_broken_answer_is_asked_again_though_the_message_stands(slack: SlackServer) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    async with connected(slack):
        slack.fail_next("chat.postMessage", drop=True, after_effect=True)
        await slack.post(channel, hanako, files=[slack.upload("cat.png", PICTURE)])
        await slack.wait_for_call("chat.postMessage", 2)
        assert len(slack.answers(channel)) == 2  # this small bot answers twice, and the server shows it


async def test_a_wait_in_vain_says_what_did_happen() -> None:
    async with SlackServer(timeout=0.2) as slack:
        channel, hanako = slack.add_channel("C1"), slack.add_user("U1")
        async with connected(slack):
            await slack.post(channel, hanako, "やあ")
            with pytest.raises(
                NothingHappened, match=r"(?s)a message in C1.*message\.channels.*apps\.connections\.open"
            ):
                await slack.wait_for_message(channel)


async def test_the_manifest_decides_what_the_bot_gets() -> None:
    manifest = {
        "features": {"slash_commands": [{"command": "/boke"}], "shortcuts": []},
        "oauth_config": {"scopes": {"bot": ["chat:write", "commands", "channels:history", "reactions:read"]}},
        "settings": {"event_subscriptions": {"bot_events": ["message.channels"]}},
    }
    async with SlackServer(manifest=manifest) as slack:
        channel, hanako = slack.add_channel("C1"), slack.add_user("U1")
        async with connected(slack):
            message = await slack.post(channel, hanako, f"{slack.bot.mention} ねえ")
            assert [event.kind for event in message.events] == ["message.channels"]  # no app_mention subscribed
            assert await slack.react(message, "+1", hanako) is None
            with pytest.raises(NotDelivered):
                await slack.command("/boke-stats", user=hanako, channel=channel)
            await slack.command("/boke", "猫", user=hanako, channel=channel)
