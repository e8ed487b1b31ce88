"""The picture decoder on what is no picture, too large, cut short or spoilt: the named error, and nothing else."""

from __future__ import annotations

import contextlib
import random
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
from PIL import Image

from bokemodel.errors import CorruptPicture, EmptyPicture, NotAPicture, PictureError, TooManyPixels
from bokemodel.pictures import MAX_PIXELS, open_picture
from tests.bokemodel.formats import PHOTOS, SIZE, WRITERS, difference, encode, photo, png, sample

ROOT = Path(__file__).resolve().parents[2]
MUTATIONS_PER_FORMAT = 30

# pytest sets its own filters, so what the module silences shows here.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")


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
        cwd=ROOT,
    )
    assert int(run.stdout) < 32  # MiB; the smallest of them decoded would be 64


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is there `count` times more; to the reader each is the whole picture anew."""
    whole = encode(Image.new("L", (64, 64), 128), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xc4")  # its table comes before it
    return whole[:-2] + whole[last:-2] * count + whole[-2:]


def exif_segments(count: int) -> bytes:
    whole = encode(photo(), "JPEG")
    return whole[:2] + b"\xff\xe1\0\x09Exif\0\0x" * count + whole[2:]


@pytest.mark.parametrize("made", [scans, exif_segments])
def test_a_jpeg_that_costs_time_without_end_is_refused(made: Callable[[int], bytes]) -> None:
    assert open_picture(made(50)).size in (SIZE, (64, 64))
    with pytest.raises(CorruptPicture, match="more scans or EXIF segments"):
        open_picture(made(65))


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


def test_nothing_is_printed(tmp_path: Path) -> None:
    data = sample("tiff-deflate")
    (tmp_path / "damaged.tif").write_bytes(data[:300] + b"\xff" * 50 + data[350:])
    (tmp_path / "many.tif").write_bytes(
        sample("tiff").replace(struct.pack("<HHII", 277, 3, 1, 3), struct.pack("<HHII", 277, 3, 1, 99))
    )
    program = (
        "import sys\n"
        "from bokemodel.errors import CorruptPicture, NotAPicture\n"
        "from bokemodel.pictures import open_file\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        open_file(path)\n"
        "    except (CorruptPicture, NotAPicture):\n"
        "        print('refused')\n"
        "print('still heard', file=sys.stderr)\n"
    )
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    run = subprocess.run(
        [sys.executable, "-c", program, *files],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert run.stdout.split() == ["refused", "refused"]
    assert run.stderr.split("\n") == ["still heard", ""]
