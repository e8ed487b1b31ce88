"""The experiment in small: every change runs, finished runs are not run again, and a study's runs have one budget."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from training import experiment
from training.changes import ARTICLE, CHANGES, FEW, STUDIES, Change, Study, changed
from training.experiment import Jokes, baselines, load_jokes, run_change
from training.ngrams import NGrams
from training.snapshots import Snapshots


@pytest.fixture
def jokes() -> Jokes:
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(12), 3)
    texts = [f"a {'red' if o % 2 else 'blue'} dog number {rng.integers(9)} is here now" for o in owners]
    vectors = np.abs(rng.standard_normal((12, 20))).astype(np.float32)
    stars = rng.random(36).astype(np.float32)
    return Jokes("small", vectors, texts, owners, stars, np.ones(36, np.float32), np.arange(12) < 3)


@pytest.mark.parametrize("change", [*CHANGES, *FEW], ids=lambda change: change.name)
def test_every_change_is_one_that_can_be_run(jokes: Jokes, change: Change) -> None:
    found = run_change(jokes, change, changed(change, 1, 0))
    assert np.isfinite(found["bits_per_char"])
    assert found["jokes"] == (9 if change.per_picture else 27)
    assert found["pictures"] == 9


def test_each_change_changes_something() -> None:
    for study in STUDIES:
        seen = {
            (changed(c, None, 0).digest, c.pictures, c.per_picture, c.picture, c.raw, c.chainer_weights)
            for c in study.changes
        }
        assert len(seen) == len(study.changes) == len({c.name for c in study.changes})


def test_a_studys_runs_have_one_budget() -> None:
    for study in STUDIES:
        assert len({changed(change, study.epochs, 0).train.epochs for change in study.changes}) == 1, study.name


def test_unknown_words_are_paid_for(jokes: Jokes) -> None:
    change = CHANGES[0]
    recipe = changed(change, 1, 0)
    before = run_change(jokes, change, recipe)["bits_per_char"]
    strange = [
        text.replace("dog", "xylophone") if o < 3 else text for o, text in zip(jokes.owners, jokes.texts, strict=True)
    ]
    assert run_change(Jokes(**{**vars(jokes), "texts": strange}), change, recipe)["bits_per_char"] > before


def test_the_article_saw_the_raw_vector_and_started_from_chainers_weights(jokes: Jokes) -> None:
    def first_loss(change: Change) -> float:
        return float(run_change(jokes, change, changed(change, 1, 0))["train"][0])

    plain = Change("plain", ARTICLE)
    losses = {first_loss(plain), first_loss(Change("raw", ARTICLE, raw=True))}
    assert len(losses | {first_loss(Change("weights", ARTICLE, chainer_weights=True))}) == 3


def test_pictures_are_split_not_jokes(jokes: Jokes) -> None:
    learned, held_out = experiment._split(jokes)
    assert not set(jokes.owners[learned]) & set(jokes.owners[held_out])
    few, same = experiment._split(jokes, pictures=4, per_picture=2)
    assert jokes.owners[few].tolist() == [3, 3, 4, 4, 5, 5, 6, 6]
    assert same.tolist() == held_out.tolist()


def test_the_jokes_of_a_picture_are_taken_from_all_along_its_list(tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    for number in range(2):
        Image.new("RGB", (32, 32), (number, 0, 0)).save(tmp_path / "some" / f"{number}.png")
    lines = [{"image": f"{i % 2}.png", "text": f"joke {i}", "stars": 20 - i} for i in range(20)]
    corpus = tmp_path / "some" / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    np.savez(tmp_path / "some-none.npz", vectors=np.zeros((2, 3), np.float32))
    found = load_jokes(corpus, tmp_path, "none", 5)
    assert sorted(found.texts) == ["joke 0", "joke 1", "joke 10", "joke 11"]
    assert found.owners.tolist() == [0, 0, 1, 1]
    assert sorted(found.stars.tolist()) == [9, 10, 19, 20]


def test_baselines_know_less_with_less_context(jokes: Jokes) -> None:
    found = {one["name"]: one for one in baselines(jokes)}
    assert found["5-gram"]["bits_per_char"] < found["unigram"]["bits_per_char"]
    assert found["unigram of words"]["units"] < found["unigram"]["units"]
    assert NGrams([[5]], 1, 10, 1, 2).probability((), 5) > 0


def test_finished_runs_are_not_run_again(jokes: Jokes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study("small", "small: a few", "small", 36, 1, CHANGES[:2], seeds=2, once=(CHANGES[1].name,))
    monkeypatch.setattr(experiment, "STUDIES", (study,))
    monkeypatch.setattr(experiment, "load_jokes", lambda *_: jokes)
    work, out = tmp_path / "work", tmp_path / "docs" / "learning.md"
    app = experiment.typer.Typer()
    app.command()(experiment.main)
    arguments = ["--data", str(tmp_path), "--work", str(work), "--out", str(out)]

    def ran() -> list[str]:
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0
        return [line for line in result.output.splitlines() if line.startswith("small: ")]

    assert [line.split(": ")[1] for line in ran()] == ["article", "article, state never reset", "article"]
    first = out.read_bytes()
    assert ran() == []
    assert out.read_bytes() == first
    one = sorted(work.glob("small-*.json"))[0]
    one.unlink()
    assert len(ran()) <= 1


def test_a_run_that_was_killed_goes_on(jokes: Jokes, tmp_path: Path) -> None:
    change = CHANGES[1]
    recipe = changed(change, 3, 0)
    whole = run_change(jokes, change, recipe)
    snapshots = Snapshots(tmp_path / "run")
    run_change(jokes, change, recipe, snapshots)
    again = run_change(jokes, change, recipe, snapshots)
    assert again["train"] == whole["train"]
    assert again["bits_per_char"] == whole["bits_per_char"]
