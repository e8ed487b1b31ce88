"""ボケを見る: pictures of the corpus with the model's jokes beside people's; the browser fetches them from `/api/generate`."""

from __future__ import annotations

from aiohttp import web

from bot.chat.web.texts.check import FOR_SCRIPTS, TEXTS
from bot.chat.web.views.base import View, render

VIEW = View("/check", "check", TEXTS, FOR_SCRIPTS)


def add_routes(router: web.UrlDispatcher) -> None:
    """The pages of this view."""
    router.add_get(VIEW.path, show)


async def show(request: web.Request) -> web.Response:
    """The page without pictures."""
    return render(request, VIEW)
