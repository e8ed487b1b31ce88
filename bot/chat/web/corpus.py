"""The corpus on the API: its pictures, and the model's jokes beside those that people wrote."""

from __future__ import annotations

import asyncio
import logging
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import hdrs, web

from bot.boke import BokeRefused, Generated
from bot.chat.web.keys import Parts, parts
from bot.chat.web.refusals import reply
from bot.chat.web.upload import bad, read_json
from bot.limits import Limit
from store.corpus import PictureSummary, Split, find_picture, read_pictures
from store.shown import Cursor, ShownPicture, find_pictures, next_pictures, show_pictures

log = logging.getLogger(__name__)

MAX_PICTURES = 50  # in one request
BESIDE = 5  # jokes of the model's, and of people's
READ = 4 * BESIDE  # of people's: the filter drops some
MAX_QUERY = 100  # characters
MAX_WORDS = 5
MAX_STARS = 1e9
AT_ONCE = 8  # pictures on their way to a worker, so that the queue keeps room for those that are posted
TYPES = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
}
_OF_ONE_PICTURE = frozenset(
    {"no_picture", "not_a_picture", "corrupt", "too_large", "too_many_pixels", "lost"}
)  # the others are answered all the same


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this module."""
    router.add_post("/api/generate", post_generate)
    router.add_get("/api/corpus/{digest}", get_picture)


@dataclass(frozen=True)
class Wanted:
    """Which pictures are asked for.

    Attributes:
        words: all of them in one of a picture's jokes, which has at least `min_stars`.
        after: behind which picture in which order; one of its own for whoever begins.
        picture: only the one with this digest.
    """

    split: Split
    count: int
    words: tuple[str, ...]
    min_stars: float | None
    after: Cursor
    picture: str | None


@dataclass(frozen=True)
class Chosen:
    """Pictures, where the next ones begin, and how many there are in all."""

    pictures: tuple[ShownPicture, ...]
    next: Cursor | None
    matching: int


async def post_generate(request: web.Request) -> web.Response:
    """Pictures of the training or the held-out side in an order of the caller's own, with jokes."""
    mine = parts(request)
    wanted = _wanted(await read_json(request))
    a_minute = mine.config.web.posts_per_minute
    allowed = max(a_minute, MAX_PICTURES) if a_minute else 0  # the largest request must fit into a minute
    mine.take(Limit("generate", mine.callers.counted_as(request), allowed), cost=wanted.count)
    chosen = await _choose(mine, wanted)
    turns = asyncio.Semaphore(AT_ONCE)
    made = await asyncio.gather(*(_generate(mine, each, turns) for each in chosen.pictures), return_exceptions=True)
    shown = []
    model = mine.inference.digest
    for picture, generated in zip(chosen.pictures, made, strict=True):
        if isinstance(generated, BaseException):
            raise generated
        if generated is not None:
            shown.append(_shown(mine, picture, generated))
            model = generated.model
    return reply(
        {
            "split": wanted.split,
            "model": model,
            "pictures": shown,
            "next": str(chosen.next) if chosen.next else None,
            "matching": chosen.matching,
        }
    )


async def all_pictures(mine: Parts) -> tuple[PictureSummary, ...]:
    """Every picture of the corpus that has a joke, as it was a while ago if there are many. Raises DatabaseError."""
    share = mine.config.retrain.dev_share
    return await mine.remembered.get("pictures", lambda: mine.service.stored(read_pictures, mine.database, share))


async def _choose(mine: Parts, wanted: Wanted) -> Chosen:
    """Raises DatabaseError."""
    there, stored = await all_pictures(mine), mine.service.stored
    if wanted.words:

        def read() -> tuple[PictureSummary, ...]:
            found = find_pictures(mine.database, wanted.words, wanted.min_stars)
            return tuple(picture for picture in there if picture.digest in found)

        there = await mine.remembered.get((wanted.words, wanted.min_stars), lambda: stored(read))

    def choose() -> Chosen:
        matching = [picture.digest for picture in there if _matches(picture, wanted)]
        digests, following = next_pictures(matching, wanted.after, wanted.count)
        pictures = show_pictures(mine.database, digests, jokes=READ, words=wanted.words)
        return Chosen(pictures, following, len(matching))

    return await stored(choose)


