"""A Slack workspace in memory: its people, channels, messages and files, in the JSON that Slack gives of them."""

from __future__ import annotations

import html
import itertools
import re
import time
from dataclasses import dataclass, field
from typing import Any

from tests.servers.slack.delivery import Event

TEAM_ID = "T0TEST"
APP_ID = "A0TEST"
BOT_ID = "B0TEST"
BOT_USER_ID = "U0BOT"
TEAM_DOMAIN = "testers"

_ENTITY = re.compile(r"<[^<>]+>")
_URL = re.compile(r"https?://[^\s<>|]+")


@dataclass
class User:
    id: str
    name: str
    is_admin: bool = False
    is_bot: bool = False

    @property
    def mention(self) -> str:
        """What a message's text holds when it names this user."""
        return f"<@{self.id}>"

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "team_id": TEAM_ID,
            "name": self.name,
            "real_name": self.name,
            "deleted": False,
            "tz": "Asia/Tokyo",
            "tz_offset": 32400,
            "is_admin": self.is_admin,
            "is_owner": False,
            "is_bot": self.is_bot,
            "profile": {"display_name": self.name, "real_name": self.name},
        }


@dataclass(frozen=True)
class FileFault:
    """What is wrong with a file when it is fetched; the default is nothing.

    `stall_after` and `cut_after` count bytes; after them nothing more comes, or the connection breaks.
    `declares` is a false Content-Length, `trickle_s` the pause in seconds between pieces of 64 bytes.
    """

    status: int = 200
    redirect_to: str | None = None
    content_type: str | None = None
    body: bytes | None = None
    declares: int | None = None
    stall_after: int | None = None
    cut_after: int | None = None
    trickle_s: float | None = None
    endless: bool = False


@dataclass
class File:
    id: str
    name: str
    data: bytes
    mimetype: str
    user: User
    url: str
    title: str = ""
    alt_txt: str = ""
    size: int | None = None  # what Slack says of it, where that differs from the data's length
    access: str = "visible"  # "check_file_info": the message holds the id only (Slack Connect)
    fault: FileFault = field(default_factory=FileFault)
    uploaded: bool = True

    def to_dict(self, *, full: bool = True) -> dict[str, Any]:
        if not full and self.access == "check_file_info":
            return {"id": self.id, "mode": "file_access", "file_access": "check_file_info"}
        kind = self.name.rpartition(".")[2].lower()
        return {
            "id": self.id,
            "created": int(time.time()),
            "timestamp": int(time.time()),
            "name": self.name,
            "title": self.title or self.name,
            "mimetype": self.mimetype,
            "filetype": kind,
            "pretty_type": kind.upper(),
            "user": self.user.id,
            "user_team": TEAM_ID,
            "size": len(self.data) if self.size is None else self.size,
            "mode": "hosted",
            "is_external": False,
            "external_type": "",
            "is_public": True,
            "public_url_shared": False,
            "alt_txt": self.alt_txt,
            "url_private": self.url,
            "url_private_download": self.url.replace("/files-pri/", "/files-pri/download/", 1),
            "permalink": f"https://{TEAM_DOMAIN}.slack.com/files/{self.user.id}/{self.id}/{self.name}",
            "file_access": "visible",
        }


@dataclass(eq=False)
class Channel:
    """`kind` is Slack's: channel (public), group (private), im or mpim."""

    id: str
    name: str
    kind: str = "channel"
    members: set[str] = field(default_factory=set)
    messages: list[Message] = field(default_factory=list)
    archived: bool = False

    @property
    def has_bot(self) -> bool:
        return BOT_USER_ID in self.members

    def find(self, ts: str) -> Message | None:
        """The message of that `ts`, unless it was deleted."""
        return next((m for m in self.messages if m.ts == ts and not m.deleted), None)

    def thread(self, ts: str) -> list[Message]:
        """The replies in the thread under `ts`, oldest first."""
        return [m for m in self.messages if m.thread_ts == ts and m.ts != ts and not m.deleted and not m.only_for]

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "is_channel": self.kind == "channel",
            "is_group": self.kind == "group",
            "is_im": self.kind == "im",
            "is_mpim": self.kind == "mpim",
            "is_private": self.kind != "channel",
            "is_archived": self.archived,
            "is_member": self.has_bot,
            "num_members": len(self.members),
        }


