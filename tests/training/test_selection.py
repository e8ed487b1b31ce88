"""The jokes of a run on disk: what goes in comes out, nothing half, and memory does not grow with them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bokemodel.tokenizer import Tokenizer
from store.text import text_hash
from tests.bundles import LINES
from training.corpus import Joke, VotedJoke
from training.selection import Selection, read_selection, read_tokens, write_selection, write_tokens

ROOT = Path(__file__).resolve().parents[2]
A, B, C = ("0" * 64, "1" * 64, "f" * 64)
JOKES = [
    Joke(picture=A, text="猫", split="train", stars=3, ratings=2, up=4, down=1),
    Joke(picture=A, text="いぬ", split="train"),
    Joke(picture=B, text="🐈 a", split="dev", stars=0.5),
]
VOTED = [VotedJoke(Joke(picture="ab" * 8, text="投票", split="train", up=3), np.arange(3, dtype=np.float32))]


def select(folder: Path, jokes: list[Joke] = JOKES, voted: list[VotedJoke] = VOTED) -> Selection:
    return write_selection(jokes, voted, folder / "selection", lambda: {"read": 9})


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    found = select(tmp_path)
    assert list(found.texts) == ["猫", "いぬ", "🐈 a", "投票"]
    assert found.texts[-1] == "投票"
    assert found.texts[1:3] == ["いぬ", "🐈 a"]
    assert found.picture.tolist() == [0, 0, 1, 2]
    assert [found.digest(number) for number in range(3)] == [A, B, "ab" * 8]
    assert found.dev.tolist() == [False, True, False]
    assert found.stars[[0, 2]].tolist() == [3, 0.5]
    assert np.isnan(found.stars[1])
    assert found.votes.tolist() == [3, 0, 0, 3]
    assert found.vectors.tolist() == [[0, 1, 2]]
    assert found.facts == {"read": 9}
    assert found.hashes[0] == text_hash("猫")


def test_somebody_wrote_it_or_not(tmp_path: Path) -> None:
    written = select(tmp_path).contains()
    assert written("猫")
    assert written("猫！")  # reads the same
    assert not written("鳥")
    assert not select(tmp_path, [], []).contains()("猫")


def test_the_fingerprint_tells_any_change(tmp_path: Path) -> None:
    def changed(**values: object) -> str:
        return select(tmp_path, [replace(JOKES[0], **values), *JOKES[1:]]).fingerprint  # type: ignore[arg-type]

    same = select(tmp_path).fingerprint
    assert select(tmp_path).fingerprint == same
    others = [changed(text="ねこ"), changed(stars=4), changed(up=9), changed(split="dev"), changed(ratings=None)]
    assert len({same, *others}) == 6
    assert select(tmp_path, JOKES, []).fingerprint != same


def test_of_a_few_pictures_one_is_held_out(tmp_path: Path) -> None:
    few = [replace(joke, picture=picture, split="train") for joke, picture in zip(JOKES, (C, A, B), strict=True)]
    assert select(tmp_path, few).dev.tolist() == [False, True, False, False]
    assert select(tmp_path, few[:1], []).dev.tolist() == [False]


def test_nothing_selected(tmp_path: Path) -> None:
    found = select(tmp_path, [], [])
    assert (len(found), list(found.texts), len(found.digests)) == (0, [], 0)


@pytest.mark.parametrize("name", ["selection.json", "texts.bin", "stars.npy"])
@pytest.mark.parametrize("damage", ["gone", "short"])
def test_a_damaged_selection_is_none(tmp_path: Path, name: str, damage: str) -> None:
    select(tmp_path)
    path = tmp_path / "selection" / name
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-3])
    assert read_selection(tmp_path / "selection") is None


def test_a_new_selection_replaces_the_old(tmp_path: Path) -> None:
    select(tmp_path)
    (tmp_path / ".selection.half").mkdir()  # left by a kill
    select(tmp_path, JOKES[:1], [])
    found = read_selection(tmp_path / "selection")
    assert found is not None
    assert list(found.texts) == ["猫"]
    assert [path.name for path in tmp_path.iterdir()] == ["selection"]


def test_tokens_come_back_and_half_of_them_do_not(tmp_path: Path) -> None:
    tokenizer = Tokenizer.train(list(LINES), 400)
    texts, seen = [*LINES, ""] * 200, list[int]()
    write_tokens(texts, len(texts), tokenizer, tmp_path, seen.append)
    tokens = read_tokens(tmp_path, len(texts))
    assert tokens is not None
    assert [tokens[i].tolist() for i in (0, 5, -1, 120)] == [tokenizer.encode(texts[i]) for i in (0, 5, -1, 120)]
    assert tokens.lengths.sum() == sum(len(tokenizer.encode(text)) for text in texts)
    assert seen[-1] == len(texts)
    assert read_tokens(tmp_path, len(texts) + 1) is None
    (path,) = tmp_path.glob("ids.*")
    path.write_bytes(path.read_bytes()[:-2])
    assert read_tokens(tmp_path, len(texts)) is None


PEAK = """
import resource, sys
from pathlib import Path
from bokemodel.tokenizer import Tokenizer
from training.corpus import Joke
from training.selection import read_tokens, write_selection, write_tokens
count = int(sys.argv[2])
def joke(i):
    return Joke(picture=f"{i // 50:064x}", text=f"joke number {i} about nothing much", split="train", stars=i % 7)
jokes = map(joke, range(count))
found = write_selection(jokes, (), Path(sys.argv[1]) / "s", dict)
tokenizer = Tokenizer.train([found.texts[i] for i in range(2000)], 400)
write_tokens((found.texts[i] for i in range(count)), count, tokenizer, Path(sys.argv[1]), lambda done: None)
tokens = read_tokens(Path(sys.argv[1]), count)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_a_joke_costs_little_memory(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        (tmp_path / str(count)).mkdir()
        command = [sys.executable, "-c", PEAK, str(tmp_path / str(count)), str(count)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return int(done.stdout) * 1024

    few, many = 20_000, 120_000
    each = (peak(many) - peak(few)) / (many - few)
    assert each < 200, f"{each:.0f} bytes a joke"  # a Python list of its 12 tokens alone would take 400
