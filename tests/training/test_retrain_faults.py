"""What can go wrong in the field: kills at any moment, a full disk, a read-only folder, a database that goes away."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import make_url, select

from bokemodel.bundle import Bundle, load_bundle
from bokemodel.registry import current_folder
from store.config import Config
from store.database import open_database
from store.runs import last_runs
from store.tables import Boke, RunEpoch
from tests.training.small import (
    SmallHouse,
    environment,
    finish,
    small_recipe,
    start,
    write_corpus,
    write_recipe,
)
from training import bringing, night, recording
from training.retrain import FAILED, NOTHING, PUBLISHED

Make = Callable[..., Config]


def jokes_in(url: str) -> list[tuple[str | None, str]]:
    database = open_database(url)
    with database.reader() as session:
        found = [(row[0], row[1]) for row in session.execute(select(Boke.picture_digest, Boke.text))]
    database.close()
    return sorted(found, key=str)


def live_arrays(models: Path) -> Bundle:
    return load_bundle(models / "current")


def same(one: Bundle, other: Bundle) -> bool:
    return all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)


def kill_at_random_moments(folder: Path, times: int, rng: random.Random) -> None:
    """Start the run again and again, and kill it while it works; then let it end, and compare with an unbroken one."""
    arguments = ("--import", str(write_corpus(folder)), "--recipe", str(write_recipe(folder, epochs=40)))
    unbroken = folder / "unbroken"
    unbroken.mkdir()
    began = time.monotonic()
    process = start(unbroken, *arguments)
    at_work = wait_until_at_work(unbroken, process)
    assert finish(process)[0] == PUBLISHED
    seconds = time.monotonic() - began - at_work
    broken = folder / "broken"
    broken.mkdir()
    for _ in range(times):
        process = start(broken, *arguments)
        wait_until_at_work(broken, process)
        time.sleep(rng.uniform(0, 0.7 * seconds))  # any moment may be the one
        process.send_signal(signal.SIGKILL)
        code, _, err = finish(process)
        assert code in (-signal.SIGKILL, PUBLISHED, NOTHING), err
        current = current_folder(broken / "models")
        assert current is None or load_bundle(current)
    code, _, err = finish(start(broken, *arguments))
    assert code in (PUBLISHED, NOTHING), err
    assert same(live_arrays(broken / "models"), live_arrays(unbroken / "models"))
    corpus = [jokes_in(f"sqlite:///{place / 'data' / 'boke.db'}") for place in (broken, unbroken)]
    assert corpus[0] == corpus[1]
    assert len(corpus[0]) == 64
    assert sorted(p.name for p in (broken / "models").iterdir())[-1] == "current"
    assert len(list((broken / "models").iterdir())) == 2
    assert not list((broken / "data" / "snapshots").iterdir())


def wait_until_at_work(folder: Path, process: subprocess.Popen[str]) -> float:
    """Seconds until the run holds its lock: from then on it changes things."""
    began = time.monotonic()
    lock = folder / "data" / "retrain.lock"
    while process.poll() is None and not (lock.exists() and _is_open(lock, process.pid)):
        time.sleep(0.002)
    return time.monotonic() - began


def _is_open(path: Path, pid: int) -> bool:
    try:
        return any(os.path.realpath(link) == str(path.resolve()) for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def test_killed_at_ten_moments(tmp_path: Path) -> None:
    kill_at_random_moments(tmp_path, 10, random.Random(5))


@pytest.mark.skipif(not os.environ.get("BOKE_SOAK"), reason="takes long; BOKE_SOAK=1 runs it")
@pytest.mark.timeout(7200)
def test_killed_at_a_hundred_moments(tmp_path: Path) -> None:
    kill_at_random_moments(tmp_path, 100, random.Random())


@pytest.fixture(scope="module")
def after_one_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and models of one run that published."""
    folder = tmp_path_factory.mktemp("night")
    recipe, corpus = write_recipe(folder), write_corpus(folder)
    code, _, err = finish(start(folder, "--import", str(corpus), "--recipe", str(recipe)))
    assert code == PUBLISHED, err
    return folder


