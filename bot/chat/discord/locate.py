"""Finds the picture that somebody means: of a message, behind one of the bot's answers, or the last one in a channel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import discord

from bot.boke import BokeRefused, Place
from bot.chat.discord.pictures import CARRIED
from bot.conversation import PostedPicture
from store.answers import StoredAnswer

if TYPE_CHECKING:
    from bot.chat.discord.client import BokeClient

PLATFORM = "discord"
LOOK_BACK = 50  # messages


@dataclass(frozen=True)
class Found:
    """Pictures, and where and by whom they were posted. `jump` leads there, where that is a message."""

    place: Place
    pictures: list[PostedPicture]
    jump: str | None = None


def place_in(
    where: discord.Message | discord.Interaction[BokeClient], user_id: int | None = None, message_id: int | None = None
) -> Place:
    """The channel of a message or interaction, as the core names it; `user_id`: whose picture, or who presses."""
    parent = where.channel.parent_id if isinstance(where.channel, discord.Thread) else None
    if isinstance(where, discord.Message):
        channel_id, guild_id = where.channel.id, where.guild.id if where.guild else None
    else:  # the bot may not know the place where somebody uses its commands
        channel_id, guild_id = where.channel_id or 0, where.guild_id
    return Place(
        PLATFORM,
        str(channel_id),
        str(user_id) if user_id else "",
        str(guild_id) if guild_id else None,
        str(message_id) if message_id else None,
        parent_id=str(parent) if parent else None,
    )


def own_permissions(channel: object) -> discord.Permissions | None:
    """What the bot may do in a channel; None where that is not known, or nobody's concern as in direct messages."""
    if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return None
    me: discord.Member | None = channel.guild.me
    try:
        return channel.permissions_for(me) if me is not None else None
    except discord.ClientException:  # a thread whose channel is not known yet
        return None


class Locator:
    """Looks for pictures, with the eyes that the bot's intents and permissions give it."""

    def __init__(self, client: BokeClient) -> None:
        self.client, self.finder = client, client.finder

    async def behind(self, message: discord.Message) -> Found:
        """The pictures that a message is about: its own, or those that it answers where it is the bot's.

        Raises BokeRefused: no_picture, cannot_see, picture_gone.
        """
        if message.author.id == self.client.own_id:
            answer = await self.client.conversation.answer_in(place_in(message), str(message.id))
            if answer is not None:
                return await self.of_answer(answer, message)
        found = self._of(message)
        if not found.pictures:
            raise BokeRefused("no_picture" if self.client.sees(message) else "cannot_see")
        return found

    async def of_answer(self, answer: StoredAnswer, shown: discord.Message) -> Found:
        """The one picture of an answer, which stands in the message `shown`.

        Raises BokeRefused: cannot_see, picture_gone.
        """
        place = place_in(shown)
        carried = next((a for a in shown.attachments if CARRIED in a.filename.split(".")[0]), None)
        if carried is not None:
            return Found(place, [self.finder.attached(carried)])
        if answer.message_id is None:
            if answer.picture_url is None:
                raise BokeRefused("picture_gone")
            return Found(place, [self.finder.linked(answer.picture_url)])
        try:
            message = await shown.channel.fetch_message(int(answer.message_id))
        except (discord.NotFound, discord.Forbidden):
            raise BokeRefused("picture_gone") from None
        found = self._of(message)
        same = [picture for picture in found.pictures if picture.url == answer.picture_url]
        if not same:
            raise BokeRefused("picture_gone" if self.client.sees(message) else "cannot_see")
        return replace(found, pictures=same)

    async def latest(self, interaction: discord.Interaction[BokeClient]) -> Found:
        """The last picture in a channel that somebody posted who does not mind.

        Raises BokeRefused: no_recent_picture, cannot_see.
        """
        channel = interaction.channel
        if not isinstance(channel, discord.abc.Messageable):
            raise BokeRefused("cannot_see")
        seeing = True
        try:
            async for message in channel.history(limit=LOOK_BACK):
                if message.author.id == self.client.own_id:
                    continue
                found = self._of(message)
                if found.pictures and not await self._is_left_alone(found.place, interaction.user.id):
                    return replace(found, pictures=found.pictures[-1:])
                seeing = seeing and self.client.sees(message)
        except discord.Forbidden:
            raise BokeRefused("cannot_see") from None
        raise BokeRefused("no_recent_picture" if seeing else "cannot_see")

    def _of(self, message: discord.Message) -> Found:
        place = place_in(message, message.author.id, message.id)
        return Found(place, self.finder.of(message, asked=True), message.jump_url)

    async def _is_left_alone(self, place: Place, asker: int) -> bool:
        return place.user_id != str(asker) and await self.client.service.opted_out(place)
