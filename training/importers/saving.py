"""Jokes of a file into the corpus, a batch at a time: what is new is added, what is known is brought up to date."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, and_, bindparam, cast, func, select, update
from sqlalchemy.orm import Session

from store.database import Database
from store.tables import Boke, Odai, Picture
from store.text import text_hash
from store.types import now
from training.importers.records import IMPORTED, Record
from training.pictures import KeptPicture

_ID, _TEXT = ("source", "external_id"), ("picture_digest", "text_hash")  # what a joke is known by
_COLUMNS = (
    "source",
    "external_id",
    "picture_digest",
    "odai_id",
    "text",
    "text_hash",
    "stars",
    "ratings",
    "split",
    "category",
    "url",
    "flagged",
    "posted",
    "last_rated",
)
_RATING = ("stars", "ratings", "last_rated")
_ABOUT = ("split", "category", "url", "posted", "odai_id")
_ODAI_COLUMNS = ("source", "external_id", "picture_digest", "category", "title", "picture_url", "boke_count", "posted")

Row = dict[str, Any]
Key = tuple[Any, Any]  # source and external id, or picture and hash of the text


@dataclass(frozen=True)
class Saved:
    """What became of a batch. `same`: nothing new; among them jokes that the file has twice."""

    added: int
    updated: int
    same: int


@dataclass(frozen=True, slots=True)
class Placed:
    """A record whose picture is in its place."""

    record: Record
    digest: str

    @property
    def boke_key(self) -> Key | None:
        return self._key(self.record.boke_id)

    @property
    def odai_key(self) -> Key | None:
        return self._key(self.record.odai_id)

    def _key(self, given: str | None) -> Key | None:
        if given is None:
            return None
        # Files from anywhere count from 1 each: an id of theirs means something only together with its picture.
        return self.record.source, stored_id(self.record.source, given, self.digest)


def stored_id(source: str, given: str, digest: str) -> str:
    """A file's id as the corpus keeps it; `given_id` undoes it."""
    return f"{given}@{digest[:16]}" if source == IMPORTED else given


def given_id(source: str, stored: str) -> str:
    """An id as the file had it."""
    return stored.rpartition("@")[0] if source == IMPORTED else stored


def save(database: Database, pictures: Sequence[KeptPicture], jokes: Sequence[Placed]) -> Saved:
    """Write one batch in one transaction. A joke that another process adds at the same moment is left to it.

    A joke with an id is known by it: what the file says replaces what was there, unless its rating is older. A joke without
    is known by its picture and text: it keeps the rating of more people, or else the higher.

    Raises: DatabaseUnavailable and its kind.
    """
    with database.session() as session:
        _add_pictures(database, session, pictures)
        odai = _write_odai(database, session, jokes)
        return _write_jokes(database, session, jokes, odai)


def _add_pictures(database: Database, session: Session, pictures: Sequence[KeptPicture]) -> None:
    moment = now()
    rows = [
        {"digest": p.digest, "path": p.path, "width": p.width, "height": p.height, "bytes": p.bytes, "added": moment}
        for p in pictures
    ]
    if rows:
        _insert(session, database.insert(Picture), rows)


def _insert(session: Session, statement: Any, rows: Sequence[Row]) -> None:
    # Past the ORM, which would leave out what is None and so send nearly every row by itself.
    session.connection().execute(statement.on_conflict_do_nothing(), rows)


def _look_up(
    database: Database,
    session: Session,
    table: type[Boke | Odai],
    columns: Sequence[str],
    key: tuple[str, str],
    keys: Iterable[Key],
) -> Iterator[Row]:
    """Rows, with their id, whose two columns called `key` are one of the keys.

    All keys are one parameter: in a list of pairs SQLite sees no use for an index.
    """
    wanted = [list(pair) for pair in keys]
    if not wanted:
        return
    parameter: Any = bindparam("keys", type_=JSON)
    columns = ("id", *columns)
    left, right = (getattr(table, name) for name in key)
    if database.dialect == "sqlite":
        asked = func.json_each(parameter).table_valued("value", name="asked")
        pair: list[Any] = [func.json_extract(asked.c.value, f"$[{place}]") for place in (0, 1)]
    else:
        asked = func.json_array_elements(parameter).table_valued("value", name="asked")
        pair = [cast(asked.c.value.op("->>")(place), column.type) for place, column in enumerate((left, right))]
    met = and_(left == pair[0], right == pair[1])
    query = select(*(getattr(table, name) for name in columns)).select_from(asked).join(table, met)
    for row in session.execute(query, {"keys": wanted}):
        yield dict(zip(columns, row, strict=True))


# --- odai -----------------------------------------------------------------------------------------------------------


def _write_odai(database: Database, session: Session, jokes: Sequence[Placed]) -> Mapping[Key, Row]:
    """Every odai that the batch names, as it is afterwards."""
    wanted = {key: joke for joke in jokes if (key := joke.odai_key)}
    rows = _read_odai(database, session, wanted)
    moment = now()
    new: list[Row] = []
    for key, joke in wanted.items():
        if key in rows:
            _complete_odai(session, rows[key], joke)
        else:
            new.append({**_odai_row(joke), "first_seen": moment, "last_seen": moment, "missing_count": 0})
    if new:
        _insert(session, database.insert(Odai), new)
        rows |= _read_odai(database, session, [_id_key(row) for row in new])
    return rows


def _read_odai(database: Database, session: Session, keys: Iterable[Key]) -> dict[Key, Row]:
    return {_id_key(row): row for row in _look_up(database, session, Odai, _ODAI_COLUMNS, _ID, keys)}


