"""Slash commands, context menus, buttons and modals: an interaction's life from the user's click to the last follow-up."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .bodies import check_body, edit_from_body
from .model import Channel, Guild, Member, Message, Upload, User, walk_components
from .payloads import (
    attachment_payload,
    channel_payload,
    gateway_message,
    member_payload,
    message_payload,
    user_payload,
)
from .portal import CHAT_INPUT, Portal
from .protocol import EVERYONE, ApiError, Json, MessageFlag, Permission, invalid_form, unknown
from .world import World

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 2, 3, 4, 5
REPLY, DEFER, DEFER_UPDATE, UPDATE, CHOICES, SHOW_MODAL = 4, 5, 6, 7, 8, 9

OPTION_KINDS: dict[int, type | tuple[type, ...]] = {3: str, 4: int, 5: bool, 7: Channel, 6: User, 10: float, 11: Upload}


class NotAllowed(AssertionError):
    """Discord does not let this user invoke this command here: it is not even shown to them."""


@dataclass(eq=False)
class Interaction:
    """One click or command.

    `callback` is how the bot acknowledged it (4 reply, 5 "thinking", 6 silently, 7 edited the message, 8 choices,
    9 modal), None while it has not. `original` is the answer that only the user sees when `ephemeral`.
    """

    world: World
    id: int
    token: str
    kind: int
    user: User
    channel: Channel
    data: Json
    message: Message | None
    locale: str
    deadline: float
    command_name: str | None = None
    callback: int | None = None
    original: Message | None = None
    followups: list[Message] = field(default_factory=list)
    modal: Json | None = None
    choices: list[Json] | None = None
    expired: bool = False

    @property
    def guild(self) -> Guild | None:
        return self.channel.guild

    @property
    def ephemeral(self) -> bool:
        return self.original is not None and self.original.ephemeral

    @property
    def answers(self) -> list[Message]:
        """What the bot has said to it so far, without "thinking" and without what it took back."""
        said = [*([self.original] if self.original and self.original is not self.message else []), *self.followups]
        return [message for message in said if not message.loading and not message.deleted]

    async def answer(self) -> Message:
        """The bot's first real answer, waited for through "thinking"."""
        found: list[Message] = await self.world.watch.until(
            lambda: self.answers, lambda: f"an answer to {self!r}; there is {self.original} {self.followups}"
        )
        return found[0]

    def metadata_payload(self) -> Json:
        owners = {"0": str(self.guild.id)} if self.guild else {"0": "0"}
        payload: Json = {"id": str(self.id), "type": self.kind, "user": user_payload(self.user)}
        payload["authorizing_integration_owners"] = owners
        if self.kind == COMPONENT and self.message is not None:
            payload["interacted_message_id"] = str(self.message.id)
        return payload

    def __repr__(self) -> str:
        what = self.command_name or self.data.get("custom_id")
        return f"<Interaction {what!r} by {self.user.name} in #{self.channel.name}, callback {self.callback}>"


