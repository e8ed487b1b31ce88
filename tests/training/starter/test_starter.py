"""The model that ships: its size, that it is made the same every time, and what it says about photos it never saw."""

from __future__ import annotations

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
from training.starter.jokes import load_subjects
from training.starter.photo_vectors import load_photo_vectors
from training.starter.vectors import MovedVectors, move


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
