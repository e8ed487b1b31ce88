"""The door to the database: opens it by its address, migrates it, hands out sessions that any thread may use."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, CursorResult, Delete, Engine, Update, create_engine, event, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from store.errors import DatabaseBusy, DatabaseDamaged, DatabaseFull, DatabaseUnavailable
from store.tables import Base, Meta

_WRITES = "boke_writes"  # execution option: the transaction takes SQLite's write lock at once
_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


class Database:
    """An open database.

    A session belongs to one thread and one piece of work; any number of threads may have one each. Objects read in a
    session are not for use after it: copy what is needed into a dataclass.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = engine.execution_options(**{_WRITES: True})
        # Each statement would see what was committed before it; a reader wants one moment.
        postgres = engine.dialect.name == "postgresql"
        self._reading = engine.execution_options(isolation_level="REPEATABLE READ") if postgres else engine
        self._salt: bytes | None = None
        self.rest_s = 0.0  # for so long after one writer waited in vain, others do not wait either
        self._resting_until = 0.0

    @property
    def dialect(self) -> str:
        """ "sqlite" or "postgresql"."""
        return self.engine.dialect.name

    @property
    def address(self) -> str:
        """Where it is, for people: without password."""
        return shown(self.engine.url)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Read and write: commits at the end, rolls back on an exception.

        On SQLite only one such session runs at a time, others wait: keep it short, and read long lists in `reader()`.

        Raises: DatabaseBusy, DatabaseFull, DatabaseUnavailable
        """
        if time.monotonic() < self._resting_until:
            raise DatabaseBusy(f"{self.address}: another process keeps it locked; try again in a moment")
        try:
            with self._translated(), Session(self._writing) as session, session.begin():
                yield session
        except DatabaseBusy:
            self._resting_until = time.monotonic() + self.rest_s
            raise

    @contextmanager
    def reader(self) -> Iterator[Session]:
        """Read only, beside writers and for as long as it takes: one consistent view. What is written here is lost.

        Raises: DatabaseUnavailable
        """
        with self._translated(), Session(self._reading, autoflush=False) as session:
            yield session

    def insert(self, table: type[Base]) -> Any:
        """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`, in this database's dialect."""
        return (sqlite if self.dialect == "sqlite" else postgresql).insert(table)

    def hash_user(self, platform: str, user_id: str | int) -> str:
        """A person's id as it is stored: 32 hex digits under a key that only this database has.

        Ids can be counted through, so that a plain hash could be undone by anybody who sees it.
        """
        if self._salt is None:
            with self.session() as session:
                fresh = {"key": secrets.token_hex(32)}
                session.execute(self.insert(Meta).values(name="user_key", value=fresh).on_conflict_do_nothing())
                value = session.scalars(select(Meta.value).where(Meta.name == "user_key")).one()
            self._salt = bytes.fromhex(value["key"])
        return hmac.new(self._salt, f"{platform}:{user_id}".encode(), hashlib.sha256).hexdigest()[:32]

    def ping(self) -> None:
        """Ask for next to nothing, but of the database itself. Raises: DatabaseUnavailable"""
        with self.reader() as session:
            session.execute(text("SELECT count(*) FROM sqlite_master" if self.dialect == "sqlite" else "SELECT 1"))

    def close(self) -> None:
        """Give every connection back. The object can be used again afterwards; it then connects anew."""
        self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise translate(error, self.engine.url) from None
        except DBAPIError as error:
            # "malformed" and "not a database" come as a plain DatabaseError; a wrong statement is a bug and stays itself.
            if error.connection_invalidated or "sqlite3.DatabaseError" in str(type(error.orig)):
                raise translate(error, self.engine.url) from None
            raise


def open_database(url: str, *, migrate: bool = True, pool_size: int = 10, busy_timeout_s: float = 10.0) -> Database:
    """Open the database at a plain address and bring its tables up to date.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite:///:memory:` or
            `postgresql://user:password@host:port/name`. SQLite's folder is made.
        migrate: False opens it as it is.
        pool_size: most connections kept open (PostgreSQL may lend as many again for a moment).
        busy_timeout_s: how long to wait for another writer (SQLite), or for a free connection.

    Raises:
        DatabaseUnavailable, DatabaseBusy, DatabaseDamaged: it cannot be used now.
        DatabaseTooNew: it belongs to a later version of this program.
    """
    database = Database(_engine(parse_url(url), pool_size, busy_timeout_s))
    try:
        if migrate:
            from store.migrations import migrate_to_head

            with database._translated():
                migrate_to_head(database.engine)
        else:
            database.ping()
    except BaseException:
        database.close()
        raise
    return database


def count_changed(session: Session, statement: Update | Delete) -> int:
    """Run an UPDATE or DELETE; returns how many rows it met."""
    result = session.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount


def parse_url(url: str) -> URL:
    """The address with the driver that this program brings. Raises: DatabaseUnavailable"""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the message would repeat the address and what is secret in it
        raise DatabaseUnavailable(
            "the database's address cannot be read; write sqlite:///file.db or postgresql://user:password@host/name"
        ) from None
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise DatabaseUnavailable(f"no driver for {parsed.drivername!r}; use a sqlite:/// or postgresql:// address")
    return parsed.set(drivername=driver)


def shown(url: URL) -> str:
    """A plain address for people: no driver, no password."""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


def translate(error: SQLAlchemyError, url: URL) -> DatabaseUnavailable:
    """The named error, in one line without password, for what a driver raised."""
    cause = getattr(error, "orig", None) or error
    reason = next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
    if url.password:
        reason = reason.replace(str(url.password), "***")
    address = shown(url)
    lowered = reason.lower()
    if isinstance(error, PoolTimeout):
        return DatabaseBusy(f"{address}: every connection is in use; try again, or raise database.pool_size")
    if "database is locked" in lowered or "database table is locked" in lowered or "lock timeout" in lowered:
        return DatabaseBusy(f"{address}: another process keeps it locked; try again in a moment")
    if "disk is full" in lowered or "no space left" in lowered:
        return DatabaseFull(f"{address}: the disk is full; make room and try again")
    if "not a database" in lowered or "malformed" in lowered:
        return DatabaseDamaged(f"{address}: {reason}; move the file away or restore a backup")
    return DatabaseUnavailable(f"{address}: {reason}")


def _engine(url: URL, pool_size: int, busy_timeout_s: float) -> Engine:
    if url.drivername.startswith("postgresql"):
        engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=busy_timeout_s,
            pool_pre_ping=True,  # a server that was restarted meanwhile
            connect_args={"connect_timeout": 10, "application_name": "bokebot"},
            hide_parameters=True,
        )
        return engine
    if _in_memory(url):
        # One connection is the database. The pool lends it to one thread at a time (StaticPool would to several).
        pool: dict[str, Any] = {"pool_size": 1, "max_overflow": 0}
        url = URL.create(url.drivername, database=":memory:")
        arguments: dict[str, Any] = {"check_same_thread": False}
    else:
        assert url.database
        _make_folder(Path(url.database), url)
        pool = {"pool_size": pool_size, "max_overflow": pool_size}
        arguments = {"timeout": busy_timeout_s}
    engine = create_engine(
        url, poolclass=QueuePool, pool_timeout=busy_timeout_s, connect_args=arguments, hide_parameters=True, **pool
    )
    event.listen(engine, "connect", _prepare_sqlite)
    if not _in_memory(url):
        _follow_file(engine, Path(str(url.database)))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _in_memory(url: URL) -> bool:
    return url.database in (None, "", ":memory:")


def _make_folder(path: Path, url: URL) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(f"{shown(url)}: cannot make its folder: {error.strerror}") from None
    if path.is_dir():
        raise DatabaseUnavailable(f"{shown(url)}: is a folder")
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise DatabaseUnavailable(f"{shown(url)}: no permission to read and write it")


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says, DDL included
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")  # safe under WAL: a power cut may lose the last commit, never the file
    cursor.close()


def _follow_file(engine: Engine, path: Path) -> None:
    """A connection belongs to the file that it opened. Where another one took its place (a backup that was put back), what
    it would write is lost: it is closed, and the file that is there now is opened.
    """

    def identity() -> tuple[int, int] | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def note(_connection: object, record: Any) -> None:
        record.info["file"] = identity()

    def compare(_connection: object, record: Any, _proxy: object) -> None:
        if record.info["file"] != identity():
            raise DisconnectionError("the file was replaced")

    event.listen(engine, "connect", note)
    event.listen(engine, "checkout", compare)


def _begin_sqlite(connection: Any) -> None:
    # A transaction that reads first and writes later fails at once, without waiting, if somebody wrote in between.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
