"""From parsed pages to the corpus, in the caller's transaction: what is new is added, what is known is brought up to date."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from store.database import Database
from store.tables import Boke, Odai, Picture
from store.text import text_hash
from training.crawl.parsed import Page, ParsedBoke, ParsedOdai
from training.crawl.reading import clip
from training.pictures import KeptPicture

SOURCE = "bokete"
SIZES = (240, 400, 600)  # of one picture, as the site names them; one is enough
MAX_PICTURE_URL = 512


@dataclass(frozen=True)
class Stored:
    """What a page brought.

    Attributes:
        jokes: external ids of all jokes on the page.
        fresh: of these, how many the corpus did not have when the night began.
        pictures: addresses of pictures that are still to be fetched.
        odai: external ids of all odai on the page.
        oldest: when the page's odai, or its oldest joke, was posted or seen first.
    """

    new_odai: int
    new_boke: int
    updated_boke: int
    fresh: int
    jokes: tuple[str, ...]
    pictures: tuple[str, ...]
    odai: tuple[str, ...]
    oldest: datetime


def store_page(session: Session, page: Page, moment: datetime, *, base_url: str, night: datetime) -> Stored:
    """Write what a page holds. `night`: when this night began; what was first seen since then counts as fresh."""
    known = {row.external_id: row for row in session.scalars(_known(Boke, (b.external_id for b in page.jokes)))}
    posed = [odai for odai in page.odai if not _says_nothing(odai, page, known)]
    rows = {row.external_id: row for row in session.scalars(_known(Odai, (o.external_id for o in posed)))}
    new_odai = [odai for odai in posed if odai.external_id not in rows]
    for odai in new_odai:
        rows[odai.external_id] = Odai(source=SOURCE, external_id=odai.external_id, first_seen=moment, missing_count=0)
        session.add(rows[odai.external_id])
    named = _places(session, posed)
    for odai in posed:
        _update_odai(rows[odai.external_id], odai, named, moment)
    session.flush()  # jokes need the keys of new odai

    stored: list[str] = []
    fresh = 0
    for boke in page.jokes:
        row = known.get(boke.external_id)
        odai_row = rows.get(boke.odai_id)
        if row is None and odai_row is None:
            continue
        if row is None:
            row = Boke(source=SOURCE, external_id=boke.external_id, first_seen=moment, missing_count=0, text="")
            row.url = f"{base_url}/boke/{boke.external_id}"
            session.add(row)
        stored.append(boke.external_id)
        fresh += row.first_seen >= night
        _update_boke(row, boke, odai_row, moment)
    session.flush()
    seen = [row.posted or row.first_seen for row in rows.values()]
    return Stored(
        new_odai=len(new_odai),
        new_boke=len(set(stored) - known.keys()),
        updated_boke=len(known),
        fresh=fresh,
        jokes=tuple(stored),
        pictures=tuple({r.picture_url: None for r in rows.values() if r.picture_url and r.picture_digest is None}),
        odai=tuple(rows),
        oldest=min(seen, default=moment),
    )


def unseen_jokes(session: Session, odai_id: str, shown: Iterable[str], before: datetime) -> list[str]:
    """External ids of an odai's jokes that its page no longer shows and whose stars were last read before that moment."""
    query = (
        select(Boke.external_id)
        .join(Odai, Boke.odai_id == Odai.id)
        .where(Odai.source == SOURCE, Odai.external_id == odai_id, Boke.refreshed < before)
    )
    return sorted({found for found in session.scalars(query) if found} - set(shown))


def store_picture(session: Session, database: Database, url: str, picture: KeptPicture, moment: datetime) -> None:
    """The file is there: every odai of that address, and their jokes, get it."""
    values = {
        "digest": picture.digest,
        "path": picture.path,
        "width": picture.width,
        "height": picture.height,
        "bytes": picture.bytes,
        "added": moment,
    }
    session.execute(database.insert(Picture).values(**values).on_conflict_do_nothing(index_elements=["digest"]))
    mine = select(Odai.id).where(Odai.picture_url == url, Odai.picture_digest.is_(None))
    session.execute(
        update(Boke).where(Boke.odai_id.in_(mine), Boke.picture_digest.is_(None)).values(picture_digest=picture.digest),
        execution_options={"synchronize_session": False},
    )
    session.execute(
        update(Odai)
        .where(Odai.picture_url == url, Odai.picture_digest.is_(None))
        .values(picture_digest=picture.digest),
        execution_options={"synchronize_session": False},
    )


def mark_missing(session: Session, kind: str, external_id: str, moment: datetime) -> bool:
    """A 404 for an odai (its jokes are gone with it) or a joke. False: the corpus has nothing of it."""
    jokes: list[Boke] = []
    rows: list[Odai | Boke] = []
    if kind == "odai":
        odai = session.scalars(_known(Odai, [external_id])).one_or_none()
        if odai is not None:
            jokes = list(session.scalars(select(Boke).where(Boke.odai_id == odai.id, Boke.source == SOURCE)))
            rows = [odai]
    else:
        jokes = list(session.scalars(_known(Boke, [external_id])))
    for row in (*rows, *jokes):
        row.missing_since = row.missing_since or moment
        row.missing_count += 1
    return bool(rows or jokes)


