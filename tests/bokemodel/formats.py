"""One photo as bytes in every format that people post; made when the tests run, so that no binary lies in the tree."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

PHOTOS = Path(__file__).resolve().parents[1] / "data"
SIZE = (120, 80)
ORIENTATION = 0x0112

# Where EXIF says that the first row and column of the file belong, and how to turn an upright picture into such a file.
INTO_ORIENTATION: dict[int, Image.Transpose | None] = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def photo(name: str = "cat", size: tuple[int, int] = SIZE) -> Image.Image:
    """A photo of tests/data, RGB, cropped and scaled to `size`."""
    with Image.open(PHOTOS / f"{name}.jpg") as image:
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def difference(a: Image.Image, b: Image.Image) -> float:
    """The mean difference of two pictures, of 255."""
    assert a.size == b.size
    return float(np.abs(np.asarray(a.convert("RGB"), float) - np.asarray(b.convert("RGB"), float)).mean())


def encode(image: Image.Image, format: str, **options: Any) -> bytes:
    """`image` as a file of a format that Pillow writes."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def turned_jpeg(image: Image.Image, orientation: int) -> bytes:
    """A JPEG that shows `image` upright where EXIF's orientation is heeded."""
    turn = INTO_ORIENTATION[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encode(image if turn is None else image.transpose(turn), "JPEG", quality=95, subsampling=0, exif=exif)


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG of raw scanlines (each with its filter byte), for what Pillow does not write; `extra` chunks precede them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def png16(image: Image.Image) -> bytes:
    """An RGB PNG of 16 bits a channel."""
    values = np.asarray(image.convert("RGB")).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    return png(image.width, image.height, 16, 2, rows)


def half_transparent(image: Image.Image) -> Image.Image:
    """RGBA: the left half opaque, the right half clear over a colour that must not show (pure red)."""
    result = Image.new("RGBA", image.size, (255, 0, 0, 0))
    result.paste(image.crop((0, 0, image.width // 2, image.height)), (0, 0))
    return result


def _animated(format: str, **options: Any) -> Callable[[Image.Image], bytes]:
    def write(image: Image.Image) -> bytes:
        others = [Image.new("RGB", image.size, colour) for colour in ("red", "blue")]
        return encode(image, format, save_all=True, append_images=others, duration=100, loop=0, **options)

    return write


# name -> (writer, whether every pixel comes back exactly)
WRITERS: dict[str, tuple[Callable[[Image.Image], bytes], bool]] = {
    "jpeg": (lambda im: encode(im, "JPEG", quality=92), False),
    "jpeg-progressive": (lambda im: encode(im, "JPEG", quality=92, progressive=True), False),
    "jpeg-cmyk": (lambda im: encode(im.convert("CMYK"), "JPEG", quality=95), False),
    "mpo": (
        lambda im: encode(im, "MPO", save_all=True, append_images=[im.transpose(Image.Transpose.ROTATE_180)]),
        False,
    ),
    "png": (lambda im: encode(im, "PNG"), True),
    "png-16": (png16, True),
    "apng": (_animated("PNG"), True),
    "gif": (lambda im: encode(im.quantize(256), "GIF"), False),
    "gif-animated": (_animated("GIF"), False),
    "webp": (lambda im: encode(im, "WEBP", quality=92), False),
    "webp-lossless": (lambda im: encode(im, "WEBP", lossless=True), True),
    "webp-animated": (_animated("WEBP", lossless=True), True),
    "avif": (lambda im: encode(im, "AVIF", quality=90), False),
    "heic": (lambda im: encode(im, "HEIF", quality=90), False),
    "bmp": (lambda im: encode(im, "BMP"), True),
    "tiff": (lambda im: encode(im, "TIFF"), True),
    "tiff-deflate": (lambda im: encode(im, "TIFF", compression="tiff_adobe_deflate"), True),
}


def sample(name: str, image: Image.Image | None = None) -> bytes:
    """`image`, else the cat, in the format `name` of `WRITERS`."""
    return WRITERS[name][0](photo() if image is None else image)
