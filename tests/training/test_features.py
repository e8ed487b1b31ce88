from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from bokemodel.encoders import load_encoder
from bokemodel.pictures import open_file
from tests.training import deadly_decoding
from tests.training.corpora import write_picture
from training import opening
from training.corpus import StoredPicture
from training.decoding import Decoder
from training.errors import FeaturesBusy, FeaturesDamaged, FeaturesDiskFull, FeaturesMissing, PicturesDeadly
from training.features import BATCH, FeatureReport, FeatureStore, compute_missing

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "features/colours-" + "a" * 12


@dataclass
class Colours:
    """A small encoder: the mean red, green and blue, and ones."""

    name: str = "colours"
    weights_digest: str = "a" * 64
    input_size: int = 8
    dim: int = 4
    seen: int = 0
    batches: list[int] = field(default_factory=list)

    def encode(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        self.seen += len(images)
        self.batches.append(len(images))
        means = [np.asarray(image, np.float32).mean(axis=(0, 1)) for image in images]
        return np.concatenate([np.array(means, np.float32), np.ones((len(images), self.dim - 3), np.float32)], axis=1)


class Hostile(Decoder):
    """With pictures that it does not survive. pids: of its processes."""

    pids: ClassVar[set[int]] = set()

    def __init__(self) -> None:
        super().__init__("tests.training.deadly_decoding")

    def _started(self) -> subprocess.Popen[bytes]:
        process = super()._started()
        self.pids.add(process.pid)
        return process


def pictures(data: Path, count: int) -> list[StoredPicture]:
    found = []
    for number in range(count):
        path = write_picture(data / f"pictures/{number}.png", number)
        found.append(StoredPicture(hashlib.sha256(path.read_bytes()).hexdigest(), f"pictures/{number}.png"))
    return found


def expected(data: Path, some: Sequence[StoredPicture]) -> NDArray[np.float32]:
    return Colours().encode([open_file(data / picture.path) for picture in some])


def test_each_picture_goes_through_once_ever(tmp_path: Path) -> None:
    some = pictures(tmp_path, 70)
    encoder = Colours()
    store = FeatureStore.open(tmp_path, encoder)
    assert len(store) == 0
    said: list[tuple[str, int, int]] = []
    report = compute_missing(store, tmp_path, some[:50], encoder, total=50, report=lambda *told: said.append(told))
    assert report == FeatureReport(known=0, computed=50, failed=0, unreadable=())
    assert encoder.batches == [BATCH, 50 - BATCH]
    assert said == [("features", BATCH, 50), ("features", 50, 50)]
    again = FeatureStore.open(tmp_path, encoder)
    assert compute_missing(again, tmp_path, some[::-1], encoder).computed == 20
    assert encoder.seen == 70
    # To a rounding: a picture was brought to the network's size first.
    np.testing.assert_allclose(again.get([p.digest for p in some]), expected(tmp_path, some), rtol=1e-5)
    store.refresh()
    assert len(store) == 70
    assert isinstance(store.vectors, np.memmap)
    assert (tmp_path / FOLDER / "vectors.f32").stat().st_size == 70 * 4 * 4


def test_rows_and_what_is_missing(tmp_path: Path) -> None:
    some = pictures(tmp_path, 5)
    encoder = Colours()
    store = FeatureStore.open(tmp_path, encoder)
    compute_missing(store, tmp_path, some, encoder)
    asked = [some[3].digest, "f" * 64, some[0].digest, some[3].digest, some[0].digest[:-1] + "x".replace("x", "0")]
    rows = store.rows(asked).tolist()
    assert rows[:4] == [3, -1, 0, 3]
    assert store.rows([]).tolist() == []
    assert store.get([]).shape == (0, 4)
    with pytest.raises(FeaturesMissing, match="1 pictures have no vector, such as ffff"):
        store.get([some[0].digest, "f" * 64])


def test_digests_that_begin_alike_are_told_apart(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "f", "e", "w", 2)
    digests = ["ab" * 8 + f"{number:048x}" for number in range(9)]
    with store.adding() as adder:
        adder.add(digests[:8], np.arange(16, dtype=np.float32).reshape(8, 2))
    assert store.rows(digests[::-1]).tolist() == [-1, *range(7, -1, -1)]


def test_another_encoder_or_other_weights_have_their_own_store(tmp_path: Path) -> None:
    some = pictures(tmp_path, 3)
    for encoder in (Colours(), Colours(name="other"), Colours(weights_digest="b" * 64)):
        store = FeatureStore.open(tmp_path, encoder)
        assert compute_missing(store, tmp_path, some, encoder).computed == 3
    assert len(list((tmp_path / "features").iterdir())) == 3


def test_pictures_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    some = pictures(tmp_path, 4)
    (tmp_path / some[1].path).write_bytes(b"no picture")
    (tmp_path / some[2].path).unlink()
    encoder = Colours()
    store = FeatureStore.open(tmp_path, encoder)
    report = compute_missing(store, tmp_path, some, encoder)
    assert (report.computed, report.failed) == (2, 2)
    assert report.unreadable == (
        "pictures/1.png: the file is not a picture of a format that is read here",
        "pictures/2.png: No such file or directory",
    )
    assert store.rows([p.digest for p in some]).tolist() == [0, -1, -1, 1]


def test_a_picture_that_processes_die_of_is_named_and_left_out_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "Decoder", Hostile)
    monkeypatch.setattr(Hostile, "pids", set())
    some = pictures(tmp_path, 50)
    (tmp_path / some[40].path).write_bytes(deadly_decoding.ABORTS)
    encoder = Colours()
    store = FeatureStore.open(tmp_path, encoder)
    report = compute_missing(store, tmp_path, some, encoder)
    said = "pictures/40.png: processes die of it: its process ended with SIGABRT"
    assert report == FeatureReport(0, 49, 1, (said,))
    assert len(Hostile.pids) == 1 + opening.DEATHS  # one that did not die

    Hostile.pids.clear()
    more = [*some, *pictures(tmp_path / "more", 1)]
    more[-1] = StoredPicture("f" * 64, "more/pictures/0.png")
    file = tmp_path / FOLDER / "deadly.txt"
    note = f"pictures/40.png: processes died of it before, it is left out; to try it again, remove {file}"
    again = FeatureStore.open(tmp_path, encoder)
    assert compute_missing(again, tmp_path, more, encoder) == FeatureReport(49, 1, 1, (note,))
    assert len(Hostile.pids) == 1

    write_picture(tmp_path / some[40].path, 40)
    file.unlink()
    assert compute_missing(again, tmp_path, more, encoder) == FeatureReport(50, 1, 0, ())


