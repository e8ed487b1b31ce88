"""The corpus in numbers, for people: its sides, distributions, growth, and what the last run's filters kept out.

Everything is counted by the database, in passes over the jokes whose number does not depend on how many there are.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, String, case, func, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute, Session

from store.corpus import PictureSummary, Split, SplitCounts, count_sides
from store.database import Database
from store.runs import last_runs
from store.tables import Boke, Picture

BINS = 20  # of a distribution, at most; one more holds the long tail
RUNS = 50  # newest ones, among which the last that filtered is looked for


@dataclass(frozen=True)
class Bin:
    """How many values lie from `low` to below `high`; None: to the largest."""

    low: float
    high: float | None
    count: int


@dataclass(frozen=True)
class Distribution:
    """Values and how they are spread; without any there are no bins and no mean.

    Attributes:
        whole: are all of them whole numbers?
    """

    count: int = 0
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    whole: bool = True
    bins: tuple[Bin, ...] = ()


@dataclass(frozen=True)
class Added:
    """What came into the corpus on one day."""

    day: date
    jokes: int
    pictures: int


@dataclass(frozen=True)
class Filtered:
    """What one run's filters did: jokes read, kept, and kept out by each filter, in the filters' order."""

    run: int
    ended: datetime | None
    recipe: str | None
    read: int
    kept: int
    dropped: Mapping[str, int]


@dataclass(frozen=True)
class CorpusFigures:
    """The corpus. Only `waiting` counts jokes whose picture was not fetched yet.

    Attributes:
        unstarred: jokes without stars.
        growth: by day, without days on which nothing came.
        filtered: of the newest run that got so far.
    """

    sides: Mapping[Split, SplitCounts]
    waiting: int
    per_picture: Distribution
    lengths: Distribution  # in characters
    stars: Distribution
    unstarred: int
    growth: tuple[Added, ...]
    filtered: Filtered | None


def corpus_figures(database: Database, pictures: Collection[PictureSummary], timezone: str) -> CorpusFigures:
    """Count.

    Args:
        pictures: as `store.corpus.read_pictures` found them.
        timezone: where a day begins.

    Raises: DatabaseError
    """
    sides = count_sides(pictures)
    with database.reader() as session:
        stars = _stars(session)
        return CorpusFigures(
            sides=sides,
            waiting=session.scalars(select(func.count()).where(Boke.picture_digest.is_(None))).one(),
            per_picture=spread(Counter(picture.jokes for picture in pictures)),
            lengths=_lengths(session),
            stars=stars,
            unstarred=max(0, sum(side.jokes for side in sides.values()) - stars.count),
            growth=_growth(session, database.dialect, ZoneInfo(timezone)),
            filtered=_filtered(database),
        )


# --- distributions --------------------------------------------------------------------------------------------------


def spread(counts: Mapping[int, int]) -> Distribution:
    """The distribution of whole numbers from 0, of which is known how often each occurs.

    Bins are equally wide up to where 99 of 100 values lie; the last holds what is beyond.
    """
    total = sum(counts.values())
    if not total:
        return Distribution()
    low, high = min(counts), max(counts)
    most, seen = high, 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= 0.99 * total:
            most = value
            break
    width = max(1, int(_nice((most - low + 1) / BINS)))
    first = low - low % width
    edges = [first + width * number for number in range((most - first) // width + 2)]
    inside = Counter[int]()
    for value, count in counts.items():
        inside[min((value - first) // width, len(edges) - 1)] += count
    bins = [Bin(a, b, inside[number]) for number, (a, b) in enumerate(pairwise(edges))]
    beyond = inside[len(edges) - 1]
    if beyond:
        bins.append(Bin(edges[-1], None, beyond))
    mean = sum(value * count for value, count in counts.items()) / total
    return Distribution(total, mean, low, high, True, tuple(bins))


def star_edges(low: float, high: float, *, whole: bool) -> list[float]:
    """Where bins of stars begin and end, the last behind `high`.

    A mean of ratings lies between close bounds and gets equal bins; a number of stars has a long tail and gets
    0, 1, 2, 5, 10, 20, 50...
    """
    if low >= 0 and high > BINS:
        edges = [0.0]
        scale = 1.0
        while edges[-1] <= high:
            edges += [scale, 2 * scale, 5 * scale]
            scale *= 10
        return edges[: bisect_right(edges, high) + 1]
    width = _nice((high - low) / BINS) if high > low else 1.0
    width = max(width, 1.0) if whole else width
    first = math.floor(low / width + 1e-9)
    return [round(width * number, 9) for number in range(first, math.floor(high / width + 1e-9) + 2)]


def _nice(width: float) -> float:
    """The next of ..., 0.1, 0.2, 0.5, 1, 2, 5, 10, ... that is not smaller."""
    scale = 10.0 ** math.floor(math.log10(width))
    return next(scale * step for step in (1, 2, 5, 10) if scale * step >= width * (1 - 1e-9))


def _lengths(session: Session) -> Distribution:
    length = func.length(Boke.text)
    query = select(length, func.count()).where(Boke.picture_digest.is_not(None)).group_by(length)
    return spread({row[0]: row[1] for row in session.execute(query)})


def _stars(session: Session) -> Distribution:
    starred = (Boke.picture_digest.is_not(None), Boke.stars.is_not(None))
    broken = func.sum(case((Boke.stars != func.round(Boke.stars), 1), else_=0))
    summary = select(func.count(), func.avg(Boke.stars), func.min(Boke.stars), func.max(Boke.stars), broken)
    count, mean, low, high, fractions = session.execute(summary.where(*starred)).one()
    if not count:
        return Distribution()
    edges = star_edges(low, high, whole=not fractions)
    number = case(*((Boke.stars < edge, place) for place, edge in enumerate(edges[1:-1])), else_=len(edges) - 2)
    if len(edges) == 2:
        inside: Mapping[int, int] = {0: count}
    else:
        query = select(number.label("number"), func.count()).where(*starred).group_by("number")
        inside = {row[0]: row[1] for row in session.execute(query)}
    bins = (Bin(a, b, inside.get(place, 0)) for place, (a, b) in enumerate(pairwise(edges)))
    return Distribution(count, mean, low, high, not fractions, tuple(bins))


# --- growth and filters ---------------------------------------------------------------------------------------------


def _growth(session: Session, dialect: str, zone: ZoneInfo) -> tuple[Added, ...]:
    jokes = _by_day(session, Boke.first_seen, (Boke.picture_digest.is_not(None),), dialect, zone)
    pictures = _by_day(session, Picture.added, (), dialect, zone)
    return tuple(Added(day, jokes[day], pictures[day]) for day in sorted(jokes | pictures))


def _by_day(
    session: Session,
    moment: InstrumentedAttribute[datetime],
    where: Sequence[ColumnElement[bool]],
    dialect: str,
    zone: ZoneInfo,
) -> Counter[date]:
    """Counted by hours in UTC, which are few, and put to the days of a zone here."""
    hour: ColumnElement[Any]
    if dialect == "sqlite":
        hour = func.substr(type_coerce(moment, String), 1, 13)  # stored as 2026-11-23 18:30:00.000000
    else:
        hour = func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD HH24")
    found: Counter[date] = Counter()
    for text, count in session.execute(select(hour.label("hour"), func.count()).where(*where).group_by("hour")):
        found[datetime.strptime(text, "%Y-%m-%d %H").replace(tzinfo=UTC).astimezone(zone).date()] += count
    return found


def _filtered(database: Database) -> Filtered | None:
    for run in last_runs(database, RUNS):
        for stage in run.stages:
            if stage.get("name") == "corpus" and "dropped" in stage:
                counts = (stage["read"], stage["jokes"], stage["dropped"])
                return Filtered(run.id, run.ended, run.recipe, *counts)
    return None
