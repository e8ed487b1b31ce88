"""Feature vectors of the corpus's pictures: each goes through the encoder once ever, and is then read from a mapped file.

data.dir/features/{encoder}-{first 12 digits of the weights' digest}/ holds
- about.json: encoder, digest of its weights, numbers in a vector;
- vectors.f32: one row after the other, float32, little endian;
- pictures.bin: for each row the picture's digest (32 bytes) and a checksum of digest and vector (4 bytes).
Both only grow. A row counts once its entry in pictures.bin is whole: what a killed run leaves behind it is cut off.
- deadly.txt: pictures that are left out because processes died of them (`training.deadly`).
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bokemodel.encoders.base import Encoder
from bokemodel.pictures import MAX_PIXELS
from training.corpus import StoredPicture
from training.deadly import add_deadly, left_out, read_deadly
from training.errors import FeaturesBusy, FeaturesDamaged, FeaturesDiskFull, FeaturesMissing, no_room
from training.opening import Opener
from training.progress import Report, quiet
from training.snapshots import write_whole

Floats = NDArray[np.float32]
FOLDER = "features"
FORMAT = 1
BATCH = 32  # pictures that are decoded, encoded and stored together
NAMED = 20  # unreadable pictures that are named; all are counted
_ENTRY = np.dtype([("picture", "V32"), ("checksum", "<u4")])


@dataclass(frozen=True)
class FeatureReport:
    """What was computed: `known` were there before; `unreadable` names the first pictures that gave no vector, and why."""

    known: int
    computed: int
    failed: int
    unreadable: tuple[str, ...]


class FeatureStore:
    """The vectors of one encoder. Reading needs no lock and sees whole rows only; `add` is for one process at a time."""

    def __init__(self, folder: Path, encoder: str, weights_digest: str, dim: int) -> None:
        """Args:
            folder: of this store alone. It is made by the first `add`.
            dim: numbers in one vector.

        Raises: FeaturesDamaged where the folder holds another encoder's vectors.
        """
        self.folder = folder
        self.about = {"format": FORMAT, "encoder": encoder, "weights_digest": weights_digest, "dim": dim}
        self.dim = dim
        self._row_bytes = dim * 4
        self._check_about()
        self.refresh()

    @classmethod
    def open(cls, data_dir: Path, encoder: Encoder) -> FeatureStore:
        """The store of an encoder, by its name and the digest of its weights. Raises: FeaturesDamaged"""
        digest = encoder.weights_digest
        return cls(data_dir / FOLDER / f"{encoder.name}-{digest[:12]}", encoder.name, digest, encoder.dim)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def vectors(self) -> Floats:
        """All rows, (N, dim), mapped: only what is looked at is read."""
        return self._vectors

    def rows(self, digests: Sequence[str]) -> NDArray[np.int64]:
        """The row of each picture, -1 where there is none."""
        wanted = np.array([bytes.fromhex(digest) for digest in digests], "V32")
        starts = _starts(wanted)
        found = np.full(len(wanted), -1, np.int64)
        places = np.searchsorted(self._sorted, starts)
        for index, place in enumerate(places):
            while place < len(self._sorted) and self._sorted[place] == starts[index]:
                row = self._order[place]
                if self._pictures[row] == wanted[index]:
                    found[index] = row
                    break
                place += 1
        return found

    def get(self, digests: Sequence[str]) -> Floats:
        """The vectors of pictures, (N, dim), a copy. Raises: FeaturesMissing"""
        rows = self.rows(digests)
        if len(rows) and rows.min() < 0:
            missing = [digest for digest, row in zip(digests, rows, strict=True) if row < 0]
            raise FeaturesMissing(f"{len(missing):,} pictures have no vector, such as {missing[0]}")
        return np.asarray(self.vectors[rows], np.float32)

    def refresh(self) -> None:
        """See what was added since."""
        entries = _entries(self._path("pictures.bin"))
        count = min(len(entries), _size(self._path("vectors.f32")) // self._row_bytes)
        if count:
            mapped = np.memmap(self._path("vectors.f32"), "<f4", "r", shape=(count, self.dim))
            while count and not _is_whole(entries[count - 1], mapped[count - 1]):
                count -= 1
        self._vectors: Floats = mapped[:count] if count else np.empty((0, self.dim), np.float32)
        self._pictures = entries["picture"][:count]
        starts = _starts(self._pictures)
        self._order = np.argsort(starts, kind="stable")
        self._sorted = starts[self._order]

    @contextmanager
    def adding(self) -> Iterator[_Adder]:
        """For the block, this process may add rows; at its start whatever is torn is cut off, at its end `self` sees them.

        Raises: FeaturesBusy, FeaturesDiskFull; OSError where the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._path("about.json").exists():
                write_whole(self._path("about.json"), json.dumps(self.about).encode())
            # Unbuffered: what could not be written must not be tried again when the file is closed.
            with (
                self._path("pictures.bin").open("ab", buffering=0) as pictures,
                self._path("vectors.f32").open("ab", buffering=0) as vectors,
            ):
                try:
                    fcntl.flock(pictures, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise FeaturesBusy(f"{self.folder}: another process is adding vectors; wait for it") from None
                self.refresh()
                adder = _Adder(pictures, vectors, len(self), self._row_bytes)
                try:
                    adder.cut()
                    yield adder
                finally:
                    self.refresh()
        except OSError as error:
            if no_room(error):
                raise FeaturesDiskFull(
                    f"{self.folder}: no room is left; make room and run it again, it goes on where it stopped"
                ) from None
            raise

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _check_about(self) -> None:
        path = self._path("about.json")
        if not path.exists():
            return
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise FeaturesDamaged(f"{path}: cannot be read; remove the folder, it is computed anew") from None
        if about != self.about:
            raise FeaturesDamaged(f"{path}: belongs to other vectors; remove the folder, it is computed anew")


class _Adder:
    """Appends rows: the vectors first, and only when they are on the disk their entries."""

    def __init__(self, pictures: FileIO, vectors: FileIO, count: int, row_bytes: int) -> None:
        self.pictures, self.vectors = pictures, vectors
        self.count, self.row_bytes = count, row_bytes

    def add(self, digests: Sequence[str], vectors: Floats) -> None:
        """Store rows, (N, dim). After it they outlast a kill and a power cut. Raises: OSError; nothing is added then."""
        rows = np.ascontiguousarray(vectors, "<f4")
        entries = np.empty(len(digests), _ENTRY)
        for index, (digest, row) in enumerate(zip(digests, rows, strict=True)):
            entries[index] = (bytes.fromhex(digest), _checksum(bytes.fromhex(digest), row.tobytes()))
        try:
            _write(self.vectors, rows.tobytes())
            _write(self.pictures, entries.tobytes())
        except OSError:
            self.cut()
            raise
        self.count += len(digests)

    def cut(self) -> None:
        """Cut off what does not belong to a whole row."""
        os.ftruncate(self.pictures.fileno(), self.count * _ENTRY.itemsize)
        os.ftruncate(self.vectors.fileno(), self.count * self.row_bytes)


@dataclass(frozen=True)
class Encoded:
    """What came of some pictures: the vectors (N, dim) of those with these digests, and a line for each that has none.

    deadly: those of the latter that processes died of.
    """

    digests: list[str]
    vectors: Floats
    unreadable: list[str]
    deadly: Sequence[StoredPicture] = ()


class Encoding(Protocol):
    """A way to get vectors: batches of pictures go in, and in any order what came of them comes out.

    Args: the batches, each read when it is needed; the folder of their paths; `pictures.max_pixels`.
    """

    def __call__(
        self, batches: Iterable[Sequence[StoredPicture]], data_dir: Path, max_pixels: int, /
    ) -> Generator[Encoded]: ...


def compute_missing(
    store: FeatureStore,
    data_dir: Path,
    pictures: Iterable[StoredPicture],
    encoder: Encoder,
    *,
    total: int = 0,
    max_pixels: int = MAX_PIXELS,
    report: Report = quiet,
    encoding: Encoding | None = None,
) -> FeatureReport:
    """Send pictures that have no vector through the encoder and store what comes out, a batch at a time.

    Pictures that processes died of before are left out, counted and named with those that are unreadable.

    Args:
        pictures: of the corpus (`read_pictures`); those that have a vector are passed over.
        total: how many they are, for the report.
        encoding: instead of `encoder` in this process, the same network elsewhere (`training.cluster_features`).

    Raises: FeaturesBusy, FeaturesDiskFull, and what `encoding` raises; what was stored before stays, and the next run goes on
    from there.
    """
    known = computed = failed = 0
    unreadable: list[str] = []
    deadly = read_deadly(store.folder)

    def note(lines: Sequence[str]) -> None:
        nonlocal failed
        failed += len(lines)
        unreadable.extend(lines[: NAMED - len(unreadable)])

    def missing() -> Iterator[list[StoredPicture]]:
        nonlocal known
        done, source = 0, iter(pictures)
        while some := list(islice(source, BATCH)):
            rows = store.rows([picture.digest for picture in some])
            new = [picture for picture, row in zip(some, rows, strict=True) if row < 0]
            known += len(some) - len(new)
            if deadly:
                note([left_out(store.folder, picture) for picture in new if picture.digest in deadly])
                new = [picture for picture in new if picture.digest not in deadly]
            if new:
                yield new
            done += len(some)
            report("features", done, max(total, done))

    encoding = encoding or partial(_encode_here, encoder)
    with store.adding() as adder, closing(encoding(missing(), data_dir, max_pixels)) as results:
        for result in results:
            note(result.unreadable)
            if result.deadly:
                add_deadly(store.folder, result.deadly)
            if result.digests:
                adder.add(result.digests, result.vectors)
                computed += len(result.digests)
    return FeatureReport(known, computed, failed, tuple(unreadable))


def _encode_here(
    encoder: Encoder, batches: Iterable[Sequence[StoredPicture]], data_dir: Path, max_pixels: int
) -> Generator[Encoded]:
    """With this process's encoder; a batch is decoded, in a process of its own, while the one before it is computed."""
    deadly: list[StoredPicture] = []
    encoded_any = False

    def encoded(batch: Sequence[StoredPicture], images: Future[list[Image.Image | str]]) -> Encoded:
        nonlocal encoded_any
        opened = list(zip(batch, images.result(), strict=True))
        whole = [(picture.digest, image) for picture, image in opened if isinstance(image, Image.Image)]
        broken = [f"{picture.path}: {image}" for picture, image in opened if isinstance(image, str)]
        nothing = np.empty((0, encoder.dim), np.float32)
        vectors = encoder.encode([image for _, image in whole]) if whole else nothing
        encoded_any = encoded_any or bool(whole)
        return Encoded([digest for digest, _ in whole], vectors, broken)

    with ThreadPoolExecutor(1) as pool, closing(Opener(encoder.input_size, max_pixels, deadly)) as opener:
        waiting: tuple[Sequence[StoredPicture], Future[list[Image.Image | str]]] | None = None
        for batch in batches:
            following = batch, pool.submit(opener.open, data_dir, batch)
            if waiting:
                yield encoded(*waiting)
            waiting = following
        if waiting:
            yield encoded(*waiting)
        if deadly and encoded_any:  # otherwise it may be something else that it dies of
            yield Encoded([], np.empty((0, encoder.dim), np.float32), [], deadly)


def _write(stream: FileIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[stream.write(left) :]
    os.fsync(stream.fileno())


def _entries(path: Path) -> NDArray[np.void]:
    size = _size(path) // _ENTRY.itemsize
    return np.fromfile(path, _ENTRY, size) if size else np.empty(0, _ENTRY)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _starts(pictures: NDArray[np.void]) -> NDArray[np.uint64]:
    """The first 8 bytes of digests, which tell nearly all of them apart."""
    return np.ascontiguousarray(pictures).view(">u8").reshape(-1, 4)[:, 0].astype(np.uint64)


def _is_whole(entry: np.void, vector: Floats) -> bool:
    return bool(entry["checksum"] == _checksum(bytes(entry["picture"]), vector.tobytes()))


def _checksum(picture: bytes, vector: bytes) -> int:
    return zlib.crc32(vector, zlib.crc32(picture))
