"""The buttons under an answer and under the greeting. Their ids carry all they need, so they work after any restart."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import discord
from discord import ui

from bot.boke import Ask, BokeRefused
from bot.chat.discord.locate import place_in
from bot.chat.discord.pictures import Kept
from bot.chat.discord.sending import card_file, excused, joke, promise, source_note, typing
from bot.chat.discord.words import say
from bot.conversation import Post
from bot.messages import Language
from store.errors import DatabaseError

if TYPE_CHECKING:
    from bot.chat.discord.client import BokeClient

Press: TypeAlias = "discord.Interaction[BokeClient]"

_ANSWER = r"boke:(?P<action>again|up|down|card):(?P<answer>[0-9a-f]{32})"


def answer_view(answer_id: str, language: Language, *, up: int = 0, down: int = 0, card: bool = True) -> ui.View | None:
    """The buttons of an answer; None for one that could not be kept. `card`: offer to draw one."""
    if not answer_id:
        return None
    view = ui.View(timeout=None)
    view.add_item(AnswerButton("again", answer_id, label=say("again", language), emoji="🔄"))
    view.add_item(AnswerButton("up", answer_id, label=str(up) if up else None, emoji="👍"))
    view.add_item(AnswerButton("down", answer_id, label=str(down) if down else None, emoji="👎"))
    if card:
        view.add_item(AnswerButton("card", answer_id, label=say("card", language), emoji="🖼️"))
    return view


class AnswerButton(ui.DynamicItem[ui.Button[ui.View]], template=_ANSWER):
    """もう一回, 👍, 👎 or カード of one answer."""

    def __init__(self, action: str, answer_id: str, *, label: str | None = None, emoji: str | None = None) -> None:
        self.action, self.answer_id = action, answer_id
        super().__init__(ui.Button(label=label, emoji=emoji, custom_id=f"boke:{action}:{answer_id}"))

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["action"], match["answer"], emoji="👍")

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        if not await promise(interaction, thinking=False):
            return
        async with excused(interaction):
            await _ACTIONS[self.action](interaction, self.answer_id)


class EnableButton(ui.DynamicItem[ui.Button[ui.View]], template=r"boke:enable"):
    """Under the greeting: moderators let the bot answer what is posted in this channel."""

    def __init__(self, language: Language = "ja") -> None:
        style = discord.ButtonStyle.primary
        super().__init__(ui.Button(label=say("enable_here", language), style=style, custom_id="boke:enable"))

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls()

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        if not await promise(interaction, thinking=False):
            return
        async with excused(interaction):
            client, place = interaction.client, place_in(interaction)
            if not interaction.permissions.manage_channels:
                raise BokeRefused("only_managers")
            rules = await client.conversation.change_rules(place, enabled=True, automatic=True)
            await interaction.edit_original_response(content=client.hello(rules), view=None)


def greeting_view(language: Language) -> ui.View:
    view = ui.View(timeout=None)
    view.add_item(EnableButton(language))
    return view


async def _again(interaction: Press, answer_id: str) -> None:
    """Another joke about the same picture, under the one before."""
    client, shown = interaction.client, _shown(interaction)
    answer = await client.service.find(answer_id)
    presser = place_in(interaction, interaction.user.id)
    if not _asked_for(shown, interaction.user) and not await client.conversation.may_ask_again(answer, presser):
        raise BokeRefused("only_poster")
    private = shown.flags.ephemeral
    async with nullcontext() if private else typing(shown.channel):
        found = await client.locator.of_answer(answer, shown)
        kept = Kept(found.pictures[0])
        post = Post(found.place, [kept.picture], str(interaction.id), asked=True, asked_by=presser.user_id)
        language = (await client.conversation.rules(found.place)).language
        async for said in client.conversation.reply(post, Ask(mode=answer.mode, again_of=answer_id)):
            if said.answer is None:
                raise said.refusal or BokeRefused("bug")
            # Where no message has the picture but this one, the next もう一回 will look for it in the next one.
            files = [kept.file()] if answer.message_id is None else []
            if said.card is not None:
                files.append(card_file(said.card, spoiler=said.spoiler))
            view = answer_view(said.answer.id, language, card=said.card is None)
            message = await interaction.followup.send(
                joke(said.answer.text, " ".join(source_note(said.answer, language))),
                files=files,
                view=view or discord.utils.MISSING,
                ephemeral=private,
                suppress_embeds=True,
                wait=True,
            )
            if not private:
                await client.conversation.sent(said.answer, str(message.id))


async def _vote(interaction: Press, answer_id: str, value: int) -> None:
    client, shown = interaction.client, _shown(interaction)
    try:
        counts = await client.service.press(answer_id, place_in(interaction, interaction.user.id), value)
    except DatabaseError as error:
        raise BokeRefused("no_votes", cause=str(error)) from None
    language = (await client.conversation.rules(place_in(interaction))).language
    view = answer_view(answer_id, language, up=counts.up, down=counts.down, card="card" in _labels(shown))
    await interaction.edit_original_response(view=view)


async def _up(interaction: Press, answer_id: str) -> None:
    await _vote(interaction, answer_id, 1)


async def _down(interaction: Press, answer_id: str) -> None:
    await _vote(interaction, answer_id, -1)


async def _card(interaction: Press, answer_id: str) -> None:
    """Put the card into the answer's own message, where all see it and nobody has to scroll."""
    client, shown = interaction.client, _shown(interaction)
    if shown.id in client.drawing:
        return
    client.drawing.add(shown.id)
    try:
        answer = await client.service.find(answer_id)
        async with typing(shown.channel):
            found = await client.locator.of_answer(answer, shown)
            picture = found.pictures[0]
            card = await client.conversation.card(await picture.fetch(), answer.text, picture.spoiler)
        if card is None:
            raise BokeRefused("no_card")
        rules = await client.conversation.rules(place_in(interaction))
        up, down = (int(_labels(shown).get(name) or 0) for name in ("up", "down"))
        view = answer_view(answer_id, rules.language, up=up, down=down, card=False)
        attachments: list[discord.Attachment | discord.File] = [
            *shown.attachments,
            card_file(card, spoiler=picture.spoiler),
        ]
        await interaction.edit_original_response(attachments=attachments, view=view)
    finally:
        client.drawing.discard(shown.id)


_ACTIONS: dict[str, Callable[[Press, str], Awaitable[None]]] = {
    "again": _again,
    "up": _up,
    "down": _down,
    "card": _card,
}


def _shown(interaction: Press) -> discord.Message:
    assert interaction.message is not None  # a button is always under one
    return interaction.message


def _asked_for(message: discord.Message, user: discord.abc.User) -> bool:
    """Did this person's command bring the message about?"""
    origin = message.interaction_metadata
    return origin is not None and origin.user.id == user.id


def _labels(message: discord.Message) -> dict[str, str]:
    """The labels of an answer's buttons as they stand, by action."""
    parts = (part for row in message.components for part in getattr(row, "children", ()))
    named = ((getattr(part, "custom_id", None) or "", getattr(part, "label", None) or "") for part in parts)
    return {name.split(":")[1]: label for name, label in named if name.startswith("boke:")}