class Desk:
    """Opens interactions for users and takes the bot's callbacks and follow-ups."""

    def __init__(self, world: World, portal: Portal) -> None:
        self.world = world
        self.portal = portal
        self.open: dict[str, Interaction] = {}

    # the user's side

    def command(
        self,
        name: str,
        kind: int,
        user: User,
        channel: Channel,
        *,
        options: Mapping[str, Any],
        target: Message | None = None,
        locale: str | None = None,
        focused: str | None = None,
    ) -> Interaction:
        """Invoke a registered command as Discord's client would let this user do it."""
        command = self.portal.find_command(name, kind, channel.guild)
        self._check_allowed(command, user, channel)
        resolved: Json = {}
        data: Json = {"id": command["id"], "name": name, "type": kind}
        if command.get("guild_id"):
            data["guild_id"] = command["guild_id"]
        if kind == CHAT_INPUT:
            data["options"] = self._options(command, options, resolved, focused)
        if target is not None:
            data["target_id"] = str(target.id)
            # the target of a message command comes with its content, intent or none
            resolved["messages"] = {str(target.id): message_payload(target, self.world.bot, content=True)}
        if resolved:
            data["resolved"] = resolved
        return self._open(AUTOCOMPLETE if focused else COMMAND, user, channel, data, locale=locale, command_name=name)

    def click(
        self, message: Message, custom_id: str, user: User, *, values: Sequence[str] | None, locale: str | None
    ) -> Interaction:
        """Press a button, or choose in a select menu (`values`). AssertionError where there is none to press."""
        if message.deleted:
            raise AssertionError(f"{message!r} is deleted: there is nothing to click")
        for part in walk_components(message.components):
            if part.get("custom_id") == custom_id:
                break
        else:
            raise AssertionError(f"no component {custom_id!r} under {message!r}: {message.components}")
        if part.get("disabled"):
            raise AssertionError(f"{custom_id!r} under {message!r} is disabled")
        data: Json = {"custom_id": custom_id, "component_type": part["type"]}
        if values is not None:
            data["values"] = list(values)
        return self._open(COMPONENT, user, message.channel, data, message=message, locale=locale)

    def submit(self, source: Interaction, fields: Mapping[str, str]) -> Interaction:
        """Send the modal that `source` was answered with."""
        if source.modal is None:
            raise AssertionError(f"{source!r} was not answered with a modal")
        rows = [_filled(row, fields) for row in source.modal["components"]]
        data: Json = {"custom_id": source.modal["custom_id"], "components": rows}
        return self._open(MODAL, source.user, source.channel, data, message=source.message, locale=source.locale)

    def _check_allowed(self, command: Json, user: User, channel: Channel) -> None:
        contexts = command.get("contexts")
        context = 0 if channel.guild else 1
        if contexts is not None and context not in contexts:
            raise NotAllowed(f"{command['name']} is not for this kind of place")
        if channel.guild is None:
            if contexts is None and command["dm_permission"] is False:
                raise NotAllowed(f"{command['name']} is not for direct messages")
            return
        granted = self.world.permissions(user, channel)
        wanted = command["default_member_permissions"]
        if not granted & Permission.USE_APPLICATION_COMMANDS or (
            wanted is not None and granted & Permission(int(wanted)) != Permission(int(wanted))
        ):
            raise NotAllowed(f"{user.name} may not use {command['name']} in #{channel.name}")

    def _options(self, spec: Json, options: Mapping[str, Any], resolved: Json, focused: str | None) -> list[Json]:
        specs = {option["name"]: option for option in spec.get("options", [])}
        if strange := set(options) - set(specs):
            raise AssertionError(f"{spec['name']} has no options {strange}; it has {sorted(specs)}")
        filled: list[Json] = []
        for name, option in specs.items():
            if name not in options:
                if option.get("required") and focused is None:
                    raise AssertionError(f"{spec['name']} needs {name}")
                continue
            value = options[name]
            entry: Json = {"name": name, "type": option["type"]}
            if option["type"] in (1, 2):
                entry["options"] = self._options(option, value, resolved, focused)
            else:
                entry["value"] = self._value(option, value, resolved)
                if name == focused:
                    entry["focused"] = True
            filled.append(entry)
        return filled

    def _value(self, option: Json, value: Any, resolved: Json) -> Any:
        kind = OPTION_KINDS[option["type"]]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise AssertionError(f"{option['name']} takes {kind}, not {value!r}")
        choices = [choice["value"] for choice in option.get("choices", [])]
        if choices and value not in choices:
            raise AssertionError(f"{option['name']} takes one of {choices}, not {value!r}")
        if isinstance(value, Upload):
            attachment = self.world.attach(value, "ephemeral")
            resolved.setdefault("attachments", {})[str(attachment.id)] = attachment_payload(attachment, ephemeral=True)
            return str(attachment.id)
        if isinstance(value, User):
            resolved.setdefault("users", {})[str(value.id)] = user_payload(value)
            return str(value.id)
        if isinstance(value, Channel):
            resolved.setdefault("channels", {})[str(value.id)] = channel_payload(value, EVERYONE)
            return str(value.id)
        return value

    def _open(
        self,
        kind: int,
        user: User,
        channel: Channel,
        data: Json,
        *,
        message: Message | None = None,
        locale: str | None = None,
        command_name: str | None = None,
    ) -> Interaction:
        number = self.world.ids.next()
        deadline = time.monotonic() + self.portal.interaction_deadline_s
        token = f"token-of-interaction-{number}"
        used = locale or user.locale
        interaction = Interaction(
            self.world, number, token, kind, user, channel, data, message, used, deadline, command_name
        )
        self.open[token] = interaction
        payload = self._payload(interaction)
        self.world.publish("INTERACTION_CREATE", lambda _: payload, guild=channel.guild)
        return interaction

    def _payload(self, interaction: Interaction) -> Json:
        channel, guild, bot = interaction.channel, interaction.channel.guild, self.world.bot
        payload: Json = {
            "id": str(interaction.id),
            "application_id": str(bot.id),
            "type": interaction.kind,
            "token": interaction.token,
            "version": 1,
            "data": interaction.data,
            "locale": interaction.locale,
            "channel_id": str(channel.id),
            "channel": channel_payload(channel, self.world.permissions(interaction.user, channel)),
            "app_permissions": str(int(self.world.permissions(bot, channel))),
            "entitlements": [],
            "attachment_size_limit": 10 * 1024 * 1024,
            "authorizing_integration_owners": {"0": str(guild.id) if guild else "0"},
            "context": 0 if guild else 1,
        }
        if guild is None:
            payload["user"] = user_payload(interaction.user)
        else:
            payload |= {"guild_id": str(guild.id), "guild_locale": guild.locale}
            payload["guild"] = {"id": str(guild.id), "locale": guild.locale, "features": []}
            member = guild.members.get(interaction.user.id) or Member(interaction.user)
            granted = self.world.permissions(interaction.user, channel)
            payload["member"] = member_payload(member, permissions=granted)
        if interaction.message is not None:
            payload["message"] = gateway_message(interaction.message, bot, content=True, referenced_content=True)
        return payload

    # the bot's side

    def of_token(self, token: str) -> Interaction:
        interaction = self.open.get(token)
        if interaction is None or interaction.expired:
            raise ApiError(401, 50027, "Invalid Webhook Token")
        return interaction

    def take_callback(self, number: int, token: str, body: Json, uploads: Sequence[Upload]) -> Interaction:
        """The bot's first word: within the deadline, once, and of a kind that fits."""
        interaction = self.open.get(token)
        if interaction is None or interaction.id != number or interaction.expired:
            raise unknown("Interaction")
        if interaction.callback is None and time.monotonic() > interaction.deadline:
            raise unknown("Interaction")
        if interaction.callback is not None:
            raise ApiError(400, 40060, "Interaction has already been acknowledged.")
        kind, data = body["type"], body.get("data") or {}
        component = interaction.kind in (COMPONENT, MODAL) and interaction.message is not None
        allowed = {REPLY, DEFER, SHOW_MODAL} | ({DEFER_UPDATE, UPDATE} if component else set())
        if interaction.kind == AUTOCOMPLETE:
            allowed = {CHOICES}
        if kind not in allowed:
            raise invalid_form("type", "INTERACTION_TYPE_INVALID", f"Type {kind} does not fit this interaction.")
        if kind == REPLY:
            interaction.original = self._say(interaction, data, uploads)
        elif kind == DEFER:
            flags = MessageFlag(data.get("flags", 0)) | MessageFlag.LOADING
            interaction.original = self.world.add_message(
                interaction.channel, self.world.bot, flags=flags, interaction=interaction
            )
        elif kind in (DEFER_UPDATE, UPDATE):
            interaction.original = interaction.message
        interaction.callback = kind
        if kind == UPDATE and interaction.message is not None:
            edit_from_body(self.world, interaction.message, data, uploads)
        elif kind == SHOW_MODAL:
            interaction.modal = data
        elif kind == CHOICES:
            interaction.choices = data["choices"]
        self.world.watch.changed()
        return interaction

    def follow_up(self, interaction: Interaction, body: Json, uploads: Sequence[Upload]) -> Message:
        """A further message. The first one after "thinking" takes the place of that, and its visibility."""
        if interaction.callback is None:
            raise unknown("Webhook")
        thinking = interaction.original
        if interaction.callback == DEFER and thinking is not None and thinking.loading and not thinking.deleted:
            edit_from_body(self.world, thinking, body, uploads)
            return thinking
        message = self._say(interaction, body, uploads)
        interaction.followups.append(message)
        self.world.watch.changed()
        return message

    def find(self, interaction: Interaction, which: str) -> Message:
        """`@original` or the id of a follow-up."""
        candidates = {str(message.id): message for message in interaction.followups}
        if interaction.original is not None:
            candidates |= {"@original": interaction.original, str(interaction.original.id): interaction.original}
        message = candidates.get(which)
        if message is None or message.deleted:
            raise unknown("Message")
        return message

    def _say(self, interaction: Interaction, data: Json, uploads: Sequence[Upload]) -> Message:
        check_body(data, uploads)
        return self.world.add_message(
            interaction.channel,
            self.world.bot,
            data.get("content") or "",
            uploads=uploads,
            embeds=data.get("embeds") or (),
            components=data.get("components") or (),
            allowed_mentions=data.get("allowed_mentions"),
            flags=MessageFlag(data.get("flags", 0)),
            interaction=interaction,
        )


def _filled(row: Json, fields: Mapping[str, str]) -> Json:
    """A row of a modal as the user sends it: what was typed, else what the field held."""
    if "component" in row:  # a label around one field
        return {"type": row["type"], "id": row.get("id", 1), "component": _filled(row["component"], fields)}
    if "components" in row:
        return {"type": row["type"], "components": [_filled(part, fields) for part in row["components"]]}
    value = fields.get(row.get("custom_id", ""), row.get("value", ""))
    if row["type"] == 4:
        return {"type": 4, "id": row.get("id", 1), "custom_id": row["custom_id"], "value": value}
    return {"type": row["type"], "id": row.get("id", 1), "custom_id": row.get("custom_id", ""), "values": [value]}
