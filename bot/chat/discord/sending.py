"""How the bot's words reach Discord: escaped, without pings, once, and without the card where that cannot be sent."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
from discord import ui

from bot.boke import Answer, BokeRefused
from bot.chat.discord.locate import own_permissions, place_in
from bot.chat.discord.words import MENU, say
from bot.log import follow
from bot.messages import Language
from store.errors import DatabaseError

if TYPE_CHECKING:
    from bot.chat.discord.client import BokeClient

log = logging.getLogger(__name__)

NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)
PAUSES_S = (0.3, 1.0, 3.0)  # between attempts where the network fails
MAX_LETTERS = 900  # of a joke, so that it fits into a message with every letter escaped
THINKING = discord.InteractionResponseType.deferred_channel_message


class PostGone(Exception):
    """The message to be answered was deleted meanwhile."""


def joke(text: str, note: str | None = None) -> str:
    """A joke as plain text on Discord, with a small line of the bot's own under it."""
    escaped = discord.utils.escape_markdown(text[:MAX_LETTERS])
    escaped = re.sub(r"^(\d+)([.)])", r"\1\\\2", escaped)  # no numbered list
    return f"{escaped}\n-# {note}" if note else escaped


def source_note(answer: Answer, language: Language) -> list[str]:
    """Where a joke stands that is somebody's, for the small line."""
    return [say("source", language, url=f"<{answer.source_url}>")] if answer.source_url else []


def picture_file(data: bytes, name: str, *, spoiler: bool) -> discord.File:
    return discord.File(BytesIO(data), name, spoiler=spoiler)


def card_file(card: bytes, *, spoiler: bool) -> discord.File:
    return picture_file(card, "card.png", spoiler=spoiler)


async def reply(
    to: discord.Message,
    text: str,
    *,
    part: int | str = "line",
    view: ui.View | None = None,
    card: bytes | None = None,
    spoiler: bool = False,
) -> discord.Message | None:
    """Answer a message. None where Discord does not take it; the log says why.

    part: what of the answer this is: with the message's id it makes the nonce that keeps an attempt which went through
        after all from being said twice.
    card: goes along where Discord takes it.

    Raises PostGone.
    """
    pauses = iter(PAUSES_S)
    options: dict[str, Any] = {"nonce": f"{to.id}-{part}", "suppress_embeds": True}
    if view is not None:
        options["view"] = view
    granted = own_permissions(to.channel)
    if granted is None or granted.read_message_history:  # a reply needs it
        options["reference"] = to.to_reference(fail_if_not_exists=True)
    while True:
        if card is not None:
            options["file"] = card_file(card, spoiler=spoiler)  # a new one each time: sending uses it up
        try:
            sent = await to.channel.send(text, **options)
            log.debug("discord: sent as message %s", sent.id)
            return sent
        except discord.HTTPException as error:
            if error.status == 400 and "message_reference" in error.text:
                raise PostGone from None
            if card is None or error.status not in (400, 403, 413):
                _note(error)
                return None
            log.warning("a card could not be sent: %s", error)
            card = None
            del options["file"]
        except NETWORK_ERRORS as error:
            pause = next(pauses, None)
            if pause is None:
                log.error("an answer could not be sent: %s", error)
                return None
            await asyncio.sleep(pause)


async def delete(client: BokeClient, channel_id: str, message_id: str) -> None:
    """Take back one of the bot's messages, if it still stands."""
    channel = client.get_partial_messageable(int(channel_id))
    with suppress(discord.NotFound):
        try:
            await channel.get_partial_message(int(message_id)).delete()
        except (discord.HTTPException, *NETWORK_ERRORS) as error:
            if isinstance(error, discord.NotFound):
                raise
            log.warning("an answer could not be deleted: %s", error)


@asynccontextmanager
async def typing(channel: discord.abc.Messageable) -> AsyncIterator[None]:
    """Shows "typing" until the end of the block; if that fails or is slow, nobody waits for it."""

    async def show() -> None:
        with suppress(discord.HTTPException, *NETWORK_ERRORS):
            async with channel.typing():
                await asyncio.Event().wait()

    shown = asyncio.create_task(show())
    try:
        yield
    finally:
        shown.cancel()
        await asyncio.gather(shown, return_exceptions=True)


async def promise(
    interaction: discord.Interaction[BokeClient], *, private: bool = False, thinking: bool = True
) -> bool:
    """Acknowledge within Discord's three seconds; False where that was too late or done before (an event that came twice)."""
    try:
        await interaction.response.defer(thinking=thinking, ephemeral=private)
    except (discord.HTTPException, *NETWORK_ERRORS) as error:
        log.info("an interaction was not taken: %s", error)
        return False
    interaction.extras["private"] = private
    return True


async def tell(interaction: discord.Interaction[BokeClient], text: str) -> None:
    """Say something that only this person reads, whatever was promised to the channel."""
    response = interaction.response
    if not response.is_done():
        await response.send_message(text, ephemeral=True)
    elif response.type is not THINKING or interaction.extras.get("answered"):
        await interaction.followup.send(text, ephemeral=True)
    elif interaction.extras.get("private"):
        await interaction.edit_original_response(content=text)
    else:
        await interaction.delete_original_response()
        await interaction.followup.send(text, ephemeral=True)
    interaction.extras["answered"] = True


@asynccontextmanager
async def excused(interaction: discord.Interaction[BokeClient]) -> AsyncIterator[None]:
    """What goes wrong in the block is told to the person in a friendly line."""
    client = interaction.client
    follow()
    with client.work:
        try:
            yield
        except BokeRefused as refusal:
            log.info("discord: no answer: %s (%s)", refusal.code, refusal)
            await _excuse(interaction, refusal)
        except DatabaseError as error:
            log.error("discord: %s", error)
            await _excuse(interaction, BokeRefused("try_later"))
        except (discord.HTTPException, *NETWORK_ERRORS) as error:
            _note(error)
        except Exception:
            log.exception("an interaction failed")
            await _excuse(interaction, BokeRefused("bug"))


async def _excuse(interaction: discord.Interaction[BokeClient], refusal: BokeRefused) -> None:
    rules = await interaction.client.conversation.rules(place_in(interaction))
    try:
        await tell(interaction, refused(interaction.client, refusal, rules.language))
    except (discord.HTTPException, *NETWORK_ERRORS) as error:
        _note(error)


def refused(client: BokeClient, refusal: BokeRefused, language: Language) -> str:
    """A refusal's line, with Discord's own words for commands."""
    values = {"boke": client.slash("boke"), "menu": MENU[language]}
    return say(refusal.code, language, **(values | refusal.values))


def _note(error: Exception) -> None:
    if isinstance(error, discord.HTTPException) and error.status == 401:
        return  # the token was revoked; the gateway says so too, and once is enough
    log.error("discord: %s", error)
