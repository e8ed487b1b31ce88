"""Fixtures that many tests share: a real PostgreSQL, configurations that stay inside a temporary folder, measured data."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import URL, make_url

from store.config import Config
from store.database import Database, open_database

DATA = Path(os.environ.get("BOKE_SHARED_DATA", Path(__file__).resolve().parents[1] / "../shared/data")).resolve()
PASSWORD = "not-for-print"  # appears in every address, so that a test notices where it leaks


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the measured data sets; skips where they are not laid out."""
    if not DATA.is_dir():
        pytest.skip("the measured data is not here; set BOKE_SHARED_DATA to its folder")
    return DATA


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., Config]:
    """Makes a Config in the test's folder: `make_config(web={"posts_per_minute": 3})`. Reads no file and no variable."""

    def make(**sections: dict[str, Any]) -> Config:
        values: dict[str, dict[str, Any]] = {
            "data": {"dir": tmp_path / "data"},
            "models": {"dir": tmp_path / "models"},
            "web": {"port": 0},
        }
        for name, keys in sections.items():
            values[name] = {**values.get(name, {}), **keys}
        return Config.model_validate(values)

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'any.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def any_database(any_database_url: str) -> Iterator[Database]:
    """An open, migrated database, once of each kind."""
    database = open_database(any_database_url)
    yield database
    database.close()


@pytest.fixture
def postgres_url(postgres_server: URL) -> Iterator[str]:
    """A plain `postgresql://` address of a fresh, empty database in a real server."""
    name = f"boke_{secrets.token_hex(6)}"
    admin = postgres_server.render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield postgres_server.set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """$BOKE_TEST_POSTGRES, or a server of this machine's programs, for this test run only."""
    given = os.environ.get("BOKE_TEST_POSTGRES")
    if given:
        yield make_url(given).set(drivername="postgresql")
        return
    programs = _postgres_programs()
    if programs is None:
        reason = "no PostgreSQL here: apt-get install postgresql, or set BOKE_TEST_POSTGRES to an address"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with run_postgres(programs) as url:
        yield url


@contextmanager
def run_postgres(programs: Path) -> Iterator[URL]:
    """A server on loopback in a temporary folder, of the programs in that folder; gone at the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="boke-pg-"))
    port = _free_port()
    # The server refuses to run as root.
    person: dict[str, Any] = {}
    if os.geteuid() == 0:
        name = next(n for n in ("postgres", "nobody") if _exists(n))
        shutil.chown(folder, name)
        person = {"user": name, "group": _group(name), "extra_groups": []}
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    log = (folder / "log").open("wb")
    process: subprocess.Popen[bytes] | None = None
    try:
        _initialise(programs, folder, person)
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off"}
        arguments = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        process = subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", *arguments], stdout=log, stderr=log, cwd=folder, **person
        )
        url = URL.create("postgresql", "boke", PASSWORD, "127.0.0.1", port, "postgres")
        _wait_until_ready(url, process, folder / "log")
        yield url
    finally:
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)  # "fast": does not wait for clients
            process.wait(30)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_programs() -> Path | None:
    folders = [Path("/usr/local/bin"), *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    if shutil.which("pg_config"):
        found = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False).stdout.strip()
        folders.insert(0, Path(found))
    return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)


def _initialise(programs: Path, folder: Path, person: dict[str, Any]) -> None:
    command = [programs / "initdb", "-D", folder / "data", "-U", "boke", "--encoding=UTF8", "--locale=C", "--no-sync"]
    command += ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, **person)
    if done.returncode:
        pytest.fail(f"initdb failed: {done.stdout}{done.stderr}")


def _wait_until_ready(url: URL, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(url.render_as_string(hide_password=False), connect_timeout=5).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start: {log.read_text()}")
            time.sleep(0.05)  # there is no event to wait for: the server only starts to accept


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _exists(user: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _group(user: str) -> int:
    import pwd

    return pwd.getpwnam(user).pw_gid
