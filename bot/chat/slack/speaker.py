"""Says things in Slack, each once, whatever happens to the answer of the call; edits, deletes, uploads cards."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk.errors import SlackApiError, SlackRequestError
from slack_sdk.web.async_client import AsyncWebClient

from bot.chat.slack.blocks import Block, escape, line_blocks, mark
from bot.chat.slack.client import NOT_HERE, TOKEN_REFUSED, UNREACHABLE, may_have_worked, reason

log = logging.getLogger(__name__)

TRIES = 3
PAUSE_S = 0.5  # before a message is tried again; doubles each time
LOOK_BACK_S = 300.0  # how far a message of our own is looked for; clocks differ
MAX_TITLE = 200  # characters of a card's title


@dataclass(frozen=True)
class Spot:
    """Where something is said: in a channel, or in the thread under one of its messages."""

    channel: str
    thread_ts: str | None = None


class NotHere(Exception):
    """The bot cannot speak in a channel: it is no member of it."""

    def __init__(self, channel: str) -> None:
        super().__init__(f"the bot cannot speak in {channel}: is it a member?")


class Speaker:
    """`client` may repeat its calls, `poster` may not."""

    def __init__(self, client: AsyncWebClient, poster: AsyncWebClient, user_id: str) -> None:
        self.client, self.poster, self.user_id = client, poster, user_id

    async def line(self, spot: Spot, text: str) -> str | None:
        """One of the bot's own lines, for all; its ts. None where it could not be said. Raises NotHere."""
        name = mark()
        return await self.say(spot, text, line_blocks(text, name), name)

    async def say(self, spot: Spot, text: str, blocks: list[Block], name: str) -> str | None:
        """Post a message of which one block is called `name`; its ts. None where it could not be said. Raises NotHere.

        Where the answer to the call is lost, or is an error of the server's, the message is looked for before it is
        posted again: it may stand there already.
        """
        for number in range(TRIES):
            if number:
                await asyncio.sleep(PAUSE_S * 2 ** (number - 1))
            try:
                if number and (ts := await self._find(spot, name)):
                    return ts
                answer = await self.poster.chat_postMessage(
                    channel=spot.channel,
                    thread_ts=spot.thread_ts,
                    text=escape(text),
                    blocks=blocks,
                    mrkdwn=False,
                    parse="none",
                    unfurl_links=False,
                    unfurl_media=False,
                )
                log.debug("slack: sent as message %s", answer["ts"])
                return str(answer["ts"])
            except SlackApiError as error:
                if reason(error) in NOT_HERE:
                    raise NotHere(spot.channel) from None
                if not may_have_worked(error):
                    self._tell(error, f"a message in {spot.channel} was refused")
                    return None
                log.warning("a message in %s may not have arrived (%s)", spot.channel, reason(error))
            except UNREACHABLE as error:
                log.warning("a message in %s may not have arrived (%s)", spot.channel, type(error).__name__)
        log.error("a message in %s could not be posted", spot.channel)
        return None

    async def update(self, spot: Spot, ts: str, text: str, blocks: list[Block]) -> bool:
        """Edit one of the bot's messages. False where that cannot be done."""
        try:
            await self.client.chat_update(
                channel=spot.channel, ts=ts, text=escape(text), blocks=blocks, parse="none", link_names=False
            )
            return True
        except SlackApiError as error:
            if reason(error) not in NOT_HERE | {"message_not_found", "cant_update_message"}:
                self._tell(error, f"a message in {spot.channel} could not be edited")
        except UNREACHABLE as error:
            log.warning("a message in %s could not be edited (%s)", spot.channel, type(error).__name__)
        return False

    async def delete(self, channel: str, ts: str) -> None:
        """Delete one of the bot's messages, if it is still there."""
        try:
            await self.client.chat_delete(channel=channel, ts=ts)
        except SlackApiError as error:
            if reason(error) not in ("message_not_found", "channel_not_found"):
                self._tell(error, f"a message in {channel} could not be deleted")
        except UNREACHABLE as error:
            log.warning("a message in %s could not be deleted (%s)", channel, type(error).__name__)

    async def card(self, spot: Spot, picture: bytes, text: str) -> bool:
        """Upload a card; the joke is its title and its description. False where it could not be sent."""
        try:
            await self.client.files_upload_v2(
                channel=spot.channel,
                thread_ts=spot.thread_ts,
                content=picture,
                filename="boke.png",
                title=title(text),
                alt_txt=text,
            )
            return True
        except SlackApiError as error:
            self._tell(error, f"a card in {spot.channel} could not be sent")
        except (SlackRequestError, *UNREACHABLE) as error:
            log.warning("a card in %s could not be sent (%s)", spot.channel, type(error).__name__)
        return False

    async def own_messages(self, spot: Spot, oldest: str = "0", limit: int = 200) -> list[Mapping[str, Any]]:
        """What the bot said there since `oldest`, and is still to be seen; nothing where Slack does not tell."""
        try:
            if spot.thread_ts:
                answer = await self.client.conversations_replies(
                    channel=spot.channel, ts=spot.thread_ts, oldest=oldest, limit=limit
                )
            else:
                answer = await self.client.conversations_history(channel=spot.channel, oldest=oldest, limit=limit)
        except SlackApiError as error:
            if reason(error) not in ("thread_not_found", "message_not_found"):
                self._tell(error, f"messages in {spot.channel} cannot be read")
            return []
        except UNREACHABLE as error:
            log.warning("messages in %s cannot be read (%s)", spot.channel, type(error).__name__)
            return []
        return [message for message in answer.get("messages") or [] if message.get("user") == self.user_id]

    async def _find(self, spot: Spot, name: str) -> str | None:
        for message in await self.own_messages(spot, oldest=f"{time.time() - LOOK_BACK_S:.6f}"):
            if any(block.get("block_id") == name for block in message.get("blocks") or []):
                return str(message["ts"])
        return None

    @staticmethod
    def _tell(error: SlackApiError, what: str) -> None:
        if reason(error) not in TOKEN_REFUSED:  # of which there is one line already
            log.error("%s: %s", what, reason(error))


def title(text: str) -> str:
    """A card's title."""
    return text if len(text) <= MAX_TITLE else text[: MAX_TITLE - 1] + "…"
