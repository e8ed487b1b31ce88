"""The JSON of Discord's objects, as gateway and REST show them to the bot."""

from __future__ import annotations

from .model import Attachment, Channel, Guild, Member, Message, Role, User
from .protocol import ChannelKind, Json, Permission


def user_payload(user: User) -> Json:
    return {
        "id": str(user.id),
        "username": user.name,
        "discriminator": "0000" if user.bot else "0",
        "global_name": None if user.bot else user.name,
        "avatar": None,
        "bot": user.bot,
        "public_flags": 0,
    }


def member_payload(member: Member, *, with_user: bool = True, permissions: Permission | None = None) -> Json:
    payload: Json = {
        "roles": [str(role.id) for role in member.roles],
        "joined_at": member.joined_at.isoformat(),
        "nick": None,
        "avatar": None,
        "premium_since": None,
        "communication_disabled_until": None,
        "pending": False,
        "deaf": False,
        "mute": False,
        "flags": 0,
    }
    if with_user:
        payload["user"] = user_payload(member.user)
    if permissions is not None:
        payload["permissions"] = str(int(permissions))
    return payload


def role_payload(role: Role) -> Json:
    payload: Json = {
        "id": str(role.id),
        "name": role.name,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "position": role.position,
        "permissions": str(int(role.permissions)),
        "managed": role.bot_id is not None,
        "mentionable": False,
        "flags": 0,
    }
    if role.bot_id is not None:
        payload["tags"] = {"bot_id": str(role.bot_id)}
    return payload


def channel_payload(channel: Channel, permissions: Permission | None = None) -> Json:
    last = next(reversed(channel.messages), None)
    payload: Json = {
        "id": str(channel.id),
        "type": int(channel.kind),
        "last_message_id": str(last) if last else None,
        "flags": 0,
    }
    if permissions is not None:
        payload["permissions"] = str(int(permissions))
    if channel.kind == ChannelKind.DM:
        assert channel.recipient
        return payload | {"recipients": [user_payload(channel.recipient)]}
    assert channel.guild
    payload |= {"guild_id": str(channel.guild.id), "name": channel.name, "rate_limit_per_user": 0}
    if channel.kind == ChannelKind.THREAD:
        assert channel.parent
        assert channel.recipient
        return payload | {
            "parent_id": str(channel.parent.id),
            "owner_id": str(channel.recipient.id),
            "message_count": len(channel.messages),
            "member_count": 1,
            "thread_metadata": {
                "archived": False,
                "auto_archive_duration": 1440,
                "archive_timestamp": channel.guild.members[channel.guild.owner.id].joined_at.isoformat(),
                "locked": False,
            },
        }
    return payload | {
        "position": list(channel.guild.channels).index(channel.id),
        "parent_id": None,
        "topic": None,
        "nsfw": False,
        "permission_overwrites": [
            {
                "id": str(overwrite.target_id),
                "type": overwrite.kind,
                "allow": str(int(overwrite.allow)),
                "deny": str(int(overwrite.deny)),
            }
            for overwrite in channel.overwrites.values()
        ],
    }


