"""The numbers of the view データ: what the live model has learned, and the corpus."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aiohttp import web

from bot.chat.web.corpus import all_pictures
from bot.chat.web.keys import Parts, parts
from bot.chat.web.refusals import reply
from bot.inference import NoWorker
from store.figures import Added, CorpusFigures, Distribution, Filtered, corpus_figures

READS_PER_MINUTE = 60  # from one address
MAX_DAYS = 366  # with something new, newest last; what came before is one number


def add_routes(router: web.UrlDispatcher) -> None:
    """The route of this module."""
    router.add_get("/api/data", get_data)


async def get_data(request: web.Request) -> web.Response:
    """All of it in one answer. A million jokes are counted for seconds, in a thread; only the first visitor waits."""
    mine = parts(request)
    mine.take(mine.reading("data", request, READS_PER_MINUTE))
    pictures = await all_pictures(mine)

    def read() -> dict[str, Any]:
        return _corpus(corpus_figures(mine.database, pictures, mine.config.retrain.timezone))

    corpus = await mine.remembered.get("figures", lambda: mine.service.stored(read))
    return reply({"model": await _model(mine), "corpus": corpus})


async def _model(mine: Parts) -> dict[str, Any] | None:
    try:
        return asdict(await mine.inference.facts())
    except NoWorker:
        return None


def _corpus(figures: CorpusFigures) -> dict[str, Any]:
    return {
        "pictures": sum(side.pictures for side in figures.sides.values()),
        "jokes": sum(side.jokes for side in figures.sides.values()),
        **{name: asdict(side) for name, side in figures.sides.items()},
        "waiting": figures.waiting,
        "per_picture": _distribution(figures.per_picture),
        "lengths": _distribution(figures.lengths),
        "stars": {**_distribution(figures.stars), "unknown": figures.unstarred},
        "growth": _growth(figures.growth),
        "filtered": _filtered(figures.filtered) if figures.filtered else None,
    }


def _distribution(values: Distribution) -> dict[str, Any]:
    return {
        "count": values.count,
        "mean": values.mean,
        "min": values.low,
        "max": values.high,
        "whole": values.whole,
        "bins": [{"from": each.low, "to": each.high, "count": each.count} for each in values.bins],
    }


def _growth(days: tuple[Added, ...]) -> dict[str, Any]:
    before, shown = days[:-MAX_DAYS], days[-MAX_DAYS:]
    return {
        "before": {"jokes": sum(day.jokes for day in before), "pictures": sum(day.pictures for day in before)},
        "days": [{"day": day.day.isoformat(), "jokes": day.jokes, "pictures": day.pictures} for day in shown],
    }


def _filtered(run: Filtered) -> dict[str, Any]:
    return {
        "run": run.run,
        "ended": run.ended.isoformat() if run.ended else None,
        "recipe": run.recipe,
        "read": run.read,
        "kept": run.kept,
        "dropped": [{"filter": name, "jokes": count} for name, count in run.dropped.items()],
    }
