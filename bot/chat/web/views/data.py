"""データ: the corpus and the live model in numbers; the browser fetches them from `/api/data`."""

from __future__ import annotations

from aiohttp import web

from bot.chat.web.texts.data import FOR_SCRIPTS, TEXTS
from bot.chat.web.views.base import View, render

VIEW = View("/data", "data", TEXTS, FOR_SCRIPTS)


def add_routes(router: web.UrlDispatcher) -> None:
    """The pages of this view."""
    router.add_get(VIEW.path, show)


async def show(request: web.Request) -> web.Response:
    """The page without its numbers, which may take a while to count."""
    return render(request, VIEW)
