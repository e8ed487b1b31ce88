from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.importers.lines import CHUNK, MAX_OBJECT, Found, objects
from training.importers.records import BadLine


def read(path: Path, data: bytes) -> list[Found | BadLine]:
    path.write_bytes(data)
    return list(objects(path))


def values(found: list[Found | BadLine]) -> list[object]:
    return [item.values if isinstance(item, Found) else item.reason for item in found]


def test_lines_with_a_bom_and_empty_ones(tmp_path: Path) -> None:
    found = read(tmp_path / "a", b'\xef\xbb\xbf{"a": 1}\r\n\r\n  \n{"a": 2}')
    assert values(found) == [{"a": 1}, {"a": 2}]
    assert [item.line for item in found] == [1, 4]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "this is not JSON"),
        (b"[1]", "this is not a JSON object"),
        (b'{"a": "\xff"}', "this is not UTF-8"),
        (b"[" * 100_000, "this is not JSON"),
        (b'{"a": "' + b"x" * MAX_OBJECT + b'"}', f"the line has {MAX_OBJECT + 10:,} bytes"),
    ],
)
def test_bad_lines_are_named_and_passed_over(tmp_path: Path, line: bytes, reason: str) -> None:
    found = read(tmp_path / "a", b'{"a": 1}\n' + line + b'\n{"a": 2}\n')
    assert values(found) == [{"a": 1}, reason, {"a": 2}]
    assert [item.line for item in found] == [1, 2, 3]


def test_a_line_of_many_megabytes_is_one_bad_line(tmp_path: Path) -> None:
    found = read(tmp_path / "a", b"x" * (3 * MAX_OBJECT + 5) + b'\n{"a": 2}\n')
    assert values(found) == [f"the line has {3 * MAX_OBJECT + 6:,} bytes", {"a": 2}]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_of_objects(tmp_path: Path, indent: int | None) -> None:
    expected = [{"n": i, "text": "ボケ" * (i % 70)} for i in range(3000)]  # characters are cut by the chunks' ends
    data = json.dumps(expected, ensure_ascii=False, indent=indent).encode()
    assert len(data) > 3 * CHUNK
    assert values(read(tmp_path / "a", b" \n" + data + b"\n")) == expected


def test_a_list_that_was_written_twice_into_one_file(tmp_path: Path) -> None:
    assert values(read(tmp_path / "a", b'[\n{"a": 1},\n{"a": 2}\n][\n{"a": 3}\n]')) == [{"a": 1}, {"a": 2}, {"a": 3}]


@pytest.mark.parametrize("between", [b",\n", b", "])
def test_a_broken_object_of_a_list_costs_no_other(tmp_path: Path, between: bytes) -> None:
    many = between.join(b'{"n": %d}' % i for i in range(5000))
    found = read(tmp_path / "a", b"[" + many + between + b'{"n": oops}' + between + many + b"]")
    reasons = [item.reason for item in found if isinstance(item, BadLine)]
    assert reasons == ["this is not JSON"]
    assert [item.values["n"] for item in found if isinstance(item, Found)] == [*range(5000), *range(5000)]


def test_a_list_that_was_cut_short_and_things_that_are_no_objects(tmp_path: Path) -> None:
    found = read(tmp_path / "a", b'[{"a": 1},\n7,\n{"a": 2},\n{"a": ')
    assert values(found) == [{"a": 1}, "this is not a JSON object", {"a": 2}, "this is not JSON"]
    assert [item.line for item in found] == [1, 2, 3, 4]


def test_an_empty_file(tmp_path: Path) -> None:
    assert read(tmp_path / "a", b"") == []
