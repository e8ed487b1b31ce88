"""Publishing: one rename, whole models only, the last few kept, and the way back."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from bokemodel.bundle import Bundle, load_bundle
from bokemodel.registry import current_folder, published
from tests.bundles import tiny_bundle
from training.publish import (
    CannotPublish,
    NothingToRollBackTo,
    bundle_name,
    publish,
    rollback,
    use,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return load_bundle(tiny_bundle(tmp_path_factory.mktemp("bundle")))


def name(number: int) -> str:
    return f"20240101-0000{number:02d}-{number:08x}"


def put(models: Path, bundle: Bundle, number: int, keep: int = 5) -> Path:
    numbered = replace(bundle, manifest=replace(bundle.manifest, recipe=f"number {number}"))
    return publish(models, numbered, name(number), keep)


def names(models: Path) -> list[str]:
    return [found.name for found in published(models)]


def live(models: Path) -> str:
    return load_bundle(models / "current").manifest.recipe


def test_a_name_sorts_by_time() -> None:
    assert bundle_name("2024-05-01T03:35:12.123456+00:00", "3f2a9c1bdeadbeef") == "20240501-033512-3f2a9c1b"


def test_the_first_and_the_next(tmp_path: Path, bundle: Bundle) -> None:
    assert current_folder(tmp_path / "models") is None
    put(tmp_path / "models", bundle, 1)
    assert live(tmp_path / "models") == "number 1"
    put(tmp_path / "models", bundle, 2)
    assert live(tmp_path / "models") == "number 2"
    assert names(tmp_path / "models") == [name(1), name(2)]
    assert [found.live for found in published(tmp_path / "models")] == [False, True]


def test_the_folder_can_be_moved(tmp_path: Path, bundle: Bundle) -> None:
    put(tmp_path / "models", bundle, 1)
    shutil.move(tmp_path / "models", tmp_path / "elsewhere")
    assert live(tmp_path / "elsewhere") == "number 1"


def test_only_the_last_few_are_kept(tmp_path: Path, bundle: Bundle) -> None:
    for number in range(1, 7):
        put(tmp_path, bundle, number, keep=3)
    assert names(tmp_path) == [name(4), name(5), name(6)]
    assert sorted(p.name for p in tmp_path.iterdir()) == [name(4), name(5), name(6), "current"]


def test_what_others_keep_in_the_folder_stays(tmp_path: Path, bundle: Bundle) -> None:
    mine = tmp_path / "my-own-model"
    shutil.copytree(tiny_bundle(tmp_path / "made"), mine)
    (tmp_path / "notes.txt").write_text("mine")
    for number in range(1, 5):
        put(tmp_path, bundle, number, keep=1)
    assert load_bundle(mine)
    assert (tmp_path / "notes.txt").exists()
    assert names(tmp_path) == [name(4)]


def test_back_and_back_again_and_forth(tmp_path: Path, bundle: Bundle) -> None:
    for number in (1, 2, 3):
        put(tmp_path, bundle, number)
    found = rollback(tmp_path)
    assert found is not None
    assert (found.name, live(tmp_path)) == (name(2), "number 2")
    put(tmp_path, bundle, 4)
    assert live(tmp_path) == "number 4"
    rollback(tmp_path)
    assert live(tmp_path) == "number 2"  # not number 3: that was rolled back
    rollback(tmp_path)
    assert live(tmp_path) == "number 1"
    assert rollback(tmp_path) is None
    assert current_folder(tmp_path) is None
    with pytest.raises(NothingToRollBackTo):
        rollback(tmp_path)


def test_what_was_rolled_back_goes_with_what_is_older(tmp_path: Path, bundle: Bundle) -> None:
    for number in (1, 2):
        put(tmp_path, bundle, number, keep=2)
    rollback(tmp_path)
    for number in (3, 4, 5):
        put(tmp_path, bundle, number, keep=2)
    assert names(tmp_path) == [name(4), name(5)]
    assert not (tmp_path / "withdrawn").read_text()


def test_any_bundle_can_be_chosen(tmp_path: Path, bundle: Bundle) -> None:
    for number in (1, 2, 3):
        put(tmp_path, bundle, number)
    rollback(tmp_path)
    found = use(tmp_path, name(3))
    assert found is not None
    assert (found.name, found.live, found.withdrawn, live(tmp_path)) == (name(3), True, False, "number 3")
    assert use(tmp_path, name(1)) == use(tmp_path, name(1))
    assert live(tmp_path) == "number 1"
    for _ in range(2):
        assert use(tmp_path, "starter") is None
        assert current_folder(tmp_path) is None
    assert names(tmp_path) == [name(1), name(2), name(3)]


def test_what_cannot_be_chosen_changes_nothing(tmp_path: Path, bundle: Bundle) -> None:
    put(tmp_path, bundle, 1)
    (put(tmp_path, bundle, 2) / "decoder.npz").write_bytes(b"damaged")
    use(tmp_path, name(1))
    for wrong, reason in ((name(2), "cut short"), (name(3), "no model called"), ("../models", "no model called")):
        with pytest.raises(CannotPublish, match=reason):
            use(tmp_path, wrong)
        assert live(tmp_path) == "number 1"


def test_publishing_again_after_a_kill_does_the_rest(tmp_path: Path, bundle: Bundle) -> None:
    put(tmp_path, bundle, 1)
    put(tmp_path, bundle, 2)
    os.replace(tmp_path / name(2), tmp_path / f".{name(2)}.xyz")  # killed while it was written
    (tmp_path / ".current.123").symlink_to(name(1))
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to(name(1))
    put(tmp_path, bundle, 2)
    assert live(tmp_path) == "number 2"
    assert sorted(p.name for p in tmp_path.iterdir()) == [name(1), name(2), "current"]


def test_a_bundle_that_is_damaged_is_written_anew(tmp_path: Path, bundle: Bundle) -> None:
    place = put(tmp_path, bundle, 1)
    (place / "decoder.npz").write_bytes(b"half")
    put(tmp_path, bundle, 1)
    assert live(tmp_path) == "number 1"


def test_a_folder_called_current_is_not_touched(tmp_path: Path, bundle: Bundle) -> None:
    shutil.copytree(tiny_bundle(tmp_path / "made"), tmp_path / "models" / "current")
    with pytest.raises(CannotPublish, match="rename it"):
        put(tmp_path / "models", bundle, 1)
    assert load_bundle(tmp_path / "models" / "current").manifest.recipe == "test"


def test_a_place_that_cannot_be_written_keeps_the_old_model(tmp_path: Path, bundle: Bundle) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CannotPublish, match="the old model stays"):
        put(tmp_path / "file" / "models", bundle, 1)


def test_a_reader_sees_the_old_or_the_new_one_never_none(tmp_path: Path, bundle: Bundle) -> None:
    put(tmp_path, bundle, 1, keep=2)
    done = threading.Event()
    seen: set[str] = set()
    faults: list[BaseException] = []

    def read() -> None:
        while not done.is_set():
            try:
                assert current_folder(tmp_path) is not None
                seen.add(live(tmp_path))
            except BaseException as error:  # every kind of fault is one
                faults.append(error)
                return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(2, 25):
        put(tmp_path, bundle, number, keep=2)
    done.set()
    for reader in readers:
        reader.join(60)
    assert not faults
    assert len(seen) > 1


def test_killed_at_any_moment_current_is_a_whole_model(tmp_path: Path, bundle: Bundle) -> None:
    shutil.copytree(tiny_bundle(tmp_path / "made"), tmp_path / "source")
    code = (
        "import sys, time; from pathlib import Path; from bokemodel.bundle import load_bundle;"
        "from training.publish import publish; models, source = Path(sys.argv[1]), load_bundle(sys.argv[2]);"
        "print('ready', flush=True); number = int(sys.argv[3]);\n"
        "while True: number += 1; publish(models, source, f'20240101-000000-{number:08x}', 2)"
    )
    models = tmp_path / "models"
    for turn in range(3):
        command = [sys.executable, "-c", code, str(models), str(tmp_path / "source"), str(turn * 1_000_000)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        while current_folder(models) is None and process.poll() is None:
            pass
        before = current_folder(models)
        while current_folder(models) == before and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert load_bundle(models / "current")
    publish(models, bundle, "20240102-000000-00000000", 2)
    assert len(names(models)) == 2
    assert all(re.fullmatch(r"current|withdrawn|\d{8}-.*", path.name) for path in models.iterdir())


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "training.publish", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_command_line(tmp_path: Path, bundle: Bundle) -> None:
    put(tmp_path, bundle, 1)
    put(tmp_path, bundle, 2)
    listed = command("--list", "--models", str(tmp_path))
    assert listed.returncode == 0
    assert "live" in listed.stdout
    back = command("--rollback", "--models", str(tmp_path))
    assert (back.returncode, back.stdout.strip()) == (0, f"{name(1)} is live")
    assert "starter" in command("--rollback", "--models", str(tmp_path)).stdout
    assert command("--use", name(2), "--models", str(tmp_path)).stdout.strip() == f"{name(2)} is live"
    command("--use", "starter", "--models", str(tmp_path))
    failed = command("--rollback", "--models", str(tmp_path))
    assert failed.returncode == 1
    assert len(failed.stderr.strip().splitlines()) == 1
