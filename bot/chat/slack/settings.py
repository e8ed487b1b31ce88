"""The form in which the people of a channel set how the bot behaves there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.context.respond.async_respond import AsyncRespond
from slack_sdk.errors import SlackApiError

from bot.boke import Place
from bot.chat.slack.answering import Asker
from bot.chat.slack.blocks import Block, plain
from bot.chat.slack.client import NOT_HERE, UNREACHABLE, reason
from bot.chat.slack.posts import COMMANDS, Posts, is_direct
from bot.chat.slack.speaker import NotHere, Spot
from bot.conversation import ChannelRules
from bot.messages import Language, say
from store.errors import DatabaseError

log = logging.getLogger(__name__)

FORM = "boke_settings"
LOOK_S = 1.0  # the form must be open within 3 s
PROBABILITIES = (1.0, 0.5, 0.25, 0.1)
COOLDOWNS = (0.0, 5.0, 30.0, 60.0, 300.0, 1800.0)  # seconds
NONE, YES, NO = "none", "yes", "no"
LANGUAGES = {"ja": "日本語", "en": "English"}


class Settings:
    """Opens the form, and takes it back filled in."""

    def __init__(self, posts: Posts) -> None:
        self.posts, self.conversation = posts, posts.conversation

    async def open(self, place: Place, trigger_id: str, response_url: str) -> None:
        """Show the form to who asked. It must be there within 3 s. Raises SlackApiError."""
        rules = await self.conversation.rules(place)
        notice = "" if is_direct(place.channel_id) else await self._notice(place.channel_id, rules.language)
        await self.posts.pictures.client.views_open(
            trigger_id=trigger_id, view=form(rules, place.channel_id, response_url, notice)
        )

    async def on_saved(self, ack: AsyncAck, body: dict[str, Any], view: dict[str, Any]) -> None:
        """The form came back."""
        meta = json.loads(view["private_metadata"])
        language: Language = "en" if meta["language"] == "en" else "ja"
        choices = read_form(view["state"]["values"])
        if bool(choices.get("quiet_from")) != bool(choices.get("quiet_to")):
            await ack(response_action="errors", errors={"quiet_to": say("quiet_both", language)})
            return
        await ack()
        place = self.posts.place(meta["channel"], body["user"]["id"])
        before = await self.conversation.rules(place)
        asker = Asker(AsyncRespond(response_url=meta["url"]))
        try:
            after = await self.conversation.change_rules(place, **choices)
        except DatabaseError as error:
            log.error("settings could not be kept: %s", error)
            await asker.tell(say("try_later", language))
            return
        await asker.tell(say("settings_saved", after.language, summary=summary(after, is_direct(place.channel_id))))
        if after.enabled and not before.enabled:
            await self._greet(place, after)

    async def _greet(self, place: Place, rules: ChannelRules) -> None:
        """Everybody there shall know that the bot now reads along."""
        key = "hello" if rules.automatic else "hello_when_asked"
        with contextlib.suppress(NotHere):
            await self.posts.speaker.line(Spot(place.channel_id), say(key, rules.language, **COMMANDS))

    async def _notice(self, channel: str, language: Language) -> str:
        """What stands in the way of answers there; "" where nothing does."""
        try:
            asked = self.posts.pictures.client.conversations_info(channel=channel)
            answer = await asyncio.wait_for(asked, LOOK_S)
            here = bool(answer["channel"].get("is_member", True))
        except SlackApiError as error:
            here = reason(error) not in NOT_HERE
        except UNREACHABLE:
            here = True
        return "" if here else say("not_here", language, invite=f"/invite @{self.posts.me.name}")


def form(rules: ChannelRules, channel: str, response_url: str, notice: str = "") -> dict[str, Any]:
    """The modal with a channel's rules filled in; for direct messages only what has a meaning there."""
    language = rules.language
    yes_no = ((YES, "enabled_yes"), (NO, "enabled_no"))
    when = ((YES, "automatic_yes"), (NO, "automatic_no"))
    cards = ((YES, "card_yes"), (NO, "card_no"))
    hours = [f"{hour:02d}:00" for hour in range(24)]
    blocks: list[Block] = []
    if notice:
        blocks.append({"type": "section", "text": plain(notice)})
    if not is_direct(channel):
        blocks += [
            _radio("enabled", language, yes_no, rules.enabled),
            _radio("automatic", language, when, rules.automatic),
            _select("probability", language, _probabilities(rules.probability, language), f"{rules.probability:g}"),
            _select("cooldown", language, _cooldowns(rules.cooldown_s, language), f"{rules.cooldown_s:g}"),
            _select("quiet_from", language, _hours(hours, rules.quiet_from, language), rules.quiet_from or NONE),
            _select("quiet_to", language, _hours(hours, rules.quiet_to, language), rules.quiet_to or NONE),
        ]
    blocks += [
        _radio("card", language, cards, rules.card),
        _select("language", language, list(LANGUAGES.items()), language),
        {"type": "context", "elements": [plain(say("settings_when_asked", language, **COMMANDS))]},
    ]
    return {
        "type": "modal",
        "callback_id": FORM,
        "private_metadata": json.dumps({"channel": channel, "url": response_url, "language": language}),
        "title": plain(say("settings_title", language)),
        "submit": plain(say("settings_save", language)),
        "close": plain(say("settings_cancel", language)),
        "blocks": blocks,
    }


