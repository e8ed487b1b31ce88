"""The model that ships: its size, that it is made the same every time, and what it says about photos it never saw."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

import training.starter.__main__ as starter
from benchmarks.fit_map import Classifier, share, top1_subject
from benchmarks.starter import KINDS, Origin, load_photos, self_repeat
from bokemodel.encoders import load_encoder
from bokemodel.model import STARTER, BokeModel
from bokemodel.pictures import open_file
from training.starter.jokes import load_subjects
from training.starter.photo_vectors import load_photo_vectors
from training.starter.vectors import MovedVectors, move

ROOT = Path(__file__).resolve().parents[3]
PHOTOS = ROOT / "tests" / "data"


@pytest.fixture(scope="module")
def encoder() -> Classifier:
    return cast(Classifier, load_encoder("efficientnet-lite0"))


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in STARTER.iterdir()) < 12_000_000


def test_vectors_are_moved_until_the_wanted_class_wins(encoder: Classifier) -> None:
    rng = np.random.default_rng(0)
    photos = load_photo_vectors("efficientnet-lite0")
    wanted = rng.integers(0, 1000, 200)
    moved = move(photos[rng.integers(0, len(photos), 200)], wanted, encoder.class_weights, encoder.class_bias, rng)
    assert (encoder.class_scores(moved).argmax(axis=1) == wanted).all()
    assert 0 <= moved.min() <= moved.max() <= 6


def test_every_draw_meets_another_photo(encoder: Classifier) -> None:
    vectors = MovedVectors(load_photo_vectors("efficientnet-lite0"), encoder, load_subjects())
    drawn = vectors.draw(np.zeros(8, np.int64), np.random.default_rng(0))
    assert len(np.unique(drawn.round(3), axis=0)) == 8


def test_the_same_model_every_time(encoder: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """In small: six subjects, two epochs."""
    subjects = load_subjects()[:6]
    monkeypatch.setattr(starter, "load_subjects", lambda: subjects)
    recipe = starter.StarterRecipe(vocabulary=1200, hidden=16)
    recipe = replace(recipe, train=replace(recipe.train, epochs=2))
    photos = load_photo_vectors("efficientnet-lite0")
    first, second = (starter.train_starter(cast(starter.ClassifyingEncoder, encoder), photos, recipe) for _ in range(2))
    assert first.tokenizer.model == second.tokenizer.model
    assert first.manifest == second.manifest
    for name, array in first.arrays.items():
        np.testing.assert_array_equal(array, second.arrays[name])


def test_answers_fit_unseen_photos_and_are_varied(shared_data: Path, encoder: Classifier) -> None:
    """Shares well over chance; benchmarks/starter.py prints the exact figures, beside what top-1 alone would allow."""
    model, origin = BokeModel.load(), Origin(load_subjects())
    told: list[str] = []
    for photos in load_photos(shared_data, encoder):
        features, fits = photos.features[:200], photos.fits[:200]
        texts = [jokes[0].text for jokes in model.boke_of_features(features, 1, seed=list(range(len(features))))]
        found = [origin.of(text) for text in texts]
        allowed = share(top1_subject(encoder, features), fits).share
        assert share([subject for _, subject in found], fits).share >= 0.8 * allowed
        kinds = Counter(kind for kind, _ in found)
        assert kinds[KINDS[0]] <= 2 / 3 * kinds.total()
        told += texts[: 145 if photos.name == "stamps" else 10]
    assert len(told) == 155
    assert self_repeat(told) < 0.1


def test_the_classes_stay_the_networks_own(encoder: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training leaves the topic layer alone: its likeliest class is the classifier's."""
    subjects = load_subjects()[:6]
    monkeypatch.setattr(starter, "load_subjects", lambda: subjects)
    recipe = starter.StarterRecipe(vocabulary=1200, hidden=16)
    photos = load_photo_vectors("efficientnet-lite0")
    recipe = replace(recipe, train=replace(recipe.train, epochs=1))
    bundle = starter.train_starter(cast(starter.ClassifyingEncoder, encoder), photos, recipe)
    topics = (bundle.normalizer(photos) @ bundle.arrays["topic_w"].T + bundle.arrays["topic_b"]).argmax(axis=1)
    assert (topics == encoder.class_scores(photos).argmax(axis=1)).mean() > 0.9


def test_the_same_for_owners_of_another_network(tmp_path: Path) -> None:
    """A small network with CaffeNet's layers and 1,000 classes, photos of the owner's, one epoch, by the command."""
    from benchmarks.caffemodel_writer import caffenet, write_caffemodel

    weights = tmp_path / "net.caffemodel"
    write_caffemodel(weights, caffenet(channels=(12, 16, 24, 24, 16), units=(64, 48, 1000)))
    command = [sys.executable, "-m", "training.starter", "--encoder", "caffenet", "--epochs", "1"]
    arguments = ["--weights", str(weights), "--photos", str(PHOTOS), "--out", str(tmp_path / "bundle")]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    model = BokeModel.load(tmp_path / "bundle", path=weights)
    assert model.encoder.dim == 48
    assert model.boke([open_file(PHOTOS / "cat.jpg")], n=2, seed=0)[0]

    without = subprocess.run(
        [*command, "--out", str(tmp_path / "none")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert without.returncode == 1
    assert len(without.stderr.splitlines()) == 1