@pytest.fixture
def published_before(after_one_night: Path, make_config: Make, tmp_path: Path) -> SmallHouse:
    """A house with a live model, and the new jokes of the next night in `tmp_path`."""
    shutil.copytree(after_one_night, tmp_path, symlinks=True, dirs_exist_ok=True)
    return SmallHouse(make_config, tmp_path)


def next_night(folder: Path) -> tuple[str, ...]:
    corpus = write_corpus(folder, first=8, jokes=2)
    return ("--import", str(corpus), "--recipe", str(folder / "small.toml"), "--force-publish")


def test_a_models_folder_that_is_read_only(published_before: SmallHouse, tmp_path: Path) -> None:
    models = published_before.models
    before = current_folder(models)
    command = [sys.executable, "-m", "training.retrain", "--no-crawl", *next_night(tmp_path)]
    if os.geteuid() == 0:  # root may write anywhere, unless that right is dropped
        if shutil.which("setpriv") is None:
            pytest.skip("setpriv (util-linux) is not here")
        rights = "-dac_override,-dac_read_search,-fowner"
        command = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", *command]
    models.chmod(0o555)
    try:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False
        )
    finally:
        models.chmod(0o755)
    assert done.returncode == FAILED, done.stderr
    assert "cannot publish: Permission denied; the old model stays" in done.stderr
    assert "Traceback" not in done.stderr
    assert current_folder(models) == before
    assert last_runs(published_before.database, 1)[0].state == "failed"
    # What was trained is not lost: the next run only publishes it.
    code, out, err = finish(start(tmp_path, *next_night(tmp_path)))
    assert (code, "which had trained 4 epochs" in " ".join(out.split())) == (PUBLISHED, True), err


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.argv = ["retrain", *sys.argv[2:]]
import runpy
runpy.run_module("training.retrain", run_name="__main__")
"""


def test_a_disk_without_room(published_before: SmallHouse, tmp_path: Path) -> None:
    """No file may grow beyond the limit, which is what a full disk looks like from inside."""
    before = current_folder(published_before.models)
    corpus = [(row, text) for row, text in jokes_in(published_before.config.database.url)]
    published_before.database.close()
    recipe = tmp_path / "small.toml"
    recipe.write_text(recipe.read_text().replace("= 24", "= 128"))  # its snapshots are far beyond the limit
    command = [sys.executable, "-c", LIMITED, "400000", "--no-crawl", *next_night(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == FAILED, done.stderr
    assert "Traceback" not in done.stderr
    assert any(word in done.stderr for word in ("too large", "disk", "room")), done.stderr
    assert current_folder(published_before.models) == before
    assert load_bundle(published_before.models / "current")
    assert set(jokes_in(published_before.config.database.url)) >= set(corpus)
    code, _, err = finish(start(tmp_path, *next_night(tmp_path)))  # room was made
    assert code == PUBLISHED, err


class Wire:
    """A line to a server that can be cut: then every connection breaks and none is let in."""

    def __init__(self, host: str, port: int) -> None:
        self._to, self._open, self._up = (host, port), set[socket.socket](), True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._up = False
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._up = True

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._up:
                near.close()
                continue
            far = socket.create_connection(self._to)
            self._open |= {near, far}
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            self._open.discard(end)


class MendsWhenTold(logging.Handler):
    """Mends the wire once the run says that it tries again."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.wire, self.told = wire, 0

    def emit(self, record: logging.LogRecord) -> None:
        if "trying again" in record.getMessage():
            self.told += 1
            if self.told % 2 == 0:
                self.wire.mend()


