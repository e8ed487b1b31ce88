"""Bundles on a real disk: whole or nothing, and every kind of damage has its name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bokemodel.bundle import DECODER, TOKENIZER, load_bundle, save_bundle
from bokemodel.errors import BundleMissing, BundleTampered, BundleTooNew, BundleTruncated
from bokemodel.registry import MANIFEST
from tests.bokemodel.conftest import Small


@pytest.fixture
def folder(small: Small, tmp_path: Path) -> Path:
    save_bundle(replace(small.bundle, extra={"notes.txt": b"kept"}), tmp_path / "model")
    return tmp_path / "model"


def test_round_trip(small: Small, folder: Path) -> None:
    loaded = load_bundle(folder)
    assert loaded.extra == {"notes.txt": b"kept"}
    assert loaded.manifest.encoder == "fake"
    assert loaded.search.max_tokens == 20
    assert loaded.tokenizer.encode("猫が遅刻する") == small.bundle.tokenizer.encode("猫が遅刻する")
    for name, array in small.bundle.arrays.items():
        np.testing.assert_allclose(loaded.arrays[name], array, rtol=1e-3, atol=1e-4)  # kept in 16 bits


def test_the_same_model_is_the_same_bytes(small: Small, tmp_path: Path) -> None:
    assert save_bundle(small.bundle, tmp_path / "a") == save_bundle(small.bundle, tmp_path / "b")
    assert load_bundle(tmp_path / "a").digest == load_bundle(tmp_path / "b").digest


@pytest.mark.parametrize("name", [DECODER, TOKENIZER, "notes.txt"])
def test_cut_short(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleTruncated, match=name):
        load_bundle(folder)


@pytest.mark.parametrize("name", [DECODER, TOKENIZER])
def test_file_gone(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleTruncated, match=name):
        load_bundle(folder)


@pytest.mark.parametrize("name", [DECODER, TOKENIZER])
def test_one_bit_changed(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(BundleTampered, match=name):
        load_bundle(folder)


def test_manifest_cut_short(folder: Path) -> None:
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text[: len(text) // 2])
    with pytest.raises(BundleTruncated):
        load_bundle(folder)


def test_manifest_of_a_later_version(folder: Path) -> None:
    fields = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**fields, "format_version": 99}))
    with pytest.raises(BundleTooNew, match="99"):
        load_bundle(folder)


def test_manifest_that_points_outside(folder: Path) -> None:
    fields = json.loads((folder / MANIFEST).read_text())
    fields["files"]["../secret"] = {"size": 0, "sha256": ""}
    (folder / MANIFEST).write_text(json.dumps(fields))
    with pytest.raises(BundleTampered, match="outside"):
        load_bundle(folder)


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleMissing):
        load_bundle(tmp_path)


def test_saving_over_an_old_one_leaves_no_rubbish(small: Small, folder: Path) -> None:
    save_bundle(small.bundle, folder)
    assert load_bundle(folder).extra == {}
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_process_killed_while_it_saves_leaves_the_old_bundle(small: Small, folder: Path) -> None:
    """The kill comes when all files but the rename are written: the worst moment."""
    before = load_bundle(folder).digest
    code = (
        "import os, signal, sys\n"
        "from bokemodel import bundle\n"
        "loaded = bundle.load_bundle(sys.argv[1])\n"
        "bundle._replace_folder = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "bundle.save_bundle(loaded, sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -9
    assert load_bundle(folder).digest == before


def test_disk_full_leaves_the_old_bundle(small: Small, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_bundle(folder).digest

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_bundle(small.bundle, folder)
    assert load_bundle(folder).digest == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
