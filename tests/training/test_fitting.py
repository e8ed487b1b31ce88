"""Where training begins: with units made from the jokes that are learned, whatever the held-out ones say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bokemodel.encoders import load_encoder
from training.corpus import Joke
from training.dataset import Dataset
from training.features import FeatureStore
from training.fitting import CannotTrain, Start, choose_start
from training.recipe import load_recipe
from training.selection import write_selection

LEARNED, HELD_OUT = "1" * 64, "2" * 64
LINES = [f"ねこが{number}番目にすわった" for number in range(200)]


def begin(folder: Path, jokes: list[Joke]) -> Start:
    encoder = load_encoder("efficientnet-lite0")
    store = FeatureStore.open(folder, encoder)
    with store.adding() as adder:
        adder.add([LEARNED, HELD_OUT], np.ones((2, store.dim), np.float32))
    dataset = Dataset.of(write_selection(jokes, (), folder / "selection", dict), store, frozenset())
    return choose_start(dataset, load_recipe("default"), encoder, None, folder, 0)


def test_units_are_made_from_what_is_learned_alone(tmp_path: Path) -> None:
    train = [Joke(picture=LEARNED, text=text, split="train") for text in LINES]
    dev = [Joke(picture=HELD_OUT, text=text.replace("ねこ", "鯨"), split="dev") for text in LINES]
    tokenizer = begin(tmp_path, train + dev).tokenizer
    assert len(tokenizer.encode("鯨")) >= 3  # spelled in bytes
    assert len(tokenizer.encode("ねこが")) == 1


def test_nothing_but_held_out_jokes_teaches_nothing(tmp_path: Path) -> None:
    with pytest.raises(CannotTrain, match="nothing to train on"):
        begin(tmp_path, [Joke(picture=HELD_OUT, text=text, split="dev") for text in LINES])
