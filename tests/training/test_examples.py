"""Jokes that a model carries to quote: the best of the pictures that it was trained on, and nobody's answers from chat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import training.examples
from bokemodel.examples import Example, Examples
from tests.training.test_selection import VOTED, A, B, C, select
from training.corpus import Joke
from training.dataset import Dataset
from training.examples import find_examples

D = "2" * 64
VECTORS = np.random.default_rng(0).random((6, 8)).astype(np.float32)
JOKES = [
    Joke(picture=A, text="三", split="train", stars=3),
    Joke(picture=A, text="九", split="train", stars=9),
    Joke(picture=A, text="一", split="train", stars=1),
    Joke(picture=A, text="五", split="train", stars=5),
    Joke(picture=A, text="なし", split="train"),
    Joke(picture=B, text="秘密", split="dev", stars=100),
    Joke(picture=D, text="無印", split="train"),
    Joke(picture=C, text="二", split="train", stars=2),
]


def dataset(folder: Path, jokes: list[Joke] = JOKES) -> Dataset:
    chosen = select(folder, jokes, VOTED)
    held_out = chosen.dev[chosen.picture]
    vectors = VECTORS[: len(chosen.digests)]
    return Dataset(chosen, vectors, np.flatnonzero(~held_out), np.flatnonzero(held_out))  # type: ignore[arg-type]


def found_in(folder: Path) -> Examples:
    found = find_examples(dataset(folder), lambda digests: {(A, "九"): "https://example.org/9"})
    assert found is not None
    return found


def test_the_best_three_of_each_training_picture(tmp_path: Path) -> None:
    found = found_in(tmp_path)
    assert [picture.digest for picture in found.pictures] == [A, D, C]  # B is held out, the last one is from chat
    assert [joke.text for joke in found.pictures[0].jokes] == ["九", "五", "三"]
    assert found.pictures[0].jokes[0] == Example("九", 9.0, "https://example.org/9")
    assert found.pictures[1].jokes == (Example("無印", None, None),)


def test_each_picture_is_nearest_to_itself(tmp_path: Path) -> None:
    numbers, _ = found_in(tmp_path).nearest(VECTORS[[0, 2, 3]], 1)
    assert numbers[:, 0].tolist() == [0, 1, 2]


def test_of_too_many_pictures_those_with_the_best_jokes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.examples, "MOST", 2)
    assert [picture.digest for picture in found_in(tmp_path).pictures] == [A, C]


def test_only_chat_is_nothing_to_quote(tmp_path: Path) -> None:
    assert find_examples(dataset(tmp_path, []), lambda digests: {}) is None
