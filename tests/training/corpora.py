"""Small corpora for tests: real picture files, real corpus files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy import select

from store.database import Database
from store.tables import Boke, Odai


def write_picture(path: Path, number: int) -> Path:
    """A small picture that no other number has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = (number * 37 % 256, number * 101 % 256, number // 256 % 256)
    Image.new("RGB", (12 + number % 5, 10), colour).save(path)
    return path


def write_corpus(path: Path, jokes: Iterable[Any]) -> Path:
    """A corpus file; a joke that is a text is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (joke if isinstance(joke, str) else json.dumps(joke, ensure_ascii=False) for joke in jokes)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def corpus_rows(database: Database) -> set[tuple[Any, ...]]:
    """All that the corpus says about its jokes, without keys and moments of this program's own."""
    columns = (
        Boke.source,
        Boke.external_id,
        Boke.picture_digest,
        Boke.text,
        Boke.stars,
        Boke.ratings,
        Boke.split,
        Boke.url,
        Boke.category,
        Boke.flagged,
        Boke.posted,
        Boke.last_rated,
        Odai.source,
        Odai.external_id,
        Odai.title,
        Odai.category,
        Odai.posted,
        Odai.boke_count,
        Odai.picture_url,
        Odai.picture_digest,
    )
    with database.reader() as session:
        query = select(*columns).join(Odai, Boke.odai_id == Odai.id, isouter=True)
        return {tuple(row) for row in session.execute(query)}


def count_rows(database: Database) -> int:
    """How many jokes there are."""
    with database.reader() as session:
        return len(list(session.scalars(select(Boke.id))))
