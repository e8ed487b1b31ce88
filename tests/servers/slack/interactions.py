"""Commands, buttons, shortcuts and modals: their payloads, response addresses, triggers, and what answers make of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.servers.slack import workspace as ws
from tests.servers.slack.blocks import identified, problems
from tests.servers.slack.delivery import Delivery
from tests.servers.slack.feed import Feed
from tests.servers.slack.waiting import Happenings
from tests.servers.slack.workspace import Channel, Message, User, Workspace

MAX_RESPONSES = 5  # how often Slack takes a post to one response_url


@dataclass(eq=False)
class View:
    """A modal as it stands; `user` sees it."""

    user: User
    body: dict[str, Any]
    updates: int = 0
    closed: bool = False
    waited_for: bool = False

    @property
    def id(self) -> str:
        return str(self.body["id"])


@dataclass(eq=False)
class Interaction:
    """Something a user did to the app, and the posts to its response_url."""

    user: User
    channel: Channel
    trigger_id: str
    response_url: str
    message: Message | None = None  # the message whose button was clicked
    delivery: Delivery | None = None
    responses: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ack(self) -> dict[str, Any]:
        """The acknowledgement's payload, {} for a bare one."""
        if self.delivery is None or self.delivery.ack is None:
            raise AssertionError("not acknowledged")
        return self.delivery.ack


