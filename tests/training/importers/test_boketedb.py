from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from store.database import Database
from store.tables import Boke, Odai
from tests.training.corpora import corpus_rows, write_picture
from training.errors import ImportFailed, ParquetMissing
from training.importers import import_files

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

WHEN = datetime(2020, 5, 1, 9, 0, 0)


def odai(number: int, **changes: Any) -> dict[str, Any]:
    row = {"id": number, "date": WHEN, "bokeCount": 3, "category": "動物", "largeURL": f"//cdn.example/{number}.jpg"}
    return {**row, "imageOCR": [], **changes}


def boke(number: int, of: int, text: str = "ボケ", **changes: Any) -> dict[str, Any]:
    row = {"id": number, "odaiId": of, "date": WHEN, "text": text, "isNG": False, "rateSum": 12.0, "rateCount": 5}
    return {**row, "lastRateDate": WHEN, "category": "その他", **changes}


def write(folder: Path, kind: str, shard: int, rows: list[dict[str, Any]], schema: Any) -> None:
    (folder / kind).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / kind / f"{kind}_{shard}.parquet")


WORD = pa.struct([("content", pa.string()), ("rec_score", pa.float32())])
ODAI = pa.schema(
    [
        ("id", pa.int64()),
        ("date", pa.timestamp("s")),
        ("bokeCount", pa.int32()),
        ("category", pa.string()),
        ("largeURL", pa.string()),
        ("imageOCR", pa.list_(WORD)),
        ("imageCaption", pa.string()),
    ]
)
BOKE = pa.schema(
    [
        ("id", pa.int64()),
        ("odaiId", pa.int64()),
        ("date", pa.timestamp("s")),
        ("text", pa.string()),
        ("isNG", pa.bool_()),
        ("rateSum", pa.float32()),
        ("rateCount", pa.int32()),
        ("lastRateDate", pa.timestamp("s")),
        ("category", pa.string()),
    ]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards: pictures of odai 7 and 10001, none of odai 8."""
    root = tmp_path / "BoketeDBv3"
    ocr = [{"content": "（　　）で", "rec_score": 0.9}, {"content": "〃", "rec_score": 0.1}, {"content": "一言"}]
    write(root, "odai", 1, [odai(7, imageOCR=ocr), odai(8)], ODAI)
    write(root, "odai", 2, [odai(10001, category=None)], ODAI)
    write(root, "boke", 1, [boke(70, 7), boke(71, 7, "NG", isNG=True, rateSum=0.1), boke(80, 8)], BOKE)
    write(root, "boke", 2, [boke(90, 10001, lastRateDate=None, rateSum=None), boke(91, 10001, "")], BOKE)
    write_picture(root / "image/0/7.jpg", 7)
    write_picture(root / "image/10000/10001.jpg", 10)
    return root


def test_folders_of_parquet(any_database: Database, folder: Path, tmp_path: Path) -> None:
    report = import_files(any_database, tmp_path / "data", [folder])
    assert (report.lines, report.added, report.bad, report.pictures) == (5, 3, 2, 2)
    assert any(line.endswith("image/0/8.jpg: there is no such picture file") for line in report.problems)
    assert f'{folder}:5: "text" is empty' in report.problems
    with any_database.reader() as session:
        first, ng, other = session.scalars(select(Boke).order_by(Boke.id))
        assert (first.source, first.external_id, first.text, first.stars, first.ratings) == (
            "bokete",
            "70",
            "ボケ",
            12,
            5,
        )
        assert first.posted == datetime(2020, 5, 1, 0, 0, tzinfo=UTC)  # the site's own clock is Japan's
        assert first.url == "https://bokete.jp/boke/70"
        assert (ng.flagged, ng.stars) == (True, 0.1)
        assert (other.stars, other.last_rated) == (None, None)
        seven, far = session.scalars(select(Odai).order_by(Odai.id))
        assert (seven.external_id, seven.title, seven.category, seven.boke_count) == ("7", "（　　）で 一言", "動物", 3)
        assert (far.external_id, far.title, far.picture_url) == ("10001", None, "//cdn.example/10001.jpg")
    before = corpus_rows(any_database)
    again = import_files(any_database, tmp_path / "data", [folder])
    assert (again.added, again.updated, again.same) == (0, 0, 3)
    assert corpus_rows(any_database) == before


def test_only_the_needed_columns_and_batches_by_number(sqlite: Database, tmp_path: Path) -> None:
    root = tmp_path / "db"
    write(root, "odai", 2, [{"id": 12345}], pa.schema([("id", pa.int64())]))
    needed = pa.schema([("id", pa.int64()), ("odaiId", pa.int64()), ("text", pa.string())])
    write(root, "boke", 2, [{"id": 1, "odaiId": 12345, "text": "ボケ"}], needed)
    write_picture(root / "image/1/12345.jpg", 1)
    assert import_files(sqlite, tmp_path / "data", [root]).added == 1


def test_many_batches_find_their_odai(sqlite: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.importers.boketedb.ROWS", 16)
    root = tmp_path / "db"
    write(root, "odai", 1, [odai(i, category=f"c{i}") for i in range(40)], ODAI)
    write(root, "boke", 1, [boke(i, i % 40) for i in range(400)], BOKE)
    for number in range(40):
        write_picture(root / f"image/0/{number}.jpg", number)
    assert import_files(sqlite, tmp_path / "data", [root]).added == 400
    with sqlite.reader() as session:
        found = dict(session.execute(select(Odai.external_id, Odai.category)).all())
    assert found == {str(i): f"c{i}" for i in range(40)}


def test_a_damaged_file_and_a_missing_column(sqlite: Database, folder: Path, tmp_path: Path) -> None:
    (folder / "boke/boke_2.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ImportFailed, match="the Parquet files cannot be read"):
        import_files(sqlite, tmp_path / "data", [folder])
    (folder / "boke/boke_2.parquet").unlink()
    write(folder, "odai", 1, [{"number": 1}], pa.schema([("number", pa.int64())]))
    (folder / "odai/odai_2.parquet").unlink()
    with pytest.raises(ImportFailed, match="there is no column id"):
        import_files(sqlite, tmp_path / "data", [folder])


def test_without_pyarrow(sqlite: Database, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ParquetMissing, match="reading Parquet needs pyarrow: pip install pyarrow"):
        import_files(sqlite, tmp_path / "data", [folder])
