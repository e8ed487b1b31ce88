"""遊ぶ: the channel, pictures in, jokes out."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from bot.chat.web.keys import parts
from bot.chat.web.texts.play import FOR_SCRIPTS, TEXTS
from bot.chat.web.views.base import View, render
from bot.messages import say

VIEW = View("/", "play", TEXTS, FOR_SCRIPTS)


@dataclass(frozen=True)
class Mode:
    """A way of answering, as it is offered. `usual`: the one that is taken where nobody chooses."""

    value: str
    name: str
    usual: bool


def add_routes(router: web.UrlDispatcher) -> None:
    """The pages of this view."""
    router.add_get(VIEW.path, show)


async def show(request: web.Request) -> web.Response:
    """The empty channel; posts are added in the browser."""
    mine = parts(request)
    web_config = mine.config.web
    values = {
        "modes": await _modes(request),
        "feed": web_config.feed_consent and web_config.feed_pictures > 0,
        "feed_days": f"{web_config.feed_days:g}" if web_config.feed_days else "",
    }
    return render(request, VIEW, values, script_values={"origin": mine.callers.origin(request)})


async def _modes(request: web.Request) -> list[Mode]:
    """Those of the live model; what quotes nobody is first."""
    mine = parts(request)
    language, usual = mine.callers.language(request), await mine.service.usual_mode()
    return [Mode(mode, say(f"mode_{mode}", language), mode == usual) for mode in await mine.service.modes()]
