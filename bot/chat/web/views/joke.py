"""One joke at its permanent address. It stands under no tab."""

from __future__ import annotations

from aiohttp import web

from bot.chat.web import feed
from bot.chat.web.keys import parts
from bot.chat.web.texts.joke import FOR_SCRIPTS, TEXTS
from bot.chat.web.views.base import View, render
from bot.messages import say
from store.votes import vote_counts

VIEW = View("/boke/{id}", "joke", TEXTS, FOR_SCRIPTS)


def add_routes(router: web.UrlDispatcher) -> None:
    """The page of this view."""
    router.add_get(VIEW.path, show)


async def show(request: web.Request) -> web.Response:
    """The joke, and its picture for those who may see it. Raises BokeRefused (unknown_answer), also for chats' answers."""
    mine = parts(request)
    answer = await feed.find(request)
    counts = await mine.service.stored(vote_counts, mine.database, answer.public_id)
    poster = await feed.is_poster(request, answer)
    shown = await feed.shown_picture(mine, answer) is not None
    at_hand = poster and mine.posted.get(answer.public_id) is not None
    origin = mine.callers.origin(request)
    values = {
        "answer": answer,
        "counts": counts,
        "mine": poster,
        "shown": shown,
        "picture": f"/api/boke/{answer.public_id}/picture.jpg" if shown or at_hand else "",
        "mode": say(f"mode_{answer.mode}", mine.callers.language(request)),
        "address": f"{origin}/boke/{answer.public_id}",
        "origin": origin,
    }
    script_values = {"origin": origin, "answer": {"id": answer.public_id, "boke": answer.text}}
    return render(request, VIEW, values, script_values=script_values)
