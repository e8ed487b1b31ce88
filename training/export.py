"""The whole corpus as a corpus file with its pictures beside it, so that nobody's data is locked in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import func, select

from store.database import Database
from store.tables import Boke, Odai, Picture
from training.errors import CorpusDiskFull, ExportFailed, no_room
from training.importers.jsonlines import OWN
from training.importers.records import IMPORTED
from training.importers.saving import given_id
from training.progress import Report, quiet

ROWS = 2000
PICTURES = "images"  # folder beside the file


@dataclass(frozen=True)
class ExportReport:
    """What was written.

    Attributes:
        jokes, pictures: lines, and files that were not there yet.
        waiting: jokes left out because their picture was not fetched yet.
        lost: jokes left out because their picture's file is gone from data.dir.
    """

    jokes: int
    pictures: int
    waiting: int
    lost: int


def export_corpus(database: Database, data_dir: Path, out: Path, *, report: Report = quiet) -> ExportReport:
    """Write all jokes, unfiltered, in the order they came; importing the file gives the same corpus.

    The file is there when it is complete, not before. What the corpus knows beyond the format stands under one key.

    Raises: ExportFailed, CorpusDiskFull, DatabaseUnavailable
    """
    half = out.with_name(out.name + ".part")
    jokes = pictures = lost = 0
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        waiting, total = _counts(database)
        with half.open("w", encoding="utf-8", newline="\n") as stream:
            for row in _rows(database):
                image = _image(row.path)
                new = _bring(data_dir / row.path, out.parent / image)
                if new is None:
                    lost += 1
                    continue
                jokes += 1
                pictures += new
                stream.write(json.dumps(_line(row, image), ensure_ascii=False) + "\n")
                if jokes % ROWS == 0:
                    report("export", jokes, total)
        half.replace(out)
    except OSError as error:
        if no_room(error):
            raise CorpusDiskFull(f"{out.parent}: no room is left; make room and export again") from None
        raise ExportFailed(f"{out}: cannot be written: {error.strerror}") from None
    finally:
        half.unlink(missing_ok=True)
    report("export", total, total)
    return ExportReport(jokes, pictures, waiting, lost)


def _rows(database: Database) -> Iterator[Any]:
    query = (
        select(
            Boke.source,
            Boke.external_id,
            Boke.text,
            Boke.stars,
            Boke.ratings,
            Boke.split,
            Boke.url,
            Boke.category,
            Boke.flagged,
            Boke.posted,
            Boke.last_rated,
            Odai.source.label("odai_source"),
            Odai.external_id.label("odai_external_id"),
            Odai.title,
            Odai.category.label("odai_category"),
            Odai.posted.label("odai_posted"),
            Odai.boke_count,
            Odai.picture_url,
            Picture.path,
        )
        .join(Picture, Boke.picture_digest == Picture.digest)
        .join(Odai, Boke.odai_id == Odai.id, isouter=True)
        .order_by(Boke.id)
    )
    with database.reader() as session:
        yield from session.execute(query, execution_options={"yield_per": ROWS})


def _counts(database: Database) -> tuple[int, int]:
    """Jokes without a picture, and with one."""
    with database.reader() as session:
        query = select(func.count(), func.count(Boke.picture_digest)).select_from(Boke)
        every, pictured = session.execute(query).one()
    return every - pictured, pictured


def _image(path: str) -> str:
    """From data.dir's pictures/aa/digest.jpg to images/aa/digest.jpg."""
    return PurePosixPath(PICTURES, *PurePosixPath(path).parts[1:]).as_posix()


def _bring(source: Path, target: Path) -> bool | None:
    """Copy a picture unless it is there; True: it is new, None: there is nothing to copy.

    A copy, not a link: who edits an exported picture must not change the corpus.
    """
    try:
        size = source.stat().st_size
    except FileNotFoundError:
        return None
    if target.is_file() and target.stat().st_size == size:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(source, half)
        half.replace(target)
    finally:
        half.unlink(missing_ok=True)
    return True


def _line(row: Any, image: str) -> dict[str, Any]:
    own = {
        "source": None if row.source == IMPORTED else row.source,
        "category": row.category,
        "flagged": row.flagged or None,
        "posted": _moment(row.posted),
        "last_rated": _moment(row.last_rated),
        "title": row.title,
        "odai_category": row.odai_category,
        "odai_posted": _moment(row.odai_posted),
        "boke_count": row.boke_count,
        "picture_url": row.picture_url,
    }
    known = {
        "stars": int(row.stars) if row.stars is not None and row.stars.is_integer() else row.stars,
        "ratings": row.ratings,
        "split": row.split,
        "odai_id": _id(row.odai_source, row.odai_external_id),
        "boke_id": _id(row.source, row.external_id),
        "url": row.url,
        OWN: {name: value for name, value in own.items() if value is not None} or None,
    }
    return {"image": image, "text": row.text, **{name: value for name, value in known.items() if value is not None}}


def _id(source: str, stored: str | None) -> int | str | None:
    if stored is None:
        return None
    given = given_id(source, stored)
    return int(given) if given.isascii() and given.isdigit() and str(int(given)) == given else given


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
