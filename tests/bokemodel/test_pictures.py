"""The picture decoder on what people post: every format, turned, transparent, deep, thin, tiny."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from bokemodel.pictures import open_file, open_picture
from tests.bokemodel.formats import (
    INTO_ORIENTATION,
    ORIENTATION,
    PHOTOS,
    SIZE,
    WRITERS,
    difference,
    encode,
    half_transparent,
    photo,
    png,
    sample,
    turned_jpeg,
)

# pytest sets its own filters, so what the module silences shows here.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_comes_back_as_the_photo(name: str) -> None:
    picture = open_picture(sample(name))
    assert type(picture) is Image.Image
    assert picture.mode == "RGB"
    assert picture.size == SIZE
    limit = 0.0 if WRITERS[name][1] else 5.0
    assert difference(picture, photo()) <= limit


@pytest.mark.parametrize("orientation", INTO_ORIENTATION)
def test_exif_turns_a_jpeg_upright(orientation: int) -> None:
    assert difference(open_picture(turned_jpeg(photo(), orientation)), photo()) < 4.0


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_turns_other_formats_upright(format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    turn = INTO_ORIENTATION[orientation]
    assert turn is not None
    options = {"quality": 95} if format in ("WEBP", "AVIF") else {}
    data = encode(photo().transpose(turn), format, exif=exif.tobytes() if format != "TIFF" else exif, **options)
    assert difference(open_picture(data), photo()) < 4.0


def test_a_phones_heic_is_turned_once() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    turn = INTO_ORIENTATION[6]
    assert turn is not None
    heif = pillow_heif.from_pillow(photo().transpose(turn))
    buffer = io.BytesIO()
    heif.save(buffer, quality=95, exif=exif.tobytes())
    assert difference(open_picture(buffer.getvalue()), photo()) < 5.0


@pytest.mark.parametrize("short_side", [None, 10, 64])
def test_broken_exif_is_ignored(short_side: int | None) -> None:
    picture = open_picture(
        encode(photo(), "JPEG", quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), short_side=short_side
    )
    assert picture.width * SIZE[1] == picture.height * SIZE[0]


def test_metadata_stays_behind() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"  # GPS
    exif[0x010F] = "a camera"
    picture = open_picture(encode(photo(), "JPEG", exif=exif, comment=b"hello"))
    assert picture.info == {}
    assert b"a camera" not in encode(picture, "PNG")


@pytest.mark.parametrize(
    ("format", "mode"),
    [
        ("PNG", "RGBA"),
        ("PNG", "P"),
        ("PNG", "LA"),
        ("WEBP", "RGBA"),
        ("GIF", "RGBA"),
        ("TIFF", "RGBA"),
        ("TIFF", "LA"),
        ("AVIF", "RGBA"),
    ],
)
def test_transparent_is_white(format: str, mode: str) -> None:
    image = half_transparent(photo())
    if mode == "P":
        image = image.quantize(255, method=Image.Quantize.FASTOCTREE)
    elif mode == "LA":
        image = image.convert("LA")
    picture = open_picture(encode(image, format, **({"quality": 95} if format == "AVIF" else {})))
    right = np.asarray(picture.crop((SIZE[0] // 2 + 4, 0, *SIZE)))
    assert right.min() >= 252
    left = photo().crop((0, 0, SIZE[0] // 2 - 4, SIZE[1]))
    if mode == "LA":
        left = left.convert("L")
    assert difference(picture.crop((0, 0, SIZE[0] // 2 - 4, SIZE[1])), left) < 8.0


def test_half_alpha_mixes_with_white() -> None:
    picture = open_picture(encode(Image.new("RGBA", (4, 4), (0, 0, 200, 51)), "PNG"))
    assert picture.getpixel((0, 0)) == (204, 204, 244)


def test_one_transparent_palette_entry() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    picture = open_picture(encode(image, "PNG", transparency=0))
    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (0, 0, 255)]


def test_one_transparent_grey() -> None:
    image = Image.fromarray(np.array([[10, 200]], np.uint8))
    picture = open_picture(encode(image, "PNG", transparency=10))
    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (200, 200, 200)]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_grey(format: str) -> None:
    grey = photo().convert("L")
    assert difference(open_picture(encode(grey, format)), grey) < 4.0


def test_black_and_white() -> None:
    image = photo().convert("1")
    assert difference(open_picture(encode(image, "TIFF", compression="group4")), image) == 0
    assert difference(open_picture(encode(image, "PNG")), image) == 0


def test_grey_of_16_bits() -> None:
    grey = photo().convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    for data in (encode(deep, "PNG"), encode(deep, "TIFF")):
        assert difference(open_picture(data), grey) == 0


def test_dark_grey_of_16_bits_stays_dark() -> None:
    deep = Image.fromarray(np.full((4, 4), 200, np.uint16))  # 200 of 65,535
    assert open_picture(encode(deep, "PNG")).getpixel((0, 0)) == (1, 1, 1)


def test_transparent_grey_of_16_bits() -> None:
    rows = b"\0" + struct.pack(">HH", 1000, 65535 // 2)
    picture = open_picture(png(2, 1, 16, 0, rows, (b"tRNS", struct.pack(">H", 1000))))
    assert [picture.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (127, 127, 127)]


@pytest.mark.parametrize("scale", [1.0, 255.0, 4000.0])
def test_floating_point(scale: float) -> None:
    grey = photo().convert("L")
    values = np.asarray(grey).astype(np.float32) / 255
    values = (values - values.min()) / (values.max() - values.min())
    picture = open_picture(encode(Image.fromarray(values * np.float32(scale)), "TIFF"))
    expected = Image.fromarray((values * 255).round().astype(np.uint8))
    assert difference(picture, expected) < 1.0


def test_floating_point_without_numbers() -> None:
    values = np.full((4, 4), np.nan, np.float32)
    assert open_picture(encode(Image.fromarray(values), "TIFF")).size == (4, 4)


@pytest.mark.filterwarnings("error")
def test_floating_point_from_end_to_end() -> None:
    values = np.array([[-3.4e38, 0.0, 3.4e38]], np.float32)
    picture = open_picture(encode(Image.fromarray(values), "TIFF"))
    assert [picture.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


def test_lab() -> None:
    lab = ImageCms.profileToProfile(
        photo(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    assert difference(open_picture(encode(lab, "TIFF")), photo()) < 6.0


def test_a_first_frame_smaller_than_the_canvas_lies_on_white() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 9, 9, 9])
    image.putpixel((0, 0), 0)
    frame = encode(image, "GIF", transparency=0)
    at = frame.index(b",") + 1
    gif = frame[:6] + struct.pack("<HH", 10, 10) + frame[10:at] + struct.pack("<HH", 5, 5) + frame[at + 4 :]
    picture = open_picture(gif)
    assert picture.size == (10, 10)
    assert picture.getpixel((1, 1)) == (255, 255, 255)
    assert picture.getpixel((5, 5)) == (255, 255, 255)
    assert picture.getpixel((6, 6)) == (9, 9, 9)


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1)])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("short_side", [None, 224])
def test_thin_and_tiny(size: tuple[int, int], format: str, short_side: int | None) -> None:
    picture = open_picture(encode(Image.new("RGB", size, (10, 200, 30)), format), short_side=short_side)
    assert picture.size == size
    assert difference(picture, Image.new("RGB", size, (10, 200, 30))) < 12


def test_short_side_shrinks_a_jpeg_but_never_below_twice_that() -> None:
    big = photo(size=(2400, 1600))
    picture = open_picture(encode(big, "JPEG", quality=95), short_side=224)
    assert 448 <= picture.height < 1600
    assert picture.width * 1600 == picture.height * 2400
    assert difference(picture, big.resize(picture.size)) < 4.0
    assert open_picture(encode(photo(), "JPEG"), short_side=224).size == SIZE


def test_files(tmp_path: Path) -> None:
    with Image.open(PHOTOS / "cat.jpg") as cat:
        assert difference(open_file(PHOTOS / "cat.jpg"), cat) == 0
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "none.png")
