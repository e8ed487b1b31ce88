"""The picture decoder on what people post: every format, turned, transparent, deep, huge, cut short and spoilt."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from bokemodel.errors import CorruptPicture, EmptyPicture, NotAPicture, PictureError, TooManyPixels
from bokemodel.pictures import MAX_PIXELS, open_file, open_picture
from tests.bokemodel.formats import (
    INTO_ORIENTATION,
    ORIENTATION,
    PHOTOS,
    SIZE,
    WRITERS,
    encode,
    half_transparent,
    photo,
    png,
    sample,
    turned_jpeg,
)

MUTATIONS_PER_FORMAT = 30

# pytest sets its own filters, so what the module silences shows here.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")


def difference(a: Image.Image, b: Image.Image) -> float:
    """The mean difference of two pictures, of 255."""
    assert a.size == b.size
    return float(np.abs(np.asarray(a.convert("RGB"), float) - np.asarray(b.convert("RGB"), float)).mean())


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


def test_nothing() -> None:
    with pytest.raises(EmptyPicture):
        open_picture(b"")


@pytest.mark.parametrize(
    "data",
    [
        b"Hello, I am no picture.",
        "ねこのしゃしんです".encode(),
        b"BMW is a car, not a bitmap; nor is this text one.",
        b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
        b'<?xml version="1.0"?><svg/>',
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF",
        b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(200),  # a video
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
        b"PK\3\4" + bytes(100),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage",  # Pillow could read it, by running Ghostscript
        b"\0",
        b"\xff\xd8",
        bytes(1000),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_no_picture(data: bytes) -> None:
    with pytest.raises(NotAPicture):
        open_picture(data)


def one_bit_png(side: int) -> bytes:
    """A real, whole PNG of `side` x `side` black pixels that takes some ten kilobytes."""
    row = bytes(1 + (side + 7) // 8)
    compress = zlib.compressobj(9)
    pixels = b"".join(compress.compress(row) for _ in range(side)) + compress.flush()
    data = png(side, side, 1, 0, b"")
    start = data.index(b"IDAT") - 4
    chunk = struct.pack(">I", len(pixels)) + b"IDAT" + pixels + struct.pack(">I", zlib.crc32(b"IDAT" + pixels))
    return data[:start] + chunk + data[-12:]


@lru_cache(maxsize=1)
def bombs() -> dict[str, bytes]:
    animation = sample("webp-animated")
    canvas = animation.index(b"VP8X") + 12
    wide = (16383 - 1).to_bytes(3, "little")
    screen = b"GIF89a" + struct.pack("<HH", 10, 10) + b"\xf0\0\0" + bytes(6) + b","
    return {
        "png-header": png(100_000, 100_000, 8, 2, b"\0" * 1000),
        "png-whole": one_bit_png(20_000),
        "png-just-too-large": one_bit_png(8_001),
        "webp": animation[:canvas] + wide + wide + animation[canvas + 6 :],
        "gif-frame": screen + struct.pack("<HHHH", 0, 0, 65535, 65535) + b"\0\2\2\x4c\1\0;",
        "bmp": b"BM"
        + struct.pack("<IHHI", 154, 0, 0, 54)
        + struct.pack("<IiiHH", 40, 60000, 60000, 1, 24)
        + bytes(124),
        "tiff": encode(Image.new("1", (10_000, 10_000)), "TIFF", compression="group4"),
    }


@pytest.mark.parametrize("name", bombs())
def test_a_bomb_is_refused(name: str) -> None:
    with pytest.raises(TooManyPixels):
        open_picture(bombs()[name])


def test_a_bomb_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("the high-water mark of memory is read from /proc")
    for name, data in bombs().items():
        (tmp_path / name).write_bytes(data)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from bokemodel.errors import TooManyPixels\n"
        "from bokemodel.pictures import open_file, open_picture\n"
        "def peak():\n"
        "    return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) // 1024\n"
        "open_file(sys.argv[1])\n"
        "before = peak()\n"
        "for path in sorted(Path(sys.argv[2]).iterdir()):\n"
        "    try:\n"
        "        open_file(path)\n"
        "    except TooManyPixels:\n"
        "        pass\n"
        "print(peak() - before)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(PHOTOS / "cat.jpg"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert int(run.stdout) < 32  # MiB; the smallest of them decoded would be 64


def test_the_limit_is_the_callers() -> None:
    data = sample("png")
    assert open_picture(data, max_pixels=SIZE[0] * SIZE[1]).size == SIZE
    with pytest.raises(TooManyPixels):
        open_picture(data, max_pixels=SIZE[0] * SIZE[1] - 1)
    assert MAX_PIXELS >= 48_000_000  # what today's phones take


@pytest.mark.parametrize("name", WRITERS)
def test_cut_short(name: str) -> None:
    """Cut anywhere, a file is an error, or the whole picture where only what follows it is gone; never half of one."""
    data = sample(name)
    whole = open_picture(data)
    cuts = {len(data) * k // 50 for k in range(50)} | set(range(24)) | set(range(len(data) - 24, len(data)))
    refused = 0
    for cut in sorted(cuts):
        try:
            picture = open_picture(data[:cut])
        except (EmptyPicture, NotAPicture, CorruptPicture):
            refused += 1
        else:
            assert difference(picture, whole) == 0, f"half a picture from {cut} of {len(data)} bytes"
    assert refused > len(cuts) / 3
    with pytest.raises(CorruptPicture):
        open_picture(data[: len(data) // 3])


@pytest.mark.parametrize("name", WRITERS)
def test_spoilt_bytes_raise_nothing_else(name: str) -> None:
    data = sample(name, photo(size=(48, 32)))
    generator = random.Random(name)
    for _ in range(MUTATIONS_PER_FORMAT):
        spoilt = bytearray(data)
        # The first bytes hold the sizes and offsets, where most of a reader's surprises lie.
        reach = generator.choice((64, 400, len(spoilt)))
        for _ in range(generator.choice((1, 2, 8, 40))):
            spoilt[generator.randrange(min(reach, len(spoilt)))] = generator.choice(
                (0, 1, 127, 255, generator.randrange(256))
            )
        if generator.random() < 0.25:
            at = generator.randrange(len(spoilt))
            del spoilt[at : at + generator.randrange(1, 50)]
        with contextlib.suppress(PictureError):
            assert open_picture(bytes(spoilt), max_pixels=2_000_000).mode == "RGB"


def test_threads_do_not_touch_each_others_warnings() -> None:
    before = list(warnings.filters)
    data = [sample("png"), encode(photo(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), sample("gif")[:200]]

    def work() -> None:
        for _ in range(20):
            for item in data:
                with contextlib.suppress(PictureError):
                    open_picture(item)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
