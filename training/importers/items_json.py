"""The article's own crawl: `{"boke": text, "star": n, "images": [{"path": ..., "url": ...}]}`, a line each or one list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from training.importers.lines import Found, records
from training.importers.records import BadLine, NotAJoke, Record, inside, number_in, text_in, words_in

SOURCE = "items"


def read(path: Path) -> Iterator[Record | BadLine]:
    """The jokes of such a file. Raises OSError where it cannot be read."""
    return records(path, record)


def record(folder: Path, found: Found) -> Record:
    """One object of the file as a joke. Raises NotAJoke"""
    values = {key: _only(value) if key != "images" else value for key, value in found.values.items()}
    image = _image(values)
    return Record(
        line=found.line,
        position=found.position,
        picture=_beside(folder, image["path"]),
        text=text_in(values, "boke"),
        source=SOURCE,
        stars=_stars(values),
        picture_url=words_in(image, "url", 512),
    )


def _only(value: Any) -> Any:
    """What is read off a page with a selector comes as a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _image(values: Mapping[str, Any]) -> Mapping[str, Any]:
    images = values.get("images")
    listed = images if isinstance(images, list) else [images]
    for image in listed:
        if isinstance(image, Mapping) and isinstance(image.get("path"), str) and image["path"]:
            return image
    raise NotAJoke('"images" names no "path"')


def _beside(folder: Path, name: str) -> Path:
    """The crawl names pictures as its images folder does ("full/1a2b.jpg"), wherever that folder was."""
    direct = inside(folder, name)
    if direct.exists():
        return direct
    below = inside(folder / "images", name)
    return below if below.exists() else direct


def _stars(values: Mapping[str, Any]) -> float | None:
    """A number, or the page's own writing of one ("1,324")."""
    star = values.get("star")
    if isinstance(star, str):
        digits = star.translate(str.maketrans("", "", "★☆,，　 \u00a0\t\n"))
        try:
            star = float(digits) if digits else None
        except ValueError:
            raise NotAJoke('"star" is not a number') from None
    return number_in({"star": star}, "star")
