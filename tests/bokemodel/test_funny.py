"""The sense of what is funny: what it sees, what it says, its file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bokemodel.archives import npz_bytes
from bokemodel.errors import BundleTampered
from bokemodel.funny import FILE, FURTHEST, SURFACE, Funny, Seen, look, read
from bokemodel.model import BokeModel
from bokemodel.network import Network
from tests.bokemodel.conftest import FakeEncoder, Small, vector

TEXTS = ["今日も猫が遅刻する", "猫", "また海が考え込む", ""]


@pytest.fixture(scope="module")
def network(small: Small) -> Network:
    return Network(small.bundle.arrays)


def scorer(small: Small, network: Network, word: str = "", weight: float = 0.0) -> Funny:
    """It likes the units of a word, and nothing else."""
    units = np.zeros(network.vocabulary, np.float32)
    units[small.bundle.tokenizer.encode(word)] = weight
    size = SURFACE + network.hidden
    return Funny(units, np.zeros(size), np.zeros(size), np.ones(size))


def test_likelihood_and_length_by_hand() -> None:
    log_probs, everyday = np.array([-8.0, -3.0]), np.array([-10.0, -3.5])
    seen = look(["abcdefg", "x"], [[5, 6, 7], [8]], log_probs, everyday, np.array([[0.5, 1], [2, 3]], np.float32))
    assert seen.numbers.shape == (2, SURFACE + 2)
    expected = [
        [-8 / 4, -10 / 4, 2 / 4, np.log(4), np.log(4) ** 2, 8 / 4],
        [-3 / 2, -3.5 / 2, 0.5 / 2, np.log(2), np.log(2) ** 2, 2 / 2],
    ]
    np.testing.assert_allclose(seen.numbers[:, :SURFACE], expected, rtol=1e-5)
    np.testing.assert_array_equal(seen.numbers[:, SURFACE:], [[0.5, 1], [2, 3]])


def test_the_state_is_the_mean_over_the_steps(small: Small, network: Network) -> None:
    pictures = small.bundle.normalizer(np.array([vector(0), vector(1)]))
    seen = read(network, small.bundle.tokenizer, pictures, ["ab", "c"], [[5, 6], [7]])
    for row, ids in ((0, [5, 6]), (1, [7])):
        state = network.start(pictures[[row]], small.bundle.tokenizer.bos)
        outputs = [state.output]
        for token in ids:
            state = network.step(state, np.array([token]))
            outputs.append(state.output)
        np.testing.assert_allclose(seen.numbers[row, SURFACE:], np.mean(outputs, axis=0)[0], atol=1e-6)


def test_texts_that_are_read_in_any_company_look_the_same(small: Small, network: Network) -> None:
    bundle = small.bundle
    pictures = bundle.normalizer(np.array([vector(kind) for kind in range(4)]))
    tokens = [bundle.tokenizer.encode(text) for text in TEXTS]
    together = read(network, bundle.tokenizer, pictures, TEXTS, tokens).numbers
    for row in range(4):
        alone = read(network, bundle.tokenizer, pictures[[row]], [TEXTS[row]], [tokens[row]]).numbers
        np.testing.assert_allclose(together[[row]], alone, atol=2e-5)
    own = BokeModel(bundle, FakeEncoder()).log_prob_of_features(np.array([vector(k) for k in range(4)]), TEXTS)
    np.testing.assert_allclose(together[:, 0], own / [len(ids) + 1 for ids in tokens], atol=1e-5)


def test_units_count_once_and_numbers_count_in_standard_deviations() -> None:
    funny = Funny(np.array([0.0, 1.0, 10.0]), np.array([2.0, 0.5]), np.array([1.0, 0.0]), np.array([4.0, 1.0]))
    seen = Seen([[1, 2, 1], [], [2]], np.array([[3.0, 0.0], [1.0, 2.0], [1.0 + 4 * 99, -99.0]], np.float32))
    np.testing.assert_allclose(funny(seen), [11 + 1, 1, 10 + 2 * FURTHEST - 0.5 * FURTHEST])


def test_what_is_written_is_read_again() -> None:
    funny = Funny(np.array([0.5, 1.0]), np.array([2.0]), np.array([1.0]), np.array([4.0]))
    files = funny.files()
    again = Funny.read({**files, "other": b""})
    assert again is not None
    assert again.files() == files
    assert Funny.read({"other": b""}) is None


@pytest.mark.parametrize(
    "data",
    [
        b"?",
        npz_bytes({"units": np.ones(2)}),
        npz_bytes({"units": np.ones(2), "numbers": np.ones(3), "mean": np.ones(2), "scale": np.ones(3)}),
    ],
)
def test_damage_is_named(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Funny.read({FILE: data})


class TestInAModel:
    def model(self, small: Small, funny: Funny, weight: float) -> BokeModel:
        manifest = replace(small.bundle.manifest, search={"max_tokens": 20, "funny_weight": weight})
        return BokeModel(replace(small.bundle, manifest=manifest, extra=funny.files()), FakeEncoder())

    def test_it_takes_part_in_the_choice(self, small: Small, network: Network) -> None:
        funny = scorer(small, network, "考え込む", 1.0)
        features = np.array([vector(kind) for kind in range(4)])
        shares = []
        for weight in (0.0, 2.0):
            model = self.model(small, funny, weight)
            answers = [model.boke_of_features(features, 1, seed=seed, temperature=1.0) for seed in range(10)]
            shares.append(np.mean(["考え込む" in jokes[0].text for found in answers for jokes in found]))
        assert shares[0] < 0.7 < 0.9 < shares[1]

    def test_the_score_says_how_much(self, small: Small, network: Network) -> None:
        funny = scorer(small, network, "考え込む", 1.0)
        found = [self.model(small, funny, w).boke_of_features(vector(1)[None], 30, seed=1)[0] for w in (0.0, 0.25)]
        without, given = ({joke.text: joke.score for joke in jokes} for jokes in found)
        said = self.model(small, funny, 0.25).funny_of_features(np.tile(vector(1), (len(given), 1)), list(given))
        assert {*without} == {*given}
        assert said.max() > said.min()
        added = [given[text] - without[text] for text in given]
        np.testing.assert_allclose(added, 0.25 * said, atol=1e-4)

    def test_texts_alone_can_be_judged(self, small: Small, network: Network) -> None:
        model = self.model(small, scorer(small, network, "猫", 1.0), 0.0)
        low, high = model.funny_of_features(np.array([vector(0)] * 2), ["海", "猫"])
        assert high > low
        with pytest.raises(ValueError, match="1 pictures and 2 texts"):
            model.funny_of_features(vector(0)[None], ["海", "猫"])

    def test_a_model_without_it_says_so(self, small: Small) -> None:
        model = BokeModel(small.bundle, FakeEncoder())
        assert model.funny is None
        with pytest.raises(ValueError, match="no sense"):
            model.funny_of_features(vector(0)[None], ["猫"])

    def test_one_of_another_decoder_is_refused(self, small: Small) -> None:
        nine, eight = np.zeros(9, np.float32), np.ones(8, np.float32)
        other = Funny(nine, eight, eight, eight)
        with pytest.raises(BundleTampered, match="another decoder"):
            self.model(small, other, 0.0)
