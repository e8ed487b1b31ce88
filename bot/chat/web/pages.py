"""Sets up what people look at: templates, views, static files, and the switch of languages."""

from __future__ import annotations

import hashlib
from pathlib import Path

import aiohttp_jinja2
import jinja2
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from bot.chat.web import views
from bot.chat.web.callers import COOKIE_AGE_S, LANGUAGE
from bot.chat.web.views import joke

HERE = Path(__file__).parent
STATIC, TEMPLATES = HERE / "static", HERE / "templates"
YEAR_S = 365 * 24 * 3600


def set_up(app: web.Application) -> None:
    """Templates, pages and static files."""
    version = static_version()
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = f"/static/{version}"
    environment.globals["views"] = views.VIEWS
    for module in (*views.MODULES, joke):
        module.add_routes(app.router)
    # The address changes with any file's content, so that a browser may keep what it has for ever.
    app.router.add_static(f"/static/{version}", STATIC)


def static_version() -> str:
    """A digest over all static files."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(STATIC).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@web.middleware
async def switch_language(request: web.Request, handler: Handler) -> web.StreamResponse:
    """`?lang=` on any page: the choice is remembered, and the address stays clean."""
    chosen = request.query.get("lang")
    page = request.method in (hdrs.METH_GET, hdrs.METH_HEAD) and not request.path.startswith("/api/")
    if not page or chosen not in ("ja", "en"):
        return await handler(request)
    # An address that is no page's is not sent back: of "//host/" a browser would make another site's.
    known = request.match_info.http_exception is None
    there = str(request.rel_url.without_query_params("lang")) if known else "/"
    moved = web.Response(status=303, headers={"Location": there})
    moved.set_cookie(LANGUAGE, chosen, max_age=COOKIE_AGE_S, path="/", samesite="Lax")
    return moved
