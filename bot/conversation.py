"""What every chat does with a post, whatever the platform: whom it answers unasked, once, how often, and what it says.

A front end turns an event into a `Post`, hands it to `Conversation.reply`, and puts each `Said` into its platform's words.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from datetime import time as clock
from typing import Any
from zoneinfo import ZoneInfo

from bot.boke import Answer, Ask, BokeRefused, BokeService, Place
from bot.log import PICTURE, follow
from bot.messages import Language
from store import answers, events, settings
from store.answers import RankedAnswer, StoredAnswer
from store.errors import DatabaseError, UnknownAnswer

log = logging.getLogger(__name__)

QUIET_REFUSALS = frozenset({"slow_down"})  # nobody asked: saying so each time would be the noise it is meant to stop


@dataclass(frozen=True)
class PostedPicture:
    """One picture of a post: how to get its bytes (raises BokeRefused), and what its poster asked for."""

    fetch: Callable[[], Awaitable[bytes]]
    url: str | None = None
    spoiler: bool = False


@dataclass(frozen=True)
class Post:
    """A message with pictures. `event_id` names it for good: redelivered, it is not answered again.

    `place.user_id` is whose pictures they are; `asked_by` who asked about them, where that was somebody else.
    """

    place: Place
    pictures: Sequence[PostedPicture]
    event_id: str
    asked: bool = False  # the bot was mentioned, commanded or written to directly
    asked_by: str = ""


@dataclass(frozen=True)
class ChannelRules:
    """What holds in a channel: its moderators' choices over the configuration."""

    enabled: bool
    automatic: bool
    probability: float
    cooldown_s: float
    quiet_from: str
    quiet_to: str
    card: bool
    language: Language


@dataclass(frozen=True)
class Said:
    """One answer, or the line that explains why there is none. `card` is a PNG where the channel wants cards."""

    position: int
    answer: Answer | None = None
    refusal: BokeRefused | None = None
    card: bytes | None = None
    spoiler: bool = False

    def text(self, language: Language) -> str:
        return self.answer.text if self.answer else self.refusal.line(language) if self.refusal else ""


