from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from store.answers import NewAnswer, add_answer, delete_answer, save_feature
from store.corpus import split_of
from store.database import Database
from store.tables import Boke, Odai
from store.votes import vote
from tests.training.corpora import write_corpus, write_picture
from training.corpus import Joke, count_jokes, count_pictures, read_jokes, read_pictures, read_voted
from training.importers import import_files

ROOT = Path(__file__).resolve().parents[2]


def bring(database: Database, tmp_path: Path, lines: list[object], name: str = "c.jsonl") -> None:
    for number in range(6):
        write_picture(tmp_path / f"corpus/images/{number}.png", number)
    import_files(database, tmp_path / "data", [write_corpus(tmp_path / "corpus" / name, lines)])


def joke(number: int, text: str, **keys: object) -> dict[str, object]:
    return {"image": f"images/{number}.png", "text": text, **keys}


def test_all_that_training_wants_to_know(any_database: Database, tmp_path: Path) -> None:
    own = {"source": "bokete", "category": "c", "odai_category": "o", "title": "t", "flagged": True}
    line = joke(1, "ボケ", stars=2.5, ratings=7, split="dev", odai_id=5, boke_id=6, url="https://e.org", bokebot=own)
    bring(any_database, tmp_path, [line])
    [picture] = read_pictures(any_database)
    assert list(read_jokes(any_database)) == [
        Joke(
            picture=picture.digest,
            text="ボケ",
            split="dev",
            stars=2.5,
            ratings=7,
            source="bokete",
            url="https://e.org",
            category="c",
            odai_category="o",
            title="t",
            flagged=True,
        )
    ]
    assert (tmp_path / "data" / picture.path).is_file()
    assert (count_jokes(any_database), count_pictures(any_database)) == (1, 1)


def test_a_pictures_jokes_come_together_whenever_they_came(any_database: Database, tmp_path: Path) -> None:
    lines = [joke(i % 6, f"ボケ{i}") for i in range(60)]
    bring(any_database, tmp_path, lines[::-1])
    found = list(read_jokes(any_database))
    assert len(found) == 60
    pictures = [j.picture for j in found]
    assert pictures == sorted(pictures)
    first = [(j.picture, j.text) for j in found]
    with any_database.session() as session:
        for row in session.scalars(select(Boke)):
            session.delete(row)
    bring(any_database, tmp_path, lines, "again.jsonl")
    assert [(j.picture, j.text) for j in read_jokes(any_database)] == first


def test_the_files_word_on_a_split_counts_where_it_agrees(any_database: Database, tmp_path: Path) -> None:
    lines = [
        joke(0, "a", split="dev"),
        joke(0, "b", split="dev"),
        joke(0, "c"),  # says nothing, so it goes with its picture
        joke(1, "a", split="train"),
        joke(1, "b", split="dev"),
        *[joke(i, "a") for i in range(2, 6)],
    ]
    bring(any_database, tmp_path, lines)
    found = list(read_jokes(any_database, dev_share=0.5))
    splits = {j.picture: j.split for j in found}
    assert all(j.split == splits[j.picture] for j in found)
    with any_database.reader() as session:
        [said] = set(session.scalars(select(Boke.picture_digest).where(Boke.text == "c")))
    assert splits.pop(said) == "dev"
    assert splits == {picture: split_of(picture, 0.5) for picture in splits}
    for share in (0.0, 0.5, 1.0):
        halves = [list(read_jokes(any_database, dev_share=share, split=side)) for side in ("train", "dev")]
        assert sorted(j.text for half in halves for j in half) == sorted(j.text for j in found)
        assert not {j.picture for j in halves[0]} & {j.picture for j in halves[1]}


def test_split_of_is_a_share_of_the_pictures_and_only_grows() -> None:
    pictures = [f"{number:064x}" for number in range(4000)]
    few = {p for p in pictures if split_of(p, 0.1) == "dev"}
    more = {p for p in pictures if split_of(p, 0.2) == "dev"}
    assert 300 < len(few) < 500
    assert few < more
    assert {split_of(p, 0.0) for p in pictures} == {"train"}
    assert {split_of(p, 1.0) for p in pictures} == {"dev"}
    # Fixed for good: a picture that moved would be trained on after it was held out.
    fixed = "".join(split_of(str(number), 0.3)[0] for number in range(8))
    assert fixed == "dtdtddtt"


def test_a_joke_without_a_picture_waits(any_database: Database, tmp_path: Path) -> None:
    with any_database.session() as session:
        odai = Odai(source="bokete", external_id="1")
        session.add(odai)
        session.flush()
        session.add(Boke(source="bokete", external_id="1", odai_id=odai.id, text="ボケ", text_hash=1))
    assert list(read_jokes(any_database)) == []
    assert list(read_pictures(any_database)) == []
    assert count_jokes(any_database) == 0


def answer(database: Database, key: str, text: str, *, encoder: str = "e", votes: str = "+") -> str:
    stored = add_answer(
        database,
        NewAnswer(
            platform="discord",
            channel_id="1",
            picture_key=key,
            text=text,
            score=-1.0,
            mode="boke",
            model="m",
            encoder=encoder,
        ),
    )
    save_feature(database, stored.public_id, encoder, "w" * 64, np.array([1.5, len(text)], "<f4").tobytes())
    for number, sign in enumerate(votes):
        vote(database, stored.public_id, f"voter{number}", 1 if sign == "+" else -1)
    return stored.public_id


