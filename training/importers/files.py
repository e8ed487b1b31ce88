"""The pictures that imported jokes name: each file is read once, decoded once ever, and kept under its digest."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from bokemodel.errors import PictureError
from store.database import Database
from store.tables import Picture
from training.errors import CorpusDiskFull, ImportFailed, no_room
from training.pictures import KeptPicture, keep_picture

MAX_BYTES = 256 * 1024 * 1024  # of one picture file; it is read whole
REMEMBERED = 20_000  # files whose digest is kept in mind; others are read again when they come back


@dataclass(frozen=True, slots=True)
class NoFile:
    """There is no such file to read: the line that names it is wrong."""

    reason: str


@dataclass(frozen=True, slots=True)
class Broken:
    """There is a file, but it is no picture."""

    reason: str


@dataclass(frozen=True)
class Brought:
    """What some files turned out to be.

    Attributes:
        found: by path: a picture's digest, or what is wrong.
        kept: pictures that data.dir did not have, for the database.
        broken: a line for each file that is no picture and was not met before.
    """

    found: Mapping[str, str | NoFile | Broken]
    kept: tuple[KeptPicture, ...]
    broken: tuple[str, ...]


class PictureFiles:
    """Brings picture files into data.dir and tells their digests."""

    def __init__(self, database: Database, data_dir: Path, max_pixels: int) -> None:
        self.database = database
        self.data_dir = data_dir
        self.max_pixels = max_pixels
        self.known: OrderedDict[str, str | NoFile | Broken] = OrderedDict()

    def bring(self, paths: Iterable[Path]) -> Brought:
        """Read the files that are not in mind, keep those that are new.

        Raises: CorpusDiskFull, DatabaseUnavailable; ImportFailed where data.dir cannot be written.
        """
        wanted = list(dict.fromkeys(map(str, paths)))
        fresh = [path for path in wanted if path not in self.known]
        found = {path: self.known.get(path) or _digest(Path(path)) for path in wanted}
        stored = self._stored({digest for path in fresh if isinstance(digest := found[path], str)})
        kept: dict[str, KeptPicture] = {}
        for path in fresh:
            digest = found[path]
            if isinstance(digest, str) and digest not in stored and digest not in kept:
                picture = self._keep(Path(path))
                if isinstance(picture, KeptPicture):
                    kept[picture.digest], found[path] = picture, picture.digest
                else:
                    found[path] = picture
        self._remember(found)
        broken = tuple(f"{path}: {bad.reason}" for path in fresh if isinstance(bad := found[path], Broken))
        return Brought(found, tuple(kept.values()), broken)

    def _remember(self, found: Mapping[str, str | NoFile | Broken]) -> None:
        for path, digest in found.items():
            self.known[path] = digest
            self.known.move_to_end(path)
        while len(self.known) > REMEMBERED:
            self.known.popitem(last=False)

    def _stored(self, digests: set[str]) -> set[str]:
        """Those of the digests whose picture the database knows and whose file is there."""
        stored: set[str] = set()
        some = sorted(digests)
        with self.database.reader() as session:
            for start in range(0, len(some), 500):
                query = select(Picture.digest, Picture.path, Picture.bytes)
                for row in session.execute(query.where(Picture.digest.in_(some[start : start + 500]))):
                    path = self.data_dir / row.path
                    if path.is_file() and path.stat().st_size == row.bytes:
                        stored.add(row.digest)
        return stored

    def _keep(self, path: Path) -> KeptPicture | NoFile | Broken:
        try:
            data = path.read_bytes()
        except OSError as error:
            return NoFile(error.strerror or "cannot be read")
        try:
            return keep_picture(self.data_dir, data, max_pixels=self.max_pixels)
        except PictureError as error:
            return Broken(str(error))
        except OSError as error:
            if no_room(error):
                raise CorpusDiskFull(
                    f"{self.data_dir}: no room is left for pictures; what was imported stays"
                ) from None
            raise ImportFailed(f"{self.data_dir}: cannot be written: {error.strerror}") from None


def _digest(path: Path) -> str | NoFile | Broken:
    try:
        if not path.is_file():
            return NoFile("there is no such picture file")
        if path.stat().st_size > MAX_BYTES:
            return Broken(f"the file has more than {MAX_BYTES:,} bytes")
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        return NoFile(getattr(error, "strerror", None) or "the picture file cannot be read")
