"""Backup and restore, by their commands, on both databases."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from store.answers import NewAnswer, add_answer, get_answer
from store.copying import CopyError, back_up, restore
from store.database import Database, open_database
from store.errors import DatabaseBusy
from store.votes import vote, vote_of
from tests.conftest import PASSWORD

ROOT = Path(__file__).resolve().parents[2]


def command(name: str, url: str, *arguments: str) -> tuple[int, str]:
    """A command's exit code and all that it printed."""
    environment = {"PATH": os.environ["PATH"], "BOKE__DATABASE__URL": url, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", f"store.{name}", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def tell(database: Database, text: str) -> str:
    new = NewAnswer(
        platform="web", channel_id="1", picture_key="k", text=text, score=0.5, mode="boke", model="m", encoder="e"
    )
    return add_answer(database, new).public_id


def test_out_and_back_by_the_commands(any_database: Database, any_database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "copies" / "boke.backup"
    kept, user = tell(any_database, "残る"), any_database.hash_user("web", "taro")
    vote(any_database, kept, user, 1)
    code, said = command("backup", any_database_url, str(file))
    assert code == 0, said
    later = tell(any_database, "消える")
    any_database.close()

    code, said = command("restore", any_database_url, str(file))
    assert code == 1
    assert "--force" in said
    assert len(said.splitlines()) == 1
    assert get_answer(any_database, later) is not None
    any_database.close()

    code, said = command("restore", any_database_url, str(file), "--force")
    assert code == 0, said
    restored = open_database(any_database_url)
    assert get_answer(restored, later) is None
    found = get_answer(restored, kept)
    assert found is not None
    assert found.text == "残る"
    assert restored.hash_user("web", "taro") == user  # under the same key
    assert vote_of(restored, kept, user) == 1
    assert tell(restored, "つづく") not in (kept, later)  # its counters go on
    restored.close()
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_an_empty_database_is_filled_without_force(tmp_path: Path) -> None:
    old, new = (f"sqlite:///{tmp_path / name / 'boke.db'}" for name in ("old", "new"))
    database = open_database(old)
    kept = tell(database, "引っ越し")
    database.close()
    back_up(old, tmp_path / "copy")
    restore(new, tmp_path / "copy")
    moved = open_database(new)
    assert get_answer(moved, kept) is not None
    moved.close()


def test_a_copy_is_of_one_moment_while_others_write(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'boke.db'}"
    database, done = open_database(url), threading.Event()

    def write() -> None:
        while not done.is_set():
            with database.session() as session:
                for table in ("one", "two"):
                    session.connection().exec_driver_sql(f"INSERT INTO {table} VALUES (zeroblob(2000))")

    with database.session() as session:
        for table in ("one", "two"):
            session.connection().exec_driver_sql(f"CREATE TABLE {table} (data BLOB)")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            back_up(url, tmp_path / f"copy{number}")
    finally:
        done.set()
        writer.join()
        database.close()
    for number in range(3):
        with closing(sqlite3.connect(tmp_path / f"copy{number}")) as copy:
            counts = [copy.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("one", "two")]
        assert counts[0] == counts[1]


@pytest.mark.parametrize("content", [b"", b"shopping list" * 1000, None])
def test_what_is_no_copy_changes_nothing(
    any_database: Database, any_database_url: str, tmp_path: Path, content: bytes | None
) -> None:
    kept, file = tell(any_database, "残る"), tmp_path / "copy"
    if content is not None:
        file.write_bytes(content)
    any_database.close()
    with pytest.raises(CopyError) as caught:
        restore(any_database_url, file, force=True)
    assert "\n" not in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert get_answer(any_database, kept) is not None


def test_a_damaged_copy_changes_nothing(tmp_path: Path) -> None:
    url, file = f"sqlite:///{tmp_path / 'boke.db'}", tmp_path / "copy"
    database = open_database(url)
    kept = [tell(database, "残る" * 100) for _ in range(200)]
    database.close()
    back_up(url, file)
    data = bytearray(file.read_bytes())
    data[4096 * 3 :] = b"\xff" * (len(data) - 4096 * 3)
    file.write_bytes(data)
    with pytest.raises(CopyError):
        restore(url, file, force=True)
    database = open_database(url)
    assert all(get_answer(database, answer) for answer in kept)
    database.close()


def test_somebody_is_writing(tmp_path: Path) -> None:
    url, file = f"sqlite:///{tmp_path / 'boke.db'}", tmp_path / "copy"
    open_database(url).close()
    back_up(url, file)
    with closing(sqlite3.connect(tmp_path / "boke.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy, match="stop the bot"):
            restore(url, file, force=True, busy_timeout_s=0.1)


def test_a_place_that_cannot_be_written_leaves_the_copy_before(tmp_path: Path) -> None:
    url, file = f"sqlite:///{tmp_path / 'boke.db'}", tmp_path / "copy"
    open_database(url).close()
    back_up(url, file)
    before = file.read_bytes()
    (tmp_path / ".copy.half").mkdir()
    with pytest.raises(CopyError):
        back_up(url, file)
    assert file.read_bytes() == before