def _odai_row(joke: Placed) -> Row:
    record, key = joke.record, joke.odai_key
    assert key is not None
    return {
        "source": key[0],
        "external_id": key[1],
        "picture_digest": joke.digest,
        "category": record.odai_category,
        "title": record.title,
        "picture_url": record.picture_url,
        "boke_count": record.boke_count,
        "posted": record.odai_posted,
    }


def _complete_odai(session: Session, row: Row, joke: Placed) -> None:
    """Fill in what the corpus does not know of an odai; what is there, mostly a crawl's, stays."""
    values = {name: value for name, value in _odai_row(joke).items() if value is not None and row[name] is None}
    if not values:
        return
    row.update(values)
    quiet = {"synchronize_session": False}
    session.execute(update(Odai).where(Odai.id == row["id"]).values(**values), execution_options=quiet)
    if "picture_digest" in values:
        waiting = update(Boke).where(Boke.odai_id == row["id"], Boke.picture_digest.is_(None))
        session.execute(waiting.values(picture_digest=joke.digest), execution_options=quiet)


# --- jokes ----------------------------------------------------------------------------------------------------------


def _write_jokes(database: Database, session: Session, jokes: Sequence[Placed], odai: Mapping[Key, Row]) -> Saved:
    wanted = [_joke_row(joke, odai) for joke in jokes]
    by_id, by_text = _known(database, session, wanted)
    before = {row["id"]: dict(row) for row in (*by_id.values(), *by_text.values())}
    new: list[Row] = []
    for row in wanted:
        named = row["external_id"] is not None
        known = by_id.get(_id_key(row)) if named else by_text.get(_text_key(row))
        if known is None:
            new.append(row)
            if named:
                by_id[_id_key(row)] = row
            by_text.setdefault(_text_key(row), row)
        elif named:
            _replace(known, row)
        else:
            _enrich(known, row)
    moment = now()
    if new:
        seen = {"first_seen": moment, "refreshed": moment, "missing_count": 0}
        _insert(session, database.insert(Boke), [{**row, **seen} for row in new])
    changed = _changes(before, (*by_id.values(), *by_text.values()))
    if changed:
        session.execute(update(Boke), [{**row, "refreshed": moment} for row in changed])
    return Saved(len(new), len(changed), len(wanted) - len(new) - len(changed))


def _joke_row(joke: Placed, odai: Mapping[Key, Row]) -> Row:
    record = joke.record
    its_odai = odai[joke.odai_key] if joke.odai_key else None
    return {
        "source": record.source,
        "external_id": joke.boke_key[1] if joke.boke_key else None,
        # A site's odai keeps the picture that the corpus has of it, whatever size of it the file brings.
        "picture_digest": (its_odai and its_odai["picture_digest"]) or joke.digest,
        "odai_id": its_odai and its_odai["id"],
        "text": record.text,
        "text_hash": text_hash(record.text),
        **{name: getattr(record, name) for name in ("stars", "ratings", "split", "category", "url", "flagged")},
        "posted": record.posted,
        "last_rated": record.last_rated,
    }


def _id_key(row: Row) -> Key:
    return row["source"], row["external_id"]


def _text_key(row: Row) -> Key:
    return row["picture_digest"], row["text_hash"]


def _known(database: Database, session: Session, wanted: Sequence[Row]) -> tuple[dict[Key, Row], dict[Key, Row]]:
    """Rows of the corpus that the batch may mean: by id, and by picture and text. A row stands in both as one object."""
    ids = {_id_key(row) for row in wanted if row["external_id"] is not None}
    by_id = {_id_key(row): row for row in _look_up(database, session, Boke, _COLUMNS, _ID, ids)}
    texts = {_text_key(row) for row in wanted if row["external_id"] is None}
    by_text: dict[Key, Row] = {}
    for found in _look_up(database, session, Boke, _COLUMNS, _TEXT, texts):
        row = by_id.get(_id_key(found), found)
        other = by_text.get(_text_key(row))
        if other is None or _rank(row) < _rank(other):
            by_text[_text_key(row)] = row
    return by_id, by_text


def _rank(row: Row) -> tuple[bool, int]:
    """A joke without an id before the others, then the oldest."""
    return row["external_id"] is not None, row["id"]


def _replace(known: Row, row: Row) -> None:
    """The file's word on a joke of that id."""
    old = known["last_rated"] and row["last_rated"] and row["last_rated"] < known["last_rated"]
    for name in _ABOUT if old else (*_ABOUT, *_RATING):
        if row[name] is not None:
            known[name] = row[name]
    known["text"], known["text_hash"] = row["text"], row["text_hash"]
    known["flagged"] = known["flagged"] or row["flagged"]
    known["picture_digest"] = known["picture_digest"] or row["picture_digest"]


def _enrich(known: Row, row: Row) -> None:
    """What another mention of the same joke adds. A site's own rating is not touched."""
    named = known["external_id"] is not None and known["stars"] is not None
    if not named and _weight(row) > _weight(known):
        known["stars"], known["ratings"] = row["stars"], row["ratings"]
    for name in (*_ABOUT, "last_rated"):
        if known[name] is None:
            known[name] = row[name]
    known["split"] = row["split"] or known["split"]
    known["flagged"] = known["flagged"] or row["flagged"]


def _weight(row: Row) -> tuple[int, float]:
    return row["ratings"] or 0, float("-inf") if row["stars"] is None else row["stars"]


def _changes(before: Mapping[int, Row], rows: Iterable[Row]) -> list[Row]:
    changed: dict[int, Row] = {}
    for row in rows:
        if "id" in row:
            difference = {name: row[name] for name in _COLUMNS if row[name] != before[row["id"]][name]}
            if difference:
                changed[row["id"]] = {"id": row["id"], **difference}
    return list(changed.values())
