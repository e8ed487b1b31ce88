"""What the corpus holds, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from store.database import Database
from store.tables import Boke, Odai


@dataclass(frozen=True)
class SourceStats:
    """What came from one source; `starred`: jokes with stars."""

    source: str
    jokes: int
    pictures: int
    starred: int
    mean_stars: float | None


@dataclass(frozen=True)
class CorpusStats:
    """All of the corpus.

    Attributes:
        waiting: jokes, among `jokes`, whose picture was not fetched yet.
        pictures: those that have a joke.
        per_picture_mean, per_picture_median, per_picture_max: jokes of one picture.
        starred: jokes with stars; the least, the mean, the median and the most of them.
        said_train, said_dev: jokes whose file said a split.
        sources: most jokes first.
    """

    jokes: int
    waiting: int
    odai: int
    pictures: int
    per_picture_mean: float
    per_picture_median: int
    per_picture_max: int
    starred: int
    stars_min: float | None
    stars_mean: float | None
    stars_median: float | None
    stars_max: float | None
    said_train: int
    said_dev: int
    sources: tuple[SourceStats, ...]


def corpus_stats(database: Database) -> CorpusStats:
    """Count. Raises: DatabaseUnavailable"""
    with database.reader() as session:
        jokes, pictured, starred, low, mean, high = session.execute(
            select(
                func.count(),
                func.count(Boke.picture_digest),
                func.count(Boke.stars),
                func.min(Boke.stars),
                func.avg(Boke.stars),
                func.max(Boke.stars),
            ).select_from(Boke)
        ).one()
        numbers = _jokes_per_picture(session)
        pictures = sum(numbers.values())
        said = {row[0]: row[1] for row in session.execute(select(Boke.split, func.count()).group_by(Boke.split))}
        return CorpusStats(
            jokes=jokes,
            waiting=jokes - pictured,
            odai=session.scalars(select(func.count()).select_from(Odai)).one(),
            pictures=pictures,
            per_picture_mean=pictured / pictures if pictures else 0.0,
            per_picture_median=_median(numbers),
            per_picture_max=max(numbers, default=0),
            starred=starred,
            stars_min=low,
            stars_mean=mean,
            stars_median=_median_stars(session, starred),
            stars_max=high,
            said_train=said.get("train", 0),
            said_dev=said.get("dev", 0),
            sources=_sources(session),
        )


def _jokes_per_picture(session: Session) -> dict[int, int]:
    """How many pictures have how many jokes."""
    of_picture = (
        select(func.count().label("jokes"))
        .where(Boke.picture_digest.is_not(None))
        .group_by(Boke.picture_digest)
        .subquery()
    )
    query = select(of_picture.c.jokes, func.count()).group_by(of_picture.c.jokes)
    return {row[0]: row[1] for row in session.execute(query)}


def _median(numbers: dict[int, int]) -> int:
    left = (sum(numbers.values()) + 1) // 2
    for jokes, pictures in sorted(numbers.items()):
        left -= pictures
        if left <= 0:
            return jokes
    return 0


def _median_stars(session: Session, starred: int) -> float | None:
    query = select(Boke.stars).where(Boke.stars.is_not(None)).order_by(Boke.stars).offset((starred - 1) // 2).limit(1)
    return session.scalars(query).one() if starred else None


def _sources(session: Session) -> tuple[SourceStats, ...]:
    query = (
        select(
            Boke.source,
            func.count(),
            func.count(distinct(Boke.picture_digest)),
            func.count(Boke.stars),
            func.avg(Boke.stars),
        )
        .group_by(Boke.source)
        .order_by(func.count().desc(), Boke.source)
    )
    return tuple(SourceStats(*row) for row in session.execute(query))