def _matches(picture: PictureSummary, wanted: Wanted) -> bool:
    if not picture.shown or picture.side != wanted.split or wanted.picture not in (None, picture.digest):
        return False
    return wanted.min_stars is None or (picture.stars is not None and picture.stars >= wanted.min_stars)


async def get_picture(request: web.Request) -> web.StreamResponse:
    """A picture of the corpus as it came."""
    mine = parts(request)
    path = await mine.service.stored(find_picture, mine.database, request.match_info["digest"])
    file = await asyncio.to_thread(_file, mine.config.data.dir, path) if path else None
    if file is None:
        raise BokeRefused("not_found")
    headers = {
        hdrs.CONTENT_TYPE: TYPES.get(file.suffix, "application/octet-stream"),
        hdrs.CACHE_CONTROL: "private, max-age=3600",
    }
    return web.FileResponse(file, headers=headers)


def _wanted(content: dict[str, Any]) -> Wanted:
    """Raises BokeRefused (bad_request)."""
    split, count, query = content.get("split"), content.get("count"), content.get("query", "")
    if split not in ("train", "dev"):
        raise bad("split")
    if isinstance(count, float) and count.is_integer():  # JSON knows one kind of number
        count = int(count)
    if type(count) is not int or not 1 <= count <= MAX_PICTURES:
        raise bad("count")
    if not isinstance(query, str) or len(query) > MAX_QUERY or not _storable(query):
        raise bad("query")
    stars = content.get("min_stars")
    if stars is not None and not (type(stars) in (int, float) and -MAX_STARS <= stars <= MAX_STARS):
        raise bad("min_stars")
    after = content.get("after")
    cursor = Cursor(secrets.randbits(64)) if after is None else Cursor.parse(after) if isinstance(after, str) else None
    if cursor is None:
        raise bad("after")
    picture = content.get("picture")
    if not (picture is None or isinstance(picture, str)):
        raise bad("picture")
    words = tuple(dict.fromkeys(query.split()))[:MAX_WORDS]
    return Wanted(split, count, words, None if stars is None else float(stars), cursor, picture)


def _storable(text: str) -> bool:
    """Can a database have such a text? Half of a surrogate pair and NUL are none."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


async def _generate(mine: Parts, picture: ShownPicture, turns: asyncio.Semaphore) -> Generated | None:
    """The model's jokes; None for a picture that is not there any more or cannot be answered. Raises BokeRefused."""
    async with turns:
        try:
            file = await asyncio.to_thread(_file, mine.config.data.dir, picture.path)
            if file is None:
                raise FileNotFoundError("no such file")
            return await mine.service.generate(await asyncio.to_thread(file.read_bytes))
        except OSError as error:
            log.warning("picture %s of the corpus cannot be read: %s", picture.digest[:12], error)
        except BokeRefused as refused:
            if refused.code not in _OF_ONE_PICTURE:
                raise
            log.warning("picture %s of the corpus is not answered: %s", picture.digest[:12], refused)
    return None


def _shown(mine: Parts, picture: ShownPicture, generated: Generated) -> dict[str, Any]:
    written = [joke for joke in picture.jokes if mine.service.filter.allows(joke.text)]
    return {
        "digest": picture.digest,
        "url": f"/api/corpus/{picture.digest}",
        "width": picture.width,
        "height": picture.height,
        "generated": [{"text": c.text, "score": c.score} for c in generated.candidates[:BESIDE]],
        "written": [{"text": joke.text, "stars": joke.stars} for joke in written[:BESIDE]],
    }


def _file(data_dir: Path, path: str) -> Path | None:
    """A picture's file, if it is there and in data.dir."""
    file = (data_dir / path).resolve()
    return file if file.is_relative_to(data_dir.resolve()) and file.is_file() else None
