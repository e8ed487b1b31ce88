"""What people post, change and delete in Slack, and the bot's arrival in a channel."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk.errors import SlackApiError

from bokemodel.modes import MODES
from bot.boke import Ask, Place
from bot.chat.slack.answering import Answering, lost
from bot.chat.slack.blocks import Handle
from bot.chat.slack.client import NOT_HERE, UNREACHABLE, reason
from bot.chat.slack.pictures import Pictures
from bot.chat.slack.speaker import NotHere, Speaker, Spot
from bot.conversation import Conversation, Post, PostedPicture
from bot.log import follow
from bot.messages import say
from store.config import Config
from store.errors import DatabaseError

log = logging.getLogger(__name__)

WRITTEN_BY_PEOPLE = frozenset({None, "file_share", "thread_broadcast", "me_message"})
LAST_MESSAGES = 50  # in which the last picture is looked for
MOST_REPLIES = 200
EDIT_AGE_S = 900  # pictures that come to older posts are not answered any more
COMMANDS = {
    "boke": "/boke",
    "settings": "/boke-settings",
    "optout": "/boke-optout",
    "optin": "/boke-optout off",
    "shortcut": "これでボケて",
}


@dataclass(frozen=True)
class Me:
    """Who the bot is in this workspace."""

    user_id: str
    bot_id: str
    team_id: str
    name: str
    team: str = ""

    @property
    def mention(self) -> str:
        return f"<@{self.user_id}>"


@dataclass(frozen=True)
class Source:
    """A message with pictures, and whose they are."""

    owner: str
    ts: str
    thread_ts: str | None
    pictures: tuple[PostedPicture, ...]


class Posts:
    """Listeners for messages, and what commands and shortcuts ask about messages."""

    def __init__(
        self,
        config: Config,
        me: Me,
        conversation: Conversation,
        pictures: Pictures,
        speaker: Speaker,
        answers: Answering,
    ) -> None:
        self.config, self.me = config, me
        self.conversation, self.pictures, self.speaker, self.answers = conversation, pictures, speaker, answers

    async def on_message(self, event: dict[str, Any]) -> None:
        """A message event of whatever subtype."""
        subtype = event.get("subtype")
        if subtype == "message_changed":
            await self._changed(event)
        elif subtype == "message_deleted":
            await self._deleted(event)
        elif subtype in WRITTEN_BY_PEOPLE:
            await self._posted(event)

    async def on_mention(self, event: dict[str, Any]) -> None:
        """The bot was mentioned; the same message comes as a message event, too, and is answered once."""
        await self._posted(event)

    async def on_joined(self, event: dict[str, Any]) -> None:
        """Somebody joined a channel: where it is the bot, the channel is enabled, and hears in one line what for."""
        if event.get("user") != self.me.user_id:
            return
        place = self.place(str(event["channel"]))
        if not await self.conversation.claim(Post(place, (), f"joined:{event.get('event_ts')}")):
            return
        try:
            rules = await self.conversation.change_rules(place, enabled=True)
            text = say("hello" if rules.automatic else "hello_when_asked", rules.language, **COMMANDS)
        except DatabaseError as error:
            log.error("a channel could not be enabled: %s", error)
            text = say("try_later", self.config.chat.language)
        try:
            await self.speaker.line(Spot(place.channel_id), text)
        except NotHere:
            log.info("left %s again before a word was said", place.channel_id)

    def place(self, channel: str, user: str = "", ts: str | None = None) -> Place:
        return Place("slack", channel, user, self.me.team_id, ts)

    def spot(self, channel: str, source: Source) -> Spot:
        """Where an answer to a message stands: in its thread, or as `slack.reply_in_thread` says."""
        if source.thread_ts and source.thread_ts != source.ts:
            return Spot(channel, source.thread_ts)
        in_thread = self.config.slack.reply_in_thread and not is_direct(channel)
        return Spot(channel, (source.ts or None) if in_thread else None)

    async def source(self, message: Mapping[str, Any], *, asked: bool) -> Source:
        """A message as somewhere to take pictures from."""
        pictures = await self.pictures.of_message(message, asked=asked)
        return Source(_author(message), str(message["ts"]), message.get("thread_ts"), tuple(pictures))

    async def last_source(self, channel: str, asker: str) -> Source | None:
        """The last message with a picture there, of somebody who wants answers. Raises NotHere, SlackApiError."""
        try:
            answer = await self.pictures.client.conversations_history(channel=channel, limit=LAST_MESSAGES)
        except SlackApiError as error:
            if reason(error) in NOT_HERE:
                raise NotHere(channel) from None
            raise
        async for source in self._sources(answer["messages"]):
            place = self.place(channel, source.owner)
            if source.owner == asker or not await self.conversation.service.opted_out(place):
                return source
        return None

    async def _posted(self, event: dict[str, Any]) -> None:
        if event.get("bot_id") or not event.get("user") or event["user"] == self.me.user_id:
            return
        channel, user = str(event["channel"]), str(event["user"])
        asked = is_direct(channel) or self.me.mention in (event.get("text") or "")
        source = await self.source(event, asked=asked)
        if source.pictures:
            follow()
            log.debug("slack: message %s brings %d pictures", source.ts, len(source.pictures))
        if asked and not source.pictures:
            await self._asked_without_picture(event, channel, user, source)
            return
        await self._answer(channel, source, asked=asked, by=user, event_id=source.ts, text=event.get("text") or "")

    async def _asked_without_picture(self, event: dict[str, Any], channel: str, user: str, source: Source) -> None:
        thread_ts = source.thread_ts
        if thread_ts and thread_ts != source.ts and not event.get("files"):
            other = await self._above(channel, thread_ts, source.ts)
            if other is not None:
                text = event.get("text") or ""
                await self._answer(channel, other, asked=True, by=user, event_id=source.ts, text=text)
                return
        place = self.place(channel, user, source.ts)
        if not await self.conversation.claim(Post(place, (), source.ts, asked=True)):
            return
        rules = await self.conversation.rules(place)
        key = "no_picture" if event.get("files") else "help_direct" if is_direct(channel) else "help"
        await self.answers.refuse(say(key, rules.language, **COMMANDS), self.spot(channel, source))

    async def _answer(
        self, channel: str, source: Source, *, asked: bool, by: str, event_id: str, text: str = ""
    ) -> None:
        place = self.place(channel, source.owner, source.ts)
        post = Post(place, source.pictures, event_id, asked=asked, asked_by=by)
        if await self.conversation.wants(post) and await self.conversation.claim(post):
            mode = next((word for word in text.casefold().split() if word in MODES), None) if asked else None
            await self.answers.answer(post, self.spot(channel, source), Ask(mode=mode))

    async def _changed(self, event: dict[str, Any]) -> None:
        """Answer pictures that came with a preview or an edit, take back answers to those that went."""
        channel, now, before = str(event["channel"]), event.get("message") or {}, event.get("previous_message") or {}
        if now.get("subtype") == "tombstone":
            await self._deleted({**event, "deleted_ts": now.get("ts")})
            return
        if now.get("bot_id") or not now.get("user") or now["user"] == self.me.user_id:
            return
        gone = lost(before, now)
        if gone:
            await self.answers.forget_post(self.place(channel, ts=str(now["ts"])), only=gone)
        asked = is_direct(channel) or self.me.mention in (now.get("text") or "")
        known = {picture.url for picture in await self.pictures.of_message(before, asked=asked)}
        source = await self.source(now, asked=asked)
        fresh = tuple(picture for picture in source.pictures if picture.url not in known)
        if fresh and time.time() - float(source.ts) < EDIT_AGE_S:
            source = Source(source.owner, source.ts, source.thread_ts, fresh)
            await self._answer(channel, source, asked=asked, by=source.owner, event_id=source.ts)

    async def _deleted(self, event: dict[str, Any]) -> None:
        channel, ts = str(event["channel"]), str(event.get("deleted_ts") or "")
        before = event.get("previous_message") or {}
        if not ts or before.get("subtype") == "tombstone":  # of which it was told when it became one
            return
        if before.get("user") == self.me.user_id:  # one of the bot's own: it is to be seen no more
            handle = Handle.of_message(before)
            if handle is not None and handle.answer_id:
                await self.conversation.take_back(handle.answer_id)
            return
        await self.answers.forget_post(self.place(channel, ts=ts), thread=bool(before.get("reply_count")))

    async def _above(self, channel: str, thread_ts: str, ts: str) -> Source | None:
        """The last message with a picture in a thread, above one of its replies."""
        try:
            answer = await self.pictures.client.conversations_replies(
                channel=channel, ts=thread_ts, latest=ts, limit=MOST_REPLIES
            )
        except SlackApiError as error:
            log.warning("a thread in %s cannot be read: %s", channel, reason(error))
            return None
        except UNREACHABLE as error:
            log.warning("a thread in %s cannot be read (%s)", channel, type(error).__name__)
            return None
        async for source in self._sources(sorted(answer["messages"], key=_when, reverse=True)):
            return source
        return None

    async def _sources(self, messages: Iterable[dict[str, Any]]) -> AsyncIterator[Source]:
        """Those of the messages that have pictures, and are not the bot's own."""
        for message in messages:
            if message.get("user") != self.me.user_id:
                source = await self.source(message, asked=False)
                if source.pictures:
                    yield source


def is_direct(channel: str) -> bool:
    """Is it a conversation of one person with the bot?"""
    return channel.startswith("D")


def _author(message: Mapping[str, Any]) -> str:
    return str(message.get("user") or message.get("bot_id") or "")


def _when(message: Mapping[str, Any]) -> float:
    return float(message["ts"])
