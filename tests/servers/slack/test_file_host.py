"""The local Slack's file host: who gets a private file, what can be wrong with it, and where the token went."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.servers.slack_server import SlackServer

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(4096)


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer() as server:
        server.add_user("U1", "hanako")
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def token(slack: SlackServer) -> dict[str, str]:
    return {"Authorization": f"Bearer {slack.bot_token}"}


async def test_without_the_token_comes_the_login_page(slack: SlackServer, session: aiohttp.ClientSession) -> None:
    file = slack.upload("cat.png", PICTURE)
    for headers in ({}, {"Authorization": "Bearer xoxb-other"}):
        async with session.get(file.url, headers=headers) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")
            assert "Sign in" in await answer.text()
    download = file.to_dict()["url_private_download"]
    assert download != file.url
    for url in (file.url, download):
        async with session.get(url, headers=token(slack)) as answer:
            assert (answer.content_type, await answer.read()) == ("image/png", PICTURE)
    slack.scopes.discard("files:read")
    async with session.get(file.url, headers=token(slack)) as answer:
        assert answer.content_type == "text/html"
    assert [request.authorization for request in slack.downloads(file)][:2] == [None, "Bearer xoxb-other"]


async def test_a_redirect_shows_where_the_token_went(slack: SlackServer, session: aiohttp.ClientSession) -> None:
    file = slack.upload("cat.png", PICTURE)
    slack.spoil(file, redirect_to=slack.elsewhere.put("/cat.png", PICTURE))
    async with session.get(file.url, headers=token(slack)) as answer:
        assert await answer.read() == PICTURE
    async with session.get(slack.elsewhere.base + "/cat.png", headers=token(slack)) as answer:
        assert answer.status == 200
    kept, leaked = slack.elsewhere.requests
    assert kept.host.startswith("localhost:")
    assert (kept.authorization, leaked.authorization) == (None, f"Bearer {slack.bot_token}")
    assert slack.downloads(file)[0].status == 302


async def test_a_file_lies_about_type_and_status(slack: SlackServer, session: aiohttp.ClientSession) -> None:
    file = slack.upload("cat.png", PICTURE, size=10)
    assert file.to_dict()["size"] == 10
    slack.spoil(file, content_type="image/png", body=b"<html>")
    async with session.get(file.url, headers=token(slack)) as answer:
        assert (answer.content_type, await answer.read()) == ("image/png", b"<html>")
    slack.spoil(file, status=500)
    async with session.get(file.url, headers=token(slack)) as answer:
        assert answer.status == 500


async def test_a_file_stalls_breaks_and_never_ends(slack: SlackServer, session: aiohttp.ClientSession) -> None:
    file = slack.upload("cat.png", PICTURE)
    slack.spoil(file, stall_after=100)
    async with session.get(file.url, headers=token(slack)) as answer:
        assert len(await answer.content.readexactly(100)) == 100
        stalled = asyncio.create_task(answer.read())
        request = await slack.wait_for_download(file)
        await slack.happenings.until(lambda: request.sent == 100, "the hundredth byte")
        assert not stalled.done()
        stalled.cancel()
    slack.spoil(file, cut_after=100)
    with pytest.raises(aiohttp.ClientPayloadError):
        async with session.get(file.url, headers=token(slack)) as answer:
            await answer.read()
    assert (await slack.wait_for_download(file, 2, done=True)).broken
    slack.spoil(file, declares=10**9)
    async with session.get(file.url, headers=token(slack)) as answer:
        assert answer.content_length == 10**9
    slack.spoil(file, endless=True)
    async with session.get(file.url, headers=token(slack)) as answer:
        assert answer.content_length is None
        assert len(await answer.content.readexactly(10**6)) == 10**6
        answer.close()
    assert (await slack.wait_for_download(file, 4, done=True)).broken
    slack.spoil(file, body=bytes(200), trickle_s=0.001)
    async with session.get(file.url, headers=token(slack)) as answer:
        assert len(await answer.read()) == 200
