"""What Slack sends to an app (events, commands, interactions), when it counts as delivered, and the payloads' frame."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.servers.slack.waiting import Happenings


@dataclass(eq=False)
class Delivery:
    """One envelope on its way. `ack` is the acknowledgement's payload ({} for a bare one), None until it comes."""

    envelope_id: str
    type: str  # events_api, slash_commands or interactive
    payload: dict[str, Any]
    happenings: Happenings
    retry_attempt: int = 0
    retry_reason: str = ""
    socket: int | None = None  # the number of the socket that carried it
    sent: bool = False
    lost: bool = False  # its socket closed, or its request failed, before an acknowledgement
    ack: dict[str, Any] | None = None

    def envelope(self) -> dict[str, Any]:
        """The envelope as Socket Mode sends it."""
        body = {
            "envelope_id": self.envelope_id,
            "type": self.type,
            "payload": self.payload,
            "accepts_response_payload": self.type != "events_api",
        }
        if self.type == "events_api":
            body |= {"retry_attempt": self.retry_attempt, "retry_reason": self.retry_reason}
        return body

    def acknowledge(self, payload: dict[str, Any]) -> None:
        self.ack = payload
        self.happenings.tell()

    def lose(self) -> None:
        self.lost = self.ack is None
        self.happenings.tell()

    async def acked(self) -> dict[str, Any]:
        """Wait for the acknowledgement; its payload."""
        return await self.happenings.until(lambda: self.ack, f"an acknowledgement of {self.envelope_id}")


@dataclass(eq=False)
class Event:
    """An event of the Events API with every attempt to deliver it; `event_id` and `ts` stay, the envelope changes."""

    id: str
    kind: str  # the subscription it belongs to: message.channels, app_mention, ...
    payload: dict[str, Any]
    happenings: Happenings
    deliveries: list[Delivery] = field(default_factory=list)

    @property
    def body(self) -> dict[str, Any]:
        """The inner event."""
        return dict(self.payload["event"])

    @property
    def was_acked(self) -> bool:
        return any(delivery.ack is not None for delivery in self.deliveries)

    async def acked(self) -> None:
        """Wait until any delivery of it was acknowledged."""
        await self.happenings.until(lambda: self.was_acked, f"an acknowledgement of {self.kind} {self.id}")


class Transport(Protocol):
    """How envelopes reach the app: Socket Mode, or signed requests."""

    async def send(self, delivery: Delivery) -> bool:
        """True when it is on its way; False when nobody listens."""
        ...


def event_callback(team: str, app: str, bot_user: str, event_id: str, event: dict[str, Any]) -> dict[str, Any]:
    """The outer frame of an event."""
    return {
        "token": "verification-token",
        "team_id": team,
        "context_team_id": team,
        "context_enterprise_id": None,
        "api_app_id": app,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": int(time.time()),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": team,
                "user_id": bot_user,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
    }
