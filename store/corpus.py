"""The corpus as training and the page both see it: which picture is held out, how much there is, what may be shown.

Whatever is shown was written by people and is for everybody: not the bot's own jokes that came back with an export, not what
its site flags, not what its site no longer has.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from sqlalchemy import ColumnElement, and_, case, func, select
from sqlalchemy.orm import Session

from store.crawled import OWN_SOURCE
from store.database import Database
from store.tables import Boke, Picture

Split = Literal["train", "dev"]
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class SplitCounts:
    """How much one side of the corpus holds: pictures that have a joke, and those jokes."""

    pictures: int = 0
    jokes: int = 0


@dataclass(frozen=True)
class WrittenJoke:
    """A joke that somebody wrote about a picture."""

    text: str
    stars: float | None


@dataclass(frozen=True)
class ShownPicture:
    """A picture that may be shown, with its jokes, best first; `path` is relative to data.dir."""

    digest: str
    path: str
    jokes: tuple[WrittenJoke, ...]


def split_of(picture: str, dev_share: float) -> Split:
    """Where a picture belongs: always the same for the same picture and share; a larger share only adds to dev.

    Args:
        picture: its digest, or any other name of it.
        dev_share: share of the pictures that are held out, 0 to 1.
    """
    drawn = int.from_bytes(blake2b(picture.encode(), digest_size=8, person=b"split").digest(), "big")
    return "dev" if drawn < dev_share * 2.0**64 else "train"


def side_of(picture: str, said: str | None, dev_share: float) -> Split:
    """A file's word on a picture, where all that files say about it agrees (`said`), else what its hash decides."""
    return "train" if said == "train" else "dev" if said == "dev" else split_of(picture, dev_share)


def count_splits(database: Database, dev_share: float) -> dict[Split, SplitCounts]:
    """Jokes that have a picture, and their pictures, of both sides. Raises: DatabaseError"""
    pictures: dict[Split, int] = {"train": 0, "dev": 0}
    jokes: dict[Split, int] = {"train": 0, "dev": 0}
    with database.reader() as session:
        for picture in _read_pictures(session, dev_share):
            pictures[picture.side] += 1
            jokes[picture.side] += picture.jokes
    return {side: SplitCounts(pictures[side], jokes[side]) for side in pictures}


def draw_pictures(
    database: Database, split: Split, count: int, *, dev_share: float, jokes: int
) -> tuple[ShownPicture, ...]:
    """Pictures of one side at random, no picture twice, fewer than `count` where there are no more.

    Args:
        jokes: how many of each picture's come along: those with the most stars.

    Raises: DatabaseError
    """
    with database.reader() as session:
        there = [p.digest for p in _read_pictures(session, dev_share) if p.shown and p.side == split]
        drawn = random.sample(there, min(count, len(there)))
        of_drawn = select(Picture.digest, Picture.path).where(Picture.digest.in_(drawn))
        paths = {row.digest: row.path for row in session.execute(of_drawn)}
        stars = func.max(Boke.stars)  # of a joke that came from two files
        by_stars = func.row_number().over(
            partition_by=Boke.picture_digest, order_by=(stars.desc().nulls_last(), Boke.text)
        )
        ranked = (
            select(Boke.picture_digest, Boke.text, stars.label("stars"), by_stars.label("rank"))
            .where(_shown(), Boke.picture_digest.in_(drawn))
            .group_by(Boke.picture_digest, Boke.text)
            .subquery()
        )
        best: dict[str, list[WrittenJoke]] = defaultdict(list)
        for row in session.execute(select(ranked).where(ranked.c.rank <= jokes).order_by(ranked.c.rank)):
            best[row.picture_digest].append(WrittenJoke(row.text, row.stars))
    return tuple(ShownPicture(digest, paths[digest], tuple(best[digest])) for digest in drawn)


def find_picture(database: Database, digest: str) -> str | None:
    """Where a picture that may be shown lies, relative to data.dir; None where there is none. Raises: DatabaseError"""
    if not _DIGEST.fullmatch(digest):  # it comes from outside
        return None
    shown = select(Boke.id).where(Boke.picture_digest == Picture.digest, _shown()).exists()
    with database.reader() as session:
        return session.scalars(select(Picture.path).where(Picture.digest == digest, shown)).one_or_none()


@dataclass(frozen=True, slots=True)
class _Picture:
    digest: str
    side: Split
    jokes: int
    shown: int  # of the jokes


def _read_pictures(session: Session, dev_share: float) -> Iterator[_Picture]:
    low, high, shown = func.min(Boke.split), func.max(Boke.split), func.sum(case((_shown(), 1), else_=0))
    query = select(Boke.picture_digest, low, high, func.count(), shown).where(Boke.picture_digest.is_not(None))
    for digest, least, most, jokes, seen in session.execute(query.group_by(Boke.picture_digest)):
        yield _Picture(digest, side_of(digest, least if least == most else None, dev_share), jokes, seen)


def _shown() -> ColumnElement[bool]:
    return and_(
        Boke.source != OWN_SOURCE,
        Boke.flagged.is_(False),
        Boke.missing_since.is_(None),
    )
