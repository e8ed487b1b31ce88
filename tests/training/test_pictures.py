"""Picture files of the corpus: verified, named by their content, whole or not there."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image

from bokemodel.errors import NotAPicture, PictureError, TooManyPixels
from training.pictures import keep_picture


def encoded(form: str, size: tuple[int, int] = (12, 8)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, form)
    return out.getvalue()


@pytest.mark.parametrize(
    ("form", "ending"),
    [
        ("JPEG", "jpg"),
        ("PNG", "png"),
        ("GIF", "gif"),
        ("WEBP", "webp"),
        ("BMP", "bmp"),
        ("TIFF", "tif"),
        ("AVIF", "avif"),
    ],
)
def test_kept_by_content(tmp_path: Path, form: str, ending: str) -> None:
    data = encoded(form)
    kept = keep_picture(tmp_path, data)
    digest = hashlib.sha256(data).hexdigest()
    assert kept.path == f"pictures/{digest[:2]}/{digest}.{ending}"
    assert (kept.digest, kept.width, kept.height, kept.bytes) == (digest, 12, 8, len(data))
    assert (tmp_path / kept.path).read_bytes() == data
    assert [path.name for path in (tmp_path / kept.path).parent.iterdir()] == [f"{digest}.{ending}"]


def test_size_is_as_people_see_it(tmp_path: Path) -> None:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (12, 8)).save(out, "JPEG", exif=exif)
    kept = keep_picture(tmp_path, out.getvalue())
    assert (kept.width, kept.height) == (8, 12)


def test_one_file_however_often_it_comes(tmp_path: Path) -> None:
    first = keep_picture(tmp_path, encoded("PNG"))
    written = (tmp_path / first.path).stat().st_mtime_ns
    assert keep_picture(tmp_path, encoded("PNG")) == first
    assert (tmp_path / first.path).stat().st_mtime_ns == written


def test_a_file_cut_short_is_written_anew(tmp_path: Path) -> None:
    data = encoded("PNG")
    path = tmp_path / keep_picture(tmp_path, data).path
    path.write_bytes(data[:10])
    keep_picture(tmp_path, data)
    assert path.read_bytes() == data


@pytest.mark.parametrize("data", [b"", b"<html>", encoded("PNG")[:40]])
def test_what_is_no_picture_is_not_kept(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(PictureError):
        keep_picture(tmp_path, data)
    assert list(tmp_path.iterdir()) == []


def test_limits(tmp_path: Path) -> None:
    with pytest.raises(TooManyPixels):
        keep_picture(tmp_path, encoded("PNG"), max_pixels=95)
    with pytest.raises(NotAPicture):
        keep_picture(tmp_path, b"%PDF-1.4")


def test_no_place(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("in the way")
    with pytest.raises(OSError):
        keep_picture(tmp_path, encoded("PNG"))
