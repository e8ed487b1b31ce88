"""Opening, migrating and sharing a database; what goes wrong is a named error in one line without password."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from store.database import Database, open_database, parse_url, shown
from store.errors import (
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseError,
    DatabaseFull,
    DatabaseTooNew,
    DatabaseUnavailable,
)
from store.tables import Meta, Picture
from tests.conftest import PASSWORD


def note(name: str, **value: Any) -> Meta:
    return Meta(name=name, value=value)


def names(database: Database) -> list[str]:
    with database.reader() as session:
        return sorted(session.scalars(select(Meta.name)))


def assert_one_line_without_password(error: BaseException) -> None:
    assert "\n" not in str(error)
    shown_chain = [str(error), repr(error), str(error.__cause__)]
    assert (
        error.__suppress_context__ or error.__context__ is None
    )  # the driver's own error, which may say more, is not printed
    assert not any(PASSWORD in part for part in shown_chain)


def test_commits_at_the_end(any_database: Database) -> None:
    with any_database.session() as session:
        session.add(note("a"))
    assert names(any_database) == ["a"]


def test_rolls_back_on_an_exception(any_database: Database) -> None:
    def fail(session: Session) -> None:
        session.add(note("a"))
        session.flush()
        raise KeyError("a")

    with pytest.raises(KeyError), any_database.session() as session:
        fail(session)
    assert names(any_database) == []


def test_a_reader_keeps_nothing(any_database: Database) -> None:
    with any_database.reader() as session:
        session.add(note("a"))
        session.flush()
    assert names(any_database) == []


def test_a_broken_rule_stays_what_it_is(any_database: Database) -> None:
    with any_database.session() as session:
        session.add(note("a"))
    with pytest.raises(IntegrityError), any_database.session() as session:
        session.add(note("a"))


def test_threads_do_not_lose_each_others_changes(any_database: Database) -> None:
    with any_database.session() as session:
        session.add(note("count", value=0))

    def add_one(_: int) -> None:
        with any_database.session() as session:
            row = session.scalars(select(Meta).with_for_update()).one()
            row.value = {"value": row.value["value"] + 1}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_one, range(100)))
    with any_database.reader() as session:
        assert session.scalars(select(Meta.value)).one() == {"value": 100}


def test_threads_share_a_database_in_memory() -> None:
    database = open_database("sqlite:///:memory:")

    def add(number: int) -> None:
        with database.session() as session:
            session.add(note(f"{number:02}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert names(database) == [f"{number:02}" for number in range(40)]
    database.close()


def test_a_reader_sees_one_moment_while_others_write(any_database: Database) -> None:
    with any_database.session() as session:
        session.add(note("before"))
    with any_database.reader() as session:
        assert session.scalars(select(func.count()).select_from(Meta)).one() == 1
        with any_database.session() as writer:
            writer.add(note("meanwhile"))
        assert session.scalars(select(func.count()).select_from(Meta)).one() == 1
    assert names(any_database) == ["before", "meanwhile"]


def test_it_can_be_used_again_after_close(any_database: Database) -> None:
    any_database.close()
    with any_database.session() as session:
        session.add(note("a"))
    assert names(any_database) == ["a"]


def test_sqlite_makes_its_folder_and_is_set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = open_database("sqlite:///data/deeper/boke.db", busy_timeout_s=1.5)
    with database.engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {p}").scalar() for p in ("journal_mode", "foreign_keys", "busy_timeout")
        ]
    database.close()
    assert pragmas == ["wal", 1, 1500]
    assert (tmp_path / "data/deeper/boke.db").is_file()


# --- users' ids -----------------------------------------------------------------------------------------------------


def test_user_hashes_are_stable_and_of_this_database_only(any_database_url: str) -> None:
    database, other = open_database(any_database_url), open_database("sqlite://")
    first = database.hash_user("discord", 80351110224678912)
    database.close()
    again = open_database(any_database_url)
    assert again.hash_user("discord", "80351110224678912") == first
    assert len(first) == 32
    assert "80351110224678912" not in first
    assert again.hash_user("slack", "80351110224678912") != first
    assert other.hash_user("discord", 80351110224678912) != first
    again.close()


def test_two_processes_agree_about_the_key_of_the_hashes(any_database_url: str) -> None:
    open_database(any_database_url).close()
    databases = [open_database(any_database_url) for _ in range(6)]
    barrier = threading.Barrier(6)

    def ask(database: Database) -> str:
        barrier.wait()
        return database.hash_user("web", "1")

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(ask, databases))) == 1
    for database in databases:
        database.close()


# --- migrating ------------------------------------------------------------------------------------------------------


def test_processes_that_migrate_at_once_wait_for_each_other(any_database_url: str) -> None:
    program = "import sys; sys.stdin.read(1); from store.database import open_database; open_database(sys.argv[1])"
    command = [sys.executable, "-c", "import store.migrations;" + program, any_database_url]
    root = Path(__file__).resolve().parents[2]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"g")
        process.stdin.flush()
    results = [(process.communicate()[1].decode(), process.returncode) for process in processes]
    assert results == [("", 0)] * 3
    database = open_database(any_database_url, migrate=False)
    with database.reader() as session:
        newest = max(path.name[:4] for path in (root / "store" / "migrations" / "versions").glob("*.py"))
        assert session.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [newest]
    database.close()


def test_a_database_of_a_later_version_is_left_alone(any_database_url: str) -> None:
    database = open_database(any_database_url)
    with database.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(DatabaseTooNew, match=r"9999.*update the program") as caught:
        open_database(any_database_url)
    assert "\n" not in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_without_migrating_no_table_is_made(any_database_url: str) -> None:
    database = open_database(any_database_url, migrate=False)
    with database.engine.connect() as connection:
        assert not database.engine.dialect.has_table(connection, "boke")
    database.close()


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"port": 1},
        {"password": PASSWORD + "-wrong"},
        {"database": "no_such_database"},
        {"host": "no-such-host.invalid"},
    ],
)
def test_an_unreachable_server(postgres_url: str, change: dict[str, Any]) -> None:
    url = parse_url(postgres_url).set(**change).render_as_string(hide_password=False)
    with pytest.raises(DatabaseUnavailable) as caught:
        open_database(url)
    assert_one_line_without_password(caught.value)
    assert "postgresql://boke:***@" in str(caught.value)


@pytest.mark.parametrize("migrate", [True, False])
def test_an_unreadable_file(tmp_path: Path, migrate: bool) -> None:
    (tmp_path / "boke.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(DatabaseDamaged, match="not a database; move the file away") as caught:
        open_database(f"sqlite:///{tmp_path / 'boke.db'}", migrate=migrate)
    assert_one_line_without_password(caught.value)


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "boke.db"
    database = open_database(f"sqlite:///{path}")
    with database.session() as session:
        session.add_all(Picture(digest=f"{n:064}", path="p" * 200, width=1, height=1, bytes=1) for n in range(500))
    database.close()
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\xff" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(DatabaseDamaged, match="restore a backup"):
        open_database(f"sqlite:///{path}", migrate=False)


@pytest.mark.parametrize("place", ["file/boke.db", "folder"])
def test_a_place_where_no_file_can_be(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatabaseUnavailable) as caught:
        open_database(f"sqlite:///{tmp_path / place}")
    assert "\n" not in str(caught.value)


def test_locked_for_too_long(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'boke.db'}", busy_timeout_s=0.05)
    other = sqlite3.connect(tmp_path / "boke.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusy, match="try again") as caught, database.session() as session:
        session.add(note("a"))
    assert_one_line_without_password(caught.value)
    assert names(database) == []  # reading goes on
    other.execute("ROLLBACK")
    with database.session() as session:
        session.add(note("a"))
    assert names(database) == ["a"]
    other.close()
    database.close()


def test_every_connection_in_use() -> None:
    database = open_database("sqlite:///:memory:", busy_timeout_s=0.05)
    with database.reader() as session:
        session.execute(select(1))
        with pytest.raises(DatabaseBusy, match="pool_size"):
            database.ping()
    database.ping()
    database.close()


def test_a_full_disk(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'boke.db'}", pool_size=1)
    with database.engine.connect() as connection:  # the only one of the pool
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(DatabaseFull, match="make room") as caught, database.session() as session:
        session.add(note("big", text="x" * 1_000_000))
    assert_one_line_without_password(caught.value)
    assert names(database) == []
    database.close()


def test_a_server_that_goes_and_comes_back(postgres_url: str) -> None:
    database = open_database(postgres_url)

    def cut() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'bokebot'")

    def lose_the_server(session: Session) -> None:
        session.add(note("lost"))
        session.flush()
        cut()

    with pytest.raises(DatabaseUnavailable) as caught, database.session() as session:
        lose_the_server(session)
    assert_one_line_without_password(caught.value)
    with database.session() as session:
        session.add(note("kept"))
    cut()
    assert names(database) == ["kept"]  # the pool notices that its connection is dead
    database.close()


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://boke:{PASSWORD}@host/name",
        f"postgresql+asyncpg://boke:{PASSWORD}@host/name",
        "boke.db",
        "",
        f"{PASSWORD}",
    ],
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(DatabaseError, match="postgresql://") as caught:
        open_database(url)
    assert_one_line_without_password(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_program_picks_the_driver(scheme: str) -> None:
    url = parse_url(f"{scheme}://boke:{PASSWORD}@host:5433/name?password={PASSWORD}")
    assert url.drivername == "postgresql+psycopg"
    assert shown(url) == "postgresql://boke:***@host:5433/name"
