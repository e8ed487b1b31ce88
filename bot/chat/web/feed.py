"""What visitors see of each other: answers in the feed, with the pictures that were posted for it; and modes side by side.

Only answers on the page are ever found here. A picture is its poster's alone, unless it is in the feed.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

from aiohttp import web

from bot.boke import Ask, BokeRefused, Place
from bot.chat.web.admin import require_admin
from bot.chat.web.keys import Parts, parts
from bot.chat.web.refusals import reply
from bot.chat.web.upload import bad
from bot.limits import Limit
from store import feed
from store.answers import RankedAnswer, StoredAnswer, public_feed
from store.errors import StoreError
from store.feed import FeedLimits

log = logging.getLogger(__name__)

MAX_ITEMS = 50
DRAWN_PER_MINUTE = 120  # cards and small pictures for one address
READ_PER_MINUTE = 240  # pages of the feed
_ID = re.compile(r"[0-9a-f]{32}")


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this module."""
    router.add_get("/api/feed", get_feed)
    router.add_delete("/api/feed/{id}", delete_item)
    router.add_get("/api/boke/{id}/picture.jpg", get_picture)
    router.add_post("/api/boke/{id}/modes", post_modes)


async def get_feed(request: web.Request) -> web.Response:
    """The newest answers that visitors agreed to show, `limit` of them, older than that of the id `before`."""
    mine = parts(request)
    mine.take(mine.reading("feed", request, READ_PER_MINUTE))
    asked, before = request.query.get("limit", "12"), request.query.get("before")
    if not (asked.isascii() and asked.isdigit() and 1 <= int(asked[:6]) <= MAX_ITEMS):
        raise bad("limit")
    if before is not None and not _ID.fullmatch(before):
        raise bad("before")
    limit = int(asked)
    found: tuple[RankedAnswer, ...] = ()
    if mine.config.web.feed_consent:
        found = await mine.service.stored(public_feed, mine.database, limit + 1, before)
    user = await _user(request)
    items = [_item(ranked, user) for ranked in found[:limit]]
    return reply({"items": items, "next": items[-1]["id"] if len(found) > limit else None})


async def delete_item(request: web.Request) -> web.Response:
    """Take an answer out of the feed, by its poster or with the admin token; its picture is erased."""
    mine = parts(request)
    mine.take(Limit("vote", mine.callers.counted_as(request), READ_PER_MINUTE))
    answer = await find(request)
    if not await is_poster(request, answer):
        if "Authorization" not in request.headers:
            raise BokeRefused("not_yours")
        require_admin(request)
    await mine.service.stored(feed.take_back, mine.database, answer.public_id)
    return reply({"id": answer.public_id, "shown": False})


async def get_picture(request: web.Request) -> web.Response:
    """The picture of an answer, small, as JPEG: from the feed, or the poster's own while it is at hand."""
    mine = parts(request)
    mine.take(mine.reading("draw", request, DRAWN_PER_MINUTE))
    answer = await find(request)
    jpeg = await shown_picture(mine, answer) or await mine.service.thumbnail(await picture_of(request, answer))
    return web.Response(body=jpeg, content_type="image/jpeg", headers={"Cache-Control": "private, max-age=300"})


async def post_modes(request: web.Request) -> web.Response:
    """The same picture in every other way that the live model has, beside the answer that there is."""
    mine = parts(request)
    answer = await find(request)
    if not await is_poster(request, answer):
        raise BokeRefused("picture_gone")
    picture = mine.posted.get(answer.public_id)
    if picture is None:
        raise BokeRefused("picture_gone")
    others = [mode for mode in await mine.service.modes() if mode != answer.mode]
    a_minute = mine.config.web.posts_per_minute
    allowed = max(a_minute, len(others)) if a_minute else 0  # one picture must be allowed whatever the limit
    if others:
        mine.take(Limit("post", mine.callers.counted_as(request), allowed), cost=len(others))
    place = Place("web", answer.channel_id, mine.callers.person(request))
    told = await asyncio.gather(*(_other(mine, picture, place, mode, answer) for mode in others))
    first = {"id": answer.public_id, "boke": answer.text, "mode": answer.mode, **_source(answer.source_url)}
    return reply({"answers": [first, *(one for one in told if one)]})


async def _other(mine: Parts, picture: bytes, place: Place, mode: str, answer: StoredAnswer) -> dict[str, Any] | None:
    ask = Ask(mode, again_of=answer.public_id, limited=False)
    try:
        other = await mine.service.answer(picture, place, ask)
    except BokeRefused as refused:
        if refused.code != "speechless":
            raise
        return None
    if other.id:
        mine.posted.put(other.id, picture, answer.public_id)
    return {"id": other.id, "boke": other.text, "mode": mode, **_source(other.source_url)}


async def show(mine: Parts, answer_id: str, picture: bytes) -> bool:
    """Put an answer into the feed, whose visitor agreed to it; whether it is there."""
    web = mine.config.web
    try:
        jpeg = await mine.service.thumbnail(picture)
        limits = FeedLimits(web.feed_days, web.feed_pictures)
        await mine.service.stored(feed.add_picture, mine.database, answer_id, jpeg, limits)
    except (BokeRefused, StoreError) as error:  # the answer itself is there
        log.warning("an answer is not shown in the feed: %s", error)
        return False
    return True


async def find(request: web.Request) -> StoredAnswer:
    """The answer in the address, if it was given on the page. Raises BokeRefused (unknown_answer)."""
    answer = await parts(request).service.find(request.match_info["id"])
    if answer.platform != "web":
        raise BokeRefused("unknown_answer")
    return answer


async def is_poster(request: web.Request, answer: StoredAnswer) -> bool:
    """Whether the caller posted the picture."""
    return answer.user is not None and answer.user == await _user(request)


async def shown_picture(mine: Parts, answer: StoredAnswer) -> bytes | None:
    """The small picture of an answer that is in the feed."""
    if not (answer.consent and mine.config.web.feed_consent):
        return None
    return await mine.service.stored(feed.get_picture, mine.database, answer.public_id)


async def picture_of(request: web.Request, answer: StoredAnswer) -> bytes:
    """The best picture that the caller may see. Raises BokeRefused (card_gone)."""
    mine = parts(request)
    picture = mine.posted.get(answer.public_id) if await is_poster(request, answer) else None
    picture = picture or await shown_picture(mine, answer)
    if picture is None:
        raise BokeRefused("card_gone")
    return picture


async def _user(request: web.Request) -> str:
    mine = parts(request)
    return await mine.service.stored(mine.database.hash_user, "web", mine.callers.person(request))


def _item(ranked: RankedAnswer, user: str) -> dict[str, Any]:
    answer = ranked.answer
    return {
        "id": answer.public_id,
        "boke": answer.text,
        "mode": answer.mode,
        "created": answer.created.isoformat(),
        "up": ranked.up,
        "down": ranked.down,
        "picture": f"/api/boke/{answer.public_id}/picture.jpg",
        "mine": answer.user == user,
        **_source(answer.source_url),
    }


def _source(url: str | None) -> dict[str, str]:
    return {"source_url": url} if url else {}
