"""Slack's Web API as the bot uses it: what is tried again, which refusals mean that a token is no good, what must be granted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

TOKEN_REFUSED = frozenset(
    {
        "account_inactive",
        "app_uninstalled",
        "invalid_auth",
        "not_allowed_token_type",
        "not_authed",
        "team_access_not_granted",
        "token_expired",
        "token_revoked",
    }
)
NOT_HERE = frozenset({"channel_not_found", "not_in_channel"})
UNREACHABLE = (aiohttp.ClientError, TimeoutError, OSError)

# What slack-manifest.yaml asks for, and what is missed without it.
SCOPES = {
    "app_mentions:read": "mentions",
    "channels:history": "pictures in public channels",
    "channels:read": "being invited to public channels",
    "chat:write": "answers",
    "commands": "/boke and the message shortcut",
    "files:read": "pictures that are uploaded",
    "files:write": "cards",
    "groups:history": "pictures in private channels",
    "groups:read": "being invited to private channels",
    "im:history": "direct messages",
    "mpim:history": "group messages",
    "reactions:read": "reactions as votes",
}

sdk_log = logging.getLogger("bot.chat.slack.sdk")
sdk_log.setLevel(logging.WARNING)


class SlackClient(AsyncWebClient):
    """The client of slack_sdk, which tells where Slack refuses the token for good."""

    def __init__(self, *args: Any, refused: Callable[[str, str], None], **kwargs: Any) -> None:
        """`refused` is called with the method and Slack's word for it."""
        super().__init__(*args, **{"logger": sdk_log, **kwargs})
        self._refused = refused

    async def api_call(self, api_method: str, **kwargs: Any) -> AsyncSlackResponse:
        try:
            return await super().api_call(api_method, **kwargs)
        except SlackApiError as error:
            if reason(error) in TOKEN_REFUSED:
                self._refused(api_method, reason(error))
            raise


def patient() -> list[AsyncRetryHandler]:
    """For calls that may be made twice: rate limits are waited out, lost connections and errors of the server tried again."""
    return [
        AsyncRateLimitErrorRetryHandler(max_retry_count=4),
        AsyncServerErrorRetryHandler(max_retry_count=2),
        AsyncConnectionErrorRetryHandler(max_retry_count=2),
    ]


def careful() -> list[AsyncRetryHandler]:
    """For calls that must not take effect twice: only rate limits are waited out, for those had none."""
    return [AsyncRateLimitErrorRetryHandler(max_retry_count=4)]


def reason(error: SlackApiError) -> str:
    """Slack's word for what is wrong; the HTTP status where it has none."""
    response = error.response
    data = getattr(response, "data", response)
    if isinstance(data, Mapping) and data.get("error"):
        return str(data["error"])
    return str(getattr(response, "status_code", "") or getattr(response, "status", "") or "unknown")


def may_have_worked(error: SlackApiError) -> bool:
    """Was it the server's own trouble, so that nobody knows whether the call took effect?"""
    status = getattr(error.response, "status_code", 0) or getattr(error.response, "status", 0)
    return status >= 500 or reason(error) in ("internal_error", "fatal_error", "service_unavailable", "request_timeout")


def missing_scopes(headers: Mapping[str, str]) -> dict[str, str]:
    """Scopes that the token lacks, each with what does not work without it. Empty where Slack does not say.

    headers: of any answer of the Web API.
    """
    granted = {name.lower(): value for name, value in headers.items()}.get("x-oauth-scopes")
    if not granted:
        return {}
    have = {scope.strip() for scope in granted.split(",")}
    return {scope: why for scope, why in SCOPES.items() if scope not in have}
