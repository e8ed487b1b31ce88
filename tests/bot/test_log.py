"""The log of a running bot: one id for a picture from the event to the reply, and no secret whatever goes wrong."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from bot import log
from store.config import Config, Secrets, secret_values
from tests.bot.chat.discord.bots import as_owner, town
from tests.bot.chat.slack.conftest import manifest
from tests.bot.conftest import photo
from tests.bot.test_app import running
from tests.servers.discord_server import DiscordServer
from tests.servers.slack_server import SlackServer

WAY = (  # of a picture through the bot: who says something about it, and how that begins
    ("bot.chat.discord.posts", "discord: message "),
    ("bot.fetch", "fetched "),
    ("bot.inference", "queued, "),
    ("bot.inference", "to worker "),
    ("bot.worker", "answered among "),
    ("bot.boke", "discord: answered in "),
    ("bot.chat.discord.sending", "discord: sent as message "),
)


def entries(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def way_of(log_lines: list[dict[str, Any]], picture: str) -> list[tuple[str, str]]:
    return [(entry["logger"], entry["message"]) for entry in log_lines if entry.get("picture") == picture]


async def test_a_picture_has_one_id_from_the_event_to_the_reply(tmp_path: Path, tiny_model: Path) -> None:
    async with DiscordServer(timeout_s=60) as server:
        here = town(server)
        variables = {
            **as_owner(server, tiny_model, here.channel),
            "BOKE__LOG__LEVEL": "debug",
            "BOKE__LOG__FORMAT": "json",
        }
        async with running(tmp_path, **variables) as bot:
            await server.ready()
            both = [server.upload("cat.jpg", photo()), server.upload("coffee.jpg", photo("coffee"))]
            post = await server.post(here.channel, here.taro, attachments=both)
            await server.until(lambda: len(server.said(here.channel)) == 2)
            assert all(message.reply_to is post for message in server.said(here.channel))
            no_picture = [server.upload("cat.jpg", b"no picture")]
            bad = await server.post(here.channel, here.hanako, attachments=no_picture)
            await server.wait_for_message(here.channel, lambda message: message.reply_to is bad)
            form = aiohttp.FormData()
            form.add_field("image", photo(), filename="photo.jpg")
            async with aiohttp.ClientSession(bot.url) as session, session.post("/api/boke", data=form) as response:
                assert response.status == 200
                request = response.headers["X-Request-Id"]
            bot.stop()
            lines = entries(bot.log)
        first = next(entry for entry in lines if entry["message"].endswith("brings 2 pictures"))["picture"]
        for picture, way in ((first, WAY), (f"{first}.1", WAY[1:])):
            said = way_of(lines, picture)
            assert [name for name, _ in said] == [name for name, _ in way]
            assert all(text.startswith(start) for (_, text), (_, start) in zip(said, way, strict=True)), said
        answered = next(entry for entry in lines if entry.get("picture") == first and entry["logger"] == "bot.boke")
        assert (answered["platform"], answered["mode"], len(answered["answer"])) == ("discord", "boke", 32)
        (refused,) = {entry["picture"] for entry in lines if "refused as NotAPicture" in entry["message"]}
        assert any("no answer: not_a_picture" in text for _, text in way_of(lines, refused))
        assert {name for name, _ in way_of(lines, request)} == {"bot.inference", "bot.worker", "bot.boke"}


async def test_the_same_in_slack(tmp_path: Path, tiny_model: Path) -> None:
    async with SlackServer(manifest=manifest(), timeout=60) as slack:
        hanako, channel = slack.add_user("U1", "hanako"), slack.add_channel("C1")
        variables = {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "BOKE__SLACK__BASE_URL": slack.base_url,
            "BOKE__MODEL__PATH": str(tiny_model),
            "BOKE__CHAT__ENABLED_CHANNELS": '["C1"]',
            "BOKE__LOG__LEVEL": "debug",
            "BOKE__LOG__FORMAT": "json",
        }
        async with running(tmp_path, **variables) as bot:
            await slack.wait_for_socket()
            post = await slack.post(channel, hanako, files=[slack.upload("cat.jpg", photo())])
            await slack.wait_for_message(channel, thread=post)
            await asyncio.to_thread(bot.stop)
            lines = entries(bot.log)
        picture = next(entry for entry in lines if entry["message"].endswith("brings 1 pictures"))["picture"]
        ends = {"bot.chat.slack.posts", "bot.chat.slack.speaker"}
        assert {name for name, _ in way_of(lines, picture)} >= ends | {name for name, _ in WAY if ".chat." not in name}


# secrets


TOKENS = {
    "DISCORD_TOKEN": 'MTA.discord"token\\with/odd+letters' + secrets.token_hex(8),
    "SLACK_BOT_TOKEN": "xoxb-" + secrets.token_hex(8),
    "SLACK_APP_TOKEN": "xapp-" + secrets.token_hex(8),
    "SLACK_SIGNING_SECRET": secrets.token_hex(16),
    "BOKE_ADMIN_TOKEN": "admin " + secrets.token_hex(8),
}
DATABASE_PASSWORD = "p@ss/" + secrets.token_hex(8)


@pytest.fixture
def hidden() -> list[str]:
    names = dict(zip(Secrets.model_fields, map(SecretStr, TOKENS.values()), strict=True))
    url = f"postgresql://boke:{log.quote(DATABASE_PASSWORD, safe='')}@host/name"
    config = Config.model_validate({"secrets": names, "database": {"url": url}})
    found = secret_values(config)
    assert set(found) == {*TOKENS.values(), DATABASE_PASSWORD}
    return found


@pytest.fixture
def restored() -> Iterator[None]:
    """Leaves logging as it was."""
    root = logging.getLogger()
    before = root.level, list(root.handlers), sys.excepthook, {name: logging.getLogger(name).level for name in log.OWN}
    yield
    root.setLevel(before[0])
    root.handlers[:], sys.excepthook = before[1], before[2]
    for name, level in before[3].items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.usefixtures("restored")
def test_no_secret_is_written_however_it_comes(hidden: list[str], style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    redact = log.configure("debug", style, hidden)
    for secret in hidden:
        for logger in ("bot.x", "discord.http", "slack_sdk.web", "aiohttp.client"):
            logging.getLogger(logger).error("with %s", secret, extra={"header": {"Authorization": f"Bearer {secret}"}})
        logging.getLogger("bot").warning("https://host/?token=%s", log.quote_plus(secret))
        try:
            raise RuntimeError(f"refused: {secret!r}")
        except RuntimeError as error:
            logging.getLogger("asyncio").exception("in a task")
            sys.excepthook(RuntimeError, error, error.__traceback__)
        assert secret not in redact(f"bot: {secret}")
    text = written.getvalue()
    assert text.count(log.HIDDEN) >= 7 * len(hidden)
    for secret in hidden:
        for form in log._forms(secret):
            assert form not in text
    if style == "json":
        assert all(entry["level"] for entry in entries(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("url=URL('wss://wss-primary.slack.com/link/?ticket=a1-b2&app_id=3')", "/link/?ticket=***&app_id=3')"),
        ("POST https://hooks.slack.com/actions/T1/22/abCD34 answered 404", "hooks.slack.com/actions/*** answered 404"),
        (
            "https://discord.com/api/v10/interactions/12/aW50ZXJhY3Rpb246MTIzNDU2/callback",
            "/interactions/12/***/callback",
        ),
        ("https://discord.com/api/v10/webhooks/12/aW50ZXJhY3Rpb246MTIzNDU2?wait=1", "/webhooks/12/***?wait=1"),
        ("another bot's xoxb-123-456-abc", "another bot's xoxb-***"),
    ],
)
def test_what_platforms_hand_out_for_a_while_is_hidden_though_nobody_named_it(text: str, shown: str) -> None:
    assert log.Redactor()(text).endswith(shown)
    for harmless in ("GET /webhooks/12/messages", "hooks.slack.com", "?ticket=", "/api/boke?url=x&mode=boke"):
        assert log.Redactor()(harmless) == harmless


@pytest.mark.usefixtures("restored")
def test_libraries_are_not_made_talkative() -> None:
    log.configure("debug", "text")
    assert logging.getLogger("bot.chat").isEnabledFor(logging.DEBUG)
    for name in ("discord.http", "slack_sdk", "aiohttp.client", "asyncio", "sqlalchemy.engine", "PIL"):
        assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
    log.configure("warning", "text")
    assert not logging.getLogger("bot.chat").isEnabledFor(logging.INFO)
    assert not logging.getLogger("discord.client").isEnabledFor(logging.INFO)
