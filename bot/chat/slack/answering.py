"""From a post to the bot's messages about it, and back: what goes when the post goes."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slack_bolt.context.respond.async_respond import AsyncRespond

from bot.boke import Ask
from bot.chat.slack.blocks import Handle, answer_blocks, escape, mark
from bot.chat.slack.client import UNREACHABLE
from bot.chat.slack.pictures import names
from bot.chat.slack.speaker import NotHere, Speaker, Spot, title
from bot.conversation import ChannelRules, Conversation, Place, Post, Said

log = logging.getLogger(__name__)

REMEMBERED = 2000  # deleted posts: only those count whose answer is under way


@dataclass(frozen=True)
class Asker:
    """Who asked by a command, a button or a shortcut, and where an answer for their eyes only goes.

    `private`: the jokes too are for them only.
    """

    respond: AsyncRespond
    thread_ts: str | None = None
    private: bool = False

    async def tell(self, text: str) -> None:
        """A line that only they see."""
        await self._respond(text=escape(text), response_type="ephemeral")

    async def show(self, text: str, blocks: list[dict[str, Any]], *, to_all: bool) -> None:
        """A message at the address that came with what they did; it works where the bot is no member, too."""
        kind = "in_channel" if to_all else "ephemeral"
        await self._respond(text=escape(text), blocks=blocks, response_type=kind)

    async def _respond(self, **message: Any) -> None:
        try:
            answer = await self.respond(
                replace_original=False, thread_ts=self.thread_ts, unfurl_links=False, unfurl_media=False, **message
            )
            if answer.status_code != 200:
                log.warning("a line for one person was refused: %s", answer.body)
        except UNREACHABLE as error:
            log.warning("a line for one person did not arrive (%s)", type(error).__name__)


class Answering:
    """Answers posts; see the module's first line."""

    def __init__(self, conversation: Conversation, speaker: Speaker) -> None:
        self.conversation, self.speaker = conversation, speaker
        self._gone: dict[tuple[str, str], float] = {}

    async def answer(self, post: Post, spot: Spot, ask: Ask = Ask(), asker: Asker | None = None) -> None:
        """Answer each picture of a post: in `spot`, or to the asker alone. Refusals go to the asker where there is one."""
        rules = await self.conversation.rules(post.place)
        several = len(post.pictures) > 1
        async with contextlib.aclosing(self.conversation.reply(post, ask)) as said_in_turn:
            async for said in said_in_turn:
                if self._is_gone(post.place):
                    if said.answer:
                        await self.conversation.take_back(said.answer.id)
                    return
                if said.answer is None:
                    await self.refuse(said.text(rules.language), spot, asker)
                    continue
                picture = post.pictures[said.position]
                handle = Handle(
                    said.answer.id,
                    picture.url or "",
                    post.place.user_id,
                    post.place.message_id or "",
                    said.position + 1 if several else 0,
                )
                await self._say(said, handle, post.place, spot, rules, asker)

    async def refuse(self, text: str, spot: Spot, asker: Asker | None = None) -> None:
        """Say why there is no joke: to the asker alone, where somebody asked, else where the joke would stand."""
        if asker is not None:
            await asker.tell(text)
            return
        with contextlib.suppress(NotHere):
            await self.speaker.line(spot, text)

    async def forget_post(self, place: Place, *, only: set[str] | None = None, thread: bool = True) -> None:
        """A post was deleted, and its answers go with it.

        only: it is still there, but the pictures of these names left it.
        thread: it had replies, and the bot's among them go, too.
        """
        ts = place.message_id or ""
        if only is None:
            if len(self._gone) >= REMEMBERED:
                self._gone = {key: when for key, when in self._gone.items() if when > time.monotonic() - 600}
            self._gone[place.channel_id, ts] = time.monotonic()
        for answer in await self.conversation.answers_to(place, ts):
            if only is not None and answer.picture_url not in only:
                continue
            await self.conversation.take_back(answer.public_id)
            if answer.reply_id:
                await self._delete_cards(place.channel_id, answer.reply_id, ts, answer.text)
                await self.speaker.delete(place.channel_id, answer.reply_id)
        if only is None and thread:
            for message in await self.speaker.own_messages(Spot(place.channel_id, ts)):
                if message.get("thread_ts") == ts:  # not the other answers of a thread that the post merely stood in
                    await self.speaker.delete(place.channel_id, str(message["ts"]))

    async def _say(
        self, said: Said, handle: Handle, place: Place, spot: Spot, rules: ChannelRules, asker: Asker | None
    ) -> None:
        assert said.answer is not None
        text, name = said.answer.text, mark()
        private = asker is not None and asker.private
        blocks = answer_blocks(text, handle, name, rules.language, source=said.answer.source_url, card=not private)
        if asker is not None and private:
            await asker.show(text, blocks, to_all=False)
            return
        try:
            ts = await self.speaker.say(spot, text, blocks, name)
        except NotHere:
            if asker is not None:
                await asker.show(text, blocks, to_all=True)
            return
        if ts is None:
            return
        if not self._is_gone(place):
            await self.conversation.sent(said.answer, ts)
        if said.card is not None and not self._is_gone(place):
            await self.speaker.card(spot, said.card, text)
        if self._is_gone(place):  # while that was going on: whoever noticed may have come too early to find all of it
            await self.conversation.take_back(said.answer.id)
            await self._delete_cards(spot.channel, ts, handle.post_ts, text)
            await self.speaker.delete(spot.channel, ts)

    async def _delete_cards(self, channel: str, reply_ts: str, post_ts: str, text: str) -> None:
        """Cards are found by their title: Slack does not say under which ts it posts an upload."""
        for spot in (Spot(channel), Spot(channel, post_ts)):
            for message in await self.speaker.own_messages(spot, oldest=reply_ts):
                if any(file.get("title") == title(text) for file in message.get("files") or []):
                    await self.speaker.delete(channel, str(message["ts"]))

    def _is_gone(self, place: Place) -> bool:
        return bool(place.message_id) and (place.channel_id, place.message_id or "") in self._gone


def lost(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """Names of the pictures that an edit took out of a message."""
    return names(before) - names(after)
