"""What the bot does, as a test waits for it: messages, edits, reactions, modals, calls, downloads."""

from __future__ import annotations

from collections.abc import Callable

from tests.servers.slack.file_host import FileHost, HostRequest
from tests.servers.slack.interactions import Interactions, View
from tests.servers.slack.waiting import Happenings
from tests.servers.slack.web_api import ApiCall, WebApi
from tests.servers.slack.workspace import Channel, File, Message, User, Workspace


class BotSide:
    """The waiting half of the driver; every wait ends with NothingHappened after the server's timeout."""

    happenings: Happenings
    workspace: Workspace
    api: WebApi
    file_host: FileHost
    interactions: Interactions

    async def wait_for_message(self, channel: Channel, *, thread: Message | None = None, text: str = "") -> Message:
        """The bot's next message there that no wait gave out before; in `thread`, holding `text`, where given."""
        what = f"a message in {channel.id}" + (f" under {thread.text!r}" if thread else "")
        return await self._wait_message(
            channel,
            what,
            lambda m: not m.only_for and (not thread or m.thread_ts == thread.ts) and text in m.text,
        )

    async def wait_for_ephemeral(self, user: User, channel: Channel, *, text: str = "") -> Message:
        """The bot's next message that only `user` sees, there."""
        what = f"an ephemeral message to {user.id} in {channel.id}"
        return await self._wait_message(channel, what, lambda m: m.only_for == user.id and text in m.text)

    async def _wait_message(self, channel: Channel, what: str, fits: Callable[[Message], bool]) -> Message:
        def look() -> Message | None:
            new = (m for m in channel.messages if m.by_bot and not m.deleted and not m.waited_for and fits(m))
            return next(new, None)

        message = await self.happenings.until(look, what)
        message.waited_for = True
        return message

    async def wait_for_edit(self, message: Message, *, text: str = "") -> None:
        """Wait for an edit that no wait gave out before; after it the message holds `text`, where given."""
        await self.happenings.until(
            lambda: message.edits > message.edits_waited_for and text in message.text, f"an edit of {message.text!r}"
        )
        message.edits_waited_for = message.edits

    async def wait_for_deletion(self, message: Message) -> None:
        """Wait until the message is gone, or a tombstone."""
        gone = f"{message.text!r} to be deleted"
        await self.happenings.until(lambda: message.deleted or message.subtype == "tombstone", gone)

    async def wait_for_reaction(self, message: Message, name: str) -> None:
        """Wait until the bot itself reacted."""
        await self.happenings.until(
            lambda: self.workspace.bot.id in message.reactions.get(name, []), f":{name}: on {message.text!r}"
        )

    async def wait_for_view(self, user: User) -> View:
        """The next modal that opens for `user`."""
        view = await self.happenings.until(
            lambda: next((v for v in self.interactions.views if v.user is user and not v.waited_for), None),
            f"a modal for {user.id}",
        )
        view.waited_for = True
        return view

    async def wait_for_call(self, method: str, count: int = 1) -> ApiCall:
        """The `count`th call of a method since the start, answered (also with an error)."""
        what = f"call {count} of {method}"
        calls = await self.happenings.until(lambda: found if len(found := self.calls(method)) >= count else None, what)
        return calls[count - 1]

    async def wait_for_download(self, file: File, count: int = 1, *, done: bool = False) -> HostRequest:
        """The `count`th request for the file's bytes, as soon as it comes, or with `done` after its end."""

        def look() -> HostRequest | None:
            found = self.downloads(file)
            return found[count - 1] if len(found) >= count and (found[count - 1].done or not done) else None

        return await self.happenings.until(look, f"{file.name} to be fetched")

    def calls(self, method: str) -> list[ApiCall]:
        return [call for call in self.api.calls if call.method == method]

    def downloads(self, file: File) -> list[HostRequest]:
        return [request for request in self.file_host.requests if f"-{file.id}/" in request.path]

    def answers(self, channel: Channel, *, thread: Message | None = None) -> list[Message]:
        """Everything that stands in the channel (or thread) by the bot, for all to see."""
        mine = [m for m in channel.messages if m.by_bot and not m.deleted and not m.only_for]
        return [m for m in mine if thread is None or m.thread_ts == thread.ts]
