"""Slash commands and the message shortcut."""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.respond.async_respond import AsyncRespond
from slack_sdk.errors import SlackApiError

from bokemodel.modes import MODES
from bot.boke import Ask
from bot.chat.slack.answering import Asker
from bot.chat.slack.blocks import Block, plain
from bot.chat.slack.client import UNREACHABLE
from bot.chat.slack.posts import COMMANDS, Posts, Source
from bot.chat.slack.settings import Settings
from bot.chat.slack.speaker import NotHere
from bot.conversation import Post
from bot.messages import Language, say

SHORTCUT = "boke_this"
BEST = 5  # jokes in /boke-stats
LONGEST_WORD = 40  # of what is quoted back, in characters
PRIVATE = frozenset({"private", "内緒", "ないしょ", "こっそり"})
BACK = frozenset({"off", "解除", "戻す"})
WORDS = {
    "settings": frozenset({"settings", "設定"}),
    "stats": frozenset({"stats", "best", "ベスト", "ランキング"}),
    "forget": frozenset({"forget", "忘れて"}),
    "optout": frozenset({"optout", "opt-out"}),
    "help": frozenset({"help", "ヘルプ", "使い方", "?"}),
}
_URL = re.compile(r"^<?(https?://[^|<>\s]+)(?:\|[^<>]*)?>?$")


@dataclass(frozen=True)
class Wish:
    """What was typed after /boke. `unknown` is the first word that means nothing."""

    url: str | None = None
    mode: str | None = None
    private: bool = False
    unknown: str = ""


