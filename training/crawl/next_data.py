"""The JSON that a Next.js page embeds: its shape is not documented, so odai and jokes are known by what they carry.

A joke has an id, a text, and something that only jokes have (the odai's id, sum or number of ratings, the mark "not for
everybody"); an odai has an id and a picture's address or a number of jokes. Names are those of BoketeDB v3, in any
spelling of capitals and underscores, and a few near ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from training.crawl import reading
from training.crawl.parsed import ParsedBoke, ParsedOdai

_ODAI_ID = ("odaiid", "photoid")
_STARS = ("ratesum", "starsum", "stars", "star", "starcount", "totalstars")
_RATINGS = ("ratecount", "ratings", "ratingcount", "ratercount")
_FLAG = ("isng", "ng", "isnsfw")
_POSTED = ("date", "createdat", "created", "postedat", "publishedat")
_LAST_RATED = ("lastratedate", "lastratedat")
_PICTURES = (
    "largeurl",
    "photourl",
    "imageurl",
    "pictureurl",
    "mediumurl",
    "smallurl",
    "url",
    "src",
    "large",
    "medium",
    "small",
)
_COUNT = ("bokecount", "bokescount", "countboke")
_DEPTH = 60  # real data is far shallower; what is deeper is nobody's page


@dataclass(frozen=True)
class _Place:
    """Where in the JSON an object stands: the odai around it."""

    odai_id: str | None = None


def read(url: str, text: str) -> tuple[list[ParsedOdai], list[ParsedBoke]]:
    """Odai and jokes in the JSON; both empty where there are none, or where it is no JSON."""
    try:
        data = json.loads(text) if text.strip() else None
    except (ValueError, RecursionError):
        return [], []
    odai: list[ParsedOdai] = []
    jokes: list[tuple[ParsedBoke, bool]] = []
    for item, place in _walk(data, _Place(), 0):
        if found := _odai(url, item):
            odai.append(found)
        if boke := _boke(item, place):
            jokes.append(boke)
    # A joke that names no odai belongs to the page's, unless others of the page do name theirs.
    page_odai = reading.id_in(url, "odai")
    all_nameless = not any(named for _, named in jokes)
    kept = [boke for boke, named in jokes if named]
    if page_odai and all_nameless:
        kept = [replace(boke, odai_id=page_odai) for boke, _ in jokes]
    return odai, kept


def _walk(data: Any, place: _Place, depth: int) -> Iterator[tuple[Mapping[str, Any], _Place]]:
    if depth > _DEPTH:
        return
    if isinstance(data, list):
        for value in data:
            yield from _walk(value, place, depth + 1)
    elif isinstance(data, dict):
        item = _plain(data)
        yield item, place
        inside = _Place(_id(item.get("id"))) if _is_odai(item) else place
        for value in data.values():
            yield from _walk(value, inside, depth + 1)


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name).replace("_", "").lower(): value for name, value in data.items()}


def _is_boke(item: Mapping[str, Any]) -> bool:
    typename = str(item.get("typename", "")).lower()
    if typename:
        return "boke" in typename and "comment" not in typename and _text(item) is not None
    telling = (*_ODAI_ID, *_STARS, *_RATINGS, *_FLAG)
    return (
        _text(item) is not None
        and "bokeid" not in item  # a comment on a joke
        and (any(name in item for name in telling) or isinstance(item.get("odai"), dict))
    )


def _is_odai(item: Mapping[str, Any]) -> bool:
    if _id(item.get("id")) is None or _is_boke(item) or item.get("typename") not in (None, "Odai", "Photo"):
        return False
    if "largeurl" in item or any(_is_odai_picture(value) for value in _pictures(item)):
        return True
    return any(name in item for name in _COUNT) and "name" not in item  # people have a number of jokes too


def _odai(url: str, item: Mapping[str, Any]) -> ParsedOdai | None:
    external_id = _id(item.get("id"))
    if external_id is None or not _is_odai(item):
        return None
    picture = next(_pictures(item), None)
    title = _first(item, ("title", "text", "caption"))
    return ParsedOdai(
        external_id=external_id,
        picture_url=reading.address(url, picture),
        category=_name(item.get("category")),
        title=reading.clean(title) or None if isinstance(title, str) else None,
        boke_count=_count(_first(item, _COUNT)),
        posted=_moment(_first(item, _POSTED)),
    )


def _boke(item: Mapping[str, Any], place: _Place) -> tuple[ParsedBoke, bool] | None:
    """The joke, and whether the JSON says which odai it belongs to."""
    external_id = _id(item.get("id"))
    if external_id is None or not _is_boke(item):
        return None
    inner = _plain(item["odai"]) if isinstance(item.get("odai"), dict) else {}
    odai_id = _id(_first(item, _ODAI_ID)) or _id(inner.get("id")) or _id(inner.get("ref")) or place.odai_id
    boke = ParsedBoke(
        external_id=external_id,
        odai_id=odai_id or "",
        text=_text(item) or "",
        stars=_count(_first(item, _STARS)),
        ratings=_count(_first(item, _RATINGS)),
        category=_name(item.get("category")),
        flagged=_first(item, _FLAG) in (True, 1),
        posted=_moment(_first(item, _POSTED)),
        last_rated=_moment(_first(item, _LAST_RATED)),
    )
    return boke, odai_id is not None


def _pictures(item: Mapping[str, Any]) -> Iterator[str]:
    """Addresses of pictures in the object itself or one below, the large one first."""
    below = [_plain(value) for value in item.values() if isinstance(value, dict) and "id" not in value]
    for name in _PICTURES:
        for place in (item, *below):
            value = place.get(name)
            if isinstance(value, str) and _is_picture(name, value):
                yield value


def _is_picture(name: str, value: str) -> bool:
    path = value.partition("?")[0].lower()
    is_file = path.endswith((".jpg", ".jpeg", ".png", ".gif", ".webp"))
    return ("/" in value and is_file) or _is_odai_picture(value)


def _is_odai_picture(value: str) -> bool:
    return "/photo/odai/" in value


def _first(item: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((item[name] for name in names if item.get(name) is not None), None)


def _text(item: Mapping[str, Any]) -> str | None:
    text = item.get("text")
    return (reading.clean(text) or None) if isinstance(text, str) else None


def _id(value: Any) -> str | None:
    """Ids are numbers, numbers in quotes, or "Odai:469179"."""
    text = str(value).rpartition(":")[2] if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return (text.lstrip("0") or "0") if text.isdecimal() and text.isascii() and len(text) < 19 else None


def _count(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value) if 0 <= value < 10**9 else None
    return reading.number(value) if isinstance(value, str) else None


def _name(value: Any) -> str | None:
    if isinstance(value, dict):
        value = _plain(value).get("name")
    return reading.clip(reading.clean(str(value)), 64) if isinstance(value, str | int) and str(value) else None


def _moment(value: Any) -> datetime | None:
    if isinstance(value, str) and not value.isdecimal():
        return reading.moment(value)
    try:
        seconds = float(value)
        return datetime.fromtimestamp(seconds / 1000 if seconds > 10**11 else seconds, UTC) if seconds > 0 else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None
