"""Discord's things as the local server keeps them: users, guilds, channels, messages, attachments."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .protocol import ChannelKind, Json, MessageFlag, Permission

if TYPE_CHECKING:
    from .cdn import Serving
    from .interactions import Interaction
    from .world import World


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(eq=False)
class User:
    """A person, or the bot itself."""

    id: int
    name: str
    bot: bool = False
    locale: str = "ja"

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"


@dataclass(eq=False)
class Role:
    id: int
    name: str
    permissions: Permission = Permission.NONE
    position: int = 1
    bot_id: int | None = None

    @property
    def mention(self) -> str:
        return f"<@&{self.id}>"


@dataclass(eq=False)
class Member:
    user: User
    roles: list[Role] = field(default_factory=list)
    joined_at: datetime.datetime = field(default_factory=now)


@dataclass
class Overwrite:
    """What a channel changes for one role (kind 0) or one member (kind 1)."""

    target_id: int
    kind: int
    allow: Permission = Permission.NONE
    deny: Permission = Permission.NONE


@dataclass(eq=False)
class Channel:
    """A text channel or a thread of a guild, or a person's direct messages with the bot."""

    world: World
    id: int
    kind: ChannelKind
    name: str
    guild: Guild | None = None
    recipient: User | None = None
    parent: Channel | None = None
    overwrites: dict[int, Overwrite] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)
    typings: int = 0

    @property
    def mention(self) -> str:
        return f"<#{self.id}>"

    def allow(self, target: User | Role, permissions: int) -> None:
        """Grant permissions in this channel."""
        overwrite = self._overwrite(target)
        overwrite.allow |= Permission(permissions)
        overwrite.deny &= ~Permission(permissions)
        self.world.channel_changed(self)

    def deny(self, target: User | Role, permissions: int) -> None:
        """Take permissions away in this channel."""
        overwrite = self._overwrite(target)
        overwrite.deny |= Permission(permissions)
        overwrite.allow &= ~Permission(permissions)
        self.world.channel_changed(self)

    def add_thread(self, name: str, owner: User) -> Channel:
        """A public thread under this channel."""
        return self.world.add_channel(self.guild, name, kind=ChannelKind.THREAD, parent=self, recipient=owner)

    def _overwrite(self, target: User | Role) -> Overwrite:
        kind = 0 if isinstance(target, Role) else 1
        return self.overwrites.setdefault(target.id, Overwrite(target.id, kind))


@dataclass(eq=False)
class Guild:
    world: World
    id: int
    name: str
    owner: User
    locale: str = "ja"
    members: dict[int, Member] = field(default_factory=dict)
    roles: dict[int, Role] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    system_channel: Channel | None = None

    def add_channel(self, name: str) -> Channel:
        """A text channel, announced to a bot that is connected."""
        return self.world.add_channel(self, name)

    def add_member(self, user: User, permissions: int = 0) -> Member:
        """Make a user a member, with a role of their own when `permissions` beyond everyone's are given."""
        return self.world.add_member(self, user, Permission(permissions))

    @property
    def everyone(self) -> Role:
        return self.roles[self.id]


@dataclass(frozen=True)
class Upload:
    """A file before it is posted: what the CDN will serve, and what the message will say of it."""

    filename: str
    data: bytes
    content_type: str | None
    size: int
    width: int | None
    height: int | None
    description: str | None
    serving: Serving | None


@dataclass(eq=False)
class Attachment:
    id: int
    upload: Upload
    url: str
    proxy_url: str

    @property
    def filename(self) -> str:
        return self.upload.filename

    @property
    def data(self) -> bytes:
        return self.upload.data

    @property
    def spoiler(self) -> bool:
        return self.filename.startswith("SPOILER_")


@dataclass(frozen=True)
class Button:
    """A button as people see it under a message."""

    custom_id: str | None
    label: str | None
    emoji: str | None
    style: int
    disabled: bool
    url: str | None


@dataclass(eq=False)
class Message:
    """One message. `pings` names who got a notification, after `allowed_mentions`: users, roles or "everyone"."""

    id: int
    channel: Channel
    author: User
    content: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    stickers: list[Json] = field(default_factory=list)
    reply_to: Message | None = None
    reference: Json | None = None
    snapshots: list[Message] = field(default_factory=list)
    kind: int = 0
    flags: MessageFlag = MessageFlag.NONE
    nonce: str | None = None
    mentions: list[User] = field(default_factory=list)
    mention_roles: list[Role] = field(default_factory=list)
    mention_everyone: bool = False
    pings: frozenset[User | Role | str] = frozenset()
    reactions: dict[str, list[User]] = field(default_factory=dict)
    interaction: Interaction | None = None
    timestamp: datetime.datetime = field(default_factory=now)
    edited: datetime.datetime | None = None
    deleted: bool = False

    @property
    def guild(self) -> Guild | None:
        return self.channel.guild

    @property
    def ephemeral(self) -> bool:
        return bool(self.flags & MessageFlag.EPHEMERAL)

    @property
    def loading(self) -> bool:
        return bool(self.flags & MessageFlag.LOADING)

    @property
    def url(self) -> str:
        place = self.channel.guild.id if self.channel.guild else "@me"
        return f"https://discord.com/channels/{place}/{self.channel.id}/{self.id}"

    @property
    def buttons(self) -> list[Button]:
        """All buttons under the message, in reading order."""
        return [_button(part) for part in walk_components(self.components) if part.get("type") == 2]

    def button(self, name: str) -> Button:
        """The button with this custom id, label or emoji. AssertionError if there is none, as in a failed test."""
        for button in self.buttons:
            if name in (button.custom_id, button.label, button.emoji):
                return button
        raise AssertionError(f"no button {name!r} under {self!r}; there are {self.buttons}")

    def __repr__(self) -> str:
        files = [attachment.filename for attachment in self.attachments]
        return f"<Message {self.id} by {self.author.name} in #{self.channel.name}: {self.content!r} {files}>"


def walk_components(components: Iterable[Json]) -> Iterable[Json]:
    """Every component, containers before what they hold."""
    for component in components:
        yield component
        yield from walk_components(component.get("components", ()))
        if "accessory" in component:
            yield component["accessory"]


def _button(component: Json) -> Button:
    emoji = component.get("emoji") or {}
    return Button(
        custom_id=component.get("custom_id"),
        label=component.get("label"),
        emoji=emoji.get("name"),
        style=component.get("style", 2),
        disabled=component.get("disabled", False),
        url=component.get("url"),
    )
