from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from sqlalchemy import select

from store.database import Database, open_database
from store.tables import Boke, Odai
from tests.training.corpora import corpus_rows, write_corpus, write_picture
from training.errors import ExportFailed
from training.export import ExportReport, export_corpus
from training.importers import import_files

EVERYTHING = {
    "source": "bokete",
    "category": "c",
    "flagged": True,
    "posted": "2020-01-02T03:04:05+00:00",
    "last_rated": "2021-01-02T03:04:05+00:00",
    "title": "題\n二行",
    "odai_category": "o",
    "odai_posted": "2019-01-02T03:04:05+00:00",
    "boke_count": 12,
    "picture_url": "//cdn.example/1.png",
}
LINES = [
    {"image": "images/0.png", "text": "素のボケ"},
    {"image": "images/0.png", "text": "改行\nと \u2028 と「」", "stars": 12, "split": "train"},
    {"image": "images/1.png", "text": "実数", "stars": 1.7391304347826086, "ratings": 63, "split": "dev"},
    {"image": "images/1.png", "text": "番号", "odai_id": 591, "boke_id": 7, "url": "https://example.org/7"},
    {"image": "images/2.png", "text": "文字の番号", "odai_id": "od@1", "boke_id": "007"},
    {"image": "images/2.png", "text": "番号は別の絵でも使う", "odai_id": 591, "boke_id": 7},
    {"image": "images/3.png", "text": "サイトの", "odai_id": 5, "boke_id": 70, "bokebot": EVERYTHING},
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for number in range(4):
        write_picture(tmp_path / f"in/images/{number}.png", number)
    return write_corpus(tmp_path / "in/c.jsonl", LINES)


def contents(path: Path) -> list[tuple[str, dict[str, object]]]:
    """Each line with its picture's digest in place of the picture's name."""
    found = []
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        values = json.loads(line)
        picture = (path.parent / values.pop("image")).read_bytes()
        found.append((hashlib.sha256(picture).hexdigest(), values))
    return found


def test_what_comes_out_is_what_went_in(any_database: Database, corpus: Path, tmp_path: Path) -> None:
    import_files(any_database, tmp_path / "data", [corpus])
    out = tmp_path / "out/all.jsonl"
    assert export_corpus(any_database, tmp_path / "data", out) == ExportReport(7, 4, 0, 0)
    assert contents(out) == contents(corpus)
    assert sorted(path.name for path in out.parent.iterdir()) == ["all.jsonl", "images"]
    again = export_corpus(any_database, tmp_path / "data", out)
    assert (again.jokes, again.pictures) == (7, 0)


def test_import_of_an_export_is_the_same_corpus(any_database: Database, corpus: Path, tmp_path: Path) -> None:
    import_files(any_database, tmp_path / "data", [corpus])
    out = tmp_path / "out/all.jsonl"
    export_corpus(any_database, tmp_path / "data", out)
    unchanged = import_files(any_database, tmp_path / "data", [out])
    assert (unchanged.added, unchanged.updated, unchanged.same) == (0, 0, 7)
    other = open_database(f"sqlite:///{tmp_path / 'other.db'}")
    import_files(other, tmp_path / "other", [out])
    assert corpus_rows(other) == corpus_rows(any_database)
    second = tmp_path / "second/all.jsonl"
    export_corpus(other, tmp_path / "other", second)
    other.close()
    assert second.read_bytes() == out.read_bytes()


def test_jokes_without_a_picture_are_left_out_and_counted(sqlite: Database, corpus: Path, tmp_path: Path) -> None:
    import_files(sqlite, tmp_path / "data", [corpus])
    with sqlite.session() as session:
        odai = Odai(source="bokete", external_id="77")
        session.add(odai)
        session.flush()
        session.add(Boke(source="bokete", external_id="77", odai_id=odai.id, text="待ち", text_hash=1))
        lost = session.scalars(select(Boke).where(Boke.text == "実数")).one().picture
        assert lost is not None
        (tmp_path / "data" / lost.path).unlink()
    report = export_corpus(sqlite, tmp_path / "data", tmp_path / "out/all.jsonl")
    assert report == ExportReport(jokes=5, pictures=3, waiting=1, lost=2)


def test_a_file_is_there_when_it_is_complete(sqlite: Database, corpus: Path, tmp_path: Path) -> None:
    import_files(sqlite, tmp_path / "data", [corpus])
    out = tmp_path / "out/all.jsonl"
    out.parent.mkdir()
    out.write_text("yesterday's")
    (out.parent / "images").write_text("in the way")
    with pytest.raises(ExportFailed, match=r"all.jsonl: cannot be written: "):
        export_corpus(sqlite, tmp_path / "data", out)
    assert out.read_text() == "yesterday's"
    assert sorted(path.name for path in out.parent.iterdir()) == ["all.jsonl", "images"]


def test_editing_an_exported_picture_leaves_the_corpus_alone(sqlite: Database, corpus: Path, tmp_path: Path) -> None:
    import_files(sqlite, tmp_path / "data", [corpus])
    before = {p.name: p.read_bytes() for p in (tmp_path / "data").rglob("*.png")}
    export_corpus(sqlite, tmp_path / "data", tmp_path / "out/all.jsonl")
    for picture in (tmp_path / "out").rglob("*.png"):
        picture.write_bytes(b"edited")
    assert {p.name: p.read_bytes() for p in (tmp_path / "data").rglob("*.png")} == before


def test_an_empty_corpus(sqlite: Database, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert export_corpus(sqlite, tmp_path / "data", out) == ExportReport(0, 0, 0, 0)
    assert out.read_text() == ""
