"""Keeps the bot on Discord: logs in, comes back after failures, and stays off where only its owner can help."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
from discord.http import Route

from bot.chat.discord.client import BokeClient
from bot.conversation import Conversation
from bot.fetch import DISCORD_HOSTS, Fetcher, FetchRules

if TYPE_CHECKING:
    from bot.app import App

log = logging.getLogger(__name__)

FINISH_S = 1.0  # for answers under way when the bot stops
LONGEST_PAUSE_S = 300.0
MISSING = (
    "Discord: posted pictures are not seen, %s; commands, mentions and direct messages work. To change that, switch on "
    "Bot > Message Content Intent at https://discord.com/developers/applications%s, then restart"
)
BAD_TOKEN = (
    "Discord does not accept DISCORD_TOKEN (reset, or mistyped): copy a new one from "
    "https://discord.com/developers/applications (Bot > Reset Token) and restart; until then the bot stays off Discord"
)


class _OneLine(logging.Filter):
    """discord.py reports every lost connection with a traceback; a line says as much."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, discord.DiscordException | aiohttp.ClientError | OSError | TimeoutError):
            record.msg = f"{record.getMessage()}: {str(error) or type(error).__name__}"
            record.args, record.exc_info = (), None
        return True


_one_line = _OneLine()


class DiscordFrontEnd:
    """The bot on Discord. `client` is the present login."""

    name = "discord"

    def __init__(self, app: App, *, client_options: Mapping[str, Any] | None = None) -> None:
        """client_options: for tests, of `BokeClient`, to wait less."""
        self.app, self.config = app, app.config
        self.conversation = Conversation(app.service)
        self.client: BokeClient | None = None
        self._client_options = dict(client_options or {})
        pictures = app.config.pictures
        self._fetcher = Fetcher(
            FetchRules(
                DISCORD_HOSTS,
                frozenset(host.lower() for host in pictures.allowed_hosts),
                pictures.max_bytes,
                pictures.fetch_timeout_s,
                pictures.max_redirects,
            )
        )
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to log in, and return at once: what goes wrong there goes to the log and stops nobody else."""
        Route.BASE = self.config.discord.api_base
        for name in ("discord.client", "discord.shard", "discord.gateway"):
            logging.getLogger(name).addFilter(_one_line)
        self._running = asyncio.create_task(self._run(), name="discord")

    async def stop(self) -> None:
        """Let answers under way be sent, then say goodbye."""
        client = self.client
        if client is not None and not client.is_closed():
            try:
                await asyncio.wait_for(client.work.done(), FINISH_S)
            except TimeoutError:
                log.warning("Discord: some answers were not sent in time")
            await client.close()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self._fetcher.close()

    async def _run(self) -> None:
        content = self.config.discord.message_content
        if not content:
            log.warning(MISSING, "as discord.message_content is false", " and set the key to true")
        pause = 1.0
        while True:
            self.client = client = self._new_client(content)
            began = asyncio.get_running_loop().time()
            try:
                async with client:
                    await client.start(self._token())
                return
            except discord.PrivilegedIntentsRequired:
                if not content:
                    log.error("Discord refuses even the plain intents; the bot stays off Discord")
                    return
                content = False
                log.warning(MISSING, "as its application may not see message content", "")
                continue
            except discord.LoginFailure:
                log.error(BAD_TOKEN)
                return
            except discord.ConnectionClosed as error:
                if error.code == 4004:
                    log.error(BAD_TOKEN)
                else:
                    log.error("Discord ended the connection for good: %s; see discord.shard_count and shard_ids", error)
                return
            except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
                if asyncio.get_running_loop().time() - began > LONGEST_PAUSE_S:
                    pause = 1.0
                log.error(
                    "Discord cannot be reached, trying again in %.0f s: %s", pause, str(error) or type(error).__name__
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _new_client(self, message_content: bool) -> BokeClient:
        discord_keys = self.config.discord
        options = dict(self._client_options)
        # 0 shards: not to be named at all, else discord.py would not ask how many Discord recommends.
        if discord_keys.shard_count:
            options["shard_count"] = discord_keys.shard_count
            if discord_keys.shard_ids:
                options["shard_ids"] = list(discord_keys.shard_ids)
        elif discord_keys.shard_ids:
            log.warning("discord.shard_ids needs discord.shard_count, the number of shards of all processes together")
        return BokeClient(self.app, self.conversation, self._fetcher, message_content=message_content, **options)

    def _token(self) -> str:
        token = self.config.secrets.discord_token
        return token.get_secret_value() if token else ""
