"""A local Slack for tests: Web API, Socket Mode and file host on a loopback port, driven as a conversation.

The real slack-bolt connects with `AsyncWebClient(base_url=slack.base_url)`; nothing of it is replaced. People act
through the driver (`post`, `command`, `click`, ...), and tests wait for what the bot does, never for time to pass.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

from tests.servers.slack import workspace as ws
from tests.servers.slack.bot_side import BotSide
from tests.servers.slack.delivery import Delivery, Event
from tests.servers.slack.feed import EVENT_SCOPES, Feed
from tests.servers.slack.file_host import Elsewhere, FileHost
from tests.servers.slack.interactions import Interaction, Interactions, View
from tests.servers.slack.methods import METHOD_SCOPES, Methods
from tests.servers.slack.signed_http import SignedHttp
from tests.servers.slack.sockets import SocketMode
from tests.servers.slack.waiting import Gate, Happenings, NothingHappened
from tests.servers.slack.web_api import ApiFault, WebApi
from tests.servers.slack.workspace import Channel, File, FileFault, Message, User, Workspace

__all__ = ["Channel", "Event", "File", "Message", "NotDelivered", "NothingHappened", "SlackServer", "User"]

KINDS = ("channels", "groups", "im", "mpim")
ALL_SCOPES = {"commands", *EVENT_SCOPES.values(), *METHOD_SCOPES.values()} - {"{kind}:history", "{kind}:read"}
ALL_SCOPES |= {f"{kind}:{right}" for kind in KINDS for right in ("history", "read")}


class NotDelivered(AssertionError):
    """A user did something, and no app listened: Slack would show them an error."""


class SlackServer(BotSide):
    """The server and its driver; no wait takes longer than `timeout` seconds."""

    bot_token = "xoxb-0-test"
    app_token = "xapp-1-test"

    def __init__(self, *, timeout: float = 10.0, manifest: dict[str, Any] | None = None) -> None:
        """With `manifest` (of the app, as read from its YAML) the bot has its scopes, events and commands, else all."""
        scopes, events = set(ALL_SCOPES), set(EVENT_SCOPES) - {"file_shared"}
        self.known_commands: set[str] | None = None
        self.known_shortcuts: set[str] | None = None
        if manifest is not None:
            scopes = set(manifest["oauth_config"]["scopes"]["bot"])
            events = set(manifest["settings"]["event_subscriptions"]["bot_events"])
            self.known_commands = {c["command"] for c in manifest["features"].get("slash_commands", [])}
            self.known_shortcuts = {s["callback_id"] for s in manifest["features"].get("shortcuts", [])}
        self.happenings = Happenings(timeout, self._describe)
        self.workspace = Workspace()
        self.scopes = scopes
        self.sockets = SocketMode(self.happenings)
        self.socket_mode = True  # switched off by link_disabled
        self.feed = Feed(self.workspace, self.happenings, self.sockets, scopes, events)
        self.interactions = Interactions(self.workspace, self.happenings, self.feed)
        methods = Methods(self.workspace, self.feed, self.interactions, lambda: self.url, self._socket_url)
        self.api = WebApi(self.workspace, self.happenings, methods, scopes, self.bot_token, self.app_token)
        self.file_host = FileHost(self.workspace, self.happenings, self.api.allows_files)
        self.elsewhere = Elsewhere(self.workspace, self.happenings)
        self.http: SignedHttp | None = None
        self._methods = methods

    # coming and going

    async def __aenter__(self) -> Self:
        routes = [
            web.route("*", "/api/{method}", self.api.handle),
            web.get("/socket", self.sockets.handle),
            web.get("/files-pri/{team}-{file_id}/{name}", self.file_host.download),
            web.get("/files-pri/download/{team}-{file_id}/{name}", self.file_host.download),
            web.post("/upload/v1/{file_id}", self.file_host.upload),
            web.post("/response/{team}/{key}", self.interactions.response_url),
        ]
        self._session = aiohttp.ClientSession()
        self._runners: list[web.AppRunner] = []
        self.port = await self._listen(routes)
        self.url = f"http://127.0.0.1:{self.port}"
        self.base_url = f"{self.url}/api/"
        self.interactions.base = self.url
        self.elsewhere.base = f"http://localhost:{await self._listen([web.get('/{path:.*}', self.elsewhere.handle)])}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file_host.ending.set()
        self.elsewhere.ending.set()
        for fault in self.api.faults:
            if fault.gate is not None:
                fault.gate.open()
        if self.http is not None:
            await self.http.close()
        self.sockets.drop()
        await self._session.close()
        for runner in self._runners:
            await runner.cleanup()

    async def _listen(self, routes: list[web.RouteDef]) -> int:
        app = web.Application(client_max_size=256 * 2**20)
        app.add_routes(routes)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return int(runner.addresses[0][1])

    def _socket_url(self) -> str | None:
        return f"ws://127.0.0.1:{self.port}/socket?ticket={self.sockets.ticket()}" if self.socket_mode else None

    # the workspace

    @property
    def bot(self) -> User:
        return self.workspace.bot

    def add_user(self, user_id: str = "U1", name: str | None = None, *, is_admin: bool = False) -> User:
        return self.workspace.add_user(user_id, name or user_id.lower(), is_admin=is_admin)

    def add_channel(
        self, channel_id: str = "C1", name: str | None = None, *, kind: str = "channel", bot: bool = True
    ) -> Channel:
        """A channel of `kind` channel, group (private) or mpim, with everybody in it; `bot` says whether the bot is."""
        members = {user.id for user in self.workspace.users.values() if bot or not user.is_bot}
        self.workspace.channels[channel_id] = Channel(channel_id, name or channel_id.lower(), kind, members)
        return self.workspace.channels[channel_id]

    def dm(self, user: User) -> Channel:
        """The direct messages between `user` and the bot."""
        return self.workspace.dm(user)

    def upload(
        self,
        name: str,
        data: bytes,
        mimetype: str | None = None,
        *,
        user: User | None = None,
        size: int | None = None,
        access: str = "visible",
        alt_txt: str = "",
    ) -> File:
        """A private file, to be posted. `size` is what Slack says of it; `access` "check_file_info" hides the rest."""
        kind = mimetype or mimetypes.guess_type(name)[0] or "application/octet-stream"
        file = self._methods.new_file(name, data, kind, user or next(iter(self.workspace.users.values())))
        file.size, file.access, file.alt_txt = size, access, alt_txt
        return file

    def spoil(self, file: File, **fault: Any) -> None:
        """From now on the file is served with a FileFault: status, redirect_to, content_type, body, declares, ..."""
        file.fault = FileFault(**fault)

    # what people do

    async def post(
        self,
        channel: Channel,
        user: User,
        text: str = "",
        *,
        files: Iterable[File] = (),
        thread: Message | None = None,
        subtype: str | None = None,
        attachments: Iterable[dict[str, Any]] = (),
    ) -> Message:
        """Say something. It does not wait for the bot; `await message.event.acked()` does."""
        channel.members.add(user.id)
        files = list(files)
        message = Message(
            channel,
            self.workspace.next_ts(),
            user,
            ws.as_stored(text),
            files=files,
            attachments=list(attachments),
            subtype=subtype or ("file_share" if files else None),
            thread_ts=(thread.thread_ts or thread.ts) if thread else None,
        )
        channel.messages.append(message)
        await self.feed.posted(message)
        return message

    async def edit(self, message: Message, text: str) -> None:
        before = message.to_dict()
        message.text, message.edits = ws.as_stored(text), message.edits + 1
        await self.feed.changed(message, before)

    async def unfurl(self, message: Message, *attachments: dict[str, Any]) -> None:
        """Slack looked at the links of a message and attached previews."""
        before = message.to_dict()
        message.attachments += attachments
        await self.feed.changed(message, before)

    async def delete(self, message: Message) -> None:
        """Delete a message; with replies under it, it becomes a tombstone."""
        await self._methods.delete(message)

    async def react(self, message: Message, name: str, user: User) -> Event | None:
        message.reactions.setdefault(name, []).append(user.id)
        return await self.feed.reacted(message, user, name, added=True)

    async def unreact(self, message: Message, name: str, user: User) -> Event | None:
        message.reactions[name].remove(user.id)
        return await self.feed.reacted(message, user, name, added=False)

    async def invite(self, channel: Channel, *, by: User | None = None, user: User | None = None) -> Event | None:
        """Bring the bot (or `user`) into the channel."""
        joining = user or self.bot
        channel.members.add(joining.id)
        return await self.feed.joined(channel, joining, by)

    async def kick(self, channel: Channel, by: User) -> Event | None:
        """Remove the bot from the channel."""
        channel.members.discard(self.bot.id)
        return await self.feed.left(channel, by)

    async def command(
        self, command: str, text: str = "", *, user: User, channel: Channel, ack: bool = True
    ) -> Interaction:
        """A slash command. With `ack` it waits for the acknowledgement, and what that carries becomes a message."""
        if self.known_commands is not None and command not in self.known_commands:
            raise NotDelivered(f"{command} is not a valid command: the manifest has {sorted(self.known_commands)}")
        interaction = self.interactions.start(user, channel)
        payload = self.interactions.command(interaction, command, text)
        await self._interact(interaction, "slash_commands", payload, ack)
        if ack:
            await self.interactions.acknowledged(interaction)
        return interaction

    async def click(self, message: Message, action_id: str, user: User, *, ack: bool = True) -> Interaction:
        """Press the button `action_id` under a message."""
        element = message.element(action_id)
        kept = ("type", "action_id", "block_id", "text", "value", "style")
        action: dict[str, Any] = {key: element[key] for key in kept if key in element}
        return await self._act(message, action, user, ack)

    async def choose(self, message: Message, action_id: str, user: User, *values: str, ack: bool = True) -> Interaction:
        """Choose the options of these values in a select, overflow, radio or checkbox element."""
        element = message.element(action_id)
        options = [option for option in element["options"] if option["value"] in values]
        if len(options) != len(values):
            raise AssertionError(f"{action_id} offers {[option['value'] for option in element['options']]}")
        action = {key: element[key] for key in ("type", "action_id", "block_id")}
        many = "multi" in element["type"] or element["type"] == "checkboxes"
        chosen = {"selected_options": options} if many else {"selected_option": options[0]}
        return await self._act(message, action | chosen, user, ack)

    async def shortcut(self, callback_id: str, message: Message, user: User, *, ack: bool = True) -> Interaction:
        """A message shortcut from the message's menu."""
        if self.known_shortcuts is not None and callback_id not in self.known_shortcuts:
            raise NotDelivered(f"no shortcut {callback_id!r} in the manifest, only {sorted(self.known_shortcuts)}")
        interaction = self.interactions.start(user, message.channel, message)
        payload = self.interactions.shortcut(interaction, callback_id)
        return await self._interact(interaction, "interactive", payload, ack)

    async def submit(self, view: View, values: dict[str, dict[str, Any]], *, ack: bool = True) -> Interaction:
        """Send a modal off; `values` as in `view.state.values`: block_id -> action_id -> element's state."""
        interaction = self.interactions.start(view.user, self.dm(view.user))
        payload = self.interactions.submission(interaction, view, values)
        await self._interact(interaction, "interactive", payload, ack)
        if ack and interaction.ack.get("response_action") not in ("errors", "update"):
            view.closed = True
        return interaction

    async def _act(self, message: Message, action: dict[str, Any], user: User, ack: bool) -> Interaction:
        interaction = self.interactions.start(user, message.channel, message)
        payload = self.interactions.block_action(interaction, action)
        return await self._interact(interaction, "interactive", payload, ack)

    async def _interact(self, interaction: Interaction, kind: str, payload: dict[str, Any], ack: bool) -> Interaction:
        interaction.delivery = self.feed.envelope(kind, payload)
        if not await self.feed.transport.send(interaction.delivery):
            raise NotDelivered(f"no socket is open for {kind}: Slack says dispatch_failed")
        if ack:
            await interaction.delivery.acked()
        return interaction

    # delivery

    async def wait_for_socket(self) -> int:
        """Wait for an open socket that was not told to go; how many such there are."""
        return await self.happenings.until(
            lambda: len([s for s in self.sockets.open if not s.stale]) or None, "a Socket Mode connection"
        )

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Slack's disconnect message: `warning` only tells, the others end in a closed socket, link_disabled for good."""
        grace_s: dict[str, float | None] = {"warning": None, "refresh_requested": 2.0}
        if reason == "link_disabled":
            self.socket_mode = False
        await self.sockets.disconnect(reason, grace_s=grace_s.get(reason, 0.0))

    def unacked(self) -> list[Event]:
        """Events that no delivery of was acknowledged, oldest first: those that Slack sends again."""
        return [event for event in self.feed.events if not event.was_acked]

    async def redeliver(self, event: Event | Message, retry: int = 1, reason: str | None = None) -> Delivery:
        """Send the event again as retry number `retry`: same event_id and ts, new envelope. `.acked()` waits."""
        again = event.event if isinstance(event, Message) else event
        default = "timeout" if self.http is None else "http_timeout"
        return await self.feed.deliver(again, retry, reason or default)

    async def redeliver_until_acked(self, event: Event | Message) -> None:
        """Send it again, over one socket after another, until the app acknowledged it: Slack's retries, without the waits."""
        again, retry = event.event if isinstance(event, Message) else event, 0
        while not again.was_acked:
            await self.wait_for_socket()
            retry += 1
            delivery = await self.redeliver(again, retry)
            await self.happenings.until(
                lambda d=delivery: d.ack is not None or d.lost,  # type: ignore[misc]
                f"{again.kind} {again.id} to be acknowledged or lost",
            )

    async def settled(self) -> None:
        """Wait until the app has acknowledged every event that it was sent (bolt leaves those without a listener)."""
        await self.happenings.until(lambda: not self.unacked(), "every event to be acknowledged")

    def send_to(self, url: str, signing_secret: str) -> SignedHttp:
        """From now on deliver as signed requests to this request URL instead of over sockets.

        The real Slack gives up on an answer after 3 s; here `timeout_s` of the result is the server's timeout.
        """
        self.http = SignedHttp(url, signing_secret, self._session, self.happenings.timeout)
        self.feed.transport = self.http
        return self.http

    # faults

    def fail_next(
        self,
        method: str,
        error: str | None = None,
        *,
        status: int = 200,
        retry_after: int | None = None,
        drop: bool = False,
        after_effect: bool = False,
        times: int = 1,
        **extra: Any,
    ) -> None:
        """Spoil the next calls of a method ("*": any): an error's name, a status, 429 with `retry_after` seconds, ..."""
        self.api.faults.append(
            ApiFault(method, error, status, retry_after, drop, after_effect, times=times, extra=extra)
        )

    def hold_next(self, method: str) -> Gate:
        """Hold the next call of a method back, before it takes effect, until `gate.open()`."""
        gate = Gate(self.happenings, method)
        self.api.faults.append(ApiFault(method, gate=gate))
        return gate

    def revoke_token(self, token: str | None = None, error: str = "token_revoked") -> None:
        """From now on the token (by default the bot's) is refused: token_revoked, invalid_auth, account_inactive."""
        self.api.refused[token or self.bot_token] = error

    def _describe(self) -> str:
        calls = [f"  {c.method} -> {c.error or c.status} {c.params.get('text', '')!r}" for c in self.api.calls[-12:]]
        events = [f"  {e.kind} {e.id} acked={e.was_acked}" for e in self.feed.events[-6:]]
        return "\n".join([f"{len(self.sockets.open)} sockets open; last events:", *events, "last calls:", *calls])
