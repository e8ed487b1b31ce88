"""The corpus as training and the page both see it: which picture is held out, how much there is, what may be shown.

Whatever is shown was written by people and is for everybody: not the bot's own jokes that came back with an export, not what
its site flags, not what its site no longer has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from sqlalchemy import ColumnElement, and_, case, func, literal_column, select
from sqlalchemy.orm import InstrumentedAttribute, Session

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


@dataclass(frozen=True, slots=True)
class PictureSummary:
    """A picture that has jokes.

    Attributes:
        jokes: how many; shown: how many of them may be shown.
        stars: the most that one of the shown has; None where none has any.
    """

    digest: str
    side: Split
    jokes: int
    shown: int
    stars: float | None


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


def read_pictures(database: Database, dev_share: float) -> tuple[PictureSummary, ...]:
    """Every picture that has a joke. One pass over the jokes. Raises: DatabaseError"""
    with database.reader() as session:
        return tuple(_summaries(session, dev_share))


def count_splits(database: Database, dev_share: float) -> dict[Split, SplitCounts]:
    """Jokes that have a picture, and their pictures, of both sides. Raises: DatabaseError"""
    return count_sides(read_pictures(database, dev_share))


def count_sides(pictures: Iterable[PictureSummary]) -> dict[Split, SplitCounts]:
    """The same, of pictures that were read."""
    number: dict[Split, int] = {"train": 0, "dev": 0}
    jokes: dict[Split, int] = {"train": 0, "dev": 0}
    for picture in pictures:
        number[picture.side] += 1
        jokes[picture.side] += picture.jokes
    return {side: SplitCounts(number[side], jokes[side]) for side in number}


def _summaries(session: Session, dev_share: float) -> Iterator[PictureSummary]:
    low, high, seen = func.min(Boke.split), func.max(Boke.split), func.sum(case((may_be_shown(), 1), else_=0))
    stars = func.max(case((may_be_shown(), Boke.stars)))
    picture = past_the_index(Boke.picture_digest)
    query = select(picture, low, high, func.count(), seen, stars).where(Boke.picture_digest.is_not(None))
    for digest, least, most, jokes, shown, best in session.execute(query.group_by(picture)):
        side = side_of(digest, least if least == most else None, dev_share)
        yield PictureSummary(digest, side, jokes, shown, best)


def find_picture(database: Database, digest: str) -> str | None:
    """Where a picture that may be shown lies, relative to data.dir; None where there is none. Raises: DatabaseError"""
    if not _DIGEST.fullmatch(digest):  # it comes from outside
        return None
    shown = select(Boke.id).where(Boke.picture_digest == Picture.digest, may_be_shown()).exists()
    with database.reader() as session:
        return session.scalars(select(Picture.path).where(Picture.digest == digest, shown)).one_or_none()


def may_be_shown() -> ColumnElement[bool]:
    """Is it somebody's joke, for everybody, and still there?"""
    return and_(
        Boke.source != OWN_SOURCE,
        Boke.flagged.is_(False),
        Boke.missing_since.is_(None),
    )


def past_the_index(picture: InstrumentedAttribute[str | None]) -> ColumnElement[str]:
    """For a pass over all jokes: in an index's order SQLite would fetch every row from another place."""
    return func.coalesce(picture, literal_column("''"))