class Conversation:
    """The chats' common part, over the one core."""

    def __init__(self, service: BokeService) -> None:
        self.service, self.config = service, service.config
        self.database = service.database
        self._last: dict[tuple[str, str, str], float] = {}  # when a person was last answered in a channel

    async def rules(self, place: Place) -> ChannelRules:
        """The rules of a channel; those of the configuration where the database cannot say."""
        chat, channel = self.config.chat, place.parent_id or place.channel_id
        try:
            chosen = await self.service.stored(settings.get_channel, self.database, place.platform, channel)
        except DatabaseError as error:
            log.error("channel settings cannot be read: %s", error)
            chosen = settings.ChannelChoice(platform=place.platform, channel_id=channel)
        enabled = not {"*", channel, place.channel_id}.isdisjoint(chat.enabled_channels)
        quiet_from, _, quiet_to = chat.quiet_hours.partition("-")
        return ChannelRules(
            enabled if chosen.enabled is None else chosen.enabled,
            chat.automatic if chosen.automatic is None else chosen.automatic,
            chat.probability if chosen.probability is None else chosen.probability,
            chat.cooldown_s if chosen.cooldown_s is None else chosen.cooldown_s,
            quiet_from if chosen.quiet_from is None else chosen.quiet_from,
            quiet_to if chosen.quiet_to is None else chosen.quiet_to,
            chat.card_default if chosen.card is None else chosen.card,
            "en" if (chosen.language or chat.language) == "en" else "ja",
        )

    async def change_rules(self, place: Place, **choices: Any) -> ChannelRules:
        """Set a channel's choices (fields of store.settings.ChannelChoice). Raises DatabaseError."""
        choices.setdefault("guild_id", place.guild_id)
        channel = place.parent_id or place.channel_id
        await self.service.stored(settings.set_channel, self.database, place.platform, channel, **choices)
        return await self.rules(place)

    async def wants(self, post: Post) -> bool:
        """Shall this post be answered? Opted-out people never unasked; the rest by the channel's rules."""
        if not post.pictures:
            return False
        if post.asked:
            return True
        rules = await self.rules(post.place)
        if not (rules.enabled and rules.automatic) or self._is_quiet(rules):
            return False
        if await self.service.opted_out(post.place):
            return False
        if self.config.chat.cooldown_s and not self._cooled_down(post.place, rules.cooldown_s):
            return False
        return random.random() < rules.probability

    async def claim(self, post: Post) -> bool:
        """True for the one who may answer this post, across restarts and processes.

        Where the database cannot say, the post is answered: silence would be worse than a rare double.
        """
        place = post.place
        try:
            return await self.service.stored(
                events.mark_seen, self.database, place.platform, place.channel_id, post.event_id
            )
        except DatabaseError as error:
            log.error("an event could not be claimed: %s", error)
            return True

    async def unclaim(self, post: Post) -> None:
        """Give a claim back: what it was for could not be done, and may be done another time."""
        place = post.place
        try:
            await self.service.stored(
                events.unmark_seen, self.database, place.platform, place.channel_id, post.event_id
            )
        except DatabaseError as error:
            log.error("a claim could not be given back: %s", error)

    async def reply(self, post: Post, ask: Ask = Ask()) -> AsyncGenerator[Said, None]:
        """Answer each picture of a post, up to `chat.max_pictures_per_message`, in order.

        Call `wants` and `claim` first. Refusals nobody asked for and nobody can act on are not said.
        """
        with self.service.work:
            async for said in self._reply(post, ask):
                yield said

    async def _reply(self, post: Post, ask: Ask) -> AsyncGenerator[Said, None]:
        if post.asked_by not in ("", post.place.user_id):
            ask = replace(ask, asked_by=post.asked_by)
            if await self.service.opted_out(post.place):
                yield Said(0, refusal=BokeRefused("left_alone"))
                return
        rules = await self.rules(post.place)
        limit = self.config.chat.max_pictures_per_message
        name = PICTURE.get() or follow()  # what the front end called the post's first picture
        for position, picture in enumerate(post.pictures[:limit]):
            follow(f"{name}.{position}" if position else name)
            place = replace(post.place, position=position)
            try:
                data = await picture.fetch()
                answer = await self.service.answer(
                    data, place, replace(ask, picture_url=picture.url or ask.picture_url)
                )
            except BokeRefused as refusal:
                log.info("%s: no answer: %s (%s)", place.platform, refusal.code, refusal)
                if post.asked or refusal.code not in QUIET_REFUSALS:
                    yield Said(position, refusal=refusal)
                continue
            self._last[place.platform, place.channel_id, place.user_id] = time.monotonic()
            card = await self.card(data, answer.text, picture.spoiler) if rules.card else None
            yield Said(position, answer, card=card, spoiler=picture.spoiler)

    async def card(self, picture: bytes, text: str, spoiler: bool = False) -> bytes | None:
        """The picture with the joke under it, as PNG; None where it cannot be drawn (the text is what counts)."""
        try:
            return await self.service.card(picture, text, spoiler=spoiler)
        except BokeRefused as refusal:
            log.error("a card could not be made: %s", refusal)
            return None

    async def sent(self, answer: Answer, reply_id: str) -> None:
        """Note which message carries an answer, so that reactions and deletions find it."""
        if not answer.id:
            return
        try:
            await self.service.stored(answers.attach_reply, self.database, answer.id, reply_id)
        except UnknownAnswer:
            log.info("an answer was taken back before it was sent")
        except DatabaseError as error:
            log.error("a reply's message could not be noted: %s", error)

    async def may_ask_again(self, answer: StoredAnswer, place: Place) -> bool:
        """May this person have another joke about the picture of an answer? Raises DatabaseError."""
        return self.config.chat.again_by == "anyone" or await self.service.is_poster(answer, place)

    async def reacted(self, place: Place, reply_id: str, value: int, *, taken_back: bool = False) -> None:
        """A reaction to one of the bot's messages is a vote, 1 or -1, of `place.user_id`."""
        answer = await self.answer_in(place, reply_id)
        if answer is None:
            return
        change = self.service.unvote if taken_back else self.service.vote
        try:
            await change(answer.public_id, place, value)
        except (BokeRefused, DatabaseError) as error:
            log.error("a reaction could not be counted: %s", error)

    async def answer_in(self, place: Place, reply_id: str) -> StoredAnswer | None:
        """The answer that one of the bot's messages carries; None where there is none, or the database cannot say."""
        try:
            return await self.service.stored(
                answers.answer_by_reply, self.database, place.platform, place.channel_id, reply_id
            )
        except DatabaseError as error:
            log.error("an answer could not be looked up: %s", error)
            return None

    async def answers_to(self, place: Place, message_id: str) -> tuple[StoredAnswer, ...]:
        """The answers to a post, in order; none where the database cannot say."""
        try:
            return await self.service.stored(
                answers.answers_to_post, self.database, place.platform, place.channel_id, message_id
            )
        except DatabaseError as error:
            log.error("a post's answers could not be looked up: %s", error)
            return ()

    async def take_back(self, answer_id: str) -> None:
        """An answer that is no longer to be seen: its post or its message was deleted."""
        try:
            await self.service.stored(answers.delete_answer, self.database, answer_id)
        except DatabaseError as error:
            log.error("an answer could not be taken back: %s", error)

    async def best_today(self, place: Place, limit: int = 5) -> tuple[RankedAnswer, ...]:
        """A channel's best answers since midnight in `chat.timezone`, by votes. Raises DatabaseError."""
        return await self.service.stored(
            answers.best_today,
            self.database,
            place.platform,
            channel_id=place.channel_id,
            timezone=self.config.chat.timezone,
            limit=limit,
        )

    def _cooled_down(self, place: Place, cooldown_s: float) -> bool:
        last = self._last.get((place.platform, place.channel_id, place.user_id))
        if len(self._last) > 10_000:
            oldest = time.monotonic() - 3600
            self._last = {key: when for key, when in self._last.items() if when > oldest}
        return last is None or time.monotonic() - last >= cooldown_s

    def _is_quiet(self, rules: ChannelRules) -> bool:
        if not (rules.quiet_from and rules.quiet_to):
            return False
        now = datetime.now(ZoneInfo(self.config.chat.timezone)).time()
        return in_hours(now, rules.quiet_from, rules.quiet_to)


def in_hours(now: clock, start: str, end: str) -> bool:
    """Whether a time of day lies in "23:00" to "07:00", over midnight too; "24:00" is the day's end."""
    minute = now.hour * 60 + now.minute
    begin, stop = (int(h) * 60 + int(m) for h, m in (start.split(":"), end.split(":")))
    return begin <= minute < stop if begin <= stop else minute >= begin or minute < stop
