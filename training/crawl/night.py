"""Where the crawl stands between two processes: one small record in the table `meta`, written with the pages it speaks of."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Self

from sqlalchemy.orm import Session

from store.database import Database
from store.tables import Meta

NAME = "crawl"


@dataclass(frozen=True)
class Night:
    """A night begins with the first page of every list and is over when nothing is left to do; a later process continues one
    that was cut short.

    Attributes:
        started: in UTC, ISO 8601; "" before the first night.
        open: not over yet.
        highest: the highest odai id that any page named.
        found: the highest id that the range of new odai has reached; every lower one was asked for, or is left to `back`.
        ahead: the next id of that range; None until the lists were read for the first time.
        misses: 404s in a row before `ahead`.
        ahead_done: the range has ended for this night.
        back: the next id going down to older odai; 0: none left.
        back_misses: 404s in a row above `back`.
        categories: names of the categories whose lists are read.
    """

    started: str = ""
    open: bool = False
    highest: int = 0
    found: int = 0
    ahead: int | None = None
    misses: int = 0
    ahead_done: bool = False
    back: int = 0
    back_misses: int = 0
    categories: tuple[str, ...] = ()

    @property
    def began(self) -> datetime | None:
        """When the night began, in UTC."""
        return datetime.fromisoformat(self.started) if self.started else None

    def next_night(self, moment: datetime) -> Self:
        """A new night: the lists from their first page, new odai from the last one found."""
        ahead = self.found + 1 if self.ahead is not None else None
        return replace(self, started=moment.isoformat(), open=True, ahead=ahead, misses=0, ahead_done=False)

    def with_range(self) -> Self:
        """The ranges as the first reading of the lists leaves them: new odai above what they name, older ones below.

        Where they name nothing, everything from id 1 on is new.
        """
        return replace(self, ahead=self.highest + 1, found=self.highest, back=max(self.highest - 1, 0))


def load_night(session: Session) -> Night:
    """The record as it was written last; the first night where there is none."""
    row = session.get(Meta, NAME)
    known = {field.name for field in fields(Night)}
    values: dict[str, Any] = {name: value for name, value in (row.value if row else {}).items() if name in known}
    values["categories"] = tuple(values.get("categories", ()))
    return Night(**values)


def save_night(session: Session, database: Database, night: Night, moment: datetime) -> None:
    """Write the record, with whatever else this session writes."""
    values = {"value": {**asdict(night), "categories": list(night.categories)}, "changed": moment}
    insert = database.insert(Meta).values(name=NAME, **values)
    session.execute(insert.on_conflict_do_update(index_elements=["name"], set_=values))