def test_where_processes_die_of_every_picture_none_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "Decoder", Hostile)
    monkeypatch.setattr(opening, "MOST_DEATHS", 4)
    some = pictures(tmp_path, 3)
    for picture in some:
        (tmp_path / picture.path).write_bytes(deadly_decoding.ABORTS)
    store = FeatureStore.open(tmp_path, Colours())
    assert compute_missing(store, tmp_path, some[:1], Colours()).failed == 1
    with pytest.raises(PicturesDeadly, match=r"pictures cannot be decoded, whichever it is: .* SIGABRT"):
        compute_missing(store, tmp_path, some, Colours())
    assert not (tmp_path / FOLDER / "deadly.txt").exists()


TORN = {
    "half a vector": lambda folder: _append(folder / "vectors.f32", b"\1" * 7),
    "vectors without entries": lambda folder: _append(folder / "vectors.f32", b"\1" * 160),
    "half an entry": lambda folder: (
        _append(folder / "vectors.f32", b"\1" * 16),
        _append(folder / "pictures.bin", b"\1" * 20),
    ),
    "an entry of zeros": lambda folder: (
        _append(folder / "vectors.f32", bytes(16)),
        _append(folder / "pictures.bin", bytes(36)),
    ),
    "entries without vectors": lambda folder: _append(folder / "pictures.bin", b"\1" * 108),
}


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)


@pytest.mark.parametrize("kind", TORN)
def test_what_a_kill_left_behind_is_cut_off(tmp_path: Path, kind: str) -> None:
    some = pictures(tmp_path, 6)
    encoder = Colours()
    store = FeatureStore.open(tmp_path, encoder)
    compute_missing(store, tmp_path, some[:4], encoder)
    TORN[kind](tmp_path / FOLDER)
    again = FeatureStore.open(tmp_path, encoder)
    assert len(again) == 4
    assert compute_missing(again, tmp_path, some, encoder).computed == 2
    np.testing.assert_allclose(again.get([p.digest for p in some]), expected(tmp_path, some), rtol=1e-5)
    assert (tmp_path / FOLDER / "pictures.bin").stat().st_size == 6 * 36


def test_a_damaged_last_vector_is_computed_anew(tmp_path: Path) -> None:
    some = pictures(tmp_path, 4)
    encoder = Colours()
    compute_missing(FeatureStore.open(tmp_path, encoder), tmp_path, some, encoder)
    path = tmp_path / FOLDER / "vectors.f32"
    path.write_bytes(path.read_bytes()[:-6] + b"\7" * 6)
    store = FeatureStore.open(tmp_path, encoder)
    assert len(store) == 3
    assert compute_missing(store, tmp_path, some, encoder).computed == 1
    np.testing.assert_allclose(store.get([p.digest for p in some]), expected(tmp_path, some), rtol=1e-5)


