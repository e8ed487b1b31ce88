"""The pages that people look at. Each view is a template and an entry in `VIEWS`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web

from bot.boke import megabytes
from bot.chat.web.callers import COOKIE_AGE_S, LANGUAGE, THEME
from bot.chat.web.keys import parts
from bot.chat.web.texts import FOR_SCRIPTS, texts
from bot.messages import say

HERE = Path(__file__).parent
STATIC, TEMPLATES = HERE / "static", HERE / "templates"
YEAR_S = 365 * 24 * 3600


@dataclass(frozen=True)
class View:
    """One tab of the page. `text` names its label among the page's words."""

    path: str
    name: str
    text: str


VIEWS = (View("/", "play", "channel"),)


def set_up(app: web.Application) -> None:
    """Templates, pages and static files."""
    version = static_version()
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(TEMPLATES),
        context_processors=[_context],
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = f"/static/{version}"
    environment.globals["views"] = VIEWS
    app.router.add_get("/", play, name="play")
    # The address changes with any file's content, so that a browser may keep what it has for ever.
    app.router.add_static(f"/static/{version}", STATIC)


def static_version() -> str:
    """A digest over all static files."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(STATIC).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


async def play(request: web.Request) -> web.StreamResponse:
    """The channel: pictures in, jokes out."""
    callers = parts(request).callers
    if request.query.get("lang") in ("ja", "en"):
        # Remembered, and the address stays clean.
        moved = web.Response(status=303, headers={"Location": request.path})
        moved.set_cookie(LANGUAGE, request.query["lang"], max_age=COOKIE_AGE_S, path="/", samesite="Lax")
        return moved
    response = aiohttp_jinja2.render_template("play.html", request, {"view": "play", "modes": await _modes(request)})
    callers.welcome(request, response)
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Accept-Language, Cookie"
    response.enable_compression()
    return response


@dataclass(frozen=True)
class Mode:
    """A way of answering, as it is offered. `usual`: the one that is taken where nobody chooses."""

    value: str
    name: str
    usual: bool


async def _modes(request: web.Request) -> list[Mode]:
    """Those of the live model; what quotes nobody is first."""
    mine = parts(request)
    language, usual = mine.callers.language(request), await mine.service.usual_mode()
    return [Mode(mode, say(f"mode_{mode}", language), mode == usual) for mode in await mine.service.modes()]


async def _context(request: web.Request) -> dict[str, Any]:
    """What every template has."""
    mine = parts(request)
    language = mine.callers.language(request)
    words = texts(language)
    theme = request.cookies.get(THEME)
    limit = mine.config.pictures.max_bytes
    return {
        "t": words,
        "language": language,
        "other_language": "ja" if language == "en" else "en",
        "theme": theme if theme in ("light", "dark") else "auto",
        "for_scripts": {
            "language": language,
            "max_bytes": limit,
            "texts": {
                **{name: words[name] for name in FOR_SCRIPTS},
                "too_large": say("too_large", language, limit=megabytes(limit)),
                "no_picture": say("no_picture", language),
            },
        },
    }
