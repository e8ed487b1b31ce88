"""What only the owner may do: start and stop training runs, choose the live model. All of it asks for BOKE_ADMIN_TOKEN."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable

from aiohttp import web

from bot.app import model_place
from bot.boke import BokeRefused
from bot.chat.web.keys import Parts, parts
from bot.chat.web.refusals import reply
from bot.chat.web.upload import bad, read_json
from bot.inference import ModelRejected
from bot.limits import Limit
from bot.publishing import NothingOlder, Pinned, PublishFailed, UnknownModel
from bot.schedule import AlreadyRunning
from store.runs import RUN_KILLED, close_gone_runs, is_run_alive, request_stop

log = logging.getLogger(__name__)

TRIES_PER_MINUTE = 120  # from one address, so that nobody guesses the token


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this module."""
    router.add_get("/api/admin", get_admin)
    router.add_post("/api/model/reload", post_reload)
    router.add_post("/api/model/publish", post_publish)
    router.add_post("/api/model/rollback", post_rollback)
    router.add_post("/api/retrain", post_retrain)
    router.add_post("/api/retrain/stop", post_stop)


def require_admin(request: web.Request) -> None:
    """Let only the owner of BOKE_ADMIN_TOKEN pass. Raises BokeRefused (token_unset, token_needed, slow_down)."""
    mine = parts(request)
    secret = mine.config.secrets.admin_token
    if secret is None:
        raise BokeRefused("token_unset")
    mine.take(Limit("admin", mine.callers.counted_as(request), TRIES_PER_MINUTE))
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    wanted = secret.get_secret_value().encode()
    if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), wanted):
        raise BokeRefused("token_needed")


async def get_admin(request: web.Request) -> web.Response:
    """Is the token right?"""
    require_admin(request)
    return reply({"admin": True})


async def post_reload(request: web.Request) -> web.Response:
    """Load the model that the configuration points to, beside the one that answers, then swap."""
    mine = parts(request)
    require_admin(request)
    try:
        digest = await mine.inference.reload(model_place(mine.config))
    except ModelRejected as error:
        log.error("%s", error)
        raise BokeRefused("model_rejected", cause=str(error)) from None
    return reply({"model": digest})


async def post_publish(request: web.Request) -> web.Response:
    """Make a bundle of the models folder live, or the starter."""
    require_admin(request)
    mine, name = parts(request), (await read_json(request)).get("name")
    if not isinstance(name, str):
        raise bad("name")
    return await _published(mine, mine.publisher.use(name))


async def post_rollback(request: web.Request) -> web.Response:
    """Make the model before the live one live again."""
    require_admin(request)
    mine, live = parts(request), None
    if request.can_read_body:
        live = (await read_json(request)).get("live")
        if live is not None and not isinstance(live, str):
            raise bad("live")
    return await _published(mine, mine.publisher.roll_back(live))


async def post_retrain(request: web.Request) -> web.Response:
    """Start a training run; it goes on for as long as it takes, and `/api/runs` tells how it goes."""
    require_admin(request)
    mine = parts(request)
    await mine.service.stored(close_gone_runs, mine.database, RUN_KILLED)
    if await mine.service.stored(is_run_alive, mine.database):  # another process's: a second one would only end at once
        raise BokeRefused("already_running")
    try:
        mine.schedule.begin("page")
    except AlreadyRunning:
        raise BokeRefused("already_running") from None
    return reply({"started": True}, status=202)


async def post_stop(request: web.Request) -> web.Response:
    """Tell the run that is going on to end: this bot's by a signal, another process's through the database."""
    require_admin(request)
    mine = parts(request)
    here = mine.schedule.end_run()
    elsewhere = 0 if here else await mine.service.stored(request_stop, mine.database)
    stopping = here or bool(elsewhere)
    return reply({"stopping": stopping, "here": here}, status=202 if stopping else 200)


async def _published(mine: Parts, change: Awaitable[str]) -> web.Response:
    try:
        digest = await change
    except Pinned:
        raise BokeRefused("model_pinned") from None
    except UnknownModel:
        raise BokeRefused("unknown_model") from None
    except NothingOlder:
        raise BokeRefused("nothing_older") from None
    except ModelRejected as error:
        log.error("%s", error)
        raise BokeRefused("model_rejected", cause=str(error)) from None
    except (PublishFailed, OSError) as error:
        log.error("publish: %s", error)
        raise BokeRefused("not_published", cause=str(error)) from None
    return reply({"live": mine.publisher.live, "model": digest})
