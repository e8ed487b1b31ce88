"""The buttons under an answer, and reactions, which are votes too."""

from __future__ import annotations

import logging
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.respond.async_respond import AsyncRespond
from slack_sdk.errors import SlackApiError

from bot.boke import Ask, BokeRefused, Place
from bot.chat.slack.answering import Asker
from bot.chat.slack.blocks import VOTES, Handle, answer_blocks, escape, section_id
from bot.chat.slack.client import UNREACHABLE, reason
from bot.chat.slack.posts import Posts
from bot.chat.slack.speaker import Spot
from bot.conversation import Post
from bot.messages import say
from store import votes
from store.answers import StoredAnswer
from store.errors import DatabaseError, UnknownAnswer

log = logging.getLogger(__name__)

LIKES = ("+1", "thumbsup", "joy", "rolling_on_the_floor_laughing", "laughing", "satisfied", "smile", "grin", "heart")
REACTIONS = dict.fromkeys((*LIKES, "sweat_smile", "clap", "100", "tada"), 1) | dict.fromkeys(("-1", "thumbsdown"), -1)


class Buttons:
    """Listeners for buttons and reactions; see the module's first line."""

    def __init__(self, posts: Posts) -> None:
        self.posts, self.config = posts, posts.config
        self.conversation, self.answers, self.speaker = posts.conversation, posts.answers, posts.speaker
        self.service = posts.conversation.service
        self._counting: dict[tuple[str, str], bool] = {}  # messages whose counts are being shown; True: once more

    async def on_again(
        self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any], respond: AsyncRespond
    ) -> None:
        """もう一回: another joke about the same picture, in a message of its own."""
        await ack()
        handle, place, asker = self._read(body, action, respond)
        language = (await self.conversation.rules(place)).language
        try:
            answer = await self._find(handle)
            if answer is not None and not await self.conversation.may_ask_again(answer, place):
                raise BokeRefused("only_poster")
        except BokeRefused as refusal:
            await asker.tell(refusal.line(language))
            return
        name = handle.picture or (answer.picture_url if answer else None) or ""
        there = Place("slack", place.channel_id, handle.owner, place.guild_id, handle.post_ts or None)
        post = Post(there, [self.posts.pictures.again(name)], action["action_ts"], asked=True, asked_by=place.user_id)
        ask = Ask(mode=answer.mode if answer else None, again_of=handle.answer_id or None)
        await self.answers.answer(post, Spot(place.channel_id, asker.thread_ts), ask, asker)

    async def on_vote(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any], respond: AsyncRespond) -> None:
        """👍 and 👎; pressed again, the vote is taken back. The counts stand on the buttons."""
        await ack()
        handle, place, asker = self._read(body, action, respond)
        language = (await self.conversation.rules(place)).language
        try:
            await self.service.press(handle.answer_id, place, VOTES[action["action_id"]])
            answer = await self.service.find(handle.answer_id)
        except BokeRefused as refusal:
            await asker.tell(refusal.line(language))
            return
        if asker.private or not await self._show_counts(place, body["container"]["message_ts"], handle, answer, body):
            await self._show_counts_privately(handle, answer, place, respond, card=not asker.private)

    async def on_card(self, ack: AsyncAck, body: dict[str, Any], action: dict[str, Any], respond: AsyncRespond) -> None:
        """カード: the picture with the joke under it."""
        await ack()
        handle, place, asker = self._read(body, action, respond)
        language = (await self.conversation.rules(place)).language
        try:
            answer = await self._find(handle)
            text = answer.text if answer else _text_of(body.get("message") or {})
            picture = self.posts.pictures.again(handle.picture or (answer.picture_url if answer else None) or "")
            self.service.check_limits(place)
            card = await self.service.card(await picture.fetch(), text)
        except BokeRefused as refusal:
            await asker.tell(refusal.line(language))
            return
        if not await self.speaker.card(Spot(place.channel_id, asker.thread_ts), card, text):
            await asker.tell(say("no_card", language))

    async def on_link(self, ack: AsyncAck) -> None:
        """A button that is a link: Slack opens it, and wants to hear that we know."""
        await ack()

    async def on_reaction(self, event: dict[str, Any]) -> None:
        """A reaction came or went."""
        value = REACTIONS.get(_name(event.get("reaction")))
        item = event.get("item") or {}
        user = str(event.get("user") or "")
        if not value or item.get("type") != "message" or event.get("item_user") != self.posts.me.user_id:
            return
        if user == self.posts.me.user_id:
            return
        place, ts = self.posts.place(str(item["channel"]), user), str(item["ts"])
        message = await self._message(place.channel_id, ts) or {}
        handle = Handle.of_message(message)
        if handle is None and not message:  # Slack does not tell, but the database may know
            kept = await self.conversation.answer_in(place, ts)
            handle = Handle(kept.public_id) if kept else None
        if handle is None or not handle.answer_id:
            return
        try:
            if event["type"] == "reaction_removed":
                value = _vote_of(message, user)
            await self.service.vote(handle.answer_id, place, value)
            answer = await self.service.find(handle.answer_id)
        except BokeRefused:
            return
        if message:
            await self._show_counts(place, ts, handle, answer, {"message": message})

    def _read(self, body: dict[str, Any], action: dict[str, Any], respond: AsyncRespond) -> tuple[Handle, Place, Asker]:
        """Of a button: its state, who pressed it and where, and how to answer them."""
        container = body["container"]
        place = self.posts.place(body["channel"]["id"], body["user"]["id"])
        thread_ts = container.get("thread_ts") or (body.get("message") or {}).get("thread_ts")
        asker = Asker(
            respond,
            thread_ts if thread_ts != container.get("message_ts") else None,
            private=bool(container.get("is_ephemeral")),
        )
        return Handle.decode(action["value"]), place, asker

    async def _find(self, handle: Handle) -> StoredAnswer | None:
        """The answer; None where it was not kept, or the database cannot say. Raises BokeRefused: it was erased."""
        if not handle.answer_id:
            return None
        try:
            return await self.service.find(handle.answer_id)
        except DatabaseError as error:
            log.error("an answer cannot be read: %s", error)
            return None

    async def _show_counts(
        self, place: Place, ts: str, handle: Handle, answer: StoredAnswer, body: dict[str, Any]
    ) -> bool:
        """Write the counts of now on a message's buttons. False where it cannot be edited.

        One edit of a message is under way at a time, so that an older count never overwrites a newer.
        """
        key = place.channel_id, ts
        if key in self._counting:
            self._counting[key] = True
            return True
        self._counting[key] = True
        name = section_id(body.get("message") or {})
        language = (await self.conversation.rules(place)).language
        done = True
        try:
            while self._counting[key]:
                self._counting[key] = False
                counts = await self.service.stored(votes.vote_counts, self.service.database, answer.public_id)
                blocks = answer_blocks(answer.text, handle, name, language, counts, source=answer.source_url)
                done = await self.speaker.update(Spot(place.channel_id), ts, answer.text, blocks)
        except UnknownAnswer:
            return True
        finally:
            del self._counting[key]
        return done

    async def _show_counts_privately(
        self, handle: Handle, answer: StoredAnswer, place: Place, respond: AsyncRespond, *, card: bool
    ) -> None:
        """The same where only the button's own address reaches the message."""
        language = (await self.conversation.rules(place)).language
        counts = await self.service.stored(votes.vote_counts, self.service.database, answer.public_id)
        blocks = answer_blocks(
            answer.text, handle, section_id({}), language, counts, source=answer.source_url, card=card
        )
        await respond(text=escape(answer.text), blocks=blocks, replace_original=True)

    async def _message(self, channel: str, ts: str) -> dict[str, Any] | None:
        """A message with its reactions and blocks; None where Slack does not tell."""
        try:
            answer = await self.posts.pictures.client.reactions_get(channel=channel, timestamp=ts, full=True)
        except SlackApiError as error:
            log.warning("reactions cannot be read: %s", reason(error))
            return None
        except UNREACHABLE as error:
            log.warning("reactions cannot be read (%s)", type(error).__name__)
            return None
        message: dict[str, Any] = answer["message"]
        return message


def _name(reaction: object) -> str:
    """A reaction's name without its skin tone."""
    return str(reaction or "").split("::")[0]


def _vote_of(message: dict[str, Any], user: str) -> int:
    """What somebody's reactions amount to: the first that is a vote."""
    for reaction in message.get("reactions") or []:
        value = REACTIONS.get(_name(reaction.get("name")), 0)
        if value and user in (reaction.get("users") or ()):
            return value
    return 0


def _text_of(message: dict[str, Any]) -> str:
    text = str(message.get("text") or "")
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
