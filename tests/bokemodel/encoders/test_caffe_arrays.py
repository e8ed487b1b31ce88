"""The folder of arrays beside a `.caffemodel`: made once, used afterwards, made anew when the file or the folder changes."""

from __future__ import annotations

import json
import logging
import mmap
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.caffemodel_writer import small_caffenet, write_caffemodel
from bokemodel.encoders.caffe_arrays import CaffeArrays, load_caffe_arrays, needed_layers
from bokemodel.encoders.files import sha256_of
from bokemodel.errors import WeightsMissing, WeightsUnreadable
from tests.bokemodel.encoders.conftest import Written


def folder_of(written: Written) -> Path:
    return written.path.with_name("small.caffemodel.arrays")


def assert_holds(arrays: CaffeArrays, written: Written) -> None:
    for layer, expected in zip(arrays.layers, written.layers, strict=True):
        assert len(layer.blobs) == len(expected.blobs)
        for blob, array in zip(layer.blobs, expected.blobs, strict=True):
            np.testing.assert_array_equal(blob, array)


def test_first_load_converts_the_file(small: Written) -> None:
    arrays = load_caffe_arrays(small.path)
    assert arrays.folder == folder_of(small)
    assert arrays.digest == sha256_of(small.path)
    assert_holds(arrays, small)
    assert sorted(p.name for p in small.path.parent.iterdir()) == ["small.caffemodel", "small.caffemodel.arrays"]


