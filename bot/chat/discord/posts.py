"""What people post, edit, delete and react to, and what the bot says to it."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

import discord

from bot.boke import BokeRefused, Place
from bot.chat.discord.buttons import answer_view
from bot.chat.discord.locate import PLATFORM, place_in
from bot.chat.discord.pictures import has_links
from bot.chat.discord.sending import PostGone, delete, joke, refused, reply, source_note, typing
from bot.chat.discord.words import say
from bot.conversation import Post, Said
from bot.log import follow
from bot.messages import Language
from store.answers import StoredAnswer

if TYPE_CHECKING:
    from bot.chat.discord.client import BokeClient

log = logging.getLogger(__name__)

EMBED_WAIT_S = 5.0  # until then Discord has looked at a link, or never will
EDIT_AGE_S = 900  # older posts that are edited are not answered any more
REMEMBERED = 4096  # posts whose lot was drawn
UP, DOWN = frozenset("👍😂🤣😆😹"), frozenset("👎")
_VARIANTS = "\ufe0f🏻🏼🏽🏾🏿"


class Posts:
    """Messages of people in their channels."""

    def __init__(self, client: BokeClient) -> None:
        self.client, self.conversation = client, client.conversation
        self._decided: OrderedDict[int, None] = OrderedDict()
        self._answering: set[int] = set()
        self._gone: set[int] = set()  # deleted while they were being answered

    async def posted(self, message: discord.Message, *, edited: bool = False) -> None:
        """Answer a message if it has pictures and they are wanted, or if the bot was asked."""
        if message.author.bot or message.type not in (discord.MessageType.default, discord.MessageType.reply):
            return
        called, replied_to = self._is_called(message), self.client.user in message.mentions
        pictures = self.client.finder.of(message, asked=called)
        if pictures:
            # A reply to the bot that brings a picture is meant for it; one without ("haha") is not.
            post = Post(
                place_in(message, message.author.id, message.id), pictures, str(message.id), called or replied_to
            )
            if self.client.app.leaving and not post.asked:
                return
            follow()
            log.debug("discord: message %s brings %d pictures", message.id, len(pictures))
            if (post.asked or self._decide(message.id)) and await self.conversation.wants(post):
                await self._answer(message, post)
        elif called and (not edited or self._decide(message.id)):
            await self._asked_without_picture(message)

    async def edited(self, event: discord.RawMessageUpdateEvent) -> None:
        """A link was unfolded, the bot was called after all, or a picture was taken out of a post."""
        message = event.message
        if message.author.bot:
            return
        if message.edited_at is not None and self.client.sees(message) and "attachments" in event.data:
            await self._take_back_missing(message)
        if (discord.utils.utcnow() - message.created_at).total_seconds() < EDIT_AGE_S:
            await self.posted(message, edited=True)

    async def deleted(self, message_ids: Iterable[int], channel_id: int) -> None:
        """A deleted post's answers go too; an answer that was deleted is no answer any more."""
        place = Place(PLATFORM, str(channel_id))
        for message_id in message_ids:
            if message_id in self._answering:
                self._gone.add(message_id)
            for answer in await self.conversation.answers_to(place, str(message_id)):
                await self._take_back(answer)
            own = await self.conversation.answer_in(place, str(message_id))
            if own is not None:
                await self.conversation.take_back(own.public_id)

    async def reacted(self, event: discord.RawReactionActionEvent, *, taken_back: bool) -> None:
        """👍 and laughter count for an answer, 👎 against it."""
        emoji = (event.emoji.name or "").strip(_VARIANTS)
        value = 1 if emoji in UP else -1 if emoji in DOWN else 0
        is_bot = event.member is not None and event.member.bot
        if not value or is_bot or event.user_id == self.client.own_id:
            return
        guild = str(event.guild_id) if event.guild_id else None
        place = Place(PLATFORM, str(event.channel_id), str(event.user_id), guild)
        await self.conversation.reacted(place, str(event.message_id), value, taken_back=taken_back)

    def _is_called(self, message: discord.Message) -> bool:
        """Direct messages are to the bot; elsewhere its name stands in the text, or that of the role that Discord gave it."""
        own_id = self.client.own_id
        roles = (role.tags for role in message.role_mentions)
        return (
            message.guild is None
            or own_id in message.raw_mentions
            or any(tags is not None and tags.bot_id == own_id for tags in roles)
        )

    def _decide(self, message_id: int) -> bool:
        """False where it was decided before: a post that was edited draws no second lot."""
        if message_id in self._decided:
            return False
        self._decided[message_id] = None
        if len(self._decided) > REMEMBERED:
            self._decided.popitem(last=False)
        return True

    async def _asked_without_picture(self, message: discord.Message) -> None:
        """The picture is in the message replied to, or behind a link that Discord has still to look at; or there is none."""
        place = place_in(message, message.author.id, message.id)
        language = (await self.conversation.rules(place)).language
        try:
            target = await self._replied_to(message)
            if target is not None:
                found = await self.client.locator.behind(target)
                post = Post(found.place, found.pictures, str(message.id), True, str(message.author.id))
                await self._answer(message, post)
                return
            if has_links(message.content):
                await asyncio.sleep(EMBED_WAIT_S)  # the embed comes as an edit, and is answered there
                if self.client.app.leaving:
                    return
            raise BokeRefused("help_direct" if message.guild is None else "mention_with_picture")
        except BokeRefused as refusal:
            if await self.conversation.claim(Post(place, (), str(message.id))):
                await self._remark(message, refused(self.client, refusal, language))

    async def _replied_to(self, message: discord.Message) -> discord.Message | None:
        reference = message.reference
        if reference is None or reference.message_id is None or message.type is not discord.MessageType.reply:
            return None
        if isinstance(reference.resolved, discord.Message):
            return reference.resolved
        try:
            return await message.channel.fetch_message(reference.message_id)
        except (discord.NotFound, discord.Forbidden):
            raise BokeRefused("picture_gone") from None

    async def _answer(self, message: discord.Message, post: Post) -> None:
        if not self.client.may_speak(message.channel) or not await self.conversation.claim(post):
            return
        rules = await self.conversation.rules(post.place)
        watched = {message.id, int(post.place.message_id or message.id)}
        self._answering |= watched
        try:
            async with typing(message.channel):
                async for said in self.conversation.reply(post):
                    if not watched.isdisjoint(self._gone):
                        if said.answer is not None:
                            await self.conversation.take_back(said.answer.id)
                        break
                    await self._say(message, post, said, rules.language)
        except PostGone:
            log.info("discord: a post was deleted before it was answered")
        finally:
            self._answering -= watched
            self._gone -= watched

    async def _say(self, message: discord.Message, post: Post, said: Said, language: Language) -> None:
        if said.answer is None:
            if said.refusal is not None:
                text = refused(self.client, said.refusal, language)
                await reply(message, text, part=said.position)
            return
        several = len(post.pictures) > 1
        notes = [say("nth_picture", language, number=said.position + 1)] if several else []
        text = joke(said.answer.text, " ".join(notes + source_note(said.answer, language)))
        view = answer_view(said.answer.id, language, card=said.card is None)
        try:
            sent = await reply(message, text, part=said.position, view=view, card=said.card, spoiler=said.spoiler)
        except PostGone:
            await self.conversation.take_back(said.answer.id)
            raise
        if sent is None:
            await self.conversation.take_back(said.answer.id)
            return
        await self.conversation.sent(said.answer, str(sent.id))
        if not self._gone.isdisjoint(
            {message.id, int(post.place.message_id or message.id)}
        ):  # between the sending and the noting
            await delete(self.client, str(sent.channel.id), str(sent.id))
            await self.conversation.take_back(said.answer.id)

    async def _remark(self, message: discord.Message, text: str) -> None:
        if self.client.may_speak(message.channel):
            try:
                await reply(message, text)
            except PostGone:
                log.info("discord: a message was deleted before it was answered")

    async def _take_back_missing(self, message: discord.Message) -> None:
        """Take back answers about pictures that a post does not have any more."""
        answers = await self.conversation.answers_to(place_in(message), str(message.id))
        if not answers:
            return
        left = {picture.url for picture in self.client.finder.of(message, asked=True)}
        for answer in answers:
            url = answer.picture_url
            if url is not None and url not in left and url not in message.content:
                await self._take_back(answer)

    async def _take_back(self, answer: StoredAnswer) -> None:
        await self.conversation.take_back(answer.public_id)
        if answer.reply_id is not None:
            await delete(self.client, answer.channel_id, answer.reply_id)
