"""What the owner reads who asks whether Slack is set up."""

from __future__ import annotations

import pytest

from bot.chat.slack.check import check
from store.config import Config
from tests.bot.chat.slack.conftest import Talk, Talking

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_all_is_well(talk: Talk) -> None:
    assert await check(talk.app.config) == []


async def test_secrets_that_are_not_set_are_named() -> None:
    (line,) = await check(Config())
    assert line.startswith("SLACK_BOT_TOKEN is not set (")
    (line,) = await check(Config.model_validate({"secrets": {"slack_bot_token": "xoxb-1"}}))
    assert line.startswith("SLACK_APP_TOKEN is not set (")
    http = {"secrets": {"slack_bot_token": "xoxb-1"}, "slack": {"mode": "http"}}
    (line,) = await check(Config.model_validate(http))
    assert line.startswith("SLACK_SIGNING_SECRET is not set (")


async def test_tokens_that_are_refused_and_scopes_that_lack(talking: Talking) -> None:
    async with talking(connect=False) as talk:
        talk.slack.scopes.discard("files:write")
        (line,) = await check(talk.app.config)
        assert line.startswith("the app lacks the scope files:write, so cards do not work")
        talk.slack.revoke_token(error="account_inactive")
        talk.slack.revoke_token(talk.slack.app_token, "invalid_auth")
        bot, app = await check(talk.app.config)
        assert bot.startswith("Slack refuses SLACK_BOT_TOKEN (account_inactive)")
        assert app.startswith("Slack refuses SLACK_APP_TOKEN (invalid_auth)")


async def test_nobody_is_there() -> None:
    values = {"secrets": {"slack_bot_token": "xoxb-1", "slack_app_token": "xapp-1"}}
    config = Config.model_validate({**values, "slack": {"base_url": "http://127.0.0.1:1/api"}})
    bot, app = await check(config)
    assert bot == app == "Slack cannot be reached at http://127.0.0.1:1/api (ClientConnectorError)"
