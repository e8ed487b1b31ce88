"""Whether Discord is set up, for an owner who asks: each problem in a line that says what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
import discord

from bot.chat.discord.client import PERMISSIONS
from store.config import Config

TIMEOUT_S = 10.0
PORTAL = "https://discord.com/developers/applications"
MESSAGE_CONTENT = 1 << 18 | 1 << 19  # GATEWAY_MESSAGE_CONTENT, and its form for bots in few servers


@dataclass(frozen=True)
class DiscordState:
    """What Discord says about the token: who it is, and what is wrong, a line each."""

    name: str = ""
    problems: tuple[str, ...] = ()


async def check(config: Config) -> DiscordState:
    """Ask Discord about the token, the privileged intent and where interactions go."""
    token = config.secrets.discord_token
    if token is None:
        return DiscordState(problems=(f"DISCORD_TOKEN is not set: copy it from {PORTAL} (Bot > Reset Token)",))
    headers = {"Authorization": f"Bot {token.get_secret_value().strip()}"}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            user = await _get(session, f"{config.discord.api_base}/users/@me")
            application = await _get(session, f"{config.discord.api_base}/applications/@me")
    except aiohttp.ClientResponseError as error:
        return DiscordState(problems=(_refused(error),))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        why = str(error) or type(error).__name__
        return DiscordState(problems=(f"cannot be reached at {config.discord.api_base} ({why}): is the network up?",))
    return DiscordState(_introduce(user, application), tuple(_problems(config, application)))


async def _get(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url, raise_for_status=True) as response:
        found = await response.json()
        if not isinstance(found, dict):
            raise ValueError(f"{url} does not answer as Discord does")
        return found


def _refused(error: aiohttp.ClientResponseError) -> str:
    if error.status == 401:
        return f"does not accept DISCORD_TOKEN (reset, or mistyped): copy a new one from {PORTAL} (Bot > Reset Token)"
    if error.status == 429:
        return "asks for patience (429): too many requests from here; try again in a few minutes"
    return f"answers {error.status} to {error.request_info.real_url.path}: try again later"


def _problems(config: Config, application: dict[str, Any]) -> list[str]:
    found = []
    if config.discord.message_content and not int(application.get("flags") or 0) & MESSAGE_CONTENT:
        found.append(
            "posted pictures will not be seen (commands, mentions and direct messages work): switch on Bot > Message "
            f"Content Intent at {PORTAL}, or set discord.message_content to false"
        )
    if application.get("interactions_endpoint_url"):
        found.append(
            "commands and buttons would go to another address: empty General Information > Interactions Endpoint URL "
            f"at {PORTAL}"
        )
    return found


def _introduce(user: dict[str, Any], application: dict[str, Any]) -> str:
    name, servers = str(user.get("username")), application.get("approximate_guild_count")
    if servers == 0 and str(application.get("id") or "").isdigit():
        link = discord.utils.oauth_url(
            int(application["id"]), permissions=PERMISSIONS, scopes=("bot", "applications.commands")
        )
        return f"{name}, in no server yet: invite it with {link}"
    return f"{name}, in {servers} servers" if servers else name
