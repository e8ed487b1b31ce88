"""Whether Slack is set up, for an owner who asks: each problem in a line that says what to do about it."""

from __future__ import annotations

import aiohttp
from slack_sdk.errors import SlackApiError

from bot.chat.slack.client import TOKEN_REFUSED, UNREACHABLE, SlackClient, missing_scopes, patient, reason
from store.config import Config

TIMEOUT_S = 10.0
BOT_TOKEN = "Slack's page of the app, OAuth & Permissions, Bot User OAuth Token; starts with xoxb-"
APP_TOKEN = (
    "Slack's page of the app, Basic Information, App-Level Tokens, with the scope connections:write; starts with xapp-"
)
SIGNING_SECRET = "Slack's page of the app, Basic Information, Signing Secret"


def missing_secret(config: Config) -> str:
    """Which secret is not set, and where to find it; "" where all are."""
    secrets, mode = config.secrets, config.slack.mode
    if secrets.slack_bot_token is None:
        return f"SLACK_BOT_TOKEN is not set ({BOT_TOKEN})"
    if mode == "socket" and secrets.slack_app_token is None:
        return f"SLACK_APP_TOKEN is not set ({APP_TOKEN})"
    if mode == "http" and secrets.slack_signing_secret is None:
        return f"SLACK_SIGNING_SECRET is not set ({SIGNING_SECRET})"
    return ""


async def check(config: Config) -> list[str]:
    """What is wrong with tokens and scopes, a line each; empty when all is well."""
    missing = missing_secret(config)
    if missing:
        return [missing]
    secrets = config.secrets
    assert secrets.slack_bot_token is not None
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
        client = SlackClient(
            token=secrets.slack_bot_token.get_secret_value(),
            base_url=config.slack.base_url,
            session=session,
            retry_handlers=patient(),
            refused=lambda method, why: None,
        )
        found = []
        try:
            answer = await client.auth_test()
            found += [
                f"the app lacks the scope {scope}, so {what} do not work: add it under OAuth & Permissions, install again"
                for scope, what in missing_scopes(answer.headers).items()
            ]
        except (SlackApiError, *UNREACHABLE) as error:
            found.append(_line(config, "SLACK_BOT_TOKEN", BOT_TOKEN, error))
        if config.slack.mode == "socket" and secrets.slack_app_token is not None:
            try:
                await client.apps_connections_open(app_token=secrets.slack_app_token.get_secret_value())
            except (SlackApiError, *UNREACHABLE) as error:
                found.append(_line(config, "SLACK_APP_TOKEN", APP_TOKEN, error))
        return found


def _line(config: Config, name: str, where: str, error: Exception) -> str:
    if not isinstance(error, SlackApiError):
        return f"Slack cannot be reached at {config.slack.base_url} ({type(error).__name__})"
    why = reason(error)
    if why in TOKEN_REFUSED or why == "missing_scope":
        return f"Slack refuses {name} ({why}): take it anew from {where}"
    return f"Slack does not take {name} now ({why}); is Socket Mode on, and is Slack up?"
