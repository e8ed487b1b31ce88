from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from store.database import Database
from tests.training.corpora import write_picture
from training.corpus import read_jokes
from training.importers import import_files
from training.importers.items_json import read
from training.importers.records import BadLine, Record


def item(text: Any = "ボケ", star: Any = 3, path: str = "full/a.png") -> dict[str, Any]:
    return {"boke": text, "star": star, "images": [{"path": path, "url": "http://example.org/a.png", "checksum": "1"}]}


def one(tmp_path: Path, values: Any) -> Record | BadLine:
    path = tmp_path / "items.json"
    path.write_text(json.dumps(values) + "\n", encoding="utf-8")
    [found] = read(path)
    return found


@pytest.mark.parametrize("listed", [True, False])
def test_lines_and_one_list(tmp_path: Path, listed: bool) -> None:
    items = [item(f"ボケ{i}", i) for i in range(3)]
    path = tmp_path / "items.json"
    path.write_text(json.dumps(items) if listed else "".join(json.dumps(i) + "\n" for i in items), encoding="utf-8")
    found = [record for record in read(path) if isinstance(record, Record)]
    assert [(r.text, r.stars, r.source) for r in found] == [(f"ボケ{i}", float(i), "items") for i in range(3)]
    assert found[0].picture == tmp_path / "full/a.png"
    assert found[0].picture_url == "http://example.org/a.png"


@pytest.mark.parametrize(
    ("star", "expected"), [(None, None), ("1,324", 1324.0), ("★ 12", 12.0), (["7"], 7.0), (0, 0.0), ("", None)]
)
def test_stars_as_pages_write_them(tmp_path: Path, star: Any, expected: float | None) -> None:
    found = one(tmp_path, item(["一つ"], star))
    assert isinstance(found, Record)
    assert (found.text, found.stars) == ("一つ", expected)


def test_pictures_in_an_images_folder_beside_the_file(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "images/full/a.png", 1)
    found = one(tmp_path, item())
    assert isinstance(found, Record)
    assert found.picture == picture


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (item(star="many"), '"star" is not a number'),
        (item(text=["two", "texts"]), '"boke" is not a text'),
        ({"boke": "絵がない", "star": 1, "images": []}, '"images" names no "path"'),
        ({"boke": "絵がない", "star": 1}, '"images" names no "path"'),
        (item(path="../a.png"), 'the picture "../a.png" is not below the file\'s own folder'),
    ],
)
def test_bad_items(tmp_path: Path, values: Any, reason: str) -> None:
    found = one(tmp_path, values)
    assert isinstance(found, BadLine)
    assert found.reason == reason


@pytest.mark.parametrize("listed", [True, False])
def test_the_import_knows_such_a_file_by_what_it_holds(any_database: Database, tmp_path: Path, listed: bool) -> None:
    for number in range(3):
        write_picture(tmp_path / f"full/{number}.jpg", number)
    items = [item(f"ボケ{i}", i, f"full/{i % 3}.jpg") for i in range(9)]
    path = tmp_path / "crawled.json"
    path.write_text(json.dumps(items) if listed else "\n".join(map(json.dumps, items)), encoding="utf-8")
    report = import_files(any_database, tmp_path / "data", [path])
    assert (report.lines, report.added, report.pictures) == (9, 9, 3)
    jokes = list(read_jokes(any_database))
    assert {(joke.text, joke.stars, joke.source) for joke in jokes} == {
        (f"ボケ{i}", float(i), "items") for i in range(9)
    }
    assert import_files(any_database, tmp_path / "data", [path]).same == 9
