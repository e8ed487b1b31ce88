"""The panel of /boke-settings: what holds in a channel, with a button or a menu for each part of it.

Every part says by its id what it does, so that a panel from before a restart still works.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import discord
from discord import ui

from bot.boke import BokeRefused
from bot.chat.discord.locate import place_in
from bot.chat.discord.sending import excused, promise
from bot.chat.discord.words import MENU, say
from bot.conversation import ChannelRules
from bot.messages import Language

if TYPE_CHECKING:
    from bot.chat.discord.client import BokeClient

Used: TypeAlias = "discord.Interaction[BokeClient]"

PERCENTS = (100, 70, 50, 30, 20, 10, 5)
COOLDOWNS_S = (0, 5, 15, 30, 60, 300, 900, 1800, 3600)
HOURS = ("22:00-06:00", "22:00-07:00", "23:00-07:00", "23:00-08:00", "00:00-07:00", "00:00-09:00", "09:00-18:00")
NO_HOURS, OWN_HOURS = "-", "own:"
_SWITCHES: dict[str, tuple[str, Any]] = {
    "on": ("enabled", True),
    "off": ("enabled", False),
    "automatic": ("automatic", True),
    "on-request": ("automatic", False),
    "card": ("card", True),
    "no-card": ("card", False),
    "ja": ("language", "ja"),
    "en": ("language", "en"),
}


async def show_panel(interaction: Used) -> None:
    """Put the panel into the answer to a command, a press or a choice."""
    client = interaction.client
    rules = await client.conversation.rules(place_in(interaction))
    await _show(interaction, rules)


async def _show(interaction: Used, rules: ChannelRules) -> None:
    place = place_in(interaction)
    channel = f"<#{place.parent_id or place.channel_id}>"
    content = panel_text(channel, rules, interaction.client)
    await interaction.edit_original_response(content=content, view=panel_view(rules))


def panel_text(channel: str, rules: ChannelRules, client: BokeClient) -> str:
    """What holds, a line for each part."""
    language = rules.language
    pairs = [
        ("settings_enabled", say("enabled_yes" if rules.enabled else "enabled_no", language)),
        ("settings_automatic", say("automatic_yes" if rules.automatic else "automatic_no", language)),
        ("settings_probability", _percent_name(round(100 * rules.probability), language)),
        ("settings_cooldown", _cooldown_name(rules.cooldown_s, language)),
        ("quiet_name", _hours_name(_hours(rules), language)),
        ("card_name", say("card_along" if rules.card else "card_not", language)),
        ("settings_language", say("language_name", language)),
    ]
    if not (rules.enabled and rules.automatic):
        unasked = {"settings_probability", "settings_cooldown", "quiet_name"}
        pairs = [
            pair for pair in pairs if pair[0] not in unasked and (rules.enabled or pair[0] != "settings_automatic")
        ]
    lines = [f"**{say('panel_title', language, channel=channel)}**"]
    lines += [say("panel_line", language, name=say(name, language), value=value) for name, value in pairs]
    lines.append("-# " + say("settings_when_asked", language, boke=client.slash("boke"), shortcut=MENU[language]))
    if rules.enabled and rules.automatic and not client.sees_posts:
        lines.append(say("not_watching", language))
    return "\n".join(lines)


def panel_view(rules: ChannelRules) -> ui.View:
    """A button for each thing that is on or off, a menu for each that has degrees."""
    language = rules.language
    view = ui.View(timeout=None)
    view.add_item(Switch("off" if rules.enabled else "on", language))
    if rules.enabled:
        view.add_item(Switch("on-request" if rules.automatic else "automatic", language))
    view.add_item(Switch("no-card" if rules.card else "card", language))
    view.add_item(Switch("en" if language == "ja" else "ja", language))
    if rules.enabled and rules.automatic:
        for name in ("probability", "cooldown", "quiet"):
            view.add_item(Menu.of(name, rules))
    return view


_SWITCH_NAMES = {
    "on": "do_enable",
    "off": "do_disable",
    "automatic": "do_automatic",
    "on-request": "do_on_request",
    "card": "do_card",
    "no-card": "do_no_card",
    "ja": "do_other_language",
    "en": "do_other_language",
}


class Switch(ui.DynamicItem[ui.Button[ui.View]], template=r"boke:set:(?P<switch>[a-z-]+)"):
    """A button that sets one thing to one value."""

    def __init__(self, switch: str, language: Language = "ja") -> None:
        self.switch = switch
        style = discord.ButtonStyle.primary if switch == "on" else discord.ButtonStyle.secondary
        label = say(_SWITCH_NAMES.get(switch, "do_enable"), language)
        super().__init__(ui.Button(label=label, style=style, custom_id=f"boke:set:{switch}", row=0))

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["switch"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        key, value = _SWITCHES[self.switch]
        await _change(interaction, {key: value})


class Menu(ui.DynamicItem[ui.Select[ui.View]], template=r"boke:choose:(?P<name>probability|cooldown|quiet)"):
    """A menu that sets one thing to one of many values."""

    def __init__(self, name: str, options: list[discord.SelectOption], placeholder: str | None = None) -> None:
        self.name = name
        super().__init__(ui.Select(options=options, placeholder=placeholder, custom_id=f"boke:choose:{name}"))

    @classmethod
    def of(cls, name: str, rules: ChannelRules) -> Self:
        """With what holds chosen already."""
        language = rules.language
        chosen: str | None
        if name == "probability":
            chosen = str(round(100 * rules.probability))
            values = {str(percent): _percent_name(percent, language) for percent in PERCENTS}
            values.setdefault(chosen, _percent_name(int(chosen), language))
            title = "settings_probability"
        elif name == "cooldown":
            chosen = f"{rules.cooldown_s:g}"
            values = {f"{seconds:g}": _cooldown_name(seconds, language) for seconds in COOLDOWNS_S}
            values.setdefault(chosen, _cooldown_name(rules.cooldown_s, language))
            title = "settings_cooldown"
        else:
            chosen = _hours(rules)
            values = {hours: _hours_name(hours, language) for hours in (NO_HOURS, *HOURS, chosen)}
            values[OWN_HOURS + language] = say("quiet_own", language)
            title = "quiet_name"
        heading = say(title, language)
        options = [
            discord.SelectOption(
                label=say("panel_line", language, name=heading, value=label), value=value, default=value == chosen
            )
            for value, label in values.items()
        ]
        return cls(name, options, heading)

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        assert isinstance(item, ui.Select)
        return cls(match["name"], item.options)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        value = self.item.values[0]
        if self.name == "probability":
            await _change(interaction, {"probability": int(value) / 100})
        elif self.name == "cooldown":
            await _change(interaction, {"cooldown_s": float(value)})
        elif value.startswith(OWN_HOURS):
            # A modal has to come at once, without a look at the database: the choice itself says in which language.
            await interaction.response.send_modal(HoursModal("en" if value.endswith("en") else "ja"))
        else:
            start, _, end = value.partition("-")
            await _change(interaction, {"quiet_from": start, "quiet_to": end})


class HoursModal(ui.Modal):
    """Quiet hours to the minute."""

    def __init__(self, language: Language) -> None:
        super().__init__(title=say("quiet_title", language), timeout=600)
        self.start: ui.TextInput[Self] = ui.TextInput(label=say("quiet_start", language), max_length=8, required=False)
        self.end: ui.TextInput[Self] = ui.TextInput(label=say("quiet_end", language), max_length=8, required=False)
        self.add_item(self.start)
        self.add_item(self.end)

    async def on_submit(self, interaction: Used, /) -> None:  # type: ignore[override]
        start, end = time_of(self.start.value), time_of(self.end.value)
        await _change(interaction, None if start is None or end is None else {"quiet_from": start, "quiet_to": end})


async def _change(interaction: Used, choices: dict[str, Any] | None) -> None:
    """Take over a choice and show what holds now; None: what was typed makes no sense."""
    if not await promise(interaction, thinking=False):
        return
    async with excused(interaction):
        if not interaction.permissions.manage_channels:
            raise BokeRefused("only_managers")
        if choices is None:
            await show_panel(interaction)
            raise BokeRefused("not_a_time")
        await _show(interaction, await interaction.client.conversation.change_rules(place_in(interaction), **choices))


def time_of(typed: str) -> str | None:
    """ "23:00" for what people write: "23", "23時", "２３：００", "23時半"; empty stays empty, None for anything else."""
    text = unicodedata.normalize("NFKC", typed).strip()
    if not text:
        return ""
    match = re.fullmatch(r"(\d{1,2})(?:[:.時](\d{1,2})?(半)?分?)?", text)
    if not match:
        return None
    hour, minute = int(match[1]), 30 if match[3] else int(match[2] or 0)
    if (hour, minute) == (24, 0):
        hour = 0
    return f"{hour:02}:{minute:02}" if hour < 24 and minute < 60 else None


def _hours(rules: ChannelRules) -> str:
    return f"{rules.quiet_from}-{rules.quiet_to}" if rules.quiet_from and rules.quiet_to else NO_HOURS


def _hours_name(hours: str, language: Language) -> str:
    start, _, end = hours.partition("-")
    return say("quiet_between", language, start=start, end=end) if start else say("quiet_none", language)


def _percent_name(percent: int, language: Language) -> str:
    return say("probability_all", language) if percent == 100 else say("probability_some", language, percent=percent)


def _cooldown_name(seconds: float, language: Language) -> str:
    if seconds == 0:
        return say("cooldown_none", language)
    if seconds % 60 == 0:
        return say("cooldown_minutes", language, n=f"{seconds / 60:g}")
    return say("cooldown_seconds", language, n=f"{seconds:g}")
