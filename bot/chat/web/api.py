"""The HTTP API; `openapi.json` describes it."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from bot.boke import Ask, BokeRefused, Place
from bot.chat.web import admin, corpus, feed, figures, models, runs
from bot.chat.web.keys import Parts, parts
from bot.chat.web.refusals import reply
from bot.chat.web.upload import bad, read_json, read_post
from bot.inference import NoWorker
from bot.limits import Limit
from store import answers
from store.corpus import count_splits
from store.errors import DatabaseError

log = logging.getLogger(__name__)

OPENAPI = Path(__file__).with_name("openapi.json")
VOTES_PER_MINUTE = 60  # from one address


def add_routes(router: web.UrlDispatcher) -> None:
    """All routes of the API, and those for the machines that watch over it."""
    router.add_post("/api/boke", post_boke)
    router.add_post("/api/boke/{id}/vote", post_vote)
    router.add_get("/api/boke/{id}/card.png", get_card)
    feed.add_routes(router)
    router.add_get("/api/stats", get_stats)
    runs.add_routes(router)
    models.add_routes(router)
    admin.add_routes(router)
    corpus.add_routes(router)
    figures.add_routes(router)
    router.add_get("/api/openapi.json", get_openapi)
    router.add_get("/healthz", get_health)
    router.add_get("/readyz", get_ready)
    router.add_get("/metrics", get_metrics)


async def post_boke(request: web.Request) -> web.Response:
    """A picture in, a joke out."""
    mine = parts(request)
    mine.take(Limit("post", mine.callers.counted_as(request), mine.config.web.posts_per_minute))
    post = await read_post(request, mine.config.pictures.max_bytes)
    picture = post.picture
    if post.url is not None:
        if not mine.config.pictures.allow_url_posts:
            raise BokeRefused("not_allowed", cause="pictures.allow_url_posts is off")
        picture = await mine.fetcher.fetch(post.url)
    consent = post.consent and mine.config.web.feed_consent
    ask = Ask(post.mode, post.seed, consent, post.again_of, post.url, limited=False)
    answer = await mine.service.answer(picture, await _place(request, mine), ask)
    shown = False
    if answer.id:
        mine.posted.put(answer.id, picture, post.again_of)
        shown = consent and await feed.show(mine, answer.id, picture)
    source = {"source_url": answer.source_url} if answer.source_url else {}
    return reply(
        {
            "id": answer.id,
            "boke": answer.text,
            "candidates": [{"text": c.text, "score": c.score} for c in answer.candidates],
            "mode": answer.mode,
            "encoder": answer.encoder,
            "model": answer.model,
            "elapsed_ms": answer.elapsed_ms,
            **source,
            **({"shown": True} if shown else {}),
        }
    )


async def post_vote(request: web.Request) -> web.Response:
    """1 likes it, -1 does not, 0 takes the vote back."""
    mine = parts(request)
    mine.take(Limit("vote", mine.callers.counted_as(request), VOTES_PER_MINUTE))
    value = (await read_json(request)).get("value")
    if type(value) is not int or value not in (-1, 0, 1):
        raise bad("value")
    answer_id = request.match_info["id"]
    place = Place("web", "", mine.callers.person(request))
    counts = await mine.service.vote(answer_id, place, value)
    return reply({"id": answer_id, "up": counts.up, "down": counts.down, "value": value})


async def get_card(request: web.Request) -> web.Response:
    """The picture with the joke under it: for its poster while the picture is at hand, for others while it is in the feed."""
    mine = parts(request)
    mine.take(mine.reading("draw", request, feed.DRAWN_PER_MINUTE))
    answer = await feed.find(request)
    picture = await feed.picture_of(request, answer)
    png = await mine.service.card(picture, answer.text)
    headers = {
        "Cache-Control": "private, max-age=3600",
        "Content-Disposition": f'inline; filename="boke-{answer.public_id[:8]}.png"',
    }
    return web.Response(body=png, content_type="image/png", headers=headers)


async def get_stats(request: web.Request) -> web.Response:
    """How much the bot was used, what answers, and what there is to learn from."""
    mine = parts(request)
    used = await mine.service.stored(answers.answer_stats, mine.database)
    sides = await mine.service.stored(count_splits, mine.database, mine.config.retrain.dev_share)
    try:
        facts = await mine.inference.facts()
    except NoWorker as error:
        raise BokeRefused("down", retry_after=10, cause=str(error)) from None
    return reply(
        {
            "answers": used.answers,
            "votes": {"up": used.up, "down": used.down},
            "model": facts.model,
            "encoder": facts.encoder,
            "recipe": facts.recipe,
            "vocabulary": facts.vocabulary,
            "modes": facts.modes,
            "created": facts.created,
            "corpus": {
                "pictures": sum(side.pictures for side in sides.values()),
                "jokes": sum(side.jokes for side in sides.values()),
                **{name: asdict(side) for name, side in sides.items()},
            },
        }
    )


async def get_openapi(request: web.Request) -> web.Response:
    """This API's description."""
    return reply(json.loads(OPENAPI.read_bytes()))


async def get_health(request: web.Request) -> web.Response:
    """200 only while a worker answers."""
    if not await parts(request).inference.probe():
        raise BokeRefused("down", retry_after=10, cause="no worker answers")
    return reply({"status": "ok"})


async def get_ready(request: web.Request) -> web.Response:
    """200 only while a picture that comes now would be answered and kept."""
    missing = await parts(request).why_not_ready()
    if missing:
        raise BokeRefused("down", retry_after=10, cause=missing)
    return reply({"status": "ready"})


async def get_metrics(request: web.Request) -> web.Response:
    """For Prometheus."""
    mine = parts(request)
    if not mine.config.web.metrics:
        raise BokeRefused("not_found")
    return web.Response(body=mine.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _place(request: web.Request, mine: Parts) -> Place:
    """A visitor's page is a channel of its own: nothing is told twice there."""
    person = mine.callers.person(request)
    try:
        channel = await mine.service.stored(mine.database.hash_user, "web-channel", person)
    except DatabaseError as error:  # an answer matters more than that it be new
        log.error("a visitor's channel cannot be told: %s", error)
        channel = "web"
    return Place("web", channel, person)
