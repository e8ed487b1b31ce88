"""What an importer yields: a joke with its picture's file, or a line that is none, and why."""

from __future__ import annotations

import math
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

IMPORTED = "import"  # source of jokes whose file does not say where they are from
MAX_ID = 100  # characters
MAX_COUNT = 2**31 - 1
MAX_TEXT = 100_000  # characters: no joke, but nothing that a database refuses either
SYNONYMS = {"val": "dev", "valid": "dev", "validation": "dev", "test": "dev", "training": "train"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A joke as a file has it.

    Attributes:
        line: of the file, from 1, for people. position: how far the file is read with it, in the reader's own units.
        picture: the file, not looked at yet.
        source, boke_id, odai_id: together they name the joke and its odai; without an id a joke is its picture and text.
        stars, ratings: how people liked it, and how many they were.
        title: words that belong to the picture.
        posted, last_rated, odai_posted: moments in UTC.
    """

    line: int
    position: int
    picture: Path
    text: str
    source: str = IMPORTED
    boke_id: str | None = None
    odai_id: str | None = None
    stars: float | None = None
    ratings: int | None = None
    split: str | None = None
    url: str | None = None
    category: str | None = None
    flagged: bool = False
    posted: datetime | None = None
    last_rated: datetime | None = None
    title: str | None = None
    odai_category: str | None = None
    odai_posted: datetime | None = None
    boke_count: int | None = None
    picture_url: str | None = None


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no joke."""

    line: int
    position: int
    reason: str


class NotAJoke(ValueError):
    """Why an object of a file is no joke; becomes a `BadLine`."""


def text_in(values: Mapping[str, Any], key: str) -> str:
    """A joke's words, as they are but for what no database takes. Raises NotAJoke"""
    text = values.get(key)
    if not isinstance(text, str):
        raise NotAJoke(f'"{key}" is missing' if text is None else f'"{key}" is not a text')
    text = storable(text)
    if not text.strip():
        raise NotAJoke(f'"{key}" is empty')
    if len(text) > MAX_TEXT:
        raise NotAJoke(f'"{key}" has {len(text):,} characters')
    return text


def number_in(values: Mapping[str, Any], key: str) -> float | None:
    """A real number, or None where there is none. Raises NotAJoke"""
    number = values.get(key)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise NotAJoke(f'"{key}" is not a number')
    try:
        if math.isfinite(number):
            return float(number)
    except OverflowError:  # a whole number beyond all floating point
        pass
    raise NotAJoke(f'"{key}" is not a number')


def count_in(values: Mapping[str, Any], key: str) -> int | None:
    """A whole number from 0, or None where there is none. Raises NotAJoke"""
    number = number_in(values, key)
    if number is None:
        return None
    if number != int(number) or not 0 <= number <= MAX_COUNT:
        raise NotAJoke(f'"{key}" is not a count')
    return int(number)


def id_in(values: Mapping[str, Any], key: str) -> str | None:
    """An id, which may be a number or a text; None where there is none. Raises NotAJoke"""
    found = values.get(key)
    if found is None or found == "":
        return None
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int | str):
        raise NotAJoke(f'"{key}" is neither a number nor a text')
    try:
        found = storable(str(found))
    except ValueError:  # a number of thousands of digits
        found = ""
    if not 0 < len(found) <= MAX_ID:
        raise NotAJoke(f'"{key}" is not an id of 1 to {MAX_ID} characters')
    return found


def split_in(values: Mapping[str, Any], key: str) -> str | None:
    """ "train", "dev" or None where nothing is said. Raises NotAJoke"""
    found = values.get(key)
    if found is None or found == "":
        return None
    split = SYNONYMS.get(found, found) if isinstance(found, str) else None
    if split not in ("train", "dev"):
        raise NotAJoke(f'"{key}" is neither "train" nor "dev"')
    return split


def words_in(values: Mapping[str, Any], key: str, length: int | None = None) -> str | None:
    """A text that may be there; None for everything else. `length`: most characters that are kept."""
    found = values.get(key)
    return (storable(found)[:length].strip() or None) if isinstance(found, str) else None


def moment_in(values: Mapping[str, Any], key: str) -> datetime | None:
    """A moment in ISO 8601 (UTC where it does not say) that may be there; None for everything else."""
    found = values.get(key)
    if not isinstance(found, str):
        return None
    try:
        moment = datetime.fromisoformat(found)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def storable(text: str) -> str:
    """Without NUL, which PostgreSQL refuses, and without halves of characters, which have no UTF-8."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode("utf-8")


def inside(folder: Path, name: str) -> Path:
    """The file of that name, relative to a folder and below it. Raises NotAJoke"""
    if "\0" in name:
        raise NotAJoke("the picture's name holds a NUL")
    path = posixpath.normpath(name)
    if path in (".", "..") or path.startswith(("/", "../")) or path[1:2] == ":":
        raise NotAJoke(f'the picture "{name[:80]}" is not below the file\'s own folder')
    return folder / path
