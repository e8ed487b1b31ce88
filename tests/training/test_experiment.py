"""The experiment in small: every change runs, finished runs are not run again, the report says with what budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training import experiment
from training.experiment import CHANGES, Change, Jokes, changed, run_change
from training.report import write_report
from training.snapshots import write_whole


@pytest.fixture
def jokes() -> Jokes:
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(12), 3)
    texts = [f"a {'red' if o % 2 else 'blue'} dog number {rng.integers(9)} is here now" for o in owners]
    vectors = np.abs(rng.standard_normal((12, 20))).astype(np.float32)
    stars = rng.random(36).astype(np.float32)
    return Jokes("small", vectors, texts, owners, stars, np.ones(36, np.float32), np.arange(12) < 3)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_every_change_is_one_that_can_be_run(jokes: Jokes, change: Change) -> None:
    found = run_change(jokes, change, changed(change, 1, 0))
    assert np.isfinite(found["bits_per_char"])
    assert found["jokes"] == (9 if change.per_picture else 27)
    assert found["pictures"] == 9


def test_each_change_changes_something() -> None:
    recipes = {(changed(c, None, 0).digest, c.per_picture, c.picture) for c in CHANGES}
    assert len(recipes) == len(CHANGES)


def test_unknown_words_are_paid_for(jokes: Jokes) -> None:
    change = CHANGES[0]
    recipe = changed(change, 1, 0)
    before = run_change(jokes, change, recipe)["bits_per_char"]
    strange = [
        text.replace("dog", "xylophone") if o < 3 else text for o, text in zip(jokes.owners, jokes.texts, strict=True)
    ]
    assert run_change(Jokes(**{**vars(jokes), "texts": strange}), change, recipe)["bits_per_char"] > before


def test_the_report_names_the_budget(tmp_path: Path) -> None:
    run = {"corpus": "x", "name": "article", "jokes": 27, "units": 30, "nats_per_token": 2.0, "bits_per_char": 1.5}
    run |= {"train": [3.0, 2.0], "dev": [2.5, 2.6], "epochs": 2, "full_epochs": 30, "seed": 0}
    import json

    write_whole(tmp_path / "one.json", json.dumps(run).encode())
    write_whole(tmp_path / "two.json", json.dumps({**run, "seed": 1, "bits_per_char": 1.7}).encode())
    write_report(tmp_path, tmp_path / "docs" / "learning.md")
    text = (tmp_path / "docs" / "learning.md").read_text(encoding="utf-8")
    assert "| article | 27 | 30 | 2.000 | 1.600 ± 0.100 | 1 | 2 epochs of 30, 2 seeds |" in text
    assert (tmp_path / "docs" / "learning" / "x.png").stat().st_size > 1000


def test_pictures_are_split_not_jokes(jokes: Jokes) -> None:
    learned, held_out = experiment._split(jokes, None)
    assert not set(jokes.owners[learned]) & set(jokes.owners[held_out])
