"""The corpus's picture files: data.dir/pictures/aa/digest.ext, one file for one picture however many odai share it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from bokemodel.pictures import MAX_PIXELS, open_picture

FOLDER = "pictures"
_ENDINGS = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tif"),
    (b"MM\x00*", "tif"),
)


@dataclass(frozen=True)
class KeptPicture:
    """A picture in its file.

    Attributes:
        digest: SHA-256 of the file's bytes, in hex.
        path: relative to data.dir, with forward slashes.
        width, height: upright, in pixels.
        bytes: size of the file.
    """

    digest: str
    path: str
    width: int
    height: int
    bytes: int


def keep_picture(data_dir: Path, data: bytes, *, max_pixels: int = MAX_PIXELS) -> KeptPicture:
    """Decode a picture once, to be sure that it is one, and keep its bytes as they are.

    The file is there in full or not at all, whenever the process ends; a picture that is kept already is not written again.

    Raises:
        PictureError: it is none.
        OSError: it cannot be written.
    """
    picture = open_picture(data, max_pixels=max_pixels)
    digest = hashlib.sha256(data).hexdigest()
    path = Path(FOLDER) / digest[:2] / f"{digest}.{_ending(data)}"
    kept = KeptPicture(digest, path.as_posix(), picture.width, picture.height, len(data))
    target = data_dir / path
    if target.is_file() and target.stat().st_size == len(data):
        return kept
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{digest}.{os.getpid()}")
    try:
        with half.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())  # the database will say that it is there
        half.replace(target)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    return kept


def _ending(data: bytes) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return "avif" if data[8:12] in (b"avif", b"avis") else "heic"
    return next((ending for magic, ending in _ENDINGS if data.startswith(magic)), "img")
