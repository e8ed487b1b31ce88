"""Pictures of the corpus for people to look at: which there are, in which order, and the jokes that people wrote."""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from sqlalchemy import ColumnElement, and_, case, func, or_, select

from store.corpus import may_be_shown, past_the_index
from store.database import Database
from store.tables import Boke, Odai, Picture

_CURSOR = re.compile(r"([0-9a-f]{16})-([0-9a-f]{64})")


@dataclass(frozen=True)
class WrittenJoke:
    """A joke that somebody wrote about a picture."""

    text: str
    stars: float | None


@dataclass(frozen=True)
class ShownPicture:
    """A picture that may be shown, with its jokes, best first; `path` is relative to data.dir, sizes are in pixels."""

    digest: str
    path: str
    width: int
    height: int
    jokes: tuple[WrittenJoke, ...]


@dataclass(frozen=True)
class Cursor:
    """A place in one of the many orders that pictures can be looked at in.

    Attributes:
        seed: which order, 0 to 2**64 - 1.
        last: digest of the picture that was seen last; "" at the beginning.
    """

    seed: int
    last: str = ""

    def __str__(self) -> str:
        return f"{self.seed:016x}-{self.last}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """What `str` wrote of a cursor that saw a picture; None for anything else."""
        found = _CURSOR.fullmatch(text)
        return cls(int(found[1], 16), found[2]) if found else None


def find_pictures(database: Database, words: Sequence[str], min_stars: float | None = None) -> frozenset[str]:
    """Digests of the pictures with a joke that may be shown, has all the words, and so many stars.

    A word may stand in the joke, in the words on its picture, or in the site's name for what it is about; large and small
    letters are the same (SQLite: of a to z only). One pass over the jokes. Raises: DatabaseError
    """
    query = select(past_the_index(Boke.picture_digest)).where(may_be_shown(), *map(_has, words))
    if min_stars is not None:
        query = query.where(Boke.stars >= min_stars)
    with database.reader() as session:
        return frozenset(session.scalars(query.distinct())) - {""}  # of a joke whose picture was not fetched yet


def next_pictures(digests: Iterable[str], cursor: Cursor, count: int) -> tuple[list[str], Cursor | None]:
    """The pictures that follow in the cursor's order, and the cursor behind them; None where no picture is left.

    Whatever else is added or taken away meanwhile, a picture keeps its place.
    """
    key = cursor.seed.to_bytes(8, "big")

    def place(digest: str) -> bytes:
        return blake2b(digest.encode(), digest_size=16, key=key).digest()

    after = place(cursor.last) if cursor.last else b""
    following = ((where, digest) for digest in digests if (where := place(digest)) > after)
    found = [digest for _, digest in heapq.nsmallest(count + 1, following)]
    more = len(found) > count
    return found[:count], Cursor(cursor.seed, found[count - 1]) if more else None


def show_pictures(
    database: Database, digests: Collection[str], *, jokes: int, words: Sequence[str] = ()
) -> tuple[ShownPicture, ...]:
    """These pictures with their jokes, in this order, without those that may not be shown.

    Args:
        jokes: how many of each picture's come along: those with the words first, then those with the most stars.

    Raises: DatabaseError
    """
    stars = func.max(Boke.stars)  # of a joke that came from two files
    has_words = func.max(case((and_(*map(_has, words)), 1), else_=0)) if words else func.max(0)
    rank = func.row_number().over(
        partition_by=Boke.picture_digest, order_by=(has_words.desc(), stars.desc().nulls_last(), Boke.text)
    )
    ranked = (
        select(Boke.picture_digest, Boke.text, stars.label("stars"), rank.label("rank"))
        .where(may_be_shown(), Boke.picture_digest.in_(digests))
        .group_by(Boke.picture_digest, Boke.text)
        .subquery()
    )
    best: dict[str, list[WrittenJoke]] = defaultdict(list)
    with database.reader() as session:
        rows = session.execute(
            select(Picture.digest, Picture.path, Picture.width, Picture.height).where(Picture.digest.in_(digests))
        )
        found = {row.digest: row for row in rows}
        for joke in session.execute(select(ranked).where(ranked.c.rank <= jokes).order_by(ranked.c.rank)):
            best[joke.picture_digest].append(WrittenJoke(joke.text, joke.stars))
    return tuple(
        ShownPicture(digest, row.path, row.width, row.height, tuple(best[digest]))
        for digest in digests
        if (row := found.get(digest)) is not None and digest in best
    )


def _has(word: str) -> ColumnElement[bool]:
    about = select(Odai.id).where(
        or_(Odai.title.icontains(word, autoescape=True), Odai.category.icontains(word, autoescape=True))
    )
    return or_(
        Boke.text.icontains(word, autoescape=True),
        Boke.category.icontains(word, autoescape=True),
        Boke.odai_id.in_(about),
    )
