from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from store.database import Database
from store.tables import Boke, Odai, Picture
from tests.training.corpora import corpus_rows, count_rows, write_corpus, write_picture
from training.errors import ImportFailed
from training.importers import ImportReport, import_files

ROOT = Path(__file__).resolve().parents[3]
ROOT_PICTURE = "images/1.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where corpus files lie: images/0.png to images/4.png beside them."""
    for number in range(5):
        write_picture(tmp_path / f"corpus/images/{number}.png", number)
    return tmp_path / "corpus"


def take(database: Database, tmp_path: Path, *paths: Path) -> ImportReport:
    return import_files(database, tmp_path / "data", paths)


def jokes(database: Database) -> list[Boke]:
    with database.session() as session:
        found = list(session.scalars(select(Boke).order_by(Boke.id)))
        session.expunge_all()
        return found


def test_everything_of_the_format_is_kept(any_database: Database, folder: Path, tmp_path: Path) -> None:
    line = {
        "image": ROOT_PICTURE,
        "text": " そっち\nじゃない ",
        "stars": 1.75,
        "ratings": 63,
        "split": "dev",
        "odai_id": 591,
        "boke_id": "b-7",
        "url": "https://example.org/7",
        "unknown": {"x": 1},
        "category": 5,
    }
    report = take(any_database, tmp_path, write_corpus(folder / "c.jsonl", [line]))
    assert report == ImportReport(lines=1, added=1, pictures=1)
    [joke] = jokes(any_database)
    kept = (joke.text, joke.stars, joke.ratings, joke.split, joke.url)
    assert kept == (" そっち\nじゃない ", 1.75, 63, "dev", "https://example.org/7")
    assert joke.external_id is not None
    assert joke.external_id.startswith("b-7@")
    data = (folder / ROOT_PICTURE).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    assert joke.picture_digest == digest
    with any_database.reader() as session:
        [picture] = session.scalars(select(Picture))
        assert (picture.digest, picture.path) == (digest, f"pictures/{digest[:2]}/{digest}.png")
        assert (picture.width, picture.height, picture.bytes) == (13, 10, len(data))
        [odai] = session.scalars(select(Odai))
        assert odai.external_id.startswith("591@")
        assert joke.odai_id == odai.id
    assert (tmp_path / "data" / picture.path).read_bytes() == data


def test_the_same_file_again_changes_nothing(any_database: Database, folder: Path, tmp_path: Path) -> None:
    lines = [
        {"image": "images/0.png", "text": "同じ！", "stars": 3, "split": "train"},
        {"image": "images/0.png", "text": "同じ", "stars": 5, "split": "dev"},  # reads the same: the same joke
        {"image": "images/1.png", "text": "同じ！", "stars": 2},
        {"image": "images/1.png", "text": "id あり", "stars": 2, "boke_id": 1, "odai_id": 9},
        {"image": "images/1.png", "text": "id あり", "stars": 4, "boke_id": 2, "odai_id": 9},
        {"image": "images/2.png", "text": "別の絵", "boke_id": 1},  # the number is another file's, or another picture's
    ]
    path = write_corpus(folder / "c.jsonl", lines)
    first = take(any_database, tmp_path, path)
    assert (first.added, first.same, first.pictures) == (5, 1, 3)
    before = corpus_rows(any_database)
    again = take(any_database, tmp_path, path)
    assert (again.added, again.updated, again.same, again.pictures) == (0, 0, 6, 0)
    assert corpus_rows(any_database) == before
    stars = {(joke.text, joke.stars) for joke in jokes(any_database)}
    assert stars == {("同じ！", 5.0), ("同じ！", 2.0), ("id あり", 2.0), ("id あり", 4.0), ("別の絵", None)}


def test_a_newer_file_brings_jokes_up_to_date(any_database: Database, folder: Path, tmp_path: Path) -> None:
    old = [
        {"image": ROOT_PICTURE, "text": "前", "stars": 9, "boke_id": 1},
        {"image": ROOT_PICTURE, "text": "平均", "stars": 2.5, "ratings": 10},
        {"image": ROOT_PICTURE, "text": "星", "stars": 10},
    ]
    new = [
        {"image": ROOT_PICTURE, "text": "後", "stars": 8, "boke_id": 1},
        {"image": ROOT_PICTURE, "text": "平均", "stars": 2.0, "ratings": 20, "url": "https://example.org/"},
        {"image": ROOT_PICTURE, "text": "星", "stars": 7},  # fewer, and nobody says that it is newer
    ]
    take(any_database, tmp_path, write_corpus(folder / "a.jsonl", old))
    report = take(any_database, tmp_path, write_corpus(folder / "b.jsonl", new))
    assert (report.added, report.updated, report.same) == (0, 2, 1)
    found = [(joke.text, joke.stars, joke.ratings, joke.url) for joke in jokes(any_database)]
    assert found == [
        ("後", 8.0, None, None),
        ("平均", 2.0, 20, "https://example.org/"),
        ("星", 10.0, None, None),
    ]


