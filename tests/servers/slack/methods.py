"""The Web API's methods: parameters in, Slack's JSON out, SlackError for everything that Slack refuses."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from tests.servers.slack import workspace as ws
from tests.servers.slack.blocks import identified, problems, view_problems
from tests.servers.slack.feed import Feed
from tests.servers.slack.interactions import Interactions
from tests.servers.slack.workspace import Channel, File, Message, User, Workspace

METHOD_SCOPES = {
    "bots.info": "users:read",
    "chat.delete": "chat:write",
    "chat.postEphemeral": "chat:write",
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "conversations.history": "{kind}:history",
    "conversations.info": "{kind}:read",
    "conversations.members": "{kind}:read",
    "conversations.open": "im:write",
    "conversations.replies": "{kind}:history",
    "files.completeUploadExternal": "files:write",
    "files.getUploadURLExternal": "files:write",
    "files.info": "files:read",
    "reactions.add": "reactions:write",
    "reactions.get": "reactions:read",
    "reactions.remove": "reactions:write",
    "team.info": "team:read",
    "users.conversations": "channels:read",
    "users.info": "users:read",
}
MAX_TEXT = 40_000


class SlackError(Exception):
    """An answer with `ok` false."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra


class Methods:
    """`base` is this server's address, `socket_url` makes a Socket Mode address with a fresh ticket, or None if off."""

    def __init__(
        self,
        workspace: Workspace,
        feed: Feed,
        interactions: Interactions,
        base: Callable[[], str],
        socket_url: Callable[[], str | None],
    ) -> None:
        self.workspace = workspace
        self.feed = feed
        self.interactions = interactions
        self.base = base
        self.socket_url = socket_url

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        known: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]] | None
        known = getattr(self, "m_" + method.replace(".", "_"), None)
        if known is None:
            raise SlackError("unknown_method", req_method=method)
        return await known(params)

    # apps, who am I

    async def m_api_test(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"args": params}

    async def m_apps_connections_open(self, params: dict[str, Any]) -> dict[str, Any]:
        url = self.socket_url()
        if url is None:
            raise SlackError("access_denied")
        return {"url": url}

    async def m_auth_test(self, params: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": f"https://{ws.TEAM_DOMAIN}.slack.com/",
            "team": "Testers",
            "user": self.workspace.bot.name,
            "team_id": ws.TEAM_ID,
            "user_id": ws.BOT_USER_ID,
            "bot_id": ws.BOT_ID,
            "is_enterprise_install": False,
        }

    async def m_bots_info(self, params: dict[str, Any]) -> dict[str, Any]:
        if params.get("bot", ws.BOT_ID) != ws.BOT_ID:
            raise SlackError("bot_not_found")
        bot = {"id": ws.BOT_ID, "deleted": False, "name": "boke", "app_id": ws.APP_ID, "user_id": ws.BOT_USER_ID}
        return {"bot": bot}

    async def m_team_info(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"team": {"id": ws.TEAM_ID, "name": "Testers", "domain": ws.TEAM_DOMAIN}}

    async def m_users_info(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"user": self._user(params).to_dict()}

    # conversations

    async def m_conversations_info(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"channel": self._channel(params).to_dict()}

    async def m_conversations_members(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"members": sorted(self._channel(params).members), "response_metadata": {"next_cursor": ""}}

    async def m_conversations_open(self, params: dict[str, Any]) -> dict[str, Any]:
        channel = self.workspace.dm(self._user({"user": params.get("users")}))
        return {"channel": {"id": channel.id}}

    async def m_users_conversations(self, params: dict[str, Any]) -> dict[str, Any]:
        mine = [channel.to_dict() for channel in self.workspace.channels.values() if channel.has_bot]
        return {"channels": mine, "response_metadata": {"next_cursor": ""}}

    async def m_conversations_history(self, params: dict[str, Any]) -> dict[str, Any]:
        channel = self._joined(params)
        roots = [m for m in channel.messages if not m.deleted and not m.only_for and m.thread_ts in (None, m.ts)]
        return _page(list(reversed(roots)), params)

    async def m_conversations_replies(self, params: dict[str, Any]) -> dict[str, Any]:
        channel = self._joined(params)
        root = channel.find(str(params.get("ts")))
        if root is None:
            raise SlackError("thread_not_found")
        top = root.thread_ts or root.ts
        first = channel.find(top)
        return _page([*([first] if first else []), *channel.thread(top)], params)

    # chat

    async def m_chat_postMessage(self, params: dict[str, Any]) -> dict[str, Any]:
        if str(params.get("channel", ""))[:1] == "U":
            params = {**params, "channel": self.workspace.dm(self._user({"user": params["channel"]})).id}
        channel = self._joined(params)
        self._check_content(params)
        message = self._new_message(channel, params)
        channel.messages.append(message)
        await self.feed.posted(message)
        return {"channel": channel.id, "ts": message.ts, "message": message.to_dict()}

    async def m_chat_postEphemeral(self, params: dict[str, Any]) -> dict[str, Any]:
        channel = self._joined(params)
        user = self._user(params)
        if user.id not in channel.members:
            raise SlackError("user_not_in_channel")
        self._check_content(params)
        message = self._new_message(channel, params)
        message.only_for = user.id
        channel.messages.append(message)
        return {"message_ts": message.ts}

    async def m_chat_update(self, params: dict[str, Any]) -> dict[str, Any]:
        message = self._own_message(params, "cant_update_message")
        self._check_content({"blocks": message.blocks, **params})
        before = message.to_dict()
        self.apply(message, params)
        await self.feed.changed(message, before)
        return {"channel": message.channel.id, "ts": message.ts, "text": message.text, "message": message.to_dict()}

    async def m_chat_delete(self, params: dict[str, Any]) -> dict[str, Any]:
        message = self._own_message(params, "cant_delete_message")
        await self.delete(message)
        return {"channel": message.channel.id, "ts": message.ts}

    async def m_chat_getPermalink(self, params: dict[str, Any]) -> dict[str, Any]:
        message = self._message(params, "message_ts")
        path = f"archives/{message.channel.id}/p{message.ts.replace('.', '')}"
        return {"channel": message.channel.id, "permalink": f"https://{ws.TEAM_DOMAIN}.slack.com/{path}"}

    # files

    async def m_files_info(self, params: dict[str, Any]) -> dict[str, Any]:
        file = self.workspace.files.get(str(params.get("file")))
        if file is None:
            raise SlackError("file_not_found")
        return {"file": file.to_dict(), "comments": [], "response_metadata": {"next_cursor": ""}}

    async def m_files_getUploadURLExternal(self, params: dict[str, Any]) -> dict[str, Any]:
        if not params.get("filename") or not str(params.get("length", "")).isdigit():
            raise SlackError("invalid_arguments")
        file = self.new_file(str(params["filename"]), b"", "image/png", self.workspace.bot)
        file.uploaded, file.size, file.alt_txt = False, int(params["length"]), str(params.get("alt_txt") or "")
        return {"upload_url": f"{self.base()}/upload/v1/{file.id}", "file_id": file.id}

    async def m_files_completeUploadExternal(self, params: dict[str, Any]) -> dict[str, Any]:
        files = []
        for item in params.get("files") or []:
            file = self.workspace.files.get(item.get("id"))
            if file is None or not file.uploaded:
                raise SlackError("file_not_found")
            file.title = item.get("title") or file.name
            files.append(file)
        if not files:
            raise SlackError("invalid_arguments")
        targets = [params["channel_id"]] if params.get("channel_id") else []
        targets += [name for name in str(params.get("channels") or "").split(",") if name]
        for channel in [self._joined({"channel": target}) for target in targets]:
            message = self._new_message(channel, {**params, "text": params.get("initial_comment") or ""})
            message.files, message.subtype = list(files), "file_share"
            channel.messages.append(message)
            await self.feed.posted(message)
        return {"files": [file.to_dict() for file in files]}

    # reactions, views

    async def m_reactions_add(self, params: dict[str, Any]) -> dict[str, Any]:
        message, name = self._message(params, "timestamp"), str(params.get("name") or "")
        if not name or ":" in name.split("::")[0]:
            raise SlackError("invalid_name")
        if ws.BOT_USER_ID in message.reactions.get(name, []):
            raise SlackError("already_reacted")
        message.reactions.setdefault(name, []).append(ws.BOT_USER_ID)
        await self.feed.reacted(message, self.workspace.bot, name, added=True)
        return {}

    async def m_reactions_remove(self, params: dict[str, Any]) -> dict[str, Any]:
        message, name = self._message(params, "timestamp"), str(params.get("name") or "")
        if ws.BOT_USER_ID not in message.reactions.get(name, []):
            raise SlackError("no_reaction")
        message.reactions[name].remove(ws.BOT_USER_ID)
        await self.feed.reacted(message, self.workspace.bot, name, added=False)
        return {}

    async def m_reactions_get(self, params: dict[str, Any]) -> dict[str, Any]:
        message = self._message(params, "timestamp")
        return {"type": "message", "channel": message.channel.id, "message": message.to_dict()}

    async def m_views_open(self, params: dict[str, Any]) -> dict[str, Any]:
        found = view_problems(params.get("view"))
        if found:
            raise SlackError("invalid_arguments", response_metadata={"messages": found})
        view, refusal = self.interactions.open_view(params["view"], str(params.get("trigger_id")))
        if view is None:
            raise SlackError(refusal)
        return {"view": view.body}

    async def m_views_update(self, params: dict[str, Any]) -> dict[str, Any]:
        found = view_problems(params.get("view"))
        if found:
            raise SlackError("invalid_arguments", response_metadata={"messages": found})
        view = self.interactions.update_view(str(params.get("view_id")), params["view"])
        if view is None:
            raise SlackError("not_found")
        return {"view": view.body}

    # what the methods share with the driver

    def new_file(self, name: str, data: bytes, mimetype: str, user: User) -> File:
        """A file of the workspace; its address is on this server."""
        file_id = f"F{self.workspace.number():08d}"
        url = f"{self.base()}/files-pri/{ws.TEAM_ID}-{file_id}/{name}"
        self.workspace.files[file_id] = File(file_id, name, data, mimetype, user, url)
        return self.workspace.files[file_id]

    def apply(self, message: Message, params: dict[str, Any]) -> None:
        """Edit: what is not given stays (blocks and attachments too), an empty list removes."""
        if params.get("text") is not None:
            message.text = params["text"]
        if params.get("blocks") is not None:
            message.blocks = identified(params["blocks"])
        if params.get("attachments") is not None:
            message.attachments = params["attachments"]
        message.edits += 1

    async def delete(self, message: Message) -> None:
        """Delete: a message with replies leaves a tombstone, which goes with its last reply."""
        before = message.to_dict()
        if message.channel.thread(message.ts) and message.subtype != "tombstone":
            message.subtype = "tombstone"
            await self.feed.changed(message, before)
            return
        message.deleted = True
        await self.feed.deleted(message, before)
        root = message.channel.find(message.thread_ts or "")
        if root is not None and root.subtype == "tombstone" and not root.channel.thread(root.ts):
            await self.delete(root)

    def _new_message(self, channel: Channel, params: dict[str, Any]) -> Message:
        return Message(
            channel,
            self.workspace.next_ts(),
            self.workspace.bot,
            params.get("text") or "",
            blocks=identified(params.get("blocks")),
            attachments=params.get("attachments") or [],
            thread_ts=params.get("thread_ts") or None,
        )

    def _check_content(self, params: dict[str, Any]) -> None:
        if not any(params.get(name) for name in ("text", "blocks", "attachments")):
            raise SlackError("no_text")
        if len(params.get("text") or "") > MAX_TEXT:
            raise SlackError("msg_too_long")
        found = problems(params["blocks"]) if params.get("blocks") else []
        if found:
            raise SlackError("invalid_blocks", errors=found, response_metadata={"messages": found})

    def _user(self, params: dict[str, Any]) -> User:
        user = self.workspace.users.get(str(params.get("user")))
        if user is None:
            raise SlackError("user_not_found")
        return user

    def _channel(self, params: dict[str, Any]) -> Channel:
        channel = self.workspace.channels.get(str(params.get("channel")))
        if channel is None or (channel.kind != "channel" and not channel.has_bot):
            raise SlackError("channel_not_found")
        return channel

    def _joined(self, params: dict[str, Any]) -> Channel:
        channel = self._channel(params)
        if not channel.has_bot:
            raise SlackError("not_in_channel")
        if channel.archived:
            raise SlackError("is_archived")
        return channel

    def _message(self, params: dict[str, Any], key: str) -> Message:
        message = self._joined(params).find(str(params.get(key)))
        if message is None or message.only_for:
            raise SlackError("message_not_found")
        return message

    def _own_message(self, params: dict[str, Any], refusal: str) -> Message:
        message = self._message(params, "ts")
        if not message.by_bot:
            raise SlackError(refusal)
        return message


def _page(messages: list[Message], params: dict[str, Any]) -> dict[str, Any]:
    """One page of `messages` between `oldest` and `latest`."""
    oldest, latest = str(params.get("oldest") or "0"), str(params.get("latest") or f"{time.time() + 60:.6f}")
    inclusive = str(params.get("inclusive", "")).lower() in ("1", "true")
    fitting = [
        m for m in messages if float(oldest) < float(m.ts) < float(latest) or (inclusive and m.ts in (oldest, latest))
    ]
    start, limit = int(params.get("cursor") or 0), int(params.get("limit") or 100)
    more = len(fitting) > start + limit
    return {
        "messages": [message.to_dict() for message in fitting[start : start + limit]],
        "has_more": more,
        "response_metadata": {"next_cursor": str(start + limit) if more else ""},
    }
