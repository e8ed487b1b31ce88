"""Copies of the whole database: out to one file while the program runs, and back from it.

SQLite's are SQLite files, made by its online backup; PostgreSQL's are archives of `pg_dump`, read by `pg_restore`. Both come
from the command lines `python -m store.backup` and `python -m store.restore`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL, func, select

from store.database import Database, open_database, parse_url, shown
from store.errors import DatabaseBusy, DatabaseError, DatabaseUnavailable
from store.tables import Base, Meta

PAGES = 256  # copied at a time, so that writers get their turn


class CopyError(DatabaseError):
    """No copy could be made or read; the message says why and what to do."""


def back_up(url: str, file: Path) -> int:
    """Write the database at a plain address into a file, whole or not at all; returns its bytes.

    Others may read and write the database meanwhile: the copy is of one moment. A file that is there is replaced.

    Raises: CopyError, DatabaseUnavailable
    """
    open_database(url, migrate=False).close()  # its errors say what is wrong with it
    half = file.with_name(f".{file.name}.half")
    try:
        half.parent.mkdir(parents=True, exist_ok=True)
        if parse_url(url).get_backend_name() == "sqlite":
            with _sqlite(_path(url)) as source, _sqlite(half) as target:
                source.backup(target, pages=PAGES)
                target.execute("PRAGMA journal_mode=DELETE")  # one file, also for whoever opens it
                _check(target, file)
        else:
            _run("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={half}")
        with half.open("rb") as written:
            os.fsync(written.fileno())
        half.replace(file)
    except sqlite3.Error as error:
        raise CopyError(f"{file}: no copy was made: {error}") from None
    except OSError as error:
        raise CopyError(f"{file}: cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            half.unlink()
    return file.stat().st_size


def restore(url: str, file: Path, *, force: bool = False, busy_timeout_s: float = 10.0) -> None:
    """Put a copy in the place of what the database holds, whole or not at all, and bring it up to date.

    Nobody else should use the database meanwhile.

    Args:
        force: also where the database holds something already.

    Raises: CopyError, DatabaseUnavailable
    """
    database = open_database(url, busy_timeout_s=busy_timeout_s)
    try:
        held = 0 if force else _rows(database)
    finally:
        database.close()
    if held:
        raise CopyError(f"{database.address} holds {held:,} rows; --force replaces them by what is in {file}")
    if not file.is_file():
        raise CopyError(f"{file}: there is no such file")
    if database.dialect == "sqlite":
        try:
            with _sqlite(file, read_only=True) as source, _sqlite(_path(url), busy_timeout_s) as target:
                _check(source, file)
                _locked(target, url)
                source.backup(target)
        except sqlite3.Error as error:
            raise CopyError(f"{file}: is no copy that can be read: {error}") from None
    else:
        options = ("--clean", "--if-exists", "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
        _run("pg_restore", url, *options, f"--dbname={_without_password(parse_url(url))}", str(file))
    open_database(url, busy_timeout_s=busy_timeout_s).close()


def _rows(database: Database) -> int:
    """How many rows there are, beside what every database has from the start."""
    with database.reader() as session:
        tables = [table for table in Base.metadata.sorted_tables if table.name != Meta.__tablename__]
        return sum(session.scalar(select(func.count()).select_from(table)) or 0 for table in tables)


@contextlib.contextmanager
def _sqlite(path: Path, busy_timeout_s: float = 10.0, *, read_only: bool = False) -> Iterator[sqlite3.Connection]:
    address = f"{path.absolute().as_uri()}?mode=ro" if read_only else path.absolute().as_uri()
    with contextlib.closing(sqlite3.connect(address, busy_timeout_s, isolation_level=None, uri=True)) as connection:
        yield connection


def _check(copy: sqlite3.Connection, file: Path) -> None:
    (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise CopyError(f"{file}: the copy is damaged: {verdict}")
    if not copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
        raise CopyError(f"{file}: is no copy of this program's database")


def _locked(target: sqlite3.Connection, url: str) -> None:
    """SQLite's backup does not wait for a writer; this does."""
    try:
        target.execute("BEGIN IMMEDIATE")
        target.execute("ROLLBACK")
    except sqlite3.OperationalError:
        raise DatabaseBusy(f"{shown(parse_url(url))}: somebody is writing; stop the bot and try again") from None


def _path(url: str) -> Path:
    path = parse_url(url).database
    if path in (None, "", ":memory:"):
        raise CopyError("a database in memory cannot be copied")
    return Path(str(path))


def _run(program: str, url: str, *arguments: str) -> None:
    """A program of PostgreSQL's. The password goes by the environment: everybody can read a command line."""
    if shutil.which(program) is None:
        raise CopyError(f"{program} is not installed: it comes with PostgreSQL's client programs (postgresql-client)")
    parsed = parse_url(url)
    where = () if program == "pg_restore" else (f"--dbname={_without_password(parsed)}",)
    environment = {
        **os.environ,
        "PGCONNECT_TIMEOUT": "10",
        **({"PGPASSWORD": parsed.password} if parsed.password else {}),
    }
    done = subprocess.run(
        [program, "--no-password", *where, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = next(
            (line.strip() for line in done.stderr.splitlines() if line.strip()), f"exit code {done.returncode}"
        )
        raise CopyError(f"{shown(parsed)}: {reason.replace(str(parsed.password or program), program)}")


def _without_password(url: URL) -> str:
    return url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)


__all__ = ["CopyError", "DatabaseUnavailable", "back_up", "restore"]
