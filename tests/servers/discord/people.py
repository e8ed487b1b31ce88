"""What people do on the local Discord: post, edit, delete, react, use commands, press buttons."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from .cdn import Serving, make_upload
from .core import Core
from .interactions import Interaction
from .model import Channel, Message, Upload, User
from .portal import CHAT_INPUT, MESSAGE_COMMAND
from .protocol import Json

STICKER: Json = {"id": "749054660769218631", "name": "Wave", "format_type": 1}


class InteractionFailed(AssertionError):
    """The bot did not acknowledge in time: the user reads "The application did not respond"."""


class People(Core):
    """The driver's hands."""

    def upload(
        self,
        filename: str,
        data: bytes,
        *,
        spoiler: bool = False,
        content_type: str | None = None,
        size: int | None = None,
        description: str | None = None,
        serving: Serving | None = None,
    ) -> Upload:
        """A file for `post` or for a command's option. `size` and `content_type` may lie; `serving`: see cdn.py."""
        return make_upload(
            filename,
            data,
            spoiler=spoiler,
            content_type=content_type,
            size=size,
            description=description,
            serving=serving,
        )

    def host_file(
        self, path: str, data: bytes, *, content_type: str | None = None, serving: Serving | None = None
    ) -> str:
        """Put a file on "another" site (same host and port, under /files) and return its address."""
        name = path.rsplit("/", 1)[-1]
        self.cdn.hosted[path] = make_upload(name, data, content_type=content_type, serving=serving)
        return f"http://{self.host}/files/{path}"

    async def post(
        self,
        channel: Channel,
        author: User,
        content: str = "",
        *,
        attachments: Sequence[Upload] = (),
        embeds: Sequence[Json] = (),
        stickers: Sequence[Json] = (),
        reply_to: Message | None = None,
        ping: bool = True,
    ) -> Message:
        """Somebody posts. Whoever posts in a guild is made a member. `ping`: notify whom `reply_to` is by."""
        self._join(channel, author)
        everything = {"parse": ["users", "roles", "everyone"], "replied_user": ping}
        message = self.world.add_message(
            channel,
            author,
            content,
            uploads=attachments,
            embeds=embeds,
            stickers=stickers,
            reply_to=reply_to,
            allowed_mentions=everything,
        )
        await asyncio.sleep(0)
        return message

    async def forward(self, message: Message, channel: Channel, author: User) -> Message:
        """Somebody forwards a message to a channel: its content comes as a snapshot."""
        self._join(channel, author)
        forwarded = self.world.add_message(channel, author, forwarded=message)
        await asyncio.sleep(0)
        return forwarded

    async def edit(
        self, message: Message, content: str | None = None, *, attachments: Sequence[Upload] | None = None
    ) -> None:
        """The author edits: the text, or which attachments are left (an empty list: none)."""
        folder = str(message.channel.id)
        kept = None if attachments is None else [self.world.attach(upload, folder) for upload in attachments]
        self.world.edit_message(message, content=content, attachments=kept)
        await asyncio.sleep(0)

    async def unfurl(self, message: Message, url: str) -> None:
        """Discord finds the picture behind a link in a message and adds its embed, as it does a moment after."""
        picture = {"url": url, "proxy_url": url, "width": 64, "height": 64}
        self.world.edit_message(message, embeds=[{"type": "image", "url": url, "thumbnail": picture}], unfurled=True)
        await asyncio.sleep(0)

    async def delete(self, *messages: Message) -> None:
        """Delete a message; several at once go as one bulk deletion, as moderators do it."""
        if len(messages) == 1:
            self.world.delete_message(messages[0])
        else:
            self.world.delete_messages(messages)
        await asyncio.sleep(0)

    async def react(self, message: Message, emoji: str, user: User) -> None:
        self.world.react(message, emoji, user)
        await asyncio.sleep(0)

    async def unreact(self, message: Message, emoji: str, user: User) -> None:
        self.world.unreact(message, emoji, user)
        await asyncio.sleep(0)

    def _join(self, channel: Channel, user: User) -> None:
        if channel.guild is not None and user.id not in channel.guild.members:
            self.world.add_member(channel.guild, user)

    # interactions: each returns when the bot has acknowledged (unless wait=False)

    async def slash(
        self,
        name: str,
        user: User,
        channel: Channel,
        *,
        options: Mapping[str, Any] | None = None,
        locale: str | None = None,
        wait: bool = True,
    ) -> Interaction:
        """A slash command; option values are str, int, bool, Upload, User, Channel, for a subcommand a mapping."""
        self._join(channel, user)
        opened = self.desk.command(name, CHAT_INPUT, user, channel, options=options or {}, locale=locale)
        return await self._acknowledged(opened, wait)

    async def context_menu(
        self, name: str, message: Message, user: User, *, locale: str | None = None, wait: bool = True
    ) -> Interaction:
        """A message command, from the menu of a message."""
        self._join(message.channel, user)
        opened = self.desk.command(
            name, MESSAGE_COMMAND, user, message.channel, options={}, target=message, locale=locale
        )
        return await self._acknowledged(opened, wait)

    async def click(
        self, message: Message, button: str, user: User, *, locale: str | None = None, wait: bool = True
    ) -> Interaction:
        """Press a button, named by custom id, label or emoji."""
        custom_id = message.button(button).custom_id
        assert custom_id, f"{button!r} is a link"
        opened = self.desk.click(message, custom_id, user, values=None, locale=locale)
        return await self._acknowledged(opened, wait)

    async def choose(
        self, message: Message, custom_id: str, values: Sequence[str], user: User, *, wait: bool = True
    ) -> Interaction:
        """Choose in a select menu."""
        opened = self.desk.click(message, custom_id, user, values=values, locale=None)
        return await self._acknowledged(opened, wait)

    async def submit(self, interaction: Interaction, fields: Mapping[str, str], *, wait: bool = True) -> Interaction:
        """Fill in and send the modal that an interaction was answered with."""
        return await self._acknowledged(self.desk.submit(interaction, fields), wait)

    async def autocomplete(self, name: str, option: str, typed: str, user: User, channel: Channel) -> list[Json]:
        """What the bot offers for a half-typed option."""
        opened = self.desk.command(name, CHAT_INPUT, user, channel, options={option: typed}, focused=option)
        return (await self._acknowledged(opened, True)).choices or []

    def expire(self, interaction: Interaction) -> None:
        """A quarter of an hour has passed: the interaction's token is worth nothing any more."""
        interaction.expired = True

    async def _acknowledged(self, interaction: Interaction, wait: bool) -> Interaction:
        if wait:
            try:
                await self.until(lambda: interaction.callback, limit_s=self.portal.interaction_deadline_s)
            except AssertionError:
                raise InteractionFailed(f"{interaction!r} was not acknowledged") from None
        return interaction