def test_votes_of_chat_are_jokes_with_vectors(any_database: Database, tmp_path: Path) -> None:
    bring(any_database, tmp_path, [joke(0, "a", split="dev")])
    [picture] = read_pictures(any_database)
    answer(any_database, "k1", "うける", votes="++-")
    answer(any_database, "k0", "すべる", votes="--")
    answer(any_database, picture.digest, "コーパスの絵")
    answer(any_database, "k2", "だれも", votes="")
    answer(any_database, "k3", "別の目", encoder="other")
    deleted = answer(any_database, "k4", "消えた")
    delete_answer(any_database, deleted)
    found = {voted.joke.text: voted for voted in read_voted(any_database, "e", "w" * 64, dev_share=0.0)}
    assert set(found) == {"うける", "すべる", "コーパスの絵"}
    best = found["うける"]
    assert best.joke == Joke(picture="k1", text="うける", split="train", up=2, down=1, source="chat")
    assert best.vector.tolist() == [1.5, 3.0]
    assert found["コーパスの絵"].joke.split == "dev"  # where the corpus holds that picture out
    assert list(read_voted(any_database, "e", "v" * 64)) == []
    train = [voted.joke.text for voted in read_voted(any_database, "e", "w" * 64, dev_share=0.0, split="train")]
    assert sorted(train) == ["うける", "すべる"]


THROUGH = """
import sys
from pathlib import Path
from store.database import open_database
from training.corpus import read_jokes
from training.export import export_corpus
from training.filters import FilterConfig, Filters
from training.importers import import_files
folder = Path(sys.argv[1])
database = open_database(f"sqlite:///{folder / 'boke.db'}")
added = import_files(database, folder, [Path(sys.argv[2])]).added
kept = sum(1 for _ in Filters(FilterConfig()).keep(read_jokes(database)))
written = export_corpus(database, folder, folder / "out.jsonl").jokes
assert added == kept == written == int(sys.argv[3]), (added, kept, written)
status = Path("/proc/self/status").read_text()  # getrusage would tell the parent's peak where that was higher
print(status.partition("VmHWM:")[2].split()[0])
"""


def peak_of_a_corpus(folder: Path, count: int) -> int:
    """Most kilobytes of a process that imports, filters and exports so many jokes."""
    for number in range(6):
        write_picture(folder / f"images/{number}.png", number)
    lines = (
        {**joke(i % 6, f"ボケ {i} です"), "boke_id": i if i % 2 else None, "odai_id": i % 50} for i in range(count)
    )
    path = write_corpus(folder / "c.jsonl", lines)
    command = [sys.executable, "-c", THROUGH, str(folder / "data"), str(path), str(count)]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell a process's peak memory")
def test_memory_stays_flat(tmp_path: Path) -> None:
    """Twice the jokes need no more memory, in and out. benchmarks/corpus.py does the same with a million."""
    small, large = (peak_of_a_corpus(tmp_path / str(count), count) for count in (10_000, 20_000))
    assert large < small + 4_000


def run(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training.corpus", *arguments]
    variables = {**os.environ, "BOKE__DATA__DIR": str(tmp_path / "data"), **environment}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)


def test_the_command(tmp_path: Path) -> None:
    for number in range(3):
        write_picture(tmp_path / f"in/images/{number}.png", number)
    lines = [joke(i % 3, f"ボケ{i}", stars=i) for i in range(9)]
    path = write_corpus(tmp_path / "in/c.jsonl", [*lines, "oops"])
    done = run(tmp_path, "import", str(path))
    assert done.returncode == 0, done.stderr
    assert " jokes added 9 " in " ".join(done.stdout.split())
    assert f"corpus: {path}:10: this is not JSON" in done.stderr
    out = tmp_path / "out/all.jsonl"
    done = run(tmp_path, "export", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert f"{out}: 9 jokes; 3 new pictures" in done.stdout
    assert len(out.read_text(encoding="utf-8").splitlines()) == 9
    done = run(tmp_path, "stats")
    assert done.returncode == 0, done.stderr
    assert "jokes per picture, mean" in done.stdout
    stats = json.loads(run(tmp_path, "stats", "--json").stdout)
    assert (stats["jokes"], stats["pictures"], stats["per_picture_max"], stats["stars_median"]) == (9, 3, 3, 4.0)
    assert stats["sources"] == [{"source": "import", "jokes": 9, "pictures": 3, "starred": 9, "mean_stars": 4.0}]


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["import", "none.jsonl"], {}, "corpus: none.jsonl: cannot be read: No such file or directory\n"),
        (["stats"], {"BOKE__DATABASE__URL": "mysql://x"}, "corpus: BOKE__DATABASE__URL: database.url"),
        (["export", "--out", "/proc/none/c.jsonl"], {}, "corpus: /proc/none/c.jsonl: cannot be written: No such file"),
    ],
)
def test_what_goes_wrong_is_a_line(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], message: str
) -> None:
    done = run(tmp_path, *arguments, **environment)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert "Traceback" not in done.stderr