RUN = """
import os, resource, signal, sys
from pathlib import Path
from tests.training.test_features import Colours, pictures
from training.errors import FeaturesDiskFull
from training.features import FeatureStore, compute_missing

data, kind, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
encoder = Colours(dim=int(sys.argv[4]))
some = pictures(data, 200)

class Dying(Colours):
    def encode(self, images):
        if kind == "kill" and len(self.batches) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(images)

if kind == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, count))
try:
    compute_missing(FeatureStore.open(data, encoder), data, some, Dying(dim=encoder.dim))
except FeaturesDiskFull as error:
    print(error)
    sys.exit(28)
"""


def run(data: Path, kind: str, count: int, dim: int = 4) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, str(data), kind, str(count), str(dim)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_killed_run_continues(tmp_path: Path) -> None:
    done = run(tmp_path, "kill", 3)
    assert done.returncode == -9, done.stderr
    encoder = Colours()
    store = FeatureStore.open(tmp_path, encoder)
    assert len(store) == 3 * BATCH
    some = pictures(tmp_path, 200)
    assert compute_missing(store, tmp_path, some, encoder).known == 3 * BATCH
    assert encoder.seen == 200 - 3 * BATCH
    np.testing.assert_allclose(store.get([p.digest for p in some]), expected(tmp_path, some), rtol=1e-5)


@pytest.mark.parametrize(
    "dim", [4, 12]
)  # an entry has 36 bytes: with 12 numbers the vectors find no room, with 4 they do
def test_a_full_disk_loses_nothing(tmp_path: Path, dim: int) -> None:
    some = pictures(tmp_path, 200)  # written before there is no room
    done = run(tmp_path, "full", BATCH * 2 * max(36, 4 * dim) + 50, dim)
    assert done.returncode == 28, done.stderr
    assert f"{tmp_path / FOLDER}: no room is left" in done.stdout
    encoder = Colours(dim=dim)
    store = FeatureStore.open(tmp_path, encoder)
    assert len(store) == 2 * BATCH
    assert (tmp_path / FOLDER / "vectors.f32").stat().st_size == 2 * BATCH * 4 * dim
    assert compute_missing(store, tmp_path, some, encoder).known == 2 * BATCH
    np.testing.assert_allclose(store.get([p.digest for p in some])[:, :4], expected(tmp_path, some), rtol=1e-5)


def test_one_process_adds_at_a_time(tmp_path: Path) -> None:
    some = pictures(tmp_path, 2)
    encoder = Colours()
    store = FeatureStore.open(tmp_path, encoder)
    with store.adding() as adder:
        adder.add([some[0].digest], expected(tmp_path, some[:1]))
        reader = FeatureStore.open(tmp_path, encoder)
        assert len(reader) == 1
        with pytest.raises(FeaturesBusy, match="another process is adding vectors"):
            compute_missing(reader, tmp_path, some, encoder)
    assert compute_missing(reader, tmp_path, some, encoder).computed == 1


def test_a_folder_of_other_vectors(tmp_path: Path) -> None:
    encoder = Colours()
    compute_missing(FeatureStore.open(tmp_path, encoder), tmp_path, pictures(tmp_path, 1), encoder)
    about = tmp_path / FOLDER / "about.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "weights_digest": "a" * 12 + "c" * 52}))
    with pytest.raises(FeaturesDamaged, match="belongs to other vectors; remove the folder"):
        FeatureStore.open(tmp_path, encoder)
    about.write_text("{")
    with pytest.raises(FeaturesDamaged, match="cannot be read"):
        FeatureStore.open(tmp_path, encoder)


def test_stored_vectors_are_those_of_the_answering_bot(tmp_path: Path) -> None:
    folder = ROOT / "tests/data"
    names = sorted(path.name for path in folder.glob("*.jpg"))
    encoder = load_encoder("efficientnet-lite0")
    store = FeatureStore.open(tmp_path, encoder)
    some = [StoredPicture(hashlib.sha256((folder / name).read_bytes()).hexdigest(), name) for name in names]
    compute_missing(store, folder, some, encoder)
    direct = encoder.encode([open_file(folder / name, short_side=encoder.input_size) for name in names])
    np.testing.assert_allclose(store.get([picture.digest for picture in some]), direct, rtol=1e-4, atol=1e-5)


def test_disk_full_is_a_feature_error() -> None:
    from training.errors import FeatureError

    assert issubclass(FeaturesDiskFull, FeatureError)
