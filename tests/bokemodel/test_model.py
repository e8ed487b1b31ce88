"""The model that ships, on real photos: contracts of BokeModel."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bokemodel import BokeModel, load_encoder
from bokemodel.errors import BundleMismatch, BundleTampered, UnknownMode
from bokemodel.examples import VECTORS, Example, ExamplePicture, Examples
from bokemodel.pictures import open_file
from tests.bokemodel.conftest import FakeEncoder, Small, vector

PHOTOS = Path(__file__).parents[1] / "data"
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-鿿]")


@pytest.fixture(scope="module")
def model() -> BokeModel:
    return BokeModel.load()


@pytest.fixture(scope="module")
def photos() -> list:
    return [open_file(path) for path in sorted(PHOTOS.glob("*.jpg"))]


def test_five_different_japanese_jokes_for_each_photo(model: BokeModel, photos: list) -> None:
    answers = model.boke(photos, n=5, mode="boke", seed=0)
    assert len(answers) == len(photos)
    for jokes in answers:
        assert len({joke.text for joke in jokes}) == len(jokes) == 5
        assert [joke.score for joke in jokes] == sorted((joke.score for joke in jokes), reverse=True)
        for joke in jokes:
            assert JAPANESE.search(joke.text)
            assert 2 <= len(joke.text) <= 60


def test_same_seed_same_answer(model: BokeModel, photos: list) -> None:
    assert model.boke(photos[:2], n=3, seed=7) == model.boke(photos[:2], n=3, seed=7)
    alone = model.boke(photos[1:2], n=3, seed=7)[0]
    assert [joke.text for joke in alone] == [joke.text for joke in model.boke(photos[:2], n=3, seed=7)[1]]
    assert {j.text for j in model.boke(photos[:1], n=8, seed=1)[0]} != {
        j.text for j in model.boke(photos[:1], n=8, seed=2)[0]
    }


def test_without_a_seed_answers_vary(model: BokeModel, photos: list) -> None:
    assert len({model.boke(photos[:1])[0][0].text for _ in range(6)}) > 1


def test_the_picture_matters(model: BokeModel) -> None:
    """A joke about cats is likelier for the cat than for the coffee, and the other way round."""
    cat, coffee = open_file(PHOTOS / "cat.jpg"), open_file(PHOTOS / "coffee.jpg")
    own = model.log_prob([cat, coffee], ["この箱、敷金はいくらですか", "部長の目が開くまで、あと三口"])
    assert own.dtype == np.float64
    assert own.shape == (2,)
    for word, other in (("猫", cat), ("コーヒー", coffee)):
        about = [joke.text for joke in model.boke([other], n=20, seed=0, candidates=64)[0]]
        assert any(word in text for text in about), about


def test_log_prob_is_a_probability(model: BokeModel, photos: list) -> None:
    texts = ["猫", "犬がいる", "Hello", "🐊"]
    values = model.log_prob(photos[:4], texts)
    assert (values < 0).all()
    assert model.log_prob([], []).shape == (0,)
    with pytest.raises(ValueError, match="4 pictures and 1 texts"):
        model.log_prob(photos[:4], ["猫"])


def test_modes(model: BokeModel, photos: list) -> None:
    article = model.boke(photos[:2], n=3, mode="article")
    assert all(1 <= len(jokes) <= 3 for jokes in article)
    assert article == model.boke(photos[:2], n=3, mode="article", seed=5)
    with pytest.raises(UnknownMode, match="dance"):
        model.boke(photos[:1], mode="dance")


def test_no_pictures_no_answers(model: BokeModel) -> None:
    assert model.boke([], n=3) == []


def test_a_bundle_of_another_encoder_is_refused(small: Small) -> None:
    with pytest.raises(BundleMismatch, match="fake"):
        BokeModel(small.bundle, load_encoder("efficientnet-lite0"))


def test_an_encoder_of_ones_own(small: Small) -> None:
    from PIL import Image

    model = BokeModel(small.bundle, FakeEncoder())
    pictures = [Image.new("RGB", (8, 8), (60 * kind, 0, 0)) for kind in range(4)]
    for jokes, word in zip(
        model.boke(pictures, n=1, seed=0, temperature=0.5), ("猫", "電車", "海", "時計"), strict=True
    ):
        assert word in jokes[0].text


@pytest.fixture
def quoting(small: Small) -> BokeModel:
    """A model that knows a joke of somebody's for each of its four kinds of pictures."""
    pictures = [
        ExamplePicture(f"{kind:064x}", (Example(f" {word}。 ", 3.0, f"https://jokes.example/{kind}"),))
        for kind, word in enumerate(("猫", "電車", "海", "時計"))
    ]
    vectors = np.array([vector(kind) for kind in range(4)])
    return BokeModel(replace(small.bundle, extra=Examples.of(vectors, pictures).files()), FakeEncoder())


def test_retrieve_quotes_the_nearest_picture_with_its_source(quoting: BokeModel) -> None:
    answers = quoting.boke_of_features(np.array([vector(2), vector(0)]), n=4, mode="retrieve")
    assert [(jokes[0].text, jokes[0].source) for jokes in answers] == [
        ("海。", "https://jokes.example/2"),
        ("猫。", "https://jokes.example/0"),
    ]
    for jokes in answers:
        assert [joke.score for joke in jokes] == sorted((joke.score for joke in jokes), reverse=True)


def test_mismatch_quotes_another_picture(quoting: BokeModel) -> None:
    features = np.array([vector(kind) for kind in range(4)])
    answers = quoting.boke_of_features(features, n=1, mode="mismatch", seed=3)
    assert answers == quoting.boke_of_features(features, n=1, mode="mismatch", seed=3)
    for jokes, own in zip(answers, ("猫。", "電車。", "海。", "時計。"), strict=True):
        assert jokes[0].text != own
        assert jokes[0].source


def test_a_model_names_the_modes_that_it_has(small: Small, quoting: BokeModel) -> None:
    plain = BokeModel(small.bundle, FakeEncoder())
    assert plain.modes == ("boke", "article")
    assert quoting.modes == ("boke", "mismatch", "retrieve", "article")
    for mode in ("retrieve", "mismatch"):
        with pytest.raises(UnknownMode, match=f"{mode} .* carries none; there are boke, article"):
            plain.boke_of_features(vector(0)[None], mode=mode)


def test_damaged_examples_are_named(quoting: BokeModel) -> None:
    damaged = replace(quoting.bundle, extra={**quoting.bundle.extra, VECTORS: b"?"})
    with pytest.raises(BundleTampered, match="archive"):
        BokeModel(damaged, FakeEncoder())
