"""Bytes to picture: the one decoder, for everything that people post.

What comes out is always an RGB `PIL.Image.Image`, upright (EXIF), on white where it was transparent, the first frame where
it was animated. What cannot become one is a `PictureError`, whatever the bytes are.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageOps, UnidentifiedImageError

from bokemodel.errors import CorruptPicture, EmptyPicture, NotAPicture, TooManyPixels

pillow_heif.register_heif_opener(thumbnails=False)

# MPO, which many phones and cameras call JPEG, opens as JPEG (Pillow knows no reader "MPO"), APNG as PNG, HEIC as HEIF.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF", "BMP", "DIB", "TIFF")
MAX_PIXELS = 64_000_000  # 8000 x 8000; 192 MB while it is decoded
_TRANSPARENT = ("RGBA", "RGBa", "LA", "La", "PA")


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
    with warnings.catch_warnings():
        # The limit below is ours; Pillow's own warns at another size.
        warnings.simplefilter("ignore")
        image = _identify(data)
        width, height = image.size
        if width * height > max_pixels:
            raise TooManyPixels(f"{width} x {height} is more than {max_pixels:,} pixels")
        if width < 1 or height < 1:
            raise CorruptPicture("the picture has no pixels")
        if short_side is not None:
            image.draft(None, _draft_size(width, height, 2 * short_side))
        try:
            image.load()
            return _to_rgb(_upright(image))
        except MemoryError as error:
            raise TooManyPixels(f"{width} x {height} does not fit into memory") from error
        except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
            raise CorruptPicture(f"the {image.format} file is damaged or cut short") from error


def open_file(path: str | Path, *, max_pixels: int = MAX_PIXELS, short_side: int | None = None) -> Image.Image:
    """`open_picture` for a file on disk. Raises OSError where the file cannot be read."""
    return open_picture(Path(path).read_bytes(), max_pixels=max_pixels, short_side=short_side)


def _identify(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        if _starts_like_a_picture(data):
            raise CorruptPicture("the file starts like a picture but is damaged or cut short") from error
        raise NotAPicture("the file is not a picture of a format that is read here") from error
    except Image.DecompressionBombError as error:
        raise TooManyPixels(str(error)) from error
    except Exception as error:
        raise CorruptPicture("the file starts like a picture but is damaged or cut short") from error


def _starts_like_a_picture(data: bytes) -> bool:
    magics = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\x00", b"MM\x00*")
    return (
        data.startswith(magics)
        or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
        or (data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1"))
    )


def _draft_size(width: int, height: int, short: int) -> tuple[int, int]:
    scale = short / min(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF is no reason to refuse the picture beneath it
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16 bits a pixel and more
        image = _to_8_bits(image)
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float64)
    if image.mode.startswith("I;16") or (image.mode == "I" and values.min() >= 0 and 255 < values.max() <= 65535):
        values = values / 257.0
    else:
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if low < 0 or high > 255:
            values = (values - low) * (255.0 / max(high - low, 1e-12))
        elif image.mode == "F" and high <= 1:
            values = values * 255.0
    return Image.fromarray(np.nan_to_num(values).clip(0, 255).round().astype(np.uint8), "L")