def test_later_loads_do_not_read_the_file(small: Written) -> None:
    first = load_caffe_arrays(small.path)
    stat = small.path.stat()
    small.path.write_bytes(bytes(stat.st_size))
    os.utime(small.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    second = load_caffe_arrays(small.path)
    assert second.digest == first.digest
    assert_holds(second, small)


def test_arrays_are_mapped_and_cannot_be_written(small: Written) -> None:
    """Mapped pages are shared by every process that maps the file."""
    for layer in load_caffe_arrays(small.path).layers:
        for blob in layer.blobs:
            assert type(blob) is np.ndarray
            assert not blob.flags.writeable
            owner: object = blob
            while isinstance(owner, np.ndarray):
                owner = owner.base
            assert isinstance(owner, mmap.mmap)


def test_a_changed_file_is_converted_again(small: Written) -> None:
    before = load_caffe_arrays(small.path)
    changed = Written(small.path, small_caffenet(seed=1))
    write_caffemodel(changed.path, changed.layers)
    after = load_caffe_arrays(small.path)
    assert after.digest == sha256_of(small.path) != before.digest
    assert_holds(after, changed)
    assert_holds(before, small)  # what is open stays what it was


def test_a_copied_file_keeps_its_digest(small: Written) -> None:
    before = load_caffe_arrays(small.path)
    os.utime(small.path, (1, 1))
    assert load_caffe_arrays(small.path).digest == before.digest


@pytest.mark.parametrize("spoil", ["cut", "gone", "manifest", "manifest of something else", "layers"])
def test_a_damaged_folder_is_made_again(small: Written, spoil: str) -> None:
    load_caffe_arrays(small.path)
    folder = folder_of(small)
    array = folder / "016-0.npy"
    if spoil == "cut":
        array.write_bytes(array.read_bytes()[:-4])
    elif spoil == "gone":
        array.unlink()
    elif spoil == "manifest":
        (folder / "manifest.json").write_text("{")
    elif spoil == "manifest of something else":
        (folder / "manifest.json").write_text("[1, 2]")
    else:
        net = folder / "net.binaryproto"
        net.write_bytes(b"\xff" * net.stat().st_size)
    assert_holds(load_caffe_arrays(small.path), small)
    assert json.loads((folder / "manifest.json").read_text())["sha256"] == sha256_of(small.path)


def test_a_pickle_in_the_folder_is_not_opened(small: Written, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    load_caffe_arrays(small.path)
    array = folder_of(small) / "001-0.npy"
    size = array.stat().st_size
    np.save(array, np.array([Bomb()], object), allow_pickle=True)
    array.write_bytes(array.read_bytes().ljust(size, b"\0"))
    assert_holds(load_caffe_arrays(small.path), small)  # made again
    assert not (tmp_path / "exploded").exists()


def test_arrays_go_to_the_cache_where_the_folder_cannot_be_made(
    small: Written, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder_of(small).write_text("in the way")
    for _ in range(2):
        arrays = load_caffe_arrays(small.path)
        assert arrays.folder == cache / "small.caffemodel.arrays"
        assert_holds(arrays, small)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]  # the second load found the cache
    assert sorted(p.name for p in small.path.parent.iterdir() if ".tmp-" in p.name) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_arrays_go_to_the_cache_for_a_user_who_may_not_write_there() -> None:
    """As root every folder can be written, so a child process becomes somebody else."""
    program = """
import os, sys
from pathlib import Path
from bokemodel.encoders.caffe_arrays import load_caffe_arrays
os.setuid(65534)
print(load_caffe_arrays(Path(sys.argv[1])).folder)
"""
    with tempfile.TemporaryDirectory() as readable:
        path = Path(readable) / "small.caffemodel"
        write_caffemodel(path, small_caffenet())
        os.chmod(readable, 0o755)
        (Path(readable) / "cache").mkdir(0o777)
        os.chmod(Path(readable) / "cache", 0o777)
        environment = {**os.environ, "XDG_CACHE_HOME": f"{readable}/cache"}
        done = subprocess.run(
            [sys.executable, "-c", program, str(path)], capture_output=True, text=True, env=environment, check=True
        )
        assert done.stdout.strip() == f"{readable}/cache/bokemodel/small.caffemodel.arrays"


def test_arrays_stay_in_memory_where_nothing_can_be_written(
    small: Written, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder_of(small).write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    arrays = load_caffe_arrays(small.path)
    assert arrays.folder is None
    assert_holds(arrays, small)
    assert "stay in memory" in caplog.text


def test_several_processes_convert_at_once(small: Written) -> None:
    program = """
import sys
from pathlib import Path
from bokemodel.encoders.caffe_arrays import load_caffe_arrays
print("ready", flush=True)
sys.stdin.readline()
import bokemodel.encoders.caffe_arrays as module
reads, read = [], module.read_caffemodel
module.read_caffemodel = lambda path: reads.append(path) or read(path)
arrays = load_caffe_arrays(Path(sys.argv[1]))
print("read" if reads else "waited", flush=True)
print(sum(float(blob.sum()) for layer in arrays.layers for blob in layer.blobs), arrays.folder)
"""
    command = [sys.executable, "-c", program, str(small.path)]
    pipe = subprocess.PIPE
    children = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    outputs = []
    for child in children:  # all of them wait for a line: they start together
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        outputs.append(child.communicate()[0].splitlines())
        assert child.returncode == 0
    assert sorted(output[0] for output in outputs) == ["read", "waited", "waited", "waited"]
    assert {output[1] for output in outputs} == {outputs[0][1]}
    assert outputs[0][1].endswith("small.caffemodel.arrays")
    assert sorted(p.name for p in small.path.parent.iterdir()) == ["small.caffemodel", "small.caffemodel.arrays"]


def test_what_a_killed_conversion_left_is_removed(small: Written) -> None:
    old, young = (small.path.with_name(f".small.caffemodel.arrays.tmp-{name}") for name in ("old", "young"))
    for left in (old, young):
        left.mkdir()
        (left / "016-0.npy").write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    load_caffe_arrays(small.path)
    assert not old.exists()
    assert young.exists()  # another process may be at it


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"python -m bokemodel\.download caffenet"):
        load_caffe_arrays(tmp_path / "none.caffemodel")


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnreadable):
        load_caffe_arrays(tmp_path)


def test_needed_layers(small: Written) -> None:
    layers = load_caffe_arrays(small.path).layers
    chosen, entry = needed_layers(layers, "fc7")
    assert entry == "data"
    assert [layer.name for layer in chosen][-4:] == ["drop6", "fc7", "relu7", "drop7"]
    chosen, _ = needed_layers(layers, "pool1")
    assert [layer.name for layer in chosen] == ["conv1", "relu1", "pool1"]
    with pytest.raises(WeightsUnreadable, match=r"no blob 'fc9'; it has conv1, pool1, .*fc7, fc8"):
        needed_layers(layers, "fc9")
    with pytest.raises(WeightsUnreadable, match="data, label"):
        needed_layers(layers, "loss")