@dataclass(eq=False)
class Message:
    """A message as it stands now: edits change it in place, `edits` counts them."""

    channel: Channel
    ts: str
    user: User
    text: str = ""
    blocks: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    thread_ts: str | None = None
    subtype: str | None = None
    only_for: str | None = None  # an ephemeral message: the one user who sees it
    reactions: dict[str, list[str]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    edits: int = 0
    edits_waited_for: int = 0
    deleted: bool = False
    waited_for: bool = False

    @property
    def by_bot(self) -> bool:
        return self.user.id == BOT_USER_ID

    @property
    def event(self) -> Event:
        """The message event that told the bot of it."""
        if not self.events:
            raise AssertionError(f"the bot is not told of {self.text!r}: is it in {self.channel.id}, and subscribed?")
        return self.events[0]

    @property
    def plain(self) -> str:
        """The text as people read it (entities undone)."""
        return html.unescape(self.text)

    @property
    def entities(self) -> list[str]:
        """Everything in text and blocks that Slack would make a mention or a link of: `<@U1>`, `<!here>`, `<http..>`."""
        texts = [self.text]
        for block in self.blocks:
            parts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
            texts += [p["text"] for p in parts if isinstance(p, dict) and p.get("type") == "mrkdwn"]
        return [entity for text in texts for entity in _ENTITY.findall(text)]

    @property
    def elements(self) -> list[dict[str, Any]]:
        """What can be clicked or chosen, each with its `block_id`."""
        found = []
        for block in self.blocks:
            candidates = [*block.get("elements", []), block.get("accessory"), block.get("element")]
            found += [{"block_id": block.get("block_id"), **e} for e in candidates if e and e.get("action_id")]
        return found

    def element(self, action_id: str) -> dict[str, Any]:
        for element in self.elements:
            if element["action_id"] == action_id:
                return element
        raise AssertionError(f"no {action_id!r} under {self.text!r}, only {[e['action_id'] for e in self.elements]}")

    def to_dict(self) -> dict[str, Any]:
        if self.subtype == "tombstone":
            return {
                "type": "message",
                "subtype": "tombstone",
                "text": "This message was deleted.",
                "user": "USLACKBOT",
                "hidden": True,
                "ts": self.ts,
                "thread_ts": self.ts,
            }
        body: dict[str, Any] = {
            "type": "message",
            "user": self.user.id,
            "ts": self.ts,
            "text": self.text,
            "team": TEAM_ID,
        }
        if self.by_bot:
            body |= {"bot_id": BOT_ID, "app_id": APP_ID, "bot_profile": {"id": BOT_ID, "name": "boke"}}
        else:
            body["client_msg_id"] = f"00000000-0000-4000-8000-{self.ts.replace('.', '')[-12:]}"
        if self.subtype:
            body["subtype"] = self.subtype
        if self.files:
            body |= {"files": [file.to_dict(full=False) for file in self.files], "upload": False}
        if self.blocks:
            body["blocks"] = self.blocks
        if self.attachments:
            body["attachments"] = self.attachments
        if self.edits:
            body["edited"] = {"user": self.user.id, "ts": self.ts}
        if self.reactions:
            body["reactions"] = [{"name": n, "users": u, "count": len(u)} for n, u in self.reactions.items()]
        replies = [] if self.only_for else self.channel.thread(self.ts)
        if self.thread_ts or replies:
            body["thread_ts"] = self.thread_ts or self.ts
        if replies:
            body |= {"reply_count": len(replies), "latest_reply": replies[-1].ts}
        return body


class Workspace:
    """Everything that the workspace remembers."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, File] = {}
        self.bot = self.add_user(BOT_USER_ID, "boke", is_bot=True)
        self._numbers = itertools.count(1)
        self._last_us = 0

    def number(self) -> int:
        """A number not given before."""
        return next(self._numbers)

    def next_ts(self) -> str:
        """The time now as Slack writes it, later than any given before."""
        self._last_us = max(time.time_ns() // 1000, self._last_us + 1)
        return f"{self._last_us // 1_000_000}.{self._last_us % 1_000_000:06d}"

    def add_user(self, user_id: str, name: str, *, is_admin: bool = False, is_bot: bool = False) -> User:
        self.users[user_id] = User(user_id, name, is_admin, is_bot)
        return self.users[user_id]

    def dm(self, user: User) -> Channel:
        """The direct conversation of `user` with the bot, opened when needed."""
        channel_id = "D" + user.id[1:]
        if channel_id not in self.channels:
            self.channels[channel_id] = Channel(channel_id, user.name, "im", {user.id, BOT_USER_ID})
        return self.channels[channel_id]


def as_stored(text: str) -> str:
    """What Slack stores when a person types `text`: &, < and > escaped, links in <>, entities as they are."""
    out, end = [], 0
    for entity in _ENTITY.finditer(text):
        out += [_store_plain(text[end : entity.start()]), entity.group()]
        end = entity.end()
    return "".join([*out, _store_plain(text[end:])])


def _store_plain(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _URL.sub(lambda url: f"<{url.group()}>", escaped)