def test_jokes_repeat_within_one_batch_and_over_batches(
    any_database: Database, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [{"image": f"images/{i % 5}.png", "text": f"ボケ {i % 10}", "boke_id": i % 20} for i in range(100)]
    plain = [{"image": f"images/{i % 5}.png", "text": f"素 {i % 10}"} for i in range(100)]
    path = write_corpus(folder / "c.jsonl", [*lines, *plain])
    whole = take(any_database, tmp_path, path)
    assert (whole.added, whole.same) == (30, 170)
    monkeypatch.setattr("training.importers.BATCH", 7)
    assert take(any_database, tmp_path, path).same == 200
    assert count_rows(any_database) == 30


def test_bad_lines_are_counted_and_named(any_database: Database, folder: Path, tmp_path: Path) -> None:
    (folder / "images/broken.png").write_bytes((folder / ROOT_PICTURE).read_bytes()[:40])
    (folder / "images/text.png").write_text("not a picture")
    write_picture(tmp_path / "outside.png", 77)
    good = [{"image": "images/0.png", "text": f"ボケ{i}"} for i in range(12)]
    bad = [
        "{",
        {"text": "絵がない"},
        {"image": "images/0.png"},
        {"image": "images/0.png", "text": "  \n"},
        {"image": "images/0.png", "text": "a", "stars": "12"},
        {"image": "images/0.png", "text": "a", "ratings": 1.5},
        {"image": "images/0.png", "text": "a", "split": "later"},
        '{"image": "images/0.png", "text": "a", "stars": 1e999}',
        {"image": "images/none.png", "text": "a"},
        {"image": "../outside.png", "text": "a"},
        {"image": str(tmp_path / "outside.png"), "text": "a"},
    ]
    unpictured = [{"image": "images/broken.png", "text": "a"}, {"image": "images/text.png", "text": "b"}]
    path = write_corpus(folder / "c.jsonl", [*good, *bad, *unpictured, unpictured[0]])
    report = take(any_database, tmp_path, path)
    assert (report.added, report.bad, report.broken, report.pictureless) == (12, 11, 2, 3)
    assert count_rows(any_database) == 12
    named = "\n".join(report.problems)
    for number, reason in (
        (13, "this is not JSON"),
        (14, '"image" is missing'),
        (15, '"text" is missing'),
        (16, '"text" is empty'),
        (17, '"stars" is not a number'),
        (18, '"ratings" is not a count'),
        (19, '"split" is neither "train" nor "dev"'),
        (20, '"stars" is not a number'),
        (21, f"{folder / 'images/none.png'}: there is no such picture file"),
        (22, "is not below the file's own folder"),
        (23, "is not below the file's own folder"),
    ):
        assert any(line.startswith(f"{path}:{number}: ") and reason in line for line in report.problems), (
            number,
            named,
        )
    assert "images/broken.png: the file starts like a picture but is damaged or cut short" in named
    assert len(list((tmp_path / "data").rglob("*.png"))) == 1


def test_more_bad_than_good_fails_and_keeps_the_good(any_database: Database, folder: Path, tmp_path: Path) -> None:
    good = {"image": "images/0.png", "text": "よし"}
    even = write_corpus(folder / "even.jsonl", [good, "oops"])
    assert take(any_database, tmp_path, even).bad == 1
    worse = write_corpus(folder / "worse.jsonl", [{**good, "text": "これも"}, "oops", "oops"])
    with pytest.raises(
        ImportFailed, match=r"worse.jsonl: 2 of 3 lines .* The first: .*worse.jsonl:2: this is not JSON"
    ):
        take(any_database, tmp_path, worse)
    assert {joke.text for joke in jokes(any_database)} == {"よし", "これも"}


@pytest.mark.parametrize(("name", "why"), [("none.jsonl", "No such file"), ("images", "not BoketeDB's")])
def test_files_that_cannot_be_read(folder: Path, tmp_path: Path, sqlite: Database, name: str, why: str) -> None:
    good = write_corpus(folder / "good.jsonl", [{"image": "images/0.png", "text": "よし"}])
    with pytest.raises(ImportFailed, match=why):
        take(sqlite, tmp_path, good, folder / name)
    assert count_rows(sqlite) == 0  # nothing was begun


def test_texts_that_databases_refuse(any_database: Database, folder: Path, tmp_path: Path) -> None:
    lines = [
        '{"image": "images/0.png", "text": "a\\u0000b"}',
        '{"image": "images/0.png", "text": "half \\ud83d"}',
        '{"image": "images/0.png", "text": "both \\ud83d\\ude00"}',
        '{"image": "images/0.png", "text": "id", "boke_id": "\\u0000"}',
        '{"image": "images/\\u0000.png", "text": "x"}',
        '{"image": "images/0.png", "text": "y", "ratings": 2147483648}',
    ]
    report = take(any_database, tmp_path, write_corpus(folder / "c.jsonl", lines))
    assert (report.added, report.bad) == (3, 3)
    assert {joke.text for joke in jokes(any_database)} == {"ab", "half ", "both 😀"}


def test_one_file_for_one_picture(sqlite: Database, folder: Path, tmp_path: Path) -> None:
    copy = folder / "images/copy.png"
    copy.write_bytes((folder / "images/0.png").read_bytes())
    lines = [{"image": name, "text": "同じ絵"} for name in ("images/0.png", "images/copy.png", "./images/x/../0.png")]
    report = take(sqlite, tmp_path, write_corpus(folder / "c.jsonl", lines))
    assert (report.added, report.same, report.pictures) == (1, 2, 1)
    assert len([p for p in (tmp_path / "data").rglob("*") if p.is_file()]) == 1


def test_a_lost_picture_file_comes_back(sqlite: Database, folder: Path, tmp_path: Path) -> None:
    path = write_corpus(folder / "c.jsonl", [{"image": "images/0.png", "text": "絵"}])
    take(sqlite, tmp_path, path)
    [kept] = (tmp_path / "data").rglob("*.png")
    kept.unlink()
    take(sqlite, tmp_path, path)
    assert kept.is_file()


def test_a_joke_of_the_site_is_met_again_by_its_address(sqlite: Database, folder: Path, tmp_path: Path) -> None:
    line = {"image": "images/0.png", "text": "ボケ", "boke_id": 11, "url": "https://bokete.jp/boke/11", "odai_id": 5}
    take(sqlite, tmp_path, write_corpus(folder / "c.jsonl", [line]))
    [joke] = jokes(sqlite)
    assert (joke.source, joke.external_id) == ("bokete", "11")


def test_what_was_crawled_is_completed_not_replaced(any_database: Database, folder: Path, tmp_path: Path) -> None:
    """The crawl knows an odai without its picture, and a joke of it with its stars."""
    with any_database.session() as session:
        odai = Odai(source="bokete", external_id="5", title="題")
        session.add(odai)
        session.flush()
        session.add(Boke(source="bokete", external_id="11", odai_id=odai.id, text="ボケ", text_hash=1, stars=100.0))
    own = {"source": "bokete", "title": "別の題", "odai_category": "動物"}
    lines = [{"image": "images/0.png", "text": "もう一つ", "boke_id": 12, "odai_id": 5, "bokebot": own}]
    take(any_database, tmp_path, write_corpus(folder / "c.jsonl", lines))
    digest = hashlib.sha256((folder / "images/0.png").read_bytes()).hexdigest()
    with any_database.reader() as session:
        [odai] = session.scalars(select(Odai))
        assert (odai.title, odai.category, odai.picture_digest) == ("題", "動物", digest)
    assert [joke.picture_digest for joke in jokes(any_database)] == [digest, digest]
    # Another size of the same picture stands for the one that is there: one picture is never in train and in dev.
    lines = [{"image": "images/1.png", "text": "三つ目", "boke_id": 13, "odai_id": 5, "bokebot": own}]
    take(any_database, tmp_path, write_corpus(folder / "d.jsonl", lines))
    assert [joke.picture_digest for joke in jokes(any_database)] == [digest] * 3


def test_a_line_without_id_leaves_a_sites_rating_alone(sqlite: Database, folder: Path, tmp_path: Path) -> None:
    take(
        sqlite,
        tmp_path,
        write_corpus(folder / "a.jsonl", [{"image": "images/0.png", "text": "ボケ", "stars": 3, "boke_id": 1}]),
    )
    report = take(
        sqlite, tmp_path, write_corpus(folder / "b.jsonl", [{"image": "images/0.png", "text": "ボケ!", "stars": 9}])
    )
    assert (report.added, report.updated, report.same) == (0, 0, 1)
    assert [joke.stars for joke in jokes(sqlite)] == [3.0]


def test_an_older_rating_does_not_replace_a_newer_one(sqlite: Database, folder: Path, tmp_path: Path) -> None:
    def line(stars: int, day: str) -> dict[str, Any]:
        own = {"last_rated": f"2024-01-{day}T00:00:00+00:00"}
        return {"image": "images/0.png", "text": "ボケ", "stars": stars, "boke_id": 1, "bokebot": own}

    for stars, day in ((5, "10"), (4, "09"), (7, "11")):
        take(sqlite, tmp_path, write_corpus(folder / "a.jsonl", [line(stars, day)]))
        expected = {5: 5.0, 4: 5.0, 7: 7.0}[stars]
        assert [joke.stars for joke in jokes(sqlite)] == [expected]


def test_what_is_not_of_the_format_makes_no_line_bad(sqlite: Database, folder: Path, tmp_path: Path) -> None:
    odd = [7, "x", [], {"source": 5, "posted": "never", "boke_count": "many", "flagged": "no", "title": 3}]
    lines = [{"image": "images/0.png", "text": f"ボケ{i}", "bokebot": own} for i, own in enumerate(odd)]
    report = take(sqlite, tmp_path, write_corpus(folder / "c.jsonl", lines))
    assert (report.added, report.bad) == (4, 0)
    assert {joke.source for joke in jokes(sqlite)} == {"import"}


def test_progress_goes_to_the_end_of_the_file(sqlite: Database, folder: Path, tmp_path: Path) -> None:
    lines = [{"image": "images/0.png", "text": f"ボケ{i}"} for i in range(4500)]
    path = write_corpus(folder / "c.jsonl", lines)
    said: list[tuple[str, int, int]] = []
    import_files(sqlite, tmp_path / "data", [path], report=lambda *told: said.append(told))
    size = path.stat().st_size
    assert [total for _, _, total in said] == [size] * len(said)
    done = [done for _, done, _ in said]
    assert done == sorted(done)
    assert len(done) >= 3
    assert done[-1] == size


def test_two_imports_at_once_do_not_double_jokes_with_ids(
    any_database: Database, any_database_url: str, folder: Path, tmp_path: Path
) -> None:
    lines = [{"image": f"images/{i % 5}.png", "text": f"ボケ{i}", "boke_id": i, "odai_id": i % 7} for i in range(5000)]
    path = write_corpus(folder / "c.jsonl", lines)
    environment = {**os.environ, "BOKE__DATABASE__URL": any_database_url, "BOKE__DATA__DIR": str(tmp_path / "data")}
    command = [sys.executable, "-m", "training.corpus", "import", str(path)]
    both = [subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
    for process in both:
        process.communicate()
    assert [process.returncode for process in both] == [0, 0]
    assert count_rows(any_database) == 5000
    assert take(any_database, tmp_path, path).same == 5000


NO_ROOM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
sys.argv[0] = "corpus"
from training.corpus_command import app
app()
"""


def test_a_full_disk_is_said_and_loses_nothing(sqlite: Database, folder: Path, tmp_path: Path) -> None:
    """No file may grow beyond 3 MB, and the second picture is larger: the disk is full for it."""
    noise = Image.frombytes("RGB", (1200, 1000), random.Random(1).randbytes(3_600_000))
    noise.save(folder / "images/noise.bmp")
    first, second = ({"image": f"images/{name}", "text": name} for name in ("0.png", "noise.bmp"))
    path = write_corpus(folder / "c.jsonl", [first] * 2000 + [second])
    variables = {
        "BOKE__DATABASE__URL": str(sqlite.engine.url).replace("+pysqlite", ""),
        "BOKE__DATA__DIR": str(tmp_path / "data"),
    }
    command = [sys.executable, "-c", NO_ROOM]
    done = subprocess.run(
        [*command, "import", str(path)],
        env={**os.environ, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"corpus: {tmp_path / 'data'}: no room is left for pictures; what was imported stays\n" in done.stderr
    assert count_rows(sqlite) == 1
    assert [p.name for p in (tmp_path / "data").rglob("*") if p.is_file() and p.suffix != ".png"] == []
    assert take(sqlite, tmp_path, path).added == 1  # with room again
    done = subprocess.run(
        [*command, "export", "--out", str(tmp_path / "out/c.jsonl")],
        env={**os.environ, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"corpus: {tmp_path / 'out'}: no room is left; make room and export again\n" in done.stderr
    assert not [p for p in (tmp_path / "out").rglob("*") if p.name.endswith((".part", ".jsonl"))]


def test_newyorker(shared_data: Path, sqlite: Database, tmp_path: Path) -> None:
    path = shared_data / "newyorker/corpus.jsonl"
    report = take(sqlite, tmp_path, path)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert report.lines == len(lines) == 30_400
    assert report.bad == report.broken == 0
    assert report.added + report.updated + report.same == 30_400
    digests = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (path.parent / "images").iterdir()}
    wanted = {(digests[line["image"].removeprefix("images/")], line["text"]) for line in lines}
    stored = {(row[2], row[3]) for row in corpus_rows(sqlite)}
    assert stored <= wanted
    assert report.added == len(stored) > 30_000
    assert report.pictures == len({digest for digest, _ in wanted})
    again = take(sqlite, tmp_path, path)
    assert (again.added, again.updated, again.same) == (0, 0, 30_400)
