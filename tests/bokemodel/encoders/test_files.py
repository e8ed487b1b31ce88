"""Files appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bokemodel.encoders.files import cache_folder, folder_written_atomically, sha256_of, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "bokemodel"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for ignored in ("", "relative/folder"):  # as the XDG specification has it
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_folder() == tmp_path / "home" / ".cache" / "bokemodel"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / "home" / ".cache" / "bokemodel"


def test_sha256_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"boke")
    assert sha256_of(tmp_path / "file") == hashlib.sha256(b"boke").hexdigest()


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_atomically(path, b"first")
    opened = path.open("rb")
    write_atomically(path, b"second")
    assert (opened.read(), path.read_bytes()) == (b"first", b"second")
    opened.close()
    assert names(path.parent) == ["file"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """The system refuses to let the file grow, as it does when the disk is full."""
    program = """
import resource, sys
from pathlib import Path
from bokemodel.encoders.files import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically(Path(sys.argv[1]), bytes(5000))
except OSError as error:
    print(error.strerror)
"""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    command = [sys.executable, "-B", "-c", program, str(path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "File too large"
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for content in ("first", "second"):
        with folder_written_atomically(path) as temporary:
            (temporary / content).write_text(content)
            assert content not in (names(path) if path.exists() else [])
        assert names(path) == [content]
    assert names(tmp_path) == ["folder"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_folder_that_could_not_be_filled_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()

    def fill(folder: Path) -> None:
        (folder / "new").touch()
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"), folder_written_atomically(path) as temporary:
        fill(temporary)
    assert names(path) == ["old"]
    assert names(tmp_path) == ["folder"]


def test_a_file_in_the_way_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("in the way")
    with pytest.raises(OSError), folder_written_atomically(tmp_path / "folder") as temporary:
        (temporary / "new").touch()
    assert (tmp_path / "folder").read_text() == "in the way"
    assert names(tmp_path) == ["folder"]


def test_only_old_temporary_folders_are_taken_for_abandoned(tmp_path: Path) -> None:
    for name in (".folder.tmp-old", ".folder.tmp-young", ".other.tmp-old"):
        (tmp_path / name).mkdir()
    for name in (".folder.tmp-old", ".other.tmp-old"):
        os.utime(tmp_path / name, (0, 0))
    with folder_written_atomically(tmp_path / "folder"):
        pass
    assert names(tmp_path) == [".folder.tmp-young", ".other.tmp-old", "folder"]
