"""Pictures' files to pictures at the network's size, whatever the files are; those that processes die of are noted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from bokemodel.errors import PictureError
from training.corpus import StoredPicture
from training.decoding import Decoder, DecoderDied
from training.errors import PicturesDeadly

DEATHS = 2  # of the process that decodes, after which a picture is given up
MOST_DEATHS = 20  # in a row: then it is not the pictures


class Opener:
    """Pictures' files to pictures at the network's size; `deadly` is given those that their process died of."""

    def __init__(self, size: int, max_pixels: int, deadly: list[StoredPicture]) -> None:
        self._size, self._max_pixels, self._deadly = size, max_pixels, deadly
        self._decoder = Decoder()
        self._deaths = 0  # in a row

    def open(self, data_dir: Path, batch: Sequence[StoredPicture]) -> list[Image.Image | str]:
        """Each picture, or why there is none. Raises: PicturesDeadly"""
        return [self._opened(data_dir, picture) for picture in batch]

    def close(self) -> None:
        self._decoder.close()

    def _opened(self, data_dir: Path, picture: StoredPicture) -> Image.Image | str:
        data = read_bytes(data_dir / picture.path)
        if isinstance(data, str):
            return data
        said = ""
        for _ in range(DEATHS):
            try:
                image = self._decoder.open_fitted(data, self._size, self._max_pixels)
            except PictureError as error:
                self._deaths = 0
                return str(error)
            except DecoderDied as error:
                self._deaths += 1
                said = str(error)
            else:
                self._deaths = 0
                return image
        if self._deaths >= MOST_DEATHS:
            raise PicturesDeadly(f"pictures cannot be decoded, whichever it is: {said}")
        self._deadly.append(picture)
        return f"processes die of it: {said}"


def read_bytes(path: Path) -> bytes | str:
    """A picture's file, or why there is none."""
    try:
        return path.read_bytes()
    except OSError as error:
        return error.strerror or "cannot be read"