def guild_payload(guild: Guild, bot: User) -> Json:
    """A guild as GUILD_CREATE carries it. Of its members a bot without the members intent is shown itself alone."""
    threads = [c for c in guild.channels.values() if c.kind == ChannelKind.THREAD]
    return {
        "id": str(guild.id),
        "name": guild.name,
        "icon": None,
        "splash": None,
        "discovery_splash": None,
        "owner_id": str(guild.owner.id),
        "afk_channel_id": None,
        "afk_timeout": 300,
        "verification_level": 0,
        "default_message_notifications": 1,
        "explicit_content_filter": 0,
        "roles": [role_payload(role) for role in guild.roles.values()],
        "emojis": [],
        "stickers": [],
        "features": [],
        "mfa_level": 0,
        "application_id": None,
        "system_channel_id": str(guild.system_channel.id) if guild.system_channel else None,
        "system_channel_flags": 0,
        "rules_channel_id": None,
        "public_updates_channel_id": None,
        "vanity_url_code": None,
        "description": None,
        "banner": None,
        "premium_tier": 0,
        "preferred_locale": guild.locale,
        "nsfw_level": 0,
        "premium_progress_bar_enabled": False,
        "joined_at": guild.members[bot.id].joined_at.isoformat() if bot.id in guild.members else None,
        "large": False,
        "member_count": len(guild.members),
        "voice_states": [],
        "members": [member_payload(guild.members[bot.id])] if bot.id in guild.members else [],
        "channels": [channel_payload(c) for c in guild.channels.values() if c.kind == ChannelKind.TEXT],
        "threads": [channel_payload(thread) for thread in threads],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def attachment_payload(attachment: Attachment, *, ephemeral: bool = False) -> Json:
    upload = attachment.upload
    payload: Json = {
        "id": str(attachment.id),
        "filename": upload.filename,
        "size": upload.size,
        "url": attachment.url,
        "proxy_url": attachment.proxy_url,
    }
    optional = {"content_type": upload.content_type, "description": upload.description}
    optional |= {"width": upload.width, "height": upload.height}  # type: ignore[dict-item]
    payload |= {key: value for key, value in optional.items() if value is not None}
    if ephemeral:
        payload["ephemeral"] = True
    return payload


def emoji_payload(emoji: str) -> Json:
    name, _, number = emoji.partition(":")
    return {"id": number or None, "name": name}


def message_payload(message: Message, bot: User, *, content: bool, referenced_content: bool = True) -> Json:
    """A message as REST shows it; the gateway adds guild and member (`gateway_message`).

    Args:
        content: False blanks what the message-content intent guards.
        referenced_content: whether the message that this one replies to is shown with its content.
    """
    payload: Json = {
        "id": str(message.id),
        "channel_id": str(message.channel.id),
        "type": message.kind,
        "author": user_payload(message.author),
        "content": message.content if content else "",
        "timestamp": message.timestamp.isoformat(),
        "edited_timestamp": message.edited.isoformat() if message.edited else None,
        "tts": False,
        "mention_everyone": message.mention_everyone,
        "mentions": [user_payload(user) for user in message.mentions],
        "mention_roles": [str(role.id) for role in message.mention_roles],
        "attachments": [attachment_payload(a, ephemeral=message.ephemeral) for a in message.attachments]
        if content
        else [],
        "embeds": message.embeds if content else [],
        "components": message.components if content else [],
        "pinned": False,
        "flags": int(message.flags),
    }
    if message.stickers:
        payload["sticker_items"] = message.stickers
    if message.nonce is not None:
        payload["nonce"] = message.nonce
    if message.reactions:
        payload["reactions"] = [_reaction_payload(emoji, users, bot) for emoji, users in message.reactions.items()]
    if message.reference is not None:
        payload["message_reference"] = message.reference
    if message.kind == 19:
        target = message.reply_to
        payload["referenced_message"] = (
            message_payload(target, bot, content=referenced_content or target.author is bot)
            if target is not None and not target.deleted
            else None
        )
    if message.snapshots:
        payload["message_snapshots"] = [_snapshot_payload(snapshot, content) for snapshot in message.snapshots]
    if message.interaction is not None:
        payload |= {"application_id": str(bot.id), "webhook_id": str(bot.id)}
        payload["interaction_metadata"] = message.interaction.metadata_payload()
    return payload


def gateway_message(message: Message, bot: User, *, content: bool, referenced_content: bool) -> Json:
    payload = message_payload(message, bot, content=content, referenced_content=referenced_content)
    if message.guild is not None:
        payload["guild_id"] = str(message.guild.id)
        member = message.guild.members.get(message.author.id)
        if member is not None:
            payload["member"] = member_payload(member, with_user=False)
        for shown in payload["mentions"]:
            mentioned = message.guild.members.get(int(shown["id"]))
            if mentioned is not None:
                shown["member"] = member_payload(mentioned, with_user=False)
    return payload


def _reaction_payload(emoji: str, users: list[User], bot: User) -> Json:
    return {
        "count": len(users),
        "count_details": {"burst": 0, "normal": len(users)},
        "me": bot in users,
        "me_burst": False,
        "emoji": emoji_payload(emoji),
        "burst_colors": [],
    }


def _snapshot_payload(snapshot: Message, content: bool) -> Json:
    return {
        "message": {
            "type": snapshot.kind,
            "content": snapshot.content if content else "",
            "attachments": [attachment_payload(a) for a in snapshot.attachments] if content else [],
            "embeds": snapshot.embeds if content else [],
            "timestamp": snapshot.timestamp.isoformat(),
            "edited_timestamp": None,
            "flags": int(snapshot.flags),
            "mentions": [],
            "mention_roles": [],
            "components": [],
        }
    }
