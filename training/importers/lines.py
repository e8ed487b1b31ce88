"""The objects of a JSON file, one after the other: one a line, or one list of them. Holds one object at a time."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from training.importers.records import BadLine, NotAJoke, Record

MAX_OBJECT = 1 << 20  # bytes of one joke; more is no joke but a file of another kind
CHUNK = 1 << 16
BOM = b"\xef\xbb\xbf"
_VALUE = re.compile(r"[^\s,\[\]]")
_RESTART = re.compile(r"\n|(?<=\})\s*,\s*\{")


@dataclass(frozen=True, slots=True)
class Found:
    """A JSON object with its place: line from 1, and the bytes read so far."""

    values: dict[str, Any]
    line: int
    position: int


def objects(path: Path) -> Iterator[Found | BadLine]:
    """All objects of a file. Empty lines do not count. Raises OSError"""
    with path.open("rb") as stream:
        yield from _List(stream).objects() if _is_list(stream) else _of_lines(stream)


def records(path: Path, read: Callable[[Path, Found], Record]) -> Iterator[Record | BadLine]:
    """Every object of a file as a joke. `read` takes the file's folder and an object, and raises NotAJoke."""
    for found in objects(path):
        if isinstance(found, BadLine):
            yield found
            continue
        try:
            yield read(path.parent, found)
        except NotAJoke as error:
            yield BadLine(found.line, found.position, str(error))


def first_object(path: Path) -> dict[str, Any] | None:
    """The first object of a file, None where the first thousand lines have none. Raises OSError"""
    for number, found in enumerate(objects(path)):
        if isinstance(found, Found):
            return found.values
        if number == 1000:
            break
    return None


def _is_list(stream: BinaryIO) -> bool:
    start = stream.read(CHUNK)
    stream.seek(len(BOM) if start.startswith(BOM) else 0)
    return start.removeprefix(BOM).lstrip()[:1] == b"["


def _of_lines(stream: BinaryIO) -> Iterator[Found | BadLine]:
    number = 0
    while line := stream.readline(MAX_OBJECT):
        number += 1
        whole = len(line)
        while not line.endswith(b"\n") and (rest := stream.readline(MAX_OBJECT)):
            whole, line = whole + len(rest), rest  # only the end of it matters
        if whole > MAX_OBJECT:
            yield BadLine(number, stream.tell(), f"the line has {whole:,} bytes")
        elif line.strip():
            yield _object(line, number, stream.tell())


def _object(line: bytes, number: int, position: int) -> Found | BadLine:
    try:
        values = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return BadLine(number, position, "this is not UTF-8")
    except (ValueError, RecursionError):
        return BadLine(number, position, "this is not JSON")
    if not isinstance(values, dict):
        return BadLine(number, position, "this is not a JSON object")
    return Found(values, number, position)


class _List:
    """Objects of a list, cut out where each ends. One that is broken is passed over up to where another may begin.

    Lists may follow on each other, as a crawl leaves them that was started again with the same file.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self.text, self.at, self.line, self.ended = "", 0, 1, False

    def objects(self) -> Iterator[Found | BadLine]:
        decoder = json.JSONDecoder()
        while self._skip_between():
            try:
                values, end = decoder.raw_decode(self.text, self.at)
            except (ValueError, RecursionError):
                if not self.ended and len(self.text) - self.at <= MAX_OBJECT:
                    self._read(len(self.text) - self.at)  # it may only be cut by the chunk's end
                    continue
                yield BadLine(self.line, self.stream.tell(), "this is not JSON")
                self._skip_broken()
                continue
            if isinstance(values, dict):
                yield Found(values, self.line, self.stream.tell())
            else:
                yield BadLine(self.line, self.stream.tell(), "this is not a JSON object")
            self._move(end)

    def _read(self, least: int = 0) -> None:
        chunk = self.stream.read(max(CHUNK, least))
        self.ended = not chunk
        self.text = self.text[self.at :] + self.utf8.decode(chunk, final=self.ended)
        self.at = 0

    def _move(self, end: int) -> None:
        self.line += self.text.count("\n", self.at, end)
        self.at = end

    def _skip_between(self) -> bool:
        """Go to the next value; False: there is none."""
        while True:
            found = _VALUE.search(self.text, self.at)
            if found is not None:
                self._move(found.start())
                return True
            self._move(len(self.text))
            if self.ended:
                return False
            self._read()

    def _skip_broken(self) -> None:
        while True:
            found = _RESTART.search(self.text, self.at + 1)
            if found is not None or self.ended:
                self._move(found.start() if found else len(self.text))
                return
            self._move(max(self.at, len(self.text) - 1))
            self._read()