def ripe(
    session: Session, kind: str, external_id: str, moment: datetime, count: int, days: float
) -> set[tuple[Literal["odai", "boke"], str]]:
    """The odai or joke that was just missing, and an odai's jokes: those of them that were so often and long enough."""
    since = moment - timedelta(days=days)
    bokes = select(Boke.external_id).where(
        Boke.source == SOURCE, Boke.missing_count >= count, Boke.missing_since <= since
    )
    if kind == "boke":
        return {("boke", found) for found in session.scalars(bokes.where(Boke.external_id == external_id)) if found}
    odai = session.scalars(_known(Odai, [external_id])).one()
    own = session.scalars(bokes.where(Boke.odai_id == odai.id))
    found: set[tuple[Literal["odai", "boke"], str]] = {("boke", external) for external in own if external}
    if odai.missing_count >= count and odai.missing_since is not None and odai.missing_since <= since:
        found.add(("odai", external_id))
    return found


def seen_since(session: Session, kind: str, external_id: str) -> datetime | None:
    """When an odai or a joke was posted, or else seen first; None: the corpus does not have it."""
    if kind not in ("odai", "boke"):
        return None
    row = session.scalars(_known(Odai if kind == "odai" else Boke, [external_id])).one_or_none()
    return None if row is None else row.posted or row.first_seen


def remove_jokes(session: Session, external_ids: Iterable[str]) -> None:
    """Take jokes out of the corpus."""
    for batch in _batches(list(external_ids)):
        session.execute(delete(Boke).where(Boke.source == SOURCE, Boke.external_id.in_(batch)))


def _known(table: type[Odai] | type[Boke], external_ids: Iterable[str]) -> Any:
    return select(table).where(table.source == SOURCE, table.external_id.in_(list(external_ids)))


@dataclass(frozen=True)
class _Place:
    """Where a picture is fetched from, or already is."""

    url: str
    digest: str | None = None


def _places(session: Session, odai: Iterable[ParsedOdai]) -> dict[str, _Place]:
    """For each picture that the page names: the address that stands for it in the corpus, whatever size was named first."""
    wanted = {o.picture_url for o in odai if o.picture_url and len(o.picture_url) <= MAX_PICTURE_URL}
    addresses = {url: address for address in wanted for url in _sizes(address)}
    query = select(Odai.picture_url, Odai.picture_digest).where(Odai.picture_url.in_(list(addresses))).distinct()
    places: dict[str, _Place] = {}
    for url, digest in session.execute(query):
        for address in wanted:
            if url in _sizes(address) and (address not in places or digest):
                places[address] = _Place(url, digest)
    taken: dict[str, _Place] = {}
    for address in sorted(wanted):
        key = _sizes(address)[0]
        place = places.get(address) or taken.get(key) or _Place(address)
        places[address] = taken[key] = place
    return places


def _sizes(url: str) -> list[str]:
    """The addresses of one picture in all its sizes; just the one where it is not of the site's form."""
    for size in SIZES:
        folder, tail = f"/photo/odai/{size}/", f"_{size}."
        if folder in url and tail in url:
            return [url.replace(folder, f"/photo/odai/{s}/").replace(tail, f"_{s}.") for s in SIZES]
    return [url]


def _says_nothing(odai: ParsedOdai, page: Page, known: dict[str | None, Boke]) -> bool:
    """A picture without an odai's id, whose jokes the corpus has under the odai itself."""
    own = [boke.external_id for boke in page.jokes if boke.odai_id == odai.external_id]
    return not odai.external_id.isdecimal() and all(external_id in known for external_id in own)


def _update_odai(row: Odai, odai: ParsedOdai, places: dict[str, _Place], moment: datetime) -> None:
    place = places.get(odai.picture_url or "")
    if place is not None and row.picture_digest is None:
        row.picture_url = place.url
        row.picture_digest = place.digest
    row.category = clip(odai.category, 64) or row.category
    row.title = odai.title or row.title
    row.boke_count = odai.boke_count if odai.boke_count is not None else row.boke_count
    row.posted = odai.posted or row.posted
    row.last_seen = moment
    row.missing_since, row.missing_count = None, 0


def _update_boke(row: Boke, boke: ParsedBoke, odai: Odai | None, moment: datetime) -> None:
    if row.text != boke.text:
        row.text, row.text_hash = boke.text, text_hash(boke.text)
    if odai is not None and (row.odai_id is None or odai.external_id.isdecimal()):
        row.odai_id = odai.id
        row.picture_digest = odai.picture_digest or row.picture_digest
    row.stars = float(boke.stars) if boke.stars is not None else row.stars
    row.ratings = boke.ratings if boke.ratings is not None else row.ratings
    row.category = clip(boke.category, 64) or row.category
    row.flagged = boke.flagged or bool(row.flagged)
    row.posted = boke.posted or row.posted
    row.last_rated = boke.last_rated or row.last_rated
    row.refreshed = moment
    row.missing_since, row.missing_count = None, 0


def _batches(items: list[str], size: int = 500) -> Iterable[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
