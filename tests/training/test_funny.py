"""Learning what is funny: from stars within a picture, from votes, and nothing from noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bokemodel.bundle import Bundle
from bokemodel.funny import SURFACE, Seen
from bokemodel.model import BokeModel
from tests.bokemodel.conftest import JOKES, FakeEncoder, Small, vector
from tests.bokemodel.conftest import small as small  # the fixture
from training.corpus import Joke, VotedJoke
from training.funny import LEAST, PENALTIES, Learned, Rated, fit_funny, learn
from training.metrics import spearman

VOCABULARY, NUMBERS = 50, SURFACE + 4
LIKED = 7  # a unit


def rated(pictures: int = 20, each: int = 20, *, noise: float = 1.0, seed: int = 0, signal: bool = True) -> Rated:
    """Texts that are liked for the unit LIKED and for their first number; pictures differ in how they are liked at all."""
    rng = np.random.default_rng(seed)
    count = pictures * each
    groups = np.repeat(np.arange(pictures), each)
    tokens = [
        [*rng.integers(10, VOCABULARY, 4).tolist(), *([LIKED] if rng.random() < 0.5 else [])] for _ in range(count)
    ]
    numbers = rng.normal(size=(count, NUMBERS)).astype(np.float32)
    standing = noise * rng.normal(size=count)
    if signal:
        standing += (
            np.array([LIKED in ids for ids in tokens]) + 0.5 * numbers[:, 0] + 100.0 * rng.normal(size=pictures)[groups]
        )
    return Rated(Seen(tokens, numbers), standing, groups)


def found_in(data: Rated) -> Learned:
    learned = learn(data, VOCABULARY)
    assert learned is not None
    return learned


class TestLearn:
    def test_what_people_like_is_found_and_holds_for_other_pictures(self) -> None:
        learned, others = found_in(rated()), rated(seed=1)
        said = learned.funny(others.seen)
        each = [spearman(said[others.groups == g], others.standing[others.groups == g]) for g in range(20)]
        assert np.mean([value or 0 for value in each]) > 0.4
        assert learned.correlation == pytest.approx(np.mean([value or 0 for value in each]), abs=0.12)
        assert (learned.jokes, learned.pictures) == (400, 20)
        assert learned.penalty in PENALTIES
        units = learned.funny.units
        assert units[LIKED] == units.max() > 2 * np.abs(np.delete(units, LIKED)).max()

    def test_its_spread_within_a_picture_is_one(self) -> None:
        data = rated()
        said = found_in(data).funny(data.seen)
        apart = np.concatenate([said[data.groups == g] - said[data.groups == g].mean() for g in range(20)])
        assert apart.std() == pytest.approx(1.0, abs=0.02)

    def test_only_the_order_within_a_picture_counts(self) -> None:
        data = rated()
        stretched = replace(data, standing=np.exp(data.standing / 50) * (1 + data.groups))
        np.testing.assert_allclose(found_in(stretched).funny.units, found_in(data).funny.units, atol=1e-6)

    def test_noise_teaches_nothing(self) -> None:
        taught = [learn(rated(signal=False, seed=seed), VOCABULARY) for seed in range(6)]
        assert sum(learned is not None for learned in taught) <= 1

    def test_too_few_teach_nothing(self) -> None:
        assert learn(rated(3, 100, noise=0.0), VOCABULARY) is None
        assert learn(rated(4, LEAST // 4 - 1, noise=0.0), VOCABULARY) is None

    def test_same_jokes_same_scorer(self) -> None:
        assert found_in(rated()).funny.files() == found_in(rated()).funny.files()


class TestFromVotes:
    def answers(self, bundle: Bundle, pictures: int = 40) -> list[VotedJoke]:
        """People like what thinks, wherever they see it."""
        made = []
        for number in range(pictures):
            for kind, text in JOKES[number % 12 :: 12]:
                liked = "考え込む" in text
                joke = Joke(picture=f"{number:016x}", text=text, split="train", up=3 * liked, down=2 * (not liked))
                made.append(VotedJoke(joke, vector(kind)))
        return made

    def test_votes_in_chat_are_enough(self, small: Small) -> None:
        learned = fit_funny(small.bundle, answers=self.answers(small.bundle))
        assert learned is not None
        model = BokeModel(replace(small.bundle, extra=learned.funny.files()), FakeEncoder())
        texts = ["また猫が考え込む", "また猫が遅刻する", "また猫が返事をしない"]
        said = model.funny_of_features(np.array([vector(0)] * 3), texts)
        assert said.argmax() == 0

    def test_votes_that_all_agree_teach_nothing(self, small: Small) -> None:
        liked = [answer for answer in self.answers(small.bundle) if answer.joke.up]
        assert fit_funny(small.bundle, answers=liked) is None
