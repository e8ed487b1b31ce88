"""The Events API: what happens in the workspace becomes events for the app, as far as it subscribed and may read."""

from __future__ import annotations

import uuid
from typing import Any

from tests.servers.slack.delivery import Delivery, Event, Transport, event_callback
from tests.servers.slack.waiting import Happenings
from tests.servers.slack.workspace import APP_ID, BOT_USER_ID, TEAM_ID, Channel, File, Message, User, Workspace

KINDS = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}
EVENT_SCOPES = {
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
    "app_mention": "app_mentions:read",
    "reaction_added": "reactions:read",
    "reaction_removed": "reactions:read",
    "member_joined_channel": "channels:read",
    "member_left_channel": "channels:read",
    "channel_left": "channels:read",
    "group_left": "groups:read",
    "file_shared": "files:read",
}


class Feed:
    """Makes events and sends them over the transport in use; without a transport that listens they wait, unsent."""

    def __init__(
        self,
        workspace: Workspace,
        happenings: Happenings,
        transport: Transport,
        scopes: set[str],
        subscriptions: set[str],
    ) -> None:
        self.workspace = workspace
        self.happenings = happenings
        self.transport = transport
        self.scopes = scopes
        self.subscriptions = subscriptions
        self.events: list[Event] = []

    async def event(self, kind: str, body: dict[str, Any]) -> Event | None:
        """Send one event; None where the app did not subscribe, or lacks the scope."""
        if kind not in self.subscriptions or EVENT_SCOPES[kind] not in self.scopes:
            return None
        event_id = f"Ev{self.workspace.number():08d}"
        body = {**body, "event_ts": body.get("event_ts") or self.workspace.next_ts()}
        payload = event_callback(TEAM_ID, APP_ID, BOT_USER_ID, event_id, body)
        event = Event(event_id, kind, payload, self.happenings)
        self.events.append(event)
        await self.deliver(event)
        return event

    async def deliver(self, event: Event, retry: int = 0, reason: str = "") -> Delivery:
        """One attempt: a new envelope around the same payload."""
        delivery = self.envelope("events_api", event.payload)
        delivery.retry_attempt, delivery.retry_reason = retry, reason
        event.deliveries.append(delivery)
        await self.transport.send(delivery)
        self.happenings.tell()
        return delivery

    def envelope(self, kind: str, payload: dict[str, Any]) -> Delivery:
        return Delivery(str(uuid.uuid4()), kind, payload, self.happenings)

    async def posted(self, message: Message) -> None:
        """A new message: the message event, the mention beside it, the shared files."""
        channel = message.channel
        if message.only_for or not channel.has_bot:
            return
        body = {**message.to_dict(), "channel": channel.id, "event_ts": message.ts}
        await self._message(message, {**body, "channel_type": channel.kind})
        if self.workspace.bot.mention in message.text and channel.kind != "im" and not message.by_bot:
            mention = {key: value for key, value in body.items() if key != "subtype"}
            await self._keep(message, "app_mention", {**mention, "type": "app_mention"})
        for file in message.files:
            await self._shared(message, file)

    async def changed(self, message: Message, before: dict[str, Any]) -> None:
        """A message was edited, unfurled, or became a tombstone."""
        await self._message(message, self._change(message, "message_changed", before, {"message": message.to_dict()}))

    async def deleted(self, message: Message, before: dict[str, Any]) -> None:
        body = self._change(message, "message_deleted", before, {"deleted_ts": message.ts})
        await self._message(message, body)

    async def reacted(self, message: Message, user: User, name: str, *, added: bool) -> Event | None:
        if not message.channel.has_bot:
            return None
        kind = "reaction_added" if added else "reaction_removed"
        return await self.event(
            kind,
            {
                "type": kind,
                "user": user.id,
                "reaction": name,
                "item": {"type": "message", "channel": message.channel.id, "ts": message.ts},
                "item_user": message.user.id,
            },
        )

    async def joined(self, channel: Channel, user: User, inviter: User | None) -> Event | None:
        body = {
            "type": "member_joined_channel",
            "user": user.id,
            "channel": channel.id,
            "channel_type": "C" if channel.kind == "channel" else "G",
            "team": TEAM_ID,
        }
        return await self.event("member_joined_channel", body | ({"inviter": inviter.id} if inviter else {}))

    async def left(self, channel: Channel, actor: User) -> Event | None:
        """The bot was removed: the only event it still gets of that channel."""
        kind = "channel_left" if channel.kind == "channel" else "group_left"
        return await self.event(kind, {"type": kind, "channel": channel.id, "actor_id": actor.id})

    def _change(self, message: Message, subtype: str, before: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
        ts = self.workspace.next_ts()
        return {
            "type": "message",
            "subtype": subtype,
            "previous_message": before,
            "channel": message.channel.id,
            "channel_type": message.channel.kind,
            "hidden": True,
            "ts": ts,
            "event_ts": ts,
            **more,
        }

    async def _message(self, message: Message, body: dict[str, Any]) -> None:
        if message.channel.has_bot and not message.only_for:
            await self._keep(message, f"message.{KINDS[message.channel.kind]}", body)

    async def _shared(self, message: Message, file: File) -> None:
        body = {"type": "file_shared", "file_id": file.id, "file": {"id": file.id}}
        await self.event("file_shared", body | {"user_id": message.user.id, "channel_id": message.channel.id})

    async def _keep(self, message: Message, kind: str, body: dict[str, Any]) -> None:
        event = await self.event(kind, body)
        if event is not None:
            message.events.append(event)
