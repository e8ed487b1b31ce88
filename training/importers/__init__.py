"""Jokes from files into the corpus: the corpus file itself, the article's items.json, BoketeDB's folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bokemodel.pictures import MAX_PIXELS
from store.database import Database
from training.errors import ImportFailed
from training.importers import boketedb, items_json, jsonlines
from training.importers.files import Broken, NoFile, PictureFiles
from training.importers.lines import first_object
from training.importers.records import BadLine, Record
from training.importers.saving import Placed, save
from training.progress import Report, quiet

BATCH = 2000  # jokes written in one transaction
NAMED = 20  # bad lines and broken pictures that are named; all are counted


@dataclass(frozen=True)
class ImportReport:
    """What an import did, so far or at its end.

    Attributes:
        lines: lines (rows) that hold anything.
        added, updated, same: jokes that were new, that the file knew more of, that were there already.
        bad: lines that are no joke or whose picture is not there.
        pictureless: jokes left out because their picture's file is no picture.
        pictures: files that the corpus did not have.
        broken: files that are no picture.
        problems: the first of the bad lines and broken pictures, "file:line: why".
    """

    lines: int = 0
    added: int = 0
    updated: int = 0
    same: int = 0
    bad: int = 0
    pictureless: int = 0
    pictures: int = 0
    broken: int = 0
    problems: tuple[str, ...] = ()

    def with_problems(self, lines: Sequence[str]) -> ImportReport:
        """The report with more problems named, as long as there is room."""
        return replace(self, problems=(*self.problems, *lines)[:NAMED]) if len(self.problems) < NAMED else self

    def plus(self, other: ImportReport) -> ImportReport:
        """Both together."""
        counts = ("lines", "added", "updated", "same", "bad", "pictureless", "pictures", "broken")
        total = replace(self, **{name: getattr(self, name) + getattr(other, name) for name in counts})
        return total.with_problems(other.problems)


def import_files(
    database: Database,
    data_dir: Path,
    paths: Sequence[Path],
    *,
    max_pixels: int = MAX_PIXELS,
    report: Report = quiet,
) -> ImportReport:
    """Take files' jokes and pictures into the corpus. The same file again changes nothing.

    Args:
        data_dir: `data.dir`; pictures are copied below it.
        paths: files of JSON lines, the article's items.json, folders of BoketeDB v3; told apart by what they hold.
        max_pixels: larger pictures count as broken.

    Raises:
        ImportFailed: a file cannot be read, or more than half of its lines are bad. Files before it, and its good lines,
            are in the corpus.
        ParquetMissing, CorpusDiskFull, DatabaseUnavailable
    """
    readers = [_reader(path) for path in paths]  # a name misspelled is said before hours of work
    total = ImportReport()
    for reader in readers:
        done = _import(database, PictureFiles(database, data_dir, max_pixels), reader, report)
        total = total.plus(done)
        if done.bad * 2 > done.lines:
            first = done.problems[0] if done.problems else ""
            raise ImportFailed(
                f"{reader.path}: {done.bad:,} of {done.lines:,} lines are no jokes with a picture, so it may be no corpus "
                f"at all; the others are in. The first: {first}"
            )
    return total


@dataclass(frozen=True)
class _Reader:
    path: Path
    records: Iterator[Record | BadLine]
    size: int  # in the records' positions


def _reader(path: Path) -> _Reader:
    try:
        if path.is_dir():
            if boketedb.is_boketedb(path):
                return _Reader(path, boketedb.read(path), boketedb.count(path))
            raise ImportFailed(f"{path}: is a folder, and not BoketeDB's: there is no boke/ and odai/ in it")
        first = first_object(path) or {}
        reader = items_json if "boke" in first and "images" in first else jsonlines
        return _Reader(path, reader.read(path), path.stat().st_size)
    except OSError as error:
        raise ImportFailed(f"{path}: cannot be read: {error.strerror}") from None


def _import(database: Database, files: PictureFiles, reader: _Reader, report: Report) -> ImportReport:
    done = ImportReport()
    stage = f"import {reader.path.name}"
    try:
        for batch in _batches(reader.records):
            done = done.plus(_import_batch(database, files, reader.path, batch))
            report(stage, min(batch[-1].position, reader.size), reader.size)
    except OSError as error:
        raise ImportFailed(f"{reader.path}: cannot be read: {error.strerror}") from None
    report(stage, reader.size, reader.size)
    return done


def _import_batch(
    database: Database, files: PictureFiles, path: Path, batch: Sequence[Record | BadLine]
) -> ImportReport:
    brought = files.bring(item.picture for item in batch if isinstance(item, Record))
    jokes: list[Placed] = []
    problems: list[str] = list(brought.broken)
    bad = pictureless = 0
    for item in batch:
        if isinstance(item, BadLine):
            bad += 1
            problems.append(f"{path}:{item.line}: {item.reason}")
            continue
        found = brought.found[str(item.picture)]
        if isinstance(found, str):
            jokes.append(Placed(item, found))
        elif isinstance(found, NoFile):
            bad += 1
            problems.append(f"{path}:{item.line}: {item.picture}: {found.reason}")
        elif isinstance(found, Broken):
            pictureless += 1
    saved = save(database, brought.kept, jokes)
    return ImportReport(
        lines=len(batch),
        added=saved.added,
        updated=saved.updated,
        same=saved.same,
        bad=bad,
        pictureless=pictureless,
        pictures=len(brought.kept),
        broken=len(brought.broken),
        problems=tuple(problems[:NAMED]),
    )


def _batches(records: Iterator[Record | BadLine]) -> Iterator[list[Record | BadLine]]:
    batch: list[Record | BadLine] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
