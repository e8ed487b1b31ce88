"""Every way of saying no: codes to HTTP status, JSON for programs, a page for people, and never a traceback."""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from bot.boke import BokeRefused
from bot.chat.web.keys import parts
from bot.chat.web.views.base import render_error
from store.errors import DatabaseError

log = logging.getLogger(__name__)

STATUS = {
    "no_picture": 400,
    "bad_request": 400,
    "unknown_mode": 400,
    "token_needed": 401,
    "wrong_origin": 403,
    "not_allowed": 403,
    "not_yours": 403,
    "token_unset": 403,
    "not_found": 404,
    "unknown_answer": 404,
    "card_gone": 404,
    "picture_gone": 404,
    "unknown_model": 404,
    "method_not_allowed": 405,
    "too_slow": 408,
    "model_rejected": 409,
    "already_running": 409,
    "model_pinned": 409,
    "nothing_older": 409,
    "not_published": 409,
    "too_large": 413,
    "not_a_picture": 415,
    "corrupt": 415,
    "too_many_pixels": 422,
    "slow_down": 429,
    "bug": 500,
    "not_fetched": 502,
    "busy": 503,
    "down": 503,
    "lost": 503,
    "speechless": 503,
}
GONE = 499  # nobody is left to read it; metrics count it
RETRY_S = 5  # where a refusal does not say when to come back
_OF_HTTP = {403: "not_found", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def reply(content: Any, status: int = 200) -> web.Response:
    """JSON in UTF-8 that a person can read, too."""
    return web.json_response(content, status=status, dumps=partial(json.dumps, ensure_ascii=False))


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what a handler raises into an answer."""
    try:
        if parts(request).callers.from_elsewhere(request):
            raise BokeRefused("wrong_origin")
        return await handler(request)
    except BokeRefused as refused:
        if STATUS.get(refused.code, 500) >= 500:
            log.warning("%s %s: %s", request.method, request.path, refused)
        return refusal(request, refused)
    except DatabaseError as error:
        log.error("%s %s: %s", request.method, request.path, error)
        return refusal(request, BokeRefused("down", retry_after=RETRY_S))
    except web.HTTPException as answer:
        if answer.status < 400:
            raise
        response = refusal(request, BokeRefused(_OF_HTTP.get(answer.status, "bad_request"), what="HTTP", limit="1 MB"))
        if "Allow" in answer.headers:
            response.headers["Allow"] = answer.headers["Allow"]
        return response
    except ConnectionError:
        log.info("%s %s: the caller went away", request.method, request.path)
        return web.Response(status=GONE)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return refusal(request, BokeRefused("bug"))


def refusal(request: web.Request, refused: BokeRefused) -> web.Response:
    """The answer for a refusal: JSON, or a page where a person looks at one."""
    status = STATUS.get(refused.code, 500)
    language = parts(request).callers.language(request)
    message = refused.line(language)
    if request.path.startswith("/api/") or request.path in ("/healthz", "/readyz", "/metrics"):
        response = reply({"error": refused.code, "message": message}, status)
    else:
        response = render_error(request, message, status)
    if status in (429, 503):
        response.headers["Retry-After"] = str(refused.retry_after or RETRY_S)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    response.headers["Cache-Control"] = "no-store"
    return response
