"""Discord's numbers (intents, permissions, opcodes, flags) and the errors its REST answers with."""

from __future__ import annotations

import enum
import time
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]

API_VERSION = 10
EPOCH_MS = 1_420_070_400_000  # the first second of 2015, where snowflakes start


class Op(enum.IntEnum):
    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    PRESENCE = 3
    VOICE_STATE = 4
    RESUME = 6
    RECONNECT = 7
    REQUEST_MEMBERS = 8
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11


class Close(enum.IntEnum):
    UNKNOWN_OPCODE = 4001
    DECODE_ERROR = 4002
    NOT_AUTHENTICATED = 4003
    AUTHENTICATION_FAILED = 4004
    ALREADY_AUTHENTICATED = 4005
    INVALID_SHARD = 4010
    INVALID_VERSION = 4012
    DISALLOWED_INTENTS = 4014


class Intent(enum.IntFlag):
    NONE = 0
    GUILDS = 1 << 0
    GUILD_MEMBERS = 1 << 1
    GUILD_PRESENCES = 1 << 8
    GUILD_MESSAGES = 1 << 9
    GUILD_MESSAGE_REACTIONS = 1 << 10
    GUILD_MESSAGE_TYPING = 1 << 11
    DIRECT_MESSAGES = 1 << 12
    DIRECT_MESSAGE_REACTIONS = 1 << 13
    DIRECT_MESSAGE_TYPING = 1 << 14
    MESSAGE_CONTENT = 1 << 15


PRIVILEGED = {
    "members": Intent.GUILD_MEMBERS,
    "presences": Intent.GUILD_PRESENCES,
    "message_content": Intent.MESSAGE_CONTENT,
}
# The flags of an application that tell which privileged intents its owner switched on (the "limited" kind of small bots).
PORTAL_FLAGS = {"presences": 1 << 13, "members": 1 << 15, "message_content": 1 << 19}


class Permission(enum.IntFlag):
    NONE = 0
    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    USE_APPLICATION_COMMANDS = 1 << 31
    SEND_MESSAGES_IN_THREADS = 1 << 38
    ALL = (1 << 53) - 1


# what a new guild lets everyone do
EVERYONE = (
    Permission.ADD_REACTIONS
    | Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.MENTION_EVERYONE
    | Permission.USE_EXTERNAL_EMOJIS
    | Permission.USE_APPLICATION_COMMANDS
    | Permission.SEND_MESSAGES_IN_THREADS
)


class MessageFlag(enum.IntFlag):
    NONE = 0
    SUPPRESS_EMBEDS = 1 << 2
    EPHEMERAL = 1 << 6
    LOADING = 1 << 7
    SUPPRESS_NOTIFICATIONS = 1 << 12
    HAS_SNAPSHOT = 1 << 14
    COMPONENTS_V2 = 1 << 15


class ChannelKind(enum.IntEnum):
    TEXT = 0
    DM = 1
    THREAD = 11


class ApiError(Exception):
    """An answer of REST with an error: HTTP status, Discord's own code, message, and details of the form."""

    def __init__(self, status: int, code: int, message: str, errors: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{status} ({code}): {message}")
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors

    def body(self) -> Json:
        body: Json = {"message": self.message, "code": self.code}
        if self.errors:
            body["errors"] = self.errors
        return body


def unknown(thing: str) -> ApiError:
    """404 with the code that Discord uses for an unknown channel, guild, message, user, webhook or interaction."""
    codes = {"Channel": 10003, "Guild": 10004, "Member": 10007, "Message": 10008, "User": 10013, "Emoji": 10014}
    codes |= {"Webhook": 10015, "Interaction": 10062, "Application Command": 10063}
    return ApiError(404, codes[thing], f"Unknown {thing}")


def invalid_form(field: str, code: str, message: str) -> ApiError:
    """400 "Invalid Form Body" for one field, in the nested shape that clients read."""
    leaf: Json = {"_errors": [{"code": code, "message": message}]}
    for part in reversed(field.split(".")):
        leaf = {part: leaf}
    return ApiError(400, 50035, "Invalid Form Body", leaf)


def missing_access() -> ApiError:
    return ApiError(403, 50001, "Missing Access")


def missing_permissions() -> ApiError:
    return ApiError(403, 50013, "Missing Permissions")


class Snowflakes:
    """Ids in order of creation, from the clock, each one once."""

    def __init__(self) -> None:
        self._last = 0

    def next(self, shard: tuple[int, int] | None = None) -> int:
        """A new id; with `shard` (number, of how many) one that routes to that shard."""
        wanted = max((int(time.time() * 1000) - EPOCH_MS) << 22, self._last + 1)
        if shard is not None:
            number, count = shard
            tick = (wanted >> 22) + 1
            tick += (number - tick) % count
            wanted = tick << 22
        self._last = wanted
        return wanted
