"""The corpus file: one joke a line, its picture beside the file. Also what the export adds to it under one key of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from training.importers.lines import Found, records
from training.importers.records import (
    IMPORTED,
    BadLine,
    NotAJoke,
    Record,
    count_in,
    id_in,
    inside,
    moment_in,
    number_in,
    split_in,
    storable,
    text_in,
    words_in,
)

OWN = "bokebot"  # key of what the corpus knows beyond the format; other programs ignore it, and a file need not have it
_SOURCE = re.compile(r"[\w.-]{1,32}")
_BOKETE = re.compile(r"https?://(?:www\.)?bokete\.jp/boke/(\d+)/?(?:[?#].*)?")


def read(path: Path) -> Iterator[Record | BadLine]:
    """The jokes of a corpus file. Raises OSError where it cannot be read."""
    return records(path, record)


def record(folder: Path, found: Found) -> Record:
    """One object of the file as a joke. Raises NotAJoke"""
    values = found.values
    image = values.get("image")
    if not isinstance(image, str) or not image:
        raise NotAJoke('"image" is missing' if not image else '"image" is not a text')
    url = values.get("url") or None
    if not isinstance(url, str | None):
        raise NotAJoke('"url" is not a text')
    own = values.get(OWN)
    own = own if isinstance(own, Mapping) else {}
    boke_id = id_in(values, "boke_id")
    return Record(
        line=found.line,
        position=found.position,
        picture=inside(folder, image),
        text=text_in(values, "text"),
        source=_source(own, url, boke_id),
        boke_id=boke_id,
        odai_id=id_in(values, "odai_id"),
        stars=number_in(values, "stars"),
        ratings=count_in(values, "ratings"),
        split=split_in(values, "split"),
        url=None if url is None else storable(url),
        category=words_in(own, "category", 64),
        flagged=own.get("flagged") is True,
        posted=moment_in(own, "posted"),
        last_rated=moment_in(own, "last_rated"),
        title=words_in(own, "title"),
        odai_category=words_in(own, "odai_category", 64),
        odai_posted=moment_in(own, "odai_posted"),
        boke_count=_boke_count(own),
        picture_url=words_in(own, "picture_url", 512),
    )


def _source(own: Mapping[str, Any], url: str | None, boke_id: str | None) -> str:
    named = own.get("source")
    if isinstance(named, str) and _SOURCE.fullmatch(named):
        return named
    # An address of the site with that very id: the crawl may have met this joke, or will.
    address = _BOKETE.fullmatch(url) if url and boke_id else None
    return "bokete" if address and address.group(1) == boke_id else IMPORTED


def _boke_count(own: Mapping[str, Any]) -> int | None:
    try:
        return count_in(own, "boke_count")
    except NotAJoke:  # what is not of the format makes no line bad
        return None