def read_form(values: Mapping[str, Mapping[str, Any]]) -> dict[str, bool | float | str]:
    """Fields of store.settings.ChannelChoice, from a form's state."""
    chosen = {name: state[name]["selected_option"]["value"] for name, state in values.items() if name in state}
    read: dict[str, bool | float | str] = {}
    for name, value in chosen.items():
        if name in ("enabled", "automatic", "card"):
            read[name] = value == YES
        elif name == "probability":
            read["probability"] = float(value)
        elif name == "cooldown":
            read["cooldown_s"] = float(value)
        elif name in ("quiet_from", "quiet_to"):
            read[name] = "" if value == NONE else value
        elif name == "language":
            read["language"] = value
    return read


def summary(rules: ChannelRules, direct: bool) -> str:
    """What holds now, in one sentence."""
    if direct:
        return ""
    if not (rules.enabled and rules.automatic):
        return say("summary_off", rules.language)
    return say("summary_on", rules.language, automatic=say("automatic_yes", rules.language))


def _probabilities(now: float, language: Language) -> list[tuple[str, str]]:
    return [
        (f"{share:g}", say("probability_all", language) if share == 1 else _percent(share, language))
        for share in sorted({*PROBABILITIES, now}, reverse=True)
    ]


def _percent(share: float, language: Language) -> str:
    return say("probability_some", language, percent=f"{share * 100:.3g}")


def _cooldowns(now: float, language: Language) -> list[tuple[str, str]]:
    return [(f"{seconds:g}", _duration(seconds, language)) for seconds in sorted({*COOLDOWNS, now})]


def _duration(seconds: float, language: Language) -> str:
    if seconds == 0:
        return say("cooldown_none", language)
    if seconds >= 60 and seconds % 60 == 0:
        return say("cooldown_minutes", language, n=f"{seconds / 60:g}")
    return say("cooldown_seconds", language, n=f"{seconds:g}")


def _hours(hours: list[str], now: str, language: Language) -> list[tuple[str, str]]:
    return [(NONE, say("quiet_none", language)), *((hour, hour) for hour in sorted({*hours, *filter(None, [now])}))]


def _radio(name: str, language: Language, choices: tuple[tuple[str, str], ...], now: bool) -> Block:
    options = [_option(value, say(key, language)) for value, key in choices]
    element = {
        "type": "radio_buttons",
        "action_id": name,
        "options": options,
        "initial_option": options[0 if now else 1],
    }
    return _input(name, language, element)


def _select(name: str, language: Language, choices: list[tuple[str, str]], now: str) -> Block:
    options = [_option(value, label) for value, label in choices]
    element: dict[str, Any] = {"type": "static_select", "action_id": name, "options": options}
    initial = next((option for option in options if option["value"] == now), None)
    return _input(name, language, element | ({"initial_option": initial} if initial else {}))


def _input(name: str, language: Language, element: Mapping[str, Any]) -> Block:
    return {
        "type": "input",
        "block_id": name,
        "label": plain(say(f"settings_{name}", language)),
        "element": dict(element),
    }


def _option(value: str, label: str) -> dict[str, Any]:
    return {"text": plain(label), "value": value}
