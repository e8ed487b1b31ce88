"""What goes wrong at Slack, at the file host, in the database and in the worker, and what people read of it."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from PIL import Image

from bot.inference import Inference
from bot.worker import Job
from tests.bot.chat.slack.conftest import Talk, Talking, is_joke, picture
from tests.servers.slack_server import Message

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def said(talk: Talk, posted: Message) -> str:
    return (await talk.slack.wait_for_message(talk.channel, thread=posted)).plain


# the Web API


async def test_a_rate_limit_is_waited_out(talk: Talk) -> None:
    talk.slack.fail_next("chat.postMessage", retry_after=1)
    await talk.joke()
    assert [call.status for call in talk.slack.calls("chat.postMessage")] == [429, 200]


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503}, {"error": "internal_error"}, {"drop": True}])
@pytest.mark.parametrize("after_effect", [False, True])
async def test_an_answer_stands_there_once_whatever_happens_to_its_posting(
    talking: Talking, fault: dict[str, Any], after_effect: bool
) -> None:
    in_thread = "drop" not in fault
    async with talking(slack={"reply_in_thread": in_thread}) as talk:
        talk.slack.fail_next("chat.postMessage", after_effect=after_effect, **fault)
        _, answer = await talk.joke()
        await talk.idle()
        assert talk.slack.answers(talk.channel) == [answer]
        await talk.slack.click(answer, "boke_up", talk.taro)
        await talk.slack.wait_for_edit(answer)


async def test_slack_is_down_for_longer_and_comes_back(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    talk.slack.fail_next("chat.postMessage", status=500, times=3)
    await talk.post()
    await talk.idle()
    assert talk.slack.answers(talk.channel) == []
    assert "a message in C1 could not be posted" in caplog.messages
    assert is_joke((await talk.joke(name="coffee.jpg"))[1])


async def test_slack_cannot_be_reached_at_the_start(talking: Talking) -> None:
    async with talking(connect=False) as talk:
        talk.slack.fail_next("auth.test", drop=True, times=3)
        await talk.front.start()
        await talk.slack.wait_for_socket()
        assert is_joke((await talk.joke())[1])


async def test_a_revoked_token_is_one_line_and_the_bot_goes_on(
    talk: Talk, worker: Inference, caplog: pytest.LogCaptureFixture
) -> None:
    await talk.joke()
    caplog.clear()
    talk.slack.revoke_token()
    await talk.post(name="coffee.jpg")
    await talk.slack.happenings.until(lambda: not talk.slack.sockets.open, "the bot to leave")
    await talk.idle_tasks()
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in errors] == [
        "Slack stays off: it refuses SLACK_BOT_TOKEN (token_revoked). To bring it back, install the app in the workspace "
        "again, set the new token, restart"
    ]
    assert all(record.exc_info is None for record in errors)
    assert worker.up


@pytest.mark.parametrize("token", ["bot_token", "app_token"])
async def test_a_token_that_is_wrong_from_the_start_is_one_line(
    talking: Talking, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with talking(connect=False) as talk:
        talk.slack.revoke_token(getattr(talk.slack, token), "invalid_auth")
        await talk.front.start()
        assert talk.front._connecting is not None
        await talk.front._connecting
        errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
        (line,) = [record.getMessage() for record in errors]
        assert f"it refuses SLACK_{token.upper()} (invalid_auth)" in line
        assert errors[0].exc_info is None


@pytest.mark.parametrize("name", ["slack_app_token", "slack_signing_secret"])
async def test_a_secret_that_is_not_set_is_one_line(
    talking: Talking, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    http = name == "slack_signing_secret"
    sections = {"slack": {"mode": "http"}, "web": {"enabled": True}} if http else {}
    async with talking(connect=False, secrets={name: None}, **sections) as talk:
        await talk.front.start()
        (line,) = caplog.messages
        assert line.startswith(f"Slack stays off: {name.upper()} is not set")
        assert talk.slack.api.calls == []


async def test_scopes_that_lack_are_named_at_the_start(talking: Talking, caplog: pytest.LogCaptureFixture) -> None:
    async with talking(connect=False) as talk:
        talk.slack.scopes.discard("files:read")
        await talk.front.start()
        await talk.slack.wait_for_socket()
        (line,) = [message for message in caplog.messages if "scopes" in message]
        assert "files:read (pictures that are uploaded)" in line
        assert await said(talk, await talk.post()) == (
            "写真を開く許可がありませんでした。管理者の方に、アプリの権限（files:read）を確かめてもらってください。"
        )


# files


async def test_a_private_file_is_fetched_with_the_token(talk: Talk) -> None:
    posted, _ = await talk.joke()
    (request,) = talk.slack.downloads(posted.files[0])
    assert request.authorization == f"Bearer {talk.slack.bot_token}"
    assert "/download/" in request.path


async def test_a_file_of_another_workspace_is_looked_up_first(talk: Talk) -> None:
    file = talk.file(access="check_file_info")
    posted = await talk.slack.post(talk.channel, talk.hanako, files=[file])
    assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=posted))
    assert len(talk.slack.calls("files.info")) == 1


async def test_a_login_page_instead_of_a_picture_is_a_friendly_line(talk: Talk) -> None:
    file = talk.file()
    talk.slack.spoil(file, body=b"<!DOCTYPE html><html><body>Sign in</body></html>", content_type="text/html")
    line = await said(talk, await talk.slack.post(talk.channel, talk.hanako, files=[file]))
    assert line.startswith("写真を開く許可がありませんでした。")


async def test_the_token_follows_no_redirect(talking: Talking) -> None:
    for hosts in ([], ["localhost"]):
        async with talking(pictures={"allowed_hosts": hosts}) as talk:
            file = talk.file()
            talk.slack.spoil(file, redirect_to=talk.slack.elsewhere.put("/cat.jpg", picture(), "image/jpeg"))
            posted = await talk.slack.post(talk.channel, talk.hanako, files=[file])
            answer = await talk.slack.wait_for_message(talk.channel, thread=posted)
            assert is_joke(answer) == bool(hosts)
            assert [request.authorization for request in talk.slack.elsewhere.requests] == [None] * len(hosts)


async def test_a_link_to_slacks_own_host_is_never_opened_with_the_token(talk: Talk) -> None:
    file = talk.file()
    urls = [f"{talk.slack.base_url}auth.revoke", file.to_dict()["url_private_download"]]
    for url in urls:
        await talk.slack.post(talk.channel, talk.taro, f"{talk.slack.bot.mention} {url}")
        assert "そのリンクは開けません" in (await talk.slack.wait_for_message(talk.channel)).plain
    assert talk.slack.calls("auth.revoke") == []
    assert talk.slack.downloads(file) == []


FAULTS = [
    ({"status": 404}, "写真を取りに行けませんでした。"),
    ({"status": 500}, "写真を取りに行けませんでした。"),
    ({"stall_after": 1000}, "写真を取りに行けませんでした。"),
    ({"trickle_s": 0.1}, "写真を取りに行けませんでした。"),
    ({"cut_after": 1000}, "写真を取りに行けませんでした。"),
    ({"endless": True}, "ファイルが大きすぎました。"),
    ({"declares": 10**12}, "ファイルが大きすぎました。"),
    ({"body": b"not a picture at all"}, "これは読めない形式でした。"),
    ({"body": picture()[:9000]}, "写真が途中で途切れているようです。"),
    ({"body": b""}, "写真が見つかりませんでした。"),
]


@pytest.mark.parametrize(("fault", "line"), FAULTS, ids=lambda value: str(value)[:24])
async def test_a_file_host_that_misbehaves(talking: Talking, fault: dict[str, Any], line: str) -> None:
    async with talking(pictures={"fetch_timeout_s": 1.0, "max_bytes": 2**20}) as talk:
        file = talk.file()
        talk.slack.spoil(file, **fault)
        posted = await talk.slack.post(talk.channel, talk.hanako, files=[file, talk.file("coffee.jpg")])
        assert (await said(talk, posted)).startswith(line)
        assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=posted))  # the other picture


async def test_a_bomb_and_a_file_that_says_it_is_too_large(talking: Talking) -> None:
    async with talking(pictures={"max_bytes": 2**20, "max_pixels": 10_000_000}) as talk:
        bomb = io.BytesIO()
        Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
        files = [talk.slack.upload("bomb.png", bomb.getvalue()), talk.file(size=2**30)]
        posted = await talk.slack.post(talk.channel, talk.hanako, files=files)
        assert await said(talk, posted) == "写真が大きすぎて開けませんでした。小さくして送ってください。"
        assert await said(talk, posted) == "ファイルが大きすぎました。1 MBまでの写真をください。"
        assert talk.slack.downloads(files[1]) == []


# the database, the worker, cards


async def test_with_the_database_locked_people_get_their_joke_all_the_same(talking: Talking) -> None:
    async with talking(database={"busy_timeout_s": 0.1}) as talk:
        _, before = await talk.joke()
        path = talk.app.config.data.dir / "boke.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            _, answer = await talk.joke(name="coffee.jpg")
            assert is_joke(answer)
            assert [element["action_id"] for element in answer.elements] == ["boke_again", "boke_card"]
            await talk.slack.click(answer, "boke_card", talk.taro)
            assert (await talk.slack.wait_for_message(talk.channel)).files
            await talk.slack.click(before, "boke_up", talk.taro)
            line = await talk.slack.wait_for_ephemeral(talk.taro, talk.channel)
            assert line.plain == "いま記録を読み書きできません。少ししてからもう一度どうぞ。"
            other.execute("ROLLBACK")
        await talk.slack.click(before, "boke_up", talk.taro)
        await talk.slack.wait_for_edit(before)


async def test_a_worker_killed_while_it_works_costs_nobody_their_joke(talk: Talk, worker: Inference) -> None:
    (pid,) = worker.pids
    os.kill(pid, signal.SIGSTOP)
    posted = await talk.post()
    await talk.slack.wait_for_download(posted.files[0], done=True)
    os.kill(pid, signal.SIGKILL)
    assert is_joke(await talk.slack.wait_for_message(talk.channel, thread=posted))


async def test_a_full_queue_is_said_politely(talk: Talk, worker: Inference) -> None:
    (pid,) = worker.pids
    os.kill(pid, signal.SIGSTOP)
    try:
        waiting: list[asyncio.Task[Any]] = []
        while worker.waiting < 64:
            waiting.append(asyncio.create_task(worker.answer(Job(picture()))))
            await asyncio.sleep(0)
        posted = await talk.post(talk.slack.bot.mention)
        assert await said(talk, posted) == "ただいま混み合っています。少ししてからもう一度どうぞ。"
    finally:
        os.kill(pid, signal.SIGCONT)
    await asyncio.gather(*waiting)


async def test_a_card_that_cannot_be_sent_is_said_to_who_asked(talk: Talk) -> None:
    posted, answer = await talk.joke()
    talk.slack.fail_next("files.getUploadURLExternal", "storage_limit_reached")
    await talk.slack.click(answer, "boke_card", talk.taro)
    line = await talk.slack.wait_for_ephemeral(talk.taro, talk.channel)
    assert line.plain == "カードを作れませんでした。少ししてからもう一度どうぞ。"
    assert line.thread_ts == posted.ts
