"""Bytes to picture: the one decoder, for everything that people post.

What comes out is always an RGB `PIL.Image.Image`, upright (EXIF), on white where it was transparent, the first frame where
it was animated, without the file's metadata. What cannot become one is a `PictureError`, whatever the bytes are.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageOps

from bokemodel.errors import CorruptPicture, EmptyPicture, NotAPicture, TooManyPixels

pillow_heif.register_heif_opener(thumbnails=False)
# Pillow warns of damaged metadata and from its own number of pixels on; what counts here raises an error instead.
# (Not warnings.catch_warnings around each call: it swaps the filters of all threads.)
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
logging.getLogger("PIL").addHandler(logging.NullHandler())  # or logging prints its errors where nobody set it up

# MPO, which many phones and cameras call JPEG, opens as JPEG (Pillow knows no reader "MPO"), APNG as PNG, HEIC as HEIF.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF", "BMP", "DIB", "TIFF")
MAX_PIXELS = 64_000_000  # 8000 x 8000, for which the formats with transparency take about a gigabyte while they decode
_MAGICS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_ISO_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# Of a JPEG. A scan of some bytes costs as much time as the whole picture (46 ms at 64 million pixels), and Pillow copies all of
# the EXIF again for each of its segments (76 s for 17 MB). Cameras and editors write a dozen scans at most.
_MOST_OF_A_KIND = 64
_SCAN, _EXIF = b"\xff\xda\0", b"Exif\0\0"
_STDERR = threading.Lock()
_16_TO_8_BITS = np.round(np.arange(65536) / 257).astype(np.uint8)


def open_picture(data: bytes, *, max_pixels: int = MAX_PIXELS, short_side: int | None = None) -> Image.Image:
    """Decode posted bytes.

    Args:
        data: the whole file.
        max_pixels: width times height that is still decoded; checked before any pixel is.
        short_side: the size the caller needs, in pixels. A JPEG is then decoded at a half, quarter or eighth of its
            size (never below twice `short_side`), which saves most of the time for a phone's photo.

    Returns:
        An RGB picture, upright, on white, first frame.

    Raises:
        EmptyPicture, NotAPicture, CorruptPicture, TooManyPixels
    """
    if not data:
        raise EmptyPicture("the file is empty")
    image = _identify(data, max_pixels)
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixels(f"{width} x {height} is more than {max_pixels:,} pixels")
    if width < 1 or height < 1:
        raise CorruptPicture("the picture has no pixels")
    try:
        if short_side is not None:
            image.draft(None, _draft_size(width, height, 2 * short_side))
        with _quiet_libtiff() if image.format == "TIFF" else contextlib.nullcontext():
            image.load()
        if image.width * image.height > max_pixels:  # a first frame larger than the header said
            raise TooManyPixels(f"{image.width} x {image.height} is more than {max_pixels:,} pixels")
        _turn_upright(image)
        picture = _to_rgb(image)
    except TooManyPixels:
        raise
    except (MemoryError, Image.DecompressionBombError) as error:
        raise TooManyPixels(f"{width} x {height} does not fit into memory") from error
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        raise CorruptPicture(f"the {image.format} file is damaged or cut short") from error
    picture.info = {}  # where the photo was taken is nobody's business here
    return picture


def open_file(path: str | Path, *, max_pixels: int = MAX_PIXELS, short_side: int | None = None) -> Image.Image:
    """`open_picture` for a file on disk. Raises OSError where the file cannot be read."""
    return open_picture(Path(path).read_bytes(), max_pixels=max_pixels, short_side=short_side)


def _identify(data: bytes, max_pixels: int) -> Image.Image:
    if data.startswith(b"\xff\xd8") and max(data.count(_SCAN), data.count(_EXIF)) > _MOST_OF_A_KIND:
        raise CorruptPicture("the JPEG file has more scans or EXIF segments than any camera or editor writes")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (MemoryError, Image.DecompressionBombError) as error:
        raise TooManyPixels(f"the picture has more than {max_pixels:,} pixels") from error
    except (
        Exception
    ) as error:  # UnidentifiedImageError, and what readers raise that gave up later than at the first bytes
        if _starts_like_a_picture(data):
            raise CorruptPicture("the file starts like a picture but is damaged or cut short") from error
        raise NotAPicture("the file is not a picture of a format that is read here") from error


def _starts_like_a_picture(data: bytes) -> bool:
    return (
        data.startswith(_MAGICS)
        or (data[:2] == b"BM" and data[6:10] == bytes(4))
        or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
        or (data[4:8] == b"ftyp" and data[8:12] in _ISO_BRANDS)
    )


@contextlib.contextmanager
def _quiet_libtiff() -> Iterator[None]:
    """Keep libtiff from printing on stderr what it finds wrong with a file; Pillow has no switch for that.

    For the moment that it takes, what other threads print there is lost too.
    """
    with _STDERR:
        try:
            saved = os.dup(2)
        except OSError:  # no stderr
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _draft_size(width: int, height: int, short: int) -> tuple[int, int]:
    scale = short / min(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _turn_upright(image: Image.Image) -> None:
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except MemoryError:
        raise
    except Exception:  # broken EXIF is no reason to refuse the picture beneath it
        return


def _to_rgb(image: Image.Image) -> Image.Image:
    """RGB on white. Holds as few whole copies at a time as it can."""
    if image.mode.startswith(("I", "F")):  # 16 bits a pixel and more
        return _to_8_bits(image).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        picture = Image.new("RGB", image.size, "white")
        picture.paste(image, mask=image)
        return picture
    if image.mode == "LAB":
        return _from_lab(image)
    return image.convert("RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Grey, 8 bits. Values outside of 16 bits (science's floating point, mostly) are spread from least to greatest."""
    transparent = image.info.get("transparency")
    values = np.asarray(image)
    if image.mode == "F":
        values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    sixteen_bits = image.mode.startswith("I;16")
    low, high = (0.0, 65535.0) if sixteen_bits else (float(values.min()), float(values.max()))
    if sixteen_bits or (image.mode == "I" and low >= 0 and 255 < high <= 65535):
        grey = _16_TO_8_BITS[values]
    else:
        scaled = values.astype(np.float32)
        if low < 0 or high > 255:
            # Halves: the distance of the least from the greatest may be more than 32 bits hold.
            scaled = (scaled * 0.5 - low * 0.5) * (255.0 / max(high * 0.5 - low * 0.5, 1e-12))
        elif image.mode == "F" and high <= 1:
            scaled *= 255.0
        grey = scaled.clip(0, 255).round().astype(np.uint8)
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _from_lab(image: Image.Image) -> Image.Image:
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    picture = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
    assert picture is not None
    return picture
