"""Everything that exists on the local Discord, and the changes to it, each announced to the gateway."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from .model import Attachment, Channel, Guild, Member, Message, Role, Upload, User, now
from .payloads import channel_payload, emoji_payload, gateway_message, guild_payload, member_payload
from .protocol import EVERYONE, ChannelKind, Intent, Json, MessageFlag, Permission, Snowflakes
from .waiting import Watch

if TYPE_CHECKING:
    from .interactions import Interaction


class Publish(Protocol):
    """Hands an event to the sessions that may see it; `build` is called with "may it see message content?"."""

    def __call__(
        self, event: str, build: Callable[[bool], Json], *, guild: Guild | None, intent: Intent = Intent.NONE
    ) -> None: ...


class World:
    """The state behind gateway and REST, with a method for each thing that can happen to it."""

    def __init__(self, bot_name: str, publish: Publish, watch: Watch, *, referenced_content: bool) -> None:
        self.ids = Snowflakes()
        self.watch = watch
        self.publish = publish
        self.referenced_content = referenced_content
        self.bot = User(self.ids.next(), bot_name, bot=True, locale="en-US")
        self.owner = User(self.ids.next(), "owner")
        self.users = {self.bot.id: self.bot, self.owner.id: self.owner}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.files: dict[int, Attachment] = {}
        self.base_url = ""

    # people and places

    def add_user(self, name: str, *, bot: bool = False, locale: str = "ja") -> User:
        user = User(self.ids.next(), name, bot=bot, locale=locale)
        self.users[user.id] = user
        return user

    def add_guild(
        self, name: str, *, owner: User | None, locale: str, shard: tuple[int, int] | None, joined: bool
    ) -> Guild:
        guild = Guild(self, self.ids.next(shard), name, owner or self.owner, locale)
        guild.roles[guild.id] = Role(guild.id, "@everyone", EVERYONE, position=0)
        self.guilds[guild.id] = guild
        self.add_member(guild, guild.owner)
        if joined:
            self.join(guild)
        return guild

    def join(self, guild: Guild) -> None:
        """The bot is invited to a guild."""
        role = Role(self.ids.next(), self.bot.name, Permission.NONE, bot_id=self.bot.id)
        guild.roles[role.id] = role
        guild.members[self.bot.id] = Member(self.bot, [role])
        self.publish("GUILD_CREATE", lambda _: guild_payload(guild, self.bot), guild=guild, intent=Intent.GUILDS)

    def leave(self, guild: Guild) -> None:
        """The bot is thrown out of a guild, or leaves it."""
        guild.members.pop(self.bot.id, None)
        self.publish("GUILD_DELETE", lambda _: {"id": str(guild.id)}, guild=guild, intent=Intent.GUILDS)
        self.watch.changed()

    def add_channel(
        self,
        guild: Guild | None,
        name: str,
        *,
        kind: ChannelKind = ChannelKind.TEXT,
        parent: Channel | None = None,
        recipient: User | None = None,
    ) -> Channel:
        channel = Channel(self, self.ids.next(), kind, name, guild, recipient, parent)
        self.channels[channel.id] = channel
        if guild is not None:
            guild.channels[channel.id] = channel
            if guild.system_channel is None and kind == ChannelKind.TEXT:
                guild.system_channel = channel
            event = "THREAD_CREATE" if kind == ChannelKind.THREAD else "CHANNEL_CREATE"
            self.publish(event, lambda _: channel_payload(channel), guild=guild, intent=Intent.GUILDS)
        return channel

    def channel_changed(self, channel: Channel) -> None:
        self.publish("CHANNEL_UPDATE", lambda _: channel_payload(channel), guild=channel.guild, intent=Intent.GUILDS)

    def remove_channel(self, channel: Channel) -> None:
        assert channel.guild
        payload = channel_payload(channel)
        del self.channels[channel.id], channel.guild.channels[channel.id]
        self.publish("CHANNEL_DELETE", lambda _: payload, guild=channel.guild, intent=Intent.GUILDS)

    def dm(self, user: User) -> Channel:
        """The direct messages between the bot and a user, opened when needed."""
        for channel in self.channels.values():
            if channel.kind == ChannelKind.DM and channel.recipient is user:
                return channel
        return self.add_channel(None, user.name, kind=ChannelKind.DM, recipient=user)

    def add_member(self, guild: Guild, user: User, permissions: Permission = Permission.NONE) -> Member:
        member = guild.members.setdefault(user.id, Member(user))
        if permissions:
            role = Role(self.ids.next(), f"{user.name}'s role", permissions)
            guild.roles[role.id] = role
            member.roles.append(role)
        payload = member_payload(member) | {"guild_id": str(guild.id)}
        self.publish("GUILD_MEMBER_ADD", lambda _: payload, guild=guild, intent=Intent.GUILD_MEMBERS)
        return member

    def permissions(self, user: User, channel: Channel) -> Permission:
        """What a user may do in a channel: roles, then the channel's overwrites (its parent's for a thread)."""
        guild = channel.guild
        if guild is None:
            return EVERYONE
        member = guild.members.get(user.id)
        if member is None:
            return Permission.NONE
        granted = guild.everyone.permissions
        for role in member.roles:
            granted |= role.permissions
        if user is guild.owner or granted & Permission.ADMINISTRATOR:
            return Permission.ALL
        overwrites = (channel.parent or channel).overwrites
        for found in (
            [overwrites.get(guild.id)],
            [overwrites.get(role.id) for role in member.roles],
            [overwrites.get(user.id)],
        ):
            for overwrite in filter(None, found):
                granted &= ~overwrite.deny
            for overwrite in filter(None, found):
                granted |= overwrite.allow
        return granted

    def bot_sees(self, channel: Channel) -> bool:
        return bool(self.permissions(self.bot, channel) & Permission.VIEW_CHANNEL)

    # messages

    def attach(self, upload: Upload, folder: str) -> Attachment:
        """Give a file its id and its address on the CDN."""
        number = self.ids.next()
        where = f"attachments/{folder}/{number}/{upload.filename}?ex=7fffffff&is=6a000000&hm={number:064x}&"
        attachment = Attachment(number, upload, f"{self.base_url}/cdn/{where}", f"{self.base_url}/media/{where}")
        self.files[number] = attachment
        return attachment

    def add_message(
        self,
        channel: Channel,
        author: User,
        content: str = "",
        *,
        uploads: Sequence[Upload] = (),
        embeds: Sequence[Json] = (),
        components: Sequence[Json] = (),
        stickers: Sequence[Json] = (),
        reply_to: Message | None = None,
        forwarded: Message | None = None,
        allowed_mentions: Json | None = None,
        flags: MessageFlag = MessageFlag.NONE,
        nonce: str | None = None,
        interaction: Interaction | None = None,
    ) -> Message:
        """Post a message: ephemeral ones are seen by their interaction alone, all others by the channel."""
        folder = "ephemeral" if flags & MessageFlag.EPHEMERAL else str(channel.id)
        message = Message(
            id=self.ids.next(),
            channel=channel,
            author=author,
            content=content,
            attachments=[self.attach(upload, folder) for upload in uploads],
            embeds=list(embeds),
            components=list(components),
            stickers=list(stickers),
            reply_to=reply_to,
            flags=flags,
            nonce=nonce,
            interaction=interaction,
        )
        if reply_to is not None:
            message.kind = 19
            message.reference = _reference(reply_to, 0)
        elif interaction is not None and interaction.command_name is not None:
            message.kind = 20
        if forwarded is not None:
            message.reference = _reference(forwarded, 1)
            message.flags |= MessageFlag.HAS_SNAPSHOT
            message.snapshots = [forwarded]
        self._work_out_mentions(message, allowed_mentions)
        if not message.ephemeral:
            channel.messages[message.id] = message
            self.publish_message("MESSAGE_CREATE", message)
        self.watch.changed()
        return message

    def edit_message(
        self,
        message: Message,
        *,
        content: str | None = None,
        allowed_mentions: Json | None = None,
        attachments: Sequence[Attachment] | None = None,
        embeds: Sequence[Json] | None = None,
        components: Sequence[Json] | None = None,
        flags: MessageFlag | None = None,
        unfurled: bool = False,
    ) -> None:
        """Change what is given, leave the rest. `unfurled`: Discord added link embeds, nobody edited anything."""
        if content is not None:
            message.content = content
            self._work_out_mentions(message, allowed_mentions)
        if attachments is not None:
            message.attachments = list(attachments)
        if embeds is not None:
            message.embeds = list(embeds)
        if components is not None:
            message.components = list(components)
        if flags is not None:
            message.flags = flags
        if not unfurled:
            message.edited = now()
        if not message.ephemeral:
            self.publish_message("MESSAGE_UPDATE", message)
        self.watch.changed()

    def delete_message(self, message: Message) -> None:
        message.deleted = True
        message.channel.messages.pop(message.id, None)
        if not message.ephemeral:
            payload: Json = {"id": str(message.id), "channel_id": str(message.channel.id)}
            if message.guild is not None:
                payload["guild_id"] = str(message.guild.id)
            self._publish("MESSAGE_DELETE", message.channel, lambda _: payload, _messages(message.channel))
        self.watch.changed()

    def delete_messages(self, messages: Sequence[Message]) -> None:
        """Several of a guild's channel at once, as moderators do it: one event for all."""
        channel = messages[0].channel
        assert channel.guild
        for message in messages:
            message.deleted = True
            channel.messages.pop(message.id, None)
        payload: Json = {"ids": [str(message.id) for message in messages], "channel_id": str(channel.id)}
        payload["guild_id"] = str(channel.guild.id)
        self._publish("MESSAGE_DELETE_BULK", channel, lambda _: payload, _messages(channel))
        self.watch.changed()

    def react(self, message: Message, emoji: str, user: User) -> None:
        users = message.reactions.setdefault(emoji, [])
        if user not in users:
            users.append(user)
            self._publish_reaction("MESSAGE_REACTION_ADD", message, emoji, user)
        self.watch.changed()

    def unreact(self, message: Message, emoji: str, user: User) -> None:
        users = message.reactions.get(emoji, [])
        if user in users:
            users.remove(user)
            if not users:
                del message.reactions[emoji]
            self._publish_reaction("MESSAGE_REACTION_REMOVE", message, emoji, user)
        self.watch.changed()

    def _publish(self, event: str, channel: Channel, build: Callable[[bool], Json], intent: Intent) -> None:
        if self.bot_sees(channel):
            self.publish(event, build, guild=channel.guild, intent=intent)

    def publish_message(self, event: str, message: Message) -> None:
        def build(content_intent: bool) -> Json:
            seen = self.content_visible(message, content_intent)
            referenced = content_intent or (seen and self.referenced_content)
            return gateway_message(message, self.bot, content=seen, referenced_content=referenced)

        self._publish(event, message.channel, build, _messages(message.channel))

    def content_visible(self, message: Message, content_intent: bool) -> bool:
        """Without the message-content intent the bot reads its own messages, direct ones, and those that mention it."""
        return (
            content_intent
            or message.guild is None
            or message.author is self.bot
            or any(user is self.bot for user in message.mentions)
        )

    def _publish_reaction(self, event: str, message: Message, emoji: str, user: User) -> None:
        payload: Json = {
            "user_id": str(user.id),
            "channel_id": str(message.channel.id),
            "message_id": str(message.id),
            "message_author_id": str(message.author.id),
            "emoji": emoji_payload(emoji),
            "burst": False,
            "type": 0,
        }
        intent = Intent.DIRECT_MESSAGE_REACTIONS
        if message.guild is not None:
            intent = Intent.GUILD_MESSAGE_REACTIONS
            payload["guild_id"] = str(message.guild.id)
            if event.endswith("ADD") and user.id in message.guild.members:
                payload["member"] = member_payload(message.guild.members[user.id])
        self._publish(event, message.channel, lambda _: payload, intent)

    def _work_out_mentions(self, message: Message, allowed: Json | None) -> None:
        """Who the text names, who is told so. People's own messages and bots' without a say ping all they name."""
        users = [self.users[number] for number in _numbers(r"<@!?(\d+)>", message.content) if number in self.users]
        named = message.guild.roles if message.guild else {}
        roles = [named[number] for number in _numbers(r"<@&(\d+)>", message.content) if number in named]
        may_everyone = self.permissions(message.author, message.channel) & Permission.MENTION_EVERYONE
        everyone = bool(may_everyone and re.search(r"@(everyone|here)\b", message.content))
        replied = message.reply_to.author if message.reply_to else None
        # a reply to the answer of a command does not ping the bot, even with the ping switched on
        if message.reply_to and message.reply_to.interaction is not None:
            replied = None
        if allowed is not None:
            parse = allowed.get("parse", [])
            users = [u for u in users if "users" in parse or str(u.id) in map(str, allowed.get("users", []))]
            roles = [r for r in roles if "roles" in parse or str(r.id) in map(str, allowed.get("roles", []))]
            everyone = everyone and "everyone" in parse
            if not allowed.get("replied_user", False):
                replied = None
        message.mentions = list(dict.fromkeys([*users, *([replied] if replied else [])]))
        message.mention_roles = roles
        message.mention_everyone = everyone
        message.pings = frozenset([*message.mentions, *roles, *(["everyone"] if everyone else [])])


def _messages(channel: Channel) -> Intent:
    return Intent.GUILD_MESSAGES if channel.guild is not None else Intent.DIRECT_MESSAGES


def _numbers(pattern: str, text: str) -> Iterable[int]:
    return [int(number) for number in re.findall(pattern, text)]


def _reference(message: Message, kind: int) -> Json:
    reference: Json = {"type": kind, "channel_id": str(message.channel.id), "message_id": str(message.id)}
    if message.guild is not None:
        reference["guild_id"] = str(message.guild.id)
    return reference
