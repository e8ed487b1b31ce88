"""モデル: which there are, which answers, and two of them beside each other."""

from __future__ import annotations

from aiohttp import web

from bot.chat.web.keys import parts
from bot.chat.web.texts.models import FOR_SCRIPTS, TEXTS
from bot.chat.web.views.base import View, render

VIEW = View("/models", "models", TEXTS, FOR_SCRIPTS)


def add_routes(router: web.UrlDispatcher) -> None:
    """The pages of this view."""
    router.add_get(VIEW.path, show)


async def show(request: web.Request) -> web.Response:
    """The page; its scripts read the models."""
    owner_possible = parts(request).config.secrets.admin_token is not None
    return render(request, VIEW, {"owner_possible": owner_possible})
