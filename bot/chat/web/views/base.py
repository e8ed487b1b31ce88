"""What a view is, and how its page is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import aiohttp_jinja2
from aiohttp import web

from bot.boke import megabytes
from bot.chat.web.callers import THEME
from bot.chat.web.keys import parts
from bot.chat.web.texts import Texts, for_scripts, texts
from bot.messages import Language, say


@dataclass(frozen=True)
class View:
    """One tab of the page: templates/{name}.html with static/css/{name}.css and static/js/{name}.js.

    texts: its words, with "tab" among them. for_scripts: the names of those that its scripts say.
    """

    path: str
    name: str
    texts: Texts = field(repr=False)
    for_scripts: Iterable[str] = ()

    def tab(self, language: Language) -> str:
        """What the tab says."""
        return texts(language, self.texts)["tab"]


def render(
    request: web.Request,
    view: View,
    values: dict[str, Any] | None = None,
    *,
    template: str | None = None,
    script_values: dict[str, Any] | None = None,
    status: int = 200,
) -> web.Response:
    """A view's page for this visitor, who gets a name with it.

    Args:
        values: for the template, besides `t` (the words) and what templates/base.html needs.
        template: where it is not the view's own.
        script_values: for the scripts, which find them in `page` of static/js/page.js.
    """
    context = _context(request, view, script_values or {}) | (values or {})
    response = aiohttp_jinja2.render_template(template or f"{view.name}.html", request, context, status=status)
    parts(request).callers.welcome(request, response)
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Accept-Language, Cookie"
    response.enable_compression()
    return response


def render_error(request: web.Request, message: str, status: int) -> web.Response:
    """A page that says in one line what went wrong."""
    context = _context(request, None, {}) | {"message": message, "status": status}
    return aiohttp_jinja2.render_template("error.html", request, context, status=status)


def _context(request: web.Request, view: View | None, script_values: dict[str, Any]) -> dict[str, Any]:
    mine = parts(request)
    language = mine.callers.language(request)
    words = texts(language, view.texts if view else None)
    theme = request.cookies.get(THEME)
    limit = mine.config.pictures.max_bytes
    return {
        "t": words,
        "view": view.name if view else "",
        "language": language,
        "other_language": "ja" if language == "en" else "en",
        "theme": theme if theme in ("light", "dark") else "auto",
        "for_scripts": {
            "language": language,
            "max_bytes": limit,
            "texts": {
                **for_scripts(words, view.for_scripts if view else ()),
                "too_large": say("too_large", language, limit=megabytes(limit)),
                "no_picture": say("no_picture", language),
            },
            **script_values,
        },
    }