class Commands:
    """Listeners for commands; see the module's first line."""

    def __init__(self, posts: Posts, settings: Settings) -> None:
        self.posts, self.settings = posts, settings
        self.conversation, self.answers, self.config = posts.conversation, posts.answers, posts.config

    async def on_boke(self, ack: AsyncAck, command: dict[str, Any], respond: AsyncRespond) -> None:
        """/boke, also with settings, stats, forget, optout or help behind it."""
        words = command.get("text", "").split()
        first = words[0].casefold() if words else ""
        others: dict[str, Callable[..., Awaitable[None]]] = {
            "settings": self.on_settings,
            "stats": self.on_stats,
            "forget": self.on_forget,
            "optout": self.on_optout,
        }
        for name, meanings in WORDS.items():
            if first in meanings and name in others:
                await others[name](ack=ack, command={**command, "text": " ".join(words[1:])}, respond=respond)
                return
        wish = read_wish(words)
        if wish.url and not wish.private:
            await ack(response_type="in_channel")  # shows everybody what was typed: the link that the joke is about
        else:
            await ack()
        language = await self._language(command)
        asker = Asker(respond, private=wish.private)
        if first in WORDS["help"]:
            modes = await self.conversation.service.modes()
            named = "、".join(f"{mode}（{say(f'mode_{mode}', language)}）" for mode in modes)
            lines = say("help", language, **COMMANDS), say("help_modes", language, modes=named, **COMMANDS)
            await asker.tell("\n".join(lines))
        elif wish.unknown:
            await asker.tell(say("not_understood", language, word=wish.unknown[:LONGEST_WORD], **COMMANDS))
        else:
            await self._boke(command, wish, asker, language)

    async def on_stats(self, ack: AsyncAck, command: dict[str, Any], respond: AsyncRespond) -> None:
        """/boke-stats: for all where there is something to see."""
        await ack()
        place = self.posts.place(command["channel_id"])
        language = await self._language(command)
        best = await self.conversation.best_today(place, 4 * BEST)
        best = tuple(ranked for ranked in best if ranked.answer.reply_id)[:BEST]  # no private ones
        if not best:
            await Asker(respond).tell(say("best_none", language))
            return
        header = say("best_title", language)
        blocks: list[Block] = [{"type": "header", "text": plain(header)}]
        lines = [header]
        for number, ranked in enumerate(best, 1):
            line = f"{number}. {ranked.answer.text}　👍 {ranked.up}" + (f"　👎 {ranked.down}" if ranked.down else "")
            lines.append(line)
            block: Block = {"type": "section", "text": plain(line)}
            link = await self._link(place.channel_id, ranked.answer.reply_id)
            if link:
                label = {"type": "plain_text", "text": say("go_there", language)}
                block["accessory"] = {"type": "button", "action_id": f"open_{number}", "text": label, "url": link}
            blocks.append(block)
        await Asker(respond).show("\n".join(lines), blocks, to_all=True)

    async def on_forget(self, ack: AsyncAck, command: dict[str, Any], respond: AsyncRespond) -> None:
        """/boke-forget: erase what is kept of who asks."""
        await ack()
        language = await self._language(command)
        gone = await self.conversation.service.forget(self.posts.place(command["channel_id"], command["user_id"]))
        key = "forgotten" if gone.answers or gone.votes else "nothing_to_forget"
        await Asker(respond).tell(say(key, language, answers=gone.answers, votes=gone.votes))

    async def on_optout(self, ack: AsyncAck, command: dict[str, Any], respond: AsyncRespond) -> None:
        """/boke-optout, and /boke-optout off."""
        await ack()
        language = await self._language(command)
        out = command.get("text", "").strip().casefold() not in BACK
        await self.conversation.service.opt_out(self.posts.place(command["channel_id"], command["user_id"]), out)
        await Asker(respond).tell(say("opted_out" if out else "opted_in", language, **COMMANDS))

    async def on_settings(self, ack: AsyncAck, command: dict[str, Any], respond: AsyncRespond) -> None:
        """/boke-settings: a form for this channel."""
        await ack()
        await self.settings.open(
            self.posts.place(command["channel_id"]), command["trigger_id"], command["response_url"]
        )

    async def on_shortcut(self, ack: AsyncAck, shortcut: dict[str, Any], respond: AsyncRespond) -> None:
        """これでボケて, on any message."""
        await ack()
        channel, user, message = shortcut["channel"]["id"], shortcut["user"]["id"], shortcut["message"]
        thread_ts = message.get("thread_ts")
        source = await self.posts.source(message, asked=True)
        asker = Asker(respond, thread_ts if thread_ts != source.ts else None)
        if not source.pictures:
            await asker.tell(say("no_picture", (await self.conversation.rules(self.posts.place(channel))).language))
            return
        await self._about(channel, source, user, Ask(), asker)

    async def _boke(self, command: dict[str, Any], wish: Wish, asker: Asker, language: Language) -> None:
        channel, user = command["channel_id"], command["user_id"]
        if wish.url:
            source: Source | None = Source(user, "", None, (self.posts.pictures.of_link(wish.url),))
        else:
            try:
                source = await self.posts.last_source(channel, user)
            except NotHere:
                await asker.tell(say("not_here", language, invite=f"/invite @{self.posts.me.name}"))
                return
        if source is None:
            await asker.tell(say("no_recent_picture", language, **COMMANDS))
            return
        source = replace(source, pictures=source.pictures[-1:])
        await self._about(channel, source, user, Ask(mode=wish.mode), asker)

    async def _about(self, channel: str, source: Source, user: str, ask: Ask, asker: Asker) -> None:
        place = self.posts.place(channel, source.owner, source.ts or None)
        post = Post(place, source.pictures, source.ts, asked=True, asked_by=user)
        await self.answers.answer(post, self.posts.spot(channel, source), ask, asker)

    async def _language(self, command: dict[str, Any]) -> Language:
        return (await self.conversation.rules(self.posts.place(command["channel_id"]))).language

    async def _link(self, channel: str, ts: str | None) -> str:
        """The address of a message; "" where Slack does not tell."""
        if not ts:
            return ""
        try:
            answer = await self.posts.pictures.client.chat_getPermalink(channel=channel, message_ts=ts)
        except (SlackApiError, *UNREACHABLE):
            return ""
        return str(answer["permalink"])


def read_wish(words: list[str]) -> Wish:
    """What words after /boke mean: a link, a mode (also as mode=...), and whether only the asker shall see it."""
    url = mode = None
    private = False
    for word in words:
        folded = word.casefold()
        link = _URL.match(word)
        if link:
            url = html.unescape(link.group(1))
        elif folded in MODES or folded.startswith("mode="):
            mode = folded.removeprefix("mode=")
        elif folded in PRIVATE:
            private = True
        else:
            return Wish(unknown=word)
    return Wish(url, mode, private)
