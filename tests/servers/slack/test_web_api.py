"""The local Slack's Web API through the real AsyncWebClient: answers, refusals, limits, faults, files, modals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.servers.slack_server import SlackServer

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(4096)


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer() as server:
        server.add_user("U1", "hanako")
        yield server


@pytest.fixture
def client(slack: SlackServer) -> AsyncWebClient:
    return AsyncWebClient(token=slack.bot_token, base_url=slack.base_url, retry_handlers=[])


async def refusal(call: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


async def test_who_am_i_and_what_may_i_do(slack: SlackServer, client: AsyncWebClient) -> None:
    answer = await client.auth_test()
    assert (answer["user_id"], answer["bot_id"]) == (slack.bot.id, "B0TEST")
    assert {"chat:write", "files:read"} <= set(answer.headers["X-OAuth-Scopes"].split(","))
    assert (await client.bots_info(bot="B0TEST"))["bot"]["user_id"] == slack.bot.id
    assert (await client.users_info(user="U1"))["user"]["name"] == "hanako"
    assert (await client.team_info())["team"]["id"] == answer["team_id"]


async def test_tokens_scopes_and_unknown_things_are_refused_by_slacks_names(
    slack: SlackServer, client: AsyncWebClient
) -> None:
    channel, private = slack.add_channel("C1"), slack.add_channel("G1", kind="group", bot=False)
    other = slack.add_channel("C2", bot=False)
    assert await refusal(client.apps_connections_open(app_token=slack.bot_token)) == "not_allowed_token_type"
    assert await refusal(AsyncWebClient(base_url=slack.base_url, token="xoxb-other").auth_test()) == "invalid_auth"
    assert await refusal(AsyncWebClient(base_url=slack.base_url).auth_test()) == "not_authed"
    assert await refusal(client.api_call("chat.sing")) == "unknown_method"
    assert await refusal(client.chat_postMessage(channel=private.id, text="あ")) == "channel_not_found"
    assert await refusal(client.chat_postMessage(channel=other.id, text="あ")) == "not_in_channel"
    assert await refusal(client.api_call("chat.postMessage", json={"channel": channel.id})) == "no_text"
    assert await refusal(client.chat_update(channel=channel.id, ts="1.0", text="あ")) == "message_not_found"
    message = await slack.post(channel, slack.workspace.users["U1"], "やあ")
    assert await refusal(client.chat_delete(channel=channel.id, ts=message.ts)) == "cant_delete_message"
    slack.scopes.discard("chat:write")
    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel=channel.id, text="あ")
    assert caught.value.response["needed"] == "chat:write"
    assert "chat:write" not in caught.value.response["provided"]
    slack.revoke_token()
    assert await refusal(client.auth_test()) == "token_revoked"


async def test_messages_are_posted_read_edited_and_deleted(slack: SlackServer, client: AsyncWebClient) -> None:
    channel = slack.add_channel("C1")
    question = await slack.post(channel, slack.workspace.users["U1"], "ボケて")
    answer = await client.chat_postMessage(channel="C1", thread_ts=question.ts, text="<!here> & A")
    reply = await slack.wait_for_message(channel, thread=question)
    assert reply.entities == ["<!here>"]
    history = await client.conversations_history(channel="C1", limit=1)
    assert [m["text"] for m in history["messages"]] == ["ボケて"]
    assert history["messages"][0]["reply_count"] == 1
    replies = await client.conversations_replies(channel="C1", ts=question.ts)
    assert [m["ts"] for m in replies["messages"]] == [question.ts, answer["ts"]]
    await client.chat_update(channel="C1", ts=answer["ts"], text="直した")
    await slack.wait_for_edit(reply, text="直した")
    await client.reactions_add(channel="C1", timestamp=question.ts, name="+1")
    assert await refusal(client.reactions_add(channel="C1", timestamp=question.ts, name="+1")) == "already_reacted"
    found = await client.reactions_get(channel="C1", timestamp=question.ts)
    assert found["message"]["reactions"] == [{"name": "+1", "users": [slack.bot.id], "count": 1}]
    link = await client.chat_getPermalink(channel="C1", message_ts=question.ts)
    assert link["permalink"].endswith("/archives/C1/p" + question.ts.replace(".", ""))
    await client.chat_delete(channel="C1", ts=answer["ts"])
    await slack.wait_for_deletion(reply)
    assert slack.answers(channel) == []
    kinds = [event.body.get("subtype") for event in reply.events]
    assert kinds == [None, "message_changed", "message_deleted"]


async def test_history_comes_in_pages(slack: SlackServer, client: AsyncWebClient) -> None:
    channel = slack.add_channel("C1")
    posts = [await slack.post(channel, slack.workspace.users["U1"], str(number)) for number in range(5)]
    texts = []
    async for page in await client.conversations_history(channel="C1", limit=2):
        texts.append([m["text"] for m in page["messages"]])
    assert texts == [["4", "3"], ["2", "1"], ["0"]]
    one = await client.conversations_history(channel="C1", latest=posts[2].ts, inclusive=True, limit=1)
    assert [m["text"] for m in one["messages"]] == ["2"]


async def test_a_deleted_question_with_answers_becomes_a_tombstone(slack: SlackServer, client: AsyncWebClient) -> None:
    channel = slack.add_channel("C1")
    question = await slack.post(channel, slack.workspace.users["U1"], "ボケて")
    answer = await client.chat_postMessage(channel="C1", thread_ts=question.ts, text="はい")
    await slack.delete(question)
    event = question.events[-1].body
    assert (event["subtype"], event["message"]["subtype"]) == ("message_changed", "tombstone")
    assert event["previous_message"]["ts"] == question.ts
    await client.chat_delete(channel="C1", ts=answer["ts"])
    assert question.events[-1].body["subtype"] == "message_deleted"
    assert question.deleted


async def test_blocks_beyond_slacks_limits_are_refused(slack: SlackServer, client: AsyncWebClient) -> None:
    slack.add_channel("C1")
    button = {"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "あ" * 76}}
    bad: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "あ" * 3001}},
        {"type": "section", "text": {"type": "mrkdwn", "text": ""}},
        {"type": "actions", "elements": [button]},
        {"type": "image", "image_url": "http://example.com/a.png"},
        {"type": "picture"},
    ]
    for block in bad:
        assert await refusal(client.chat_postMessage(channel="C1", text="あ", blocks=[block])) == "invalid_blocks"
    good = {"type": "section", "text": {"type": "mrkdwn", "text": "あ" * 3000}}
    await client.chat_postMessage(channel="C1", text="あ", blocks=[good])


async def test_a_card_is_uploaded_into_a_thread(slack: SlackServer, client: AsyncWebClient) -> None:
    channel = slack.add_channel("C1")
    question = await slack.post(channel, slack.workspace.users["U1"], "ボケて")
    await client.files_upload_v2(
        channel="C1",
        thread_ts=question.ts,
        filename="card.png",
        content=PICTURE,
        alt_txt="カード",
        initial_comment="はい",
    )
    card = await slack.wait_for_message(channel, thread=question)
    (file,) = card.files
    assert (card.text, card.subtype, file.data, file.alt_txt) == ("はい", "file_share", PICTURE, "カード")
    assert (await client.files_info(file=file.id))["file"]["size"] == len(PICTURE)
    assert await refusal(client.files_info(file="F9")) == "file_not_found"


async def test_a_file_of_a_shared_channel_must_be_asked_for(slack: SlackServer, client: AsyncWebClient) -> None:
    channel = slack.add_channel("C1")
    file = slack.upload("cat.png", PICTURE, access="check_file_info")
    message = await slack.post(channel, slack.workspace.users["U1"], files=[file])
    (given,) = message.event.body["files"]
    assert given["file_access"] == "check_file_info"
    assert "url_private" not in given
    assert (await client.files_info(file=given["id"]))["file"]["url_private"] == file.url


async def test_faults_come_as_asked_for(slack: SlackServer, client: AsyncWebClient) -> None:
    slack.add_channel("C1")
    slack.fail_next("chat.postMessage", "is_archived")
    assert await refusal(client.chat_postMessage(channel="C1", text="1")) == "is_archived"
    slack.fail_next("*", retry_after=30)
    with pytest.raises(SlackApiError) as caught:
        await client.auth_test()
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "30"
    slack.fail_next("chat.postMessage", status=503, times=2)
    for _ in range(2):
        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(channel="C1", text="2")
        assert caught.value.response.status_code == 503
    slack.fail_next("auth.test", drop=True)
    with pytest.raises(aiohttp.ClientError):
        await client.auth_test()
    gate = slack.hold_next("chat.postMessage")
    posting = asyncio.create_task(client.chat_postMessage(channel="C1", text="3"))
    await gate.reached()
    assert slack.answers(slack.workspace.channels["C1"]) == []
    gate.open()
    assert (await posting)["ok"]


async def test_a_response_address_is_good_for_five_posts(slack: SlackServer, client: AsyncWebClient) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    await client.chat_postMessage(channel="C1", text="元")
    original = await slack.wait_for_message(channel)
    interaction = slack.interactions.start(hanako, channel, original)
    webhook = AsyncWebhookClient(interaction.response_url)
    assert (await webhook.send(text="あなただけ")).body == "ok"
    await webhook.send(text="みんなに", response_type="in_channel")
    await webhook.send(text="替え", replace_original=True)
    await slack.wait_for_edit(original, text="替え")
    assert (await slack.wait_for_ephemeral(hanako, channel)).text == "あなただけ"
    assert [m.text for m in slack.answers(channel)] == ["替え", "みんなに"]
    await webhook.send(delete_original=True)
    await slack.wait_for_deletion(original)
    assert (await webhook.send(text="五")).status_code == 200
    assert (await webhook.send(text="六")).status_code == 404
    assert len(interaction.responses) == 5


async def test_a_trigger_opens_one_modal(slack: SlackServer, client: AsyncWebClient) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    trigger = slack.interactions.start(hanako, channel).trigger_id
    view: dict[str, Any] = {"type": "modal", "title": {"type": "plain_text", "text": "設定"}, "blocks": []}
    await client.views_open(trigger_id=trigger, view=view)
    opened = await slack.wait_for_view(hanako)
    assert opened.body["title"]["text"] == "設定"
    assert await refusal(client.views_open(trigger_id=trigger, view=view)) == "exchanged_trigger_id"
    long_title = {**view, "title": {"type": "plain_text", "text": "あ" * 25}}
    assert await refusal(client.views_open(trigger_id=trigger, view=long_title)) == "invalid_arguments"
    await client.views_update(view_id=opened.id, view={**view, "title": {"type": "plain_text", "text": "保存した"}})
    assert (opened.body["title"]["text"], opened.updates) == ("保存した", 1)


async def test_an_ephemeral_message_is_for_members_only(slack: SlackServer, client: AsyncWebClient) -> None:
    channel, hanako = slack.add_channel("C1"), slack.workspace.users["U1"]
    slack.add_user("U2")
    assert await refusal(client.chat_postEphemeral(channel="C1", user="U2", text="ひみつ")) == "user_not_in_channel"
    answer = await client.chat_postEphemeral(channel="C1", user="U1", text="ひみつ")
    secret = await slack.wait_for_ephemeral(hanako, channel)
    assert (secret.ts, secret.events) == (answer["message_ts"], [])
    assert (await client.conversations_history(channel="C1"))["messages"] == []
    assert await refusal(client.chat_update(channel="C1", ts=secret.ts, text="あ")) == "message_not_found"


async def test_coming_going_and_direct_messages(slack: SlackServer, client: AsyncWebClient) -> None:
    channel, hanako = slack.add_channel("C1", bot=False), slack.workspace.users["U1"]
    unseen = await slack.post(channel, hanako, "聞こえる?")
    assert unseen.events == []
    joined = await slack.invite(channel, by=hanako)
    assert joined is not None
    assert (joined.body["user"], joined.body["inviter"]) == (slack.bot.id, "U1")
    left = await slack.kick(channel, hanako)
    assert left is not None
    assert left.kind == "channel_left"
    direct = await slack.post(slack.dm(hanako), hanako, f"{slack.bot.mention} やあ")
    assert [event.kind for event in direct.events] == ["message.im"]
    await client.chat_postMessage(channel="U1", text="どうも")
    assert (await slack.wait_for_message(slack.dm(hanako))).text == "どうも"
