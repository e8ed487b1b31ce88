"""The corpus on the API: its pictures, and the model's jokes beside those that people wrote."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from aiohttp import hdrs, web

from bot.boke import BokeRefused, Generated
from bot.chat.web.keys import Parts, parts
from bot.chat.web.refusals import reply
from bot.chat.web.upload import bad, read_json
from bot.limits import Limit
from store.corpus import ShownPicture, Split, draw_pictures, find_picture

log = logging.getLogger(__name__)

MAX_PICTURES = 50  # in one request
BESIDE = 5  # jokes of the model's, and of people's
READ = 4 * BESIDE  # of people's: the filter drops some
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


async def post_generate(request: web.Request) -> web.Response:
    """Pictures of the training or the held-out side at random, with jokes."""
    mine = parts(request)
    split, count = _wanted(await read_json(request))
    a_minute = mine.config.web.posts_per_minute
    allowed = max(a_minute, MAX_PICTURES) if a_minute else 0  # the largest request must fit into a minute
    mine.take(Limit("generate", mine.callers.counted_as(request), allowed), cost=count)
    share = mine.config.retrain.dev_share
    drawn = await mine.service.stored(draw_pictures, mine.database, split, count, dev_share=share, jokes=READ)
    turns = asyncio.Semaphore(AT_ONCE)
    made = await asyncio.gather(*(_generate(mine, picture, turns) for picture in drawn), return_exceptions=True)
    shown = []
    model = mine.inference.digest
    for picture, generated in zip(drawn, made, strict=True):
        if isinstance(generated, BaseException):
            raise generated
        if generated is not None:
            shown.append(_shown(mine, picture, generated))
            model = generated.model
    return reply({"split": split, "model": model, "pictures": shown})


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


def _wanted(content: dict[str, Any]) -> tuple[Split, int]:
    split, count = content.get("split"), content.get("count")
    if split not in ("train", "dev"):
        raise bad("split")
    if isinstance(count, float) and count.is_integer():  # JSON knows one kind of number
        count = int(count)
    if type(count) is not int or not 1 <= count <= MAX_PICTURES:
        raise bad("count")
    return split, count


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
        "generated": [{"text": c.text, "score": c.score} for c in generated.candidates[:BESIDE]],
        "written": [{"text": joke.text, "stars": joke.stars} for joke in written[:BESIDE]],
    }


def _file(data_dir: Path, path: str) -> Path | None:
    """A picture's file, if it is there and in data.dir."""
    file = (data_dir / path).resolve()
    return file if file.is_relative_to(data_dir.resolve()) and file.is_file() else None