@pytest.fixture
def wired(
    postgres_url: str, make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[SmallHouse, Wire]]:
    """A house whose database is at the far end of a wire."""
    monkeypatch.setattr(recording, "FIRST_WAIT_S", 0.05)
    url = make_url(postgres_url)
    assert url.host
    assert url.port
    wire = Wire(url.host, url.port)
    near = url.set(host="127.0.0.1", port=wire.port).render_as_string(hide_password=False)
    house = SmallHouse(make_config, tmp_path, database={"url": near})
    yield house, wire
    house.database.close()
    wire.close()


@pytest.mark.parametrize("moment", ["import_files", "read_jokes", "count_pictures", "epoch", "finish"])
def test_a_database_that_is_away_for_a_while(
    wired: tuple[SmallHouse, Wire], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    house, wire = wired
    handler = MendsWhenTold(wire)
    logging.getLogger("training.recording").addHandler(handler)
    cut = False

    def cutting(work: Callable[..., object]) -> Callable[..., object]:
        def first(*arguments: object, **more: object) -> object:
            nonlocal cut
            if not cut:
                cut = True
                wire.cut()
            return work(*arguments, **more)

        return first

    if moment == "import_files":
        monkeypatch.setattr(bringing, moment, cutting(bringing.import_files))
    elif moment == "finish":
        monkeypatch.setattr(recording.Recorder, moment, cutting(recording.Recorder.finish))
    elif moment == "epoch":
        monkeypatch.setattr(recording.Recorder, "epoch", cutting(recording.Recorder.epoch))
    else:
        monkeypatch.setattr(night, moment, cutting(getattr(night, moment)))
    try:
        ended = house.run(small_recipe(tmp_path), write_corpus(tmp_path))
    finally:
        logging.getLogger("training.recording").removeHandler(handler)
    assert ended.code == PUBLISHED, ended.message
    assert cut
    assert handler.told > 0
    (run,) = last_runs(house.database, 5)
    assert (run.state, len(run.stages)) == ("published", 8)
    with house.database.reader() as session:
        assert session.query(RunEpoch).count() == 4


def test_a_database_that_stays_away(
    wired: tuple[SmallHouse, Wire], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, wire = wired
    recipe = small_recipe(tmp_path)
    assert house.run(recipe, write_corpus(tmp_path)).code == PUBLISHED
    before = current_folder(house.models)
    monkeypatch.setattr(recording, "PATIENCE_S", 1.0)
    imported = bringing.import_files

    def gone(*arguments: Any, **more: Any) -> object:
        wire.cut()
        return imported(*arguments, **more)

    monkeypatch.setattr(bringing, "import_files", gone)
    ended = house.run(recipe, write_corpus(tmp_path, first=8, jokes=2), force=True)
    assert ended.code == FAILED
    assert str(wire.port) in ended.message
    assert "not-for-print" not in ended.message
    assert current_folder(house.models) == before


def test_a_database_that_is_not_there_at_all(tmp_path: Path) -> None:
    code, _, err = finish(start(tmp_path, BOKE__DATABASE__URL="postgresql://boke:not-for-print@127.0.0.1:1/boke"))
    assert (code, len(err.strip().splitlines())) == (FAILED, 1)
    assert "127.0.0.1" in err
    assert "not-for-print" not in err


def test_sigterm_ends_it_in_order(make_config: Make, tmp_path: Path) -> None:
    house = SmallHouse(make_config, tmp_path)
    arguments = ("--import", str(write_corpus(tmp_path)), "--recipe", str(write_recipe(tmp_path, epochs=100_000)))
    process = start(tmp_path, *arguments)
    wait_until_at_work(tmp_path, process)
    while not last_runs(house.database, 1) or len(last_runs(house.database, 1)[0].stages) < 5:
        assert process.poll() is None
    process.terminate()
    code, _, err = finish(process)
    assert code == FAILED
    assert "stopped by a signal" in err
    assert last_runs(house.database, 1)[0].state == "stopped"
