"""BoketeDB v3: folders of Parquet files, `odai/`, `boke/`, and pictures as `image/{batch}/{odai id}.jpg`.

A batch is 10,000 odai. Only the columns that are used are read, some thousand rows at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from training.errors import ImportFailed, ParquetMissing
from training.importers.records import BadLine, NotAJoke, Record, count_in, id_in, number_in, text_in, words_in

SOURCE = "bokete"
ROWS = 2000
BATCH = 10_000  # odai whose pictures share a folder
SURE = 0.5  # of a word read in a picture; below that it is mostly noise
_BOKE = ("id", "odaiId", "date", "text", "isNG", "rateSum", "rateCount", "lastRateDate", "category")
_ODAI = ("id", "date", "bokeCount", "category", "largeURL", "imageOCR")
_JAPAN = ZoneInfo("Asia/Tokyo")  # the site's own clock; the files' moments name no zone


def is_boketedb(folder: Path) -> bool:
    """Does a folder look like one?"""
    return (folder / "boke").is_dir() and (folder / "odai").is_dir()


def read(folder: Path) -> Iterator[Record | BadLine]:
    """The jokes of all files, in the order of their names; positions count rows.

    Raises:
        ParquetMissing: pyarrow is not installed.
        ImportFailed: a file is no Parquet file or lacks a column that is needed.
    """
    arrow = _pyarrow()
    try:
        odai = arrow.dataset.dataset(folder / "odai", format="parquet")
        boke = arrow.dataset.dataset(folder / "boke", format="parquet")
        for needed, found in (({"id", "odaiId", "text"}, boke), ({"id"}, odai)):
            if missing := needed - set(found.schema.names):
                raise ImportFailed(f"{folder}: there is no column {', '.join(sorted(missing))}")
        yield from _jokes(arrow, folder, odai, boke)
    except (arrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ImportFailed(f"{folder}: the Parquet files cannot be read: {reason}") from None


def count(folder: Path) -> int:
    """How many jokes the files hold. Raises: as `read`"""
    arrow = _pyarrow()
    try:
        return int(arrow.dataset.dataset(folder / "boke", format="parquet").count_rows())
    except (arrow.ArrowException, OSError) as error:
        raise ImportFailed(
            f"{folder}: the Parquet files cannot be read: {' '.join(str(error).split())[:200]}"
        ) from None


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.dataset
    except ImportError:
        raise ParquetMissing("reading Parquet needs pyarrow: pip install pyarrow") from None
    return pyarrow


def _jokes(arrow: Any, folder: Path, odai: Any, boke: Any) -> Iterator[Record | BadLine]:
    columns = [name for name in _BOKE if name in boke.schema.names]
    odai_columns = [name for name in _ODAI if name in odai.schema.names]
    # No read-ahead: it would hold many files' batches in memory.
    options = {"batch_size": ROWS, "batch_readahead": 1, "fragment_readahead": 1, "use_threads": False}
    line = 0
    for batch in boke.to_batches(columns=columns, **options):
        rows = batch.to_pylist()
        wanted = sorted({row["odaiId"] for row in rows if isinstance(row.get("odaiId"), int)})
        matching = arrow.compute.field("id").isin(wanted)
        table = odai.to_table(columns=odai_columns, filter=matching, use_threads=False)
        about = {row["id"]: row for row in table.to_pylist()}
        for row in rows:
            line += 1
            try:
                yield _record(folder, row, about.get(row.get("odaiId"), {}), line)
            except NotAJoke as error:
                yield BadLine(line, line, str(error))


def _record(folder: Path, row: Mapping[str, Any], odai: Mapping[str, Any], line: int) -> Record:
    odai_id = row.get("odaiId")
    if not isinstance(odai_id, int):
        raise NotAJoke('"odaiId" is missing')
    boke_id = id_in(row, "id")
    stars = number_in({"rateSum": _number(row.get("rateSum"))}, "rateSum")
    return Record(
        line=line,
        position=line,
        picture=_picture(folder, odai_id),
        text=text_in(row, "text"),
        source=SOURCE,
        boke_id=boke_id,
        odai_id=str(odai_id),
        stars=None if stars is None else round(stars, 3),  # a float of 32 bits in the file
        ratings=count_in({"rateCount": _number(row.get("rateCount"))}, "rateCount"),
        url=None if boke_id is None else f"https://bokete.jp/boke/{boke_id}",
        category=words_in(row, "category", 64),
        flagged=row.get("isNG") is True,
        posted=_moment(row.get("date")),
        last_rated=_moment(row.get("lastRateDate")),
        title=_words(odai.get("imageOCR")),
        odai_category=words_in(odai, "category", 64),
        odai_posted=_moment(odai.get("date")),
        boke_count=count_in({"bokeCount": _number(odai.get("bokeCount"))}, "bokeCount"),
        picture_url=words_in(odai, "largeURL", 512),
    )


def _picture(folder: Path, odai_id: int) -> Path:
    """Batches are named by their first odai; by their number in case."""
    first = folder / "image" / str(odai_id // BATCH * BATCH) / f"{odai_id}.jpg"
    numbered = folder / "image" / str(odai_id // BATCH) / f"{odai_id}.jpg"
    return numbered if not first.exists() and numbered.exists() else first


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, datetime):
        return None
    try:
        return (value if value.tzinfo else value.replace(tzinfo=_JAPAN)).astimezone(UTC)
    except OverflowError:
        return None


def _words(found: Any) -> str | None:
    """Words read in the picture, as far as the reader was sure of them."""
    if not isinstance(found, list):
        return None
    sure = (word for word in found if isinstance(word, Mapping) and _score(word) >= SURE)
    return " ".join(filter(None, (words_in(word, "content") for word in sure))) or None


def _score(word: Mapping[str, Any]) -> float:
    score = word.get("rec_score")
    return score if isinstance(score, float) else 1.0
