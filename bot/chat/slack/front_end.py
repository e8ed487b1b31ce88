"""Slack's front end: connects slack-bolt to the listeners, by Socket Mode or by HTTP, and lets go of a token that is no good."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError

from bot.boke import BokeRefused
from bot.chat.slack.answering import Answering, Asker
from bot.chat.slack.blocks import AGAIN, CARD, DOWN, UP
from bot.chat.slack.buttons import Buttons
from bot.chat.slack.check import missing_secret
from bot.chat.slack.client import (
    TOKEN_REFUSED,
    UNREACHABLE,
    SlackClient,
    careful,
    missing_scopes,
    patient,
    reason,
    sdk_log,
)
from bot.chat.slack.commands import SHORTCUT, Commands
from bot.chat.slack.pictures import Pictures
from bot.chat.slack.posts import Me, Posts
from bot.chat.slack.settings import FORM, Settings
from bot.chat.slack.speaker import NotHere, Speaker, Spot
from bot.conversation import Conversation
from bot.messages import say
from store.errors import DatabaseError

if TYPE_CHECKING:
    from bot.app import App

log = logging.getLogger(__name__)

PATH = "/slack/events"
MAX_BODY = 4 * 2**20  # of a request of Slack's, in bytes
TIMEOUT_S = 30.0  # for one call of the Web API
LONGEST_WAIT_S = 60.0  # between two attempts to reach Slack at the start
STOP_S = 1.0  # for answers under way; the workers have finished theirs by then
PING_S = 10.0
REPEAT_S = 300.0  # before slack_sdk may say the same again
_LINK_BUTTON = re.compile(r"open_\d+")

_bolt_log = logging.getLogger("bot.chat.slack.bolt")
_bolt_log.setLevel(logging.ERROR)  # its warnings are about choices made here on purpose

Listener = Callable[..., Awaitable[None]]


class SlackFrontEnd:
    """One workspace. In HTTP mode its `routes` belong on the page's server."""

    name = "slack"

    def __init__(self, app: App, *, ping_s: float = PING_S) -> None:
        """`ping_s`: how often the socket is looked after, in seconds."""
        self.app, self.config = app, app.config
        self.conversation = Conversation(app.service)
        self.speaker: Speaker | None = None
        self._ping_s = ping_s
        self._bolt: AsyncApp | None = None
        self._socket: AsyncSocketModeHandler | None = None
        self._session: aiohttp.ClientSession | None = None
        self._pictures: Pictures | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._given_up = self._leaving = False
        _calm_logs(lambda: self._given_up)

    @property
    def routes(self) -> list[web.RouteDef]:
        """Where Slack calls in HTTP mode; none in Socket Mode."""
        return [web.post(PATH, self._request)] if self.config.slack.mode == "http" else []

    async def start(self) -> None:
        """Begin to connect; where Slack cannot be reached, that goes on in the background."""
        missing = missing_secret(self.config)
        if missing:
            log.error("Slack stays off: %s", missing)
            return
        self._connecting = asyncio.create_task(self._connected(), name="slack")

    async def stop(self) -> None:
        """Take nothing more, finish what is under way, let go of the connections."""
        self._leaving = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        self._closing = self._closing or asyncio.create_task(self._disconnect())
        await asyncio.wait({self._closing, *self._under_way}, timeout=STOP_S)
        rest = [self._closing, *self._under_way]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        if self._pictures is not None:
            await self._pictures.close()
        if self._session is not None:
            await self._session.close()

    async def tell(self, channel_id: str, text: str) -> None:
        """Say a line in a channel, such as how a training run ended. Raises NotHere where that cannot be done."""
        if self.speaker is None or self._given_up or await self.speaker.line(Spot(channel_id), text) is None:
            raise NotHere(channel_id)

    async def _connected(self) -> None:
        try:
            await self._connect()
        except Exception:
            log.exception("Slack stays off")

    async def _connect(self) -> None:
        secrets = self.config.secrets
        assert secrets.slack_bot_token is not None
        token = secrets.slack_bot_token.get_secret_value()
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        make = functools.partial(
            SlackClient,
            token=token,
            base_url=self.config.slack.base_url,
            session=self._session,
            refused=self._refused,
        )
        client = make(retry_handlers=patient())
        me = await self._who(client)
        if me is None:
            return
        self._pictures = Pictures(self.config, client, token)
        self.speaker = Speaker(client, make(retry_handlers=careful()), me.user_id)
        self._bolt = self._listen(client, me, token, self._pictures, self.speaker)
        if self.config.slack.mode == "socket":
            assert secrets.slack_app_token is not None
            self._socket = AsyncSocketModeHandler(
                self._bolt,
                secrets.slack_app_token.get_secret_value(),
                logger=sdk_log,
                web_client=client,
                ping_interval=self._ping_s,
            )
            await self._socket.connect_async()
        if not self._given_up:
            self.app.announcements.register(self.name, self.tell)
            log.info("Slack: %s is in %s", me.name, me.team or me.team_id)

    async def _who(self, client: SlackClient) -> Me | None:
        """Ask Slack who the token belongs to, until it answers. None: the token is refused."""
        wait = 1.0
        while True:
            try:
                answer = await client.auth_test()
            except SlackApiError as error:
                if reason(error) in TOKEN_REFUSED:
                    return None
                why = reason(error)
            except UNREACHABLE as error:
                why = type(error).__name__
            else:
                missing = missing_scopes(answer.headers)
                if missing:
                    lost = "; ".join(f"{scope} ({what})" for scope, what in missing.items())
                    log.warning(
                        "Slack: the app lacks scopes, so these do not work: %s. Install it again with them", lost
                    )
                return Me(*(str(answer.get(name) or "") for name in ("user_id", "bot_id", "team_id", "user", "team")))
            log.warning("Slack cannot be reached (%s), trying again in %.0f s", why, wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_S)

    def _listen(self, client: SlackClient, me: Me, token: str, pictures: Pictures, speaker: Speaker) -> AsyncApp:
        """slack-bolt with every listener."""
        who = AuthorizeResult(
            enterprise_id=None, team_id=me.team_id, bot_user_id=me.user_id, bot_id=me.bot_id, bot_token=token
        )

        async def authorize() -> AuthorizeResult:
            return who  # known since the start: no call for each event

        secret = self.config.secrets.slack_signing_secret
        bolt = AsyncApp(
            logger=_bolt_log,
            name="slack",
            client=client,
            authorize=authorize,
            signing_secret=secret.get_secret_value() if secret else "",
            ignoring_self_events_enabled=False,  # that a moderator deleted an answer looks like one; the listeners know
        )
        posts = Posts(self.config, me, self.conversation, pictures, speaker, Answering(self.conversation, speaker))
        settings = Settings(posts)
        commands, buttons = Commands(posts, settings), Buttons(posts)
        bolt.middleware(self._door)
        on = self._guarded
        bolt.event("message")(on(posts.on_message))
        bolt.event("app_mention")(on(posts.on_mention))
        bolt.event("member_joined_channel")(on(posts.on_joined))
        bolt.event("reaction_added")(on(buttons.on_reaction))
        bolt.event("reaction_removed")(on(buttons.on_reaction))
        bolt.command("/boke")(on(commands.on_boke))
        bolt.command("/boke-settings")(on(commands.on_settings))
        bolt.command("/boke-stats")(on(commands.on_stats))
        bolt.command("/boke-forget")(on(commands.on_forget))
        bolt.command("/boke-optout")(on(commands.on_optout))
        bolt.shortcut(SHORTCUT)(on(commands.on_shortcut))
        bolt.view(FORM)(on(settings.on_saved))
        bolt.action(AGAIN)(on(buttons.on_again))
        bolt.action(UP)(on(buttons.on_vote))
        bolt.action(DOWN)(on(buttons.on_vote))
        bolt.action(CARD)(on(buttons.on_card))
        bolt.action(_LINK_BUTTON)(on(buttons.on_link))
        return bolt

    async def _door(self, body: dict[str, Any], next: Callable[[], Awaitable[None]]) -> BoltResponse | None:
        """On the way out events are not acknowledged: Slack sends them again, to whoever answers then."""
        if (self._leaving or self.app.leaving) and body.get("type") == "event_callback":
            return BoltResponse(status=503, body="")
        await next()
        return None

    def _guarded(self, listener: Listener) -> Listener:
        """A listener that is waited for when the bot leaves, and whose errors end in a line here and one for who asked."""

        @functools.wraps(listener)
        async def guarded(**given: Any) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._under_way.add(task)
            try:
                await listener(**given)
            except BokeRefused as refusal:
                await self._apologise(given, refusal.line(self.config.chat.language))
            except DatabaseError as error:
                log.error("%s: %s", listener.__name__, error)
                await self._apologise(given, say("try_later", self.config.chat.language))
            except (SlackApiError, *UNREACHABLE) as error:
                if not self._given_up:
                    why = reason(error) if isinstance(error, SlackApiError) else type(error).__name__
                    log.error("%s: Slack: %s", listener.__name__, why)
                    await self._apologise(given, say("bug", self.config.chat.language))
            except Exception:
                log.exception("%s failed", listener.__name__)
                await self._apologise(given, say("bug", self.config.chat.language))
            finally:
                self._under_way.discard(task)

        return guarded

    @staticmethod
    async def _apologise(given: dict[str, Any], text: str) -> None:
        if given.get("respond") is not None:
            await Asker(given["respond"]).tell(text)

    async def _request(self, request: web.Request) -> web.Response:
        """HTTP mode: an event, a command or a click; slack-bolt checks the signature."""
        if self._bolt is None or self._given_up:
            return web.Response(status=503, headers={"Retry-After": "30"})
        asked = await to_bolt_request(request.clone(client_max_size=MAX_BODY))
        return await to_aiohttp_response(await self._bolt.async_dispatch(asked))

    def _refused(self, method: str, why: str) -> None:
        """Slack does not take a token: one line, and the rest of the bot goes on."""
        if self._given_up:
            return
        self._given_up = True
        if method == "apps.connections.open":
            name, what = "SLACK_APP_TOKEN", "make an app-level token with the scope connections:write"
        else:
            name, what = "SLACK_BOT_TOKEN", "install the app in the workspace again"
        log.error(
            "Slack stays off: it refuses %s (%s). To bring it back, %s, set the new token, restart", name, why, what
        )
        if self._socket is not None:
            self._socket.client.closed = True  # it would try again for ever
        self._closing = asyncio.create_task(self._disconnect())

    async def _disconnect(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close_async()


class _Calm(logging.Filter):
    """slack_sdk repeats itself, with tracebacks, while it cannot connect: each line now and then, without."""

    def __init__(self, over: Callable[[], bool]) -> None:
        super().__init__()
        self._over = over
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = None
        text, now = record.getMessage(), time.monotonic()
        if self._over() or now - self._told.get(text, -REPEAT_S) < REPEAT_S:
            return False
        if len(self._told) > 100:
            self._told.clear()
        self._told[text] = now
        return True


def _calm_logs(over: Callable[[], bool]) -> None:
    sdk_log.filters[:] = [_Calm(over)]