class Interactions:
    def __init__(self, workspace: Workspace, happenings: Happenings, feed: Feed) -> None:
        self.workspace = workspace
        self.happenings = happenings
        self.feed = feed
        self.base = ""
        self.all: list[Interaction] = []
        self.views: list[View] = []
        self._by_trigger: dict[str, Interaction] = {}
        self._by_key: dict[str, Interaction] = {}

    def start(self, user: User, channel: Channel, message: Message | None = None) -> Interaction:
        """A new interaction with its own trigger and response address."""
        key = f"{self.workspace.number()}"
        interaction = Interaction(
            user, channel, f"{key}.13.trigger", f"{self.base}/response/{ws.TEAM_ID}/{key}", message
        )
        self.all.append(interaction)
        self._by_trigger[interaction.trigger_id] = self._by_key[key] = interaction
        return interaction

    # payloads

    def command(self, interaction: Interaction, command: str, text: str) -> dict[str, Any]:
        return {
            "token": "verification-token",
            "team_id": ws.TEAM_ID,
            "team_domain": ws.TEAM_DOMAIN,
            "channel_id": interaction.channel.id,
            "channel_name": "directmessage" if interaction.channel.kind == "im" else interaction.channel.name,
            "user_id": interaction.user.id,
            "user_name": interaction.user.name,
            "command": command,
            "text": text,
            "api_app_id": ws.APP_ID,
            "is_enterprise_install": "false",
            "response_url": interaction.response_url,
            "trigger_id": interaction.trigger_id,
        }

    def block_action(self, interaction: Interaction, action: dict[str, Any]) -> dict[str, Any]:
        """`action`: the element that was used, with what was chosen in it."""
        message = interaction.message
        assert message is not None
        container = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": message.channel.id,
            "is_ephemeral": message.only_for is not None,
        }
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        body = {
            **self._frame("block_actions", interaction),
            "container": container,
            "state": {"values": {}},
            "response_url": interaction.response_url,
            "actions": [{**action, "action_ts": self.workspace.next_ts()}],
        }
        if message.only_for is None:  # Slack gives no copy of an ephemeral message
            body["message"] = message.to_dict()
        return body

    def shortcut(self, interaction: Interaction, callback_id: str) -> dict[str, Any]:
        message = interaction.message
        assert message is not None
        return {
            **self._frame("message_action", interaction),
            "callback_id": callback_id,
            "action_ts": self.workspace.next_ts(),
            "message_ts": message.ts,
            "message": message.to_dict(),
            "response_url": interaction.response_url,
        }

    def submission(self, interaction: Interaction, view: View, values: dict[str, Any]) -> dict[str, Any]:
        body = {**self._frame("view_submission", interaction), "response_urls": []}
        del body["channel"]
        return body | {"view": {**view.body, "state": {"values": values}}}

    def _frame(self, kind: str, interaction: Interaction) -> dict[str, Any]:
        user = interaction.user
        return {
            "type": kind,
            "token": "verification-token",
            "api_app_id": ws.APP_ID,
            "team": {"id": ws.TEAM_ID, "domain": ws.TEAM_DOMAIN},
            "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": ws.TEAM_ID},
            "channel": {"id": interaction.channel.id, "name": interaction.channel.name},
            "enterprise": None,
            "is_enterprise_install": False,
            "trigger_id": interaction.trigger_id,
        }

    # answers

    async def acknowledged(self, interaction: Interaction) -> None:
        """A command's acknowledgement may carry a message, as a post to its response_url would."""
        if any(interaction.ack.get(key) for key in ("text", "blocks")):
            await self._respond(interaction, interaction.ack)

    async def response_url(self, request: web.Request) -> web.Response:
        interaction = self._by_key.get(request.match_info["key"])
        if interaction is None:
            return web.json_response({"ok": False, "error": "expired_url"}, status=404)
        if len(interaction.responses) >= MAX_RESPONSES:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        body = await request.json()
        found = problems(body["blocks"]) if body.get("blocks") else []
        if found:
            return web.json_response({"ok": False, "error": "invalid_blocks"}, status=400)
        if not any(body.get(key) for key in ("text", "blocks", "attachments", "delete_original")):
            return web.json_response({"ok": False, "error": "no_text"}, status=400)
        interaction.responses.append(body)
        await self._respond(interaction, body)
        return web.Response(text="ok")

    async def _respond(self, interaction: Interaction, body: dict[str, Any]) -> None:
        await self._act_on(interaction, body)
        self.happenings.tell()

    async def _act_on(self, interaction: Interaction, body: dict[str, Any]) -> None:
        original = interaction.message
        before = original.to_dict() if original is not None else {}
        if original is not None and body.get("delete_original"):
            original.deleted = True
            await self.feed.deleted(original, before)
            return
        if original is not None and body.get("replace_original"):
            original.text = body.get("text") or ""
            original.blocks = identified(body.get("blocks"))
            original.edits += 1
            await self.feed.changed(original, before)
            return
        message = Message(
            interaction.channel,
            self.workspace.next_ts(),
            self.workspace.bot,
            body.get("text") or "",
            blocks=identified(body.get("blocks")),
            attachments=body.get("attachments") or [],
            thread_ts=body.get("thread_ts") or None,
            only_for=None if body.get("response_type") == "in_channel" else interaction.user.id,
        )
        interaction.channel.messages.append(message)
        await self.feed.posted(message)

    # modals

    def open_view(self, view: dict[str, Any], trigger_id: str) -> tuple[View | None, str]:
        """The view, or the error: a trigger is good for one view."""
        interaction = self._by_trigger.pop(trigger_id, None)
        if interaction is None:
            known = any(other.trigger_id == trigger_id for other in self.all)
            return None, "exchanged_trigger_id" if known else "invalid_trigger_id"
        body = {
            **view,
            "id": f"V{self.workspace.number():08d}",
            "team_id": ws.TEAM_ID,
            "app_id": ws.APP_ID,
            "bot_id": ws.BOT_ID,
            "state": {"values": {}},
            "private_metadata": view.get("private_metadata", ""),
            "callback_id": view.get("callback_id", ""),
        }
        self.views.append(View(interaction.user, body))
        return self.views[-1], ""

    def update_view(self, view_id: str, body: dict[str, Any]) -> View | None:
        for view in self.views:
            if view.id == view_id and not view.closed:
                view.body = {**view.body, **body}
                view.updates += 1
                self.happenings.tell()
                return view
        return None
