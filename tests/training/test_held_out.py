from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.held_out import CorpusUnreadable, Joke, held_out, read_jokes

PHOTOS = Path(__file__).resolve().parents[1] / "data"


class Sizes:
    """An encoder whose vector is the picture's mean colour."""

    name, dim, input_size, weights_digest = "colours", 3, 32, "c" * 64

    def __init__(self) -> None:
        self.seen = 0

    def encode(self, images: Any) -> np.ndarray:
        self.seen += len(images)
        return np.array([np.asarray(image, np.float32).mean(axis=(0, 1)) for image in images])


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def corpus(path: Path, *lines: Any) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    return path


def test_jokes_by_picture(tmp_path: Path) -> None:
    file = corpus(
        tmp_path / "corpus.jsonl",
        {"image": "a.jpg", "text": "猫だ", "stars": 3, "split": "dev", "anything": []},
        "",
        {"image": "b.jpg", "text": "x", "stars": None},
        {"image": "a.jpg", "text": "猫だ", "stars": 0.5},
    )
    found = read_jokes(file)
    assert found.jokes == {"a.jpg": [Joke("猫だ", 3.0), Joke("猫だ", 0.5)], "b.jpg": [Joke("x")]}
    assert (found.bad, found.bad_count) == ((), 0)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"image": "a.jpg", "text": ', "JSON"),
        ("[1]", "object"),
        ({"image": "a.jpg"}, '"text"'),
        ({"text": "x"}, '"image"'),
        ({"image": 5, "text": "x"}, '"image"'),
        ({"image": "a.jpg", "text": "x", "stars": "many"}, '"stars"'),
        ({"image": "a.jpg", "text": "x", "stars": True}, '"stars"'),
        ('{"image": "a.jpg", "text": "x", "stars": NaN}', '"stars"'),
        ('{"image": "a.jpg", "text": "x", "stars": 1' + "0" * 400 + "}", '"stars"'),
        ({"image": "a.jpg", "text": " "}, '"text"'),
    ],
)
def test_a_line_that_is_no_joke_is_named(tmp_path: Path, line: Any, why: str) -> None:
    found = read_jokes(corpus(tmp_path / "corpus.jsonl", {"image": "a.jpg", "text": "x"}, line))
    assert found.jokes == {"a.jpg": [Joke("x")]}
    assert found.bad_count == 1
    assert found.bad[0].startswith("line 2: ")
    assert why in found.bad[0]


def test_a_file_that_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusUnreadable, match="No such file"):
        read_jokes(tmp_path / "none.jsonl")
    with pytest.raises(CorpusUnreadable, match="directory"):
        read_jokes(tmp_path)
    with pytest.raises(CorpusUnreadable, match=r"2 of 3 lines are no jokes.*line 2") as caught:
        read_jokes(corpus(tmp_path / "notes.txt", {"image": "a.jpg", "text": "x"}, "one", "two"))
    assert "\n" not in str(caught.value)


def test_of_many_bad_lines_only_the_first_are_named(tmp_path: Path) -> None:
    found = read_jokes(corpus(tmp_path / "c.jsonl", *[{"image": "a.jpg", "text": "x"}] * 60, *["nonsense"] * 50))
    assert (len(found.bad), found.bad_count, len(found.jokes["a.jpg"])) == (20, 50, 60)


def test_training_pictures_are_left_out_whatever_their_name(tmp_path: Path) -> None:
    for name in ("cat", "coffee"):
        shutil.copy(PHOTOS / f"{name}.jpg", tmp_path)
    shutil.copy(PHOTOS / "cat.jpg", tmp_path / "renamed.jpg")
    jokes = {name: [Joke(name)] for name in ("cat.jpg", "renamed.jpg", "coffee.jpg")}
    encoder = Sizes()
    found = held_out(jokes, tmp_path, {digest(PHOTOS / "cat.jpg")}, encoder)
    assert [p.digest for p in found.pictures] == [digest(PHOTOS / "coffee.jpg")]
    assert (found.trained, found.unreadable, encoder.seen) == (1, (), 1)


def test_equal_files_are_one_picture(tmp_path: Path) -> None:
    for name in ("one.jpg", "two.jpg"):
        shutil.copy(PHOTOS / "cat.jpg", tmp_path / name)
    found = held_out({"one.jpg": [Joke("a")], "two.jpg": [Joke("b")]}, tmp_path, (), Sizes())
    assert [p.jokes for p in found.pictures] == [(Joke("a"), Joke("b"))]


def test_pictures_get_their_own_vectors(tmp_path: Path) -> None:
    for grey in range(40):  # more than one batch
        Image.new("RGB", (40, 40), (grey, grey, grey)).save(tmp_path / f"{grey}.png")
    told: list[tuple[str, int, int]] = []
    found = held_out(
        {f"{grey}.png": [Joke(str(grey))] for grey in range(40)},
        tmp_path,
        (),
        Sizes(),
        lambda *what: told.append(what),
    )
    assert len(found.pictures) == 40
    for picture in found.pictures:
        assert picture.features.tolist() == [float(picture.jokes[0].text)] * 3
    assert [p.digest for p in found.pictures] == sorted(p.digest for p in found.pictures)
    assert told[-1] == ("reading pictures", 40, 40)


def test_what_cannot_be_read_is_named_and_the_rest_is_measured(tmp_path: Path) -> None:
    shutil.copy(PHOTOS / "cat.jpg", tmp_path)
    (tmp_path / "cut.jpg").write_bytes((PHOTOS / "cat.jpg").read_bytes()[:400])
    (tmp_path / "text.jpg").write_text("no picture")
    paths = ["gone.jpg", "cut.jpg", "text.jpg", "a\0b.jpg", "cat.jpg"]
    found = held_out({path: [Joke("x")] for path in paths}, tmp_path, (), Sizes())
    assert [unread.path for unread in found.unreadable] == paths[:-1]
    assert all(unread.reason for unread in found.unreadable)
    assert found.unreadable[0].reason == "No such file or directory"
    assert len(found.pictures) == 1
