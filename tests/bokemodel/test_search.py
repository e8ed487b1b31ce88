from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from bokemodel.decoder import Decoder, DecoderConfig
from bokemodel.network import Network
from bokemodel.packing import pack
from bokemodel.search import SearchSettings, _largest, _words, beam_search, rerank, sample
from tests.bokemodel.conftest import DIM, JOKES, Small, vector

SETTINGS = SearchSettings(candidates=24, max_tokens=20, temperature=1.0, top_p=1.0)


@pytest.fixture(scope="module")
def network(small: Small) -> Network:
    return Network(small.bundle.arrays)


@pytest.fixture(scope="module")
def pictures(small: Small) -> np.ndarray:
    return small.bundle.normalizer(np.array([vector(kind) for kind in range(4)]))


def test_sampled_log_probs_are_those_of_the_network(small: Small, network: Network, pictures: np.ndarray) -> None:
    for found, picture in zip(
        sample(network, small.bundle.tokenizer, pictures, SETTINGS, [1] * 4), pictures, strict=True
    ):
        batch = pack([c.tokens for c in found], 1, 2)
        expected = network.log_probs(np.repeat(picture[None], len(found), 0), batch, 1)
        np.testing.assert_allclose([c.log_prob for c in found], expected, rtol=1e-4, atol=1e-4)


def test_a_picture_depends_on_its_seed_not_on_its_company(small: Small, network: Network, pictures: np.ndarray) -> None:
    tokenizer = small.bundle.tokenizer
    together = sample(network, tokenizer, pictures, SETTINGS, [5, 6, 7, 8])
    alone = sample(network, tokenizer, pictures[2:3], SETTINGS, [7])
    assert [c.text for c in together[2]] == [c.text for c in alone[0]]
    assert [c.text for c in alone[0]] != [c.text for c in sample(network, tokenizer, pictures[2:3], SETTINGS, [9])[0]]


def test_no_text_twice(small: Small, network: Network, pictures: np.ndarray) -> None:
    for found in sample(network, small.bundle.tokenizer, pictures, SETTINGS, [0] * 4):
        texts = [c.text for c in found]
        assert len(texts) > 3
        assert len(texts) == len(set(texts))


def test_low_temperature_and_low_top_p_are_both_greedy(small: Small, network: Network, pictures: np.ndarray) -> None:
    cold = sample(network, small.bundle.tokenizer, pictures, replace(SETTINGS, temperature=0.0), [0] * 4)
    narrow = sample(network, small.bundle.tokenizer, pictures, replace(SETTINGS, top_p=1e-6), [3] * 4)
    for a, b in zip(cold, narrow, strict=True):
        assert [c.text for c in a] == [c.text for c in b]
        assert len(a) == 1


def test_a_wide_beam_finds_the_likeliest_text(small: Small, network: Network, pictures: np.ndarray) -> None:
    """Against all texts that the corpus' pieces can spell in the joke's pattern, scored one by one."""
    tokenizer = small.bundle.tokenizer
    texts = [
        "".join(parts)
        for parts in itertools.product(
            ("今日も", "また", "朝から"), ("猫が", "電車が", "海が", "時計が"), ("遅刻する", "考え込む", "返事をしない")
        )
    ]
    settings = replace(SETTINGS, length_power=0.0, beam=12)
    for picture, found in zip(pictures, beam_search(network, tokenizer, pictures, settings), strict=True):
        batch = pack([tokenizer.encode(text) for text in texts], 1, 2)
        scores = network.log_probs(np.repeat(picture[None], len(texts), 0), batch, 1)
        assert found[0].log_prob >= scores.max() - 1e-3


def test_beam_of_one_is_greedy(small: Small, network: Network, pictures: np.ndarray) -> None:
    greedy = sample(network, small.bundle.tokenizer, pictures, replace(SETTINGS, top_p=1e-6), [0] * 4)
    beam = beam_search(network, small.bundle.tokenizer, pictures, SETTINGS, width=1)
    assert [f[0].text for f in beam] == [f[0].text for f in greedy]


def test_reranking_prefers_what_is_about_the_picture(small: Small, network: Network, pictures: np.ndarray) -> None:
    """A text that is likely anyway loses against one that this picture makes likely: the score worked out by hand."""
    tokenizer = small.bundle.tokenizer
    found = sample(network, tokenizer, pictures, SETTINGS, [0] * 4)
    settings = replace(SETTINGS, mmi_lambda=0.7, length_power=1.0)
    for scored in rerank(found, settings):
        assert [score for _, score in scored] == sorted((score for _, score in scored), reverse=True)
        for candidate, score in scored:
            plain = network.log_probs(np.zeros((1, DIM), np.float32), pack([candidate.tokens], 1, 2), 1)[0]
            expected = (candidate.log_prob - 0.7 * plain) / (len(candidate.tokens) + 1)
            assert score == pytest.approx(expected, rel=1e-5)


def test_answers_are_about_their_picture(small: Small, network: Network, pictures: np.ndarray) -> None:
    subject = ("猫が", "電車が", "海が", "時計が")
    ranked = rerank(sample(network, small.bundle.tokenizer, pictures, SETTINGS, [0] * 4), SETTINGS)
    for kind, scored in enumerate(ranked):
        assert subject[kind] in scored[0][0].text


@pytest.mark.parametrize("output", [False, True])  # what the picture adds in each step
def test_what_is_seen_along_with_a_text_is_what_reading_it_shows(small: Small, output: bool) -> None:
    """Under the mean picture, which is the zero vector, too; also of texts that share beginnings, and of several pictures."""
    tokenizer = small.bundle.tokenizer
    arrays = small.bundle.arrays
    if output:
        config = DecoderConfig(len(tokenizer), DIM, 32, 32, start=True, every=True, output=True)
        arrays = Decoder(config, 1).arrays()
        arrays["out_b"] = np.zeros(len(tokenizer), np.float32)
        arrays["out_b"][[tokenizer.eos, *tokenizer.encode("今日も猫が考え込む")]] = 6
    network, pictures = Network(arrays), small.bundle.normalizer(np.array([vector(kind) for kind in range(3)]))
    for found, picture in zip(sample(network, tokenizer, pictures, SETTINGS, [1, 2, 1]), pictures, strict=True):
        assert 1 < len({candidate.tokens[:1] for candidate in found}) < len(found)
        batch = pack([candidate.tokens for candidate in found], 1, 2)
        everyday = network.log_probs(np.zeros((1, DIM), np.float32), batch, 1)
        np.testing.assert_allclose([candidate.everyday for candidate in found], everyday, rtol=1e-4, atol=1e-4)
        states = network.mean_outputs(np.repeat(picture[None], len(found), 0), batch, 1)
        np.testing.assert_allclose([candidate.state for candidate in found], states, rtol=1e-3, atol=1e-5)


def test_a_word_that_is_nothing_under_the_mean_picture_keeps_a_score(small: Small, pictures: np.ndarray) -> None:
    """Its probability there may be too small for 32 bits."""
    arrays = {**small.bundle.arrays}
    arrays["img2x_w"] = arrays["img2x_w"] * 40
    arrays["out_w"] = arrays.get("out_w", arrays["embed"]) * 60
    network = Network(arrays)
    found = sample(network, small.bundle.tokenizer, pictures, SETTINGS, [0] * 4)
    assert min(candidate.everyday for candidates in found for candidate in candidates) < np.log(1e-38)
    assert np.isfinite([score for scored in rerank(found, SETTINGS) for _, score in scored]).all()


def test_stumbling_sentences_come_last_and_fresh_ones_first(
    small: Small, network: Network, pictures: np.ndarray
) -> None:
    tokenizer = small.bundle.tokenizer
    found = sample(network, tokenizer, pictures, replace(SETTINGS, temperature=1.5), [0] * 4)
    plain = rerank(found, SETTINGS)
    fluent = rerank(found, replace(SETTINGS, fluency=0.1))
    fresh = rerank(found, replace(SETTINGS, freshness=50.0), learned={text for _, text in JOKES})
    for before, after, new in zip(plain, fluent, fresh, strict=True):
        best = max(c.log_prob / (len(c.tokens) + 1) for c, _ in before)
        scores = {c.text: score for c, score in before}
        for candidate, score in after:
            lack = max(0.0, best - 0.1 - candidate.log_prob / (len(candidate.tokens) + 1))
            assert score == pytest.approx(scores[candidate.text] - 4 * lack)
        known = [c.text in {text for _, text in JOKES} for c, _ in new]
        assert known == sorted(known)  # all fresh ones stand before all known ones


def test_variety_is_chance_by_the_pictures_seed(small: Small, network: Network, pictures: np.ndarray) -> None:
    tokenizer = small.bundle.tokenizer
    found = sample(network, tokenizer, pictures, SETTINGS, [0] * 4)
    settings = replace(SETTINGS, variety=1.0)
    firsts = [[scored[0][0].text for scored in rerank(found, settings, [seed] * 4)] for seed in range(8)]
    assert firsts[0] == [scored[0][0].text for scored in rerank(found, settings, [0] * 4)]
    assert len({tuple(texts) for texts in firsts}) > 1


@pytest.mark.parametrize("words", [10, 64, 65, 1001])
def test_words_are_found_by_their_weight_even_among_equals(words: int) -> None:
    weights = np.random.default_rng(words).random((5, words)).astype(np.float32)
    weights[1] = np.sort(weights[1])
    weights[2, : words // 2] = 0
    weights[3] = np.round(weights[3], 1)
    weights[4] = 0.5
    found = _largest(weights)
    np.testing.assert_array_equal(found, np.sort(weights)[:, ::-1][:, :64])
    places = [_words(weights, found, np.full(5, place)) for place in range(found.shape[1])]
    np.testing.assert_array_equal(np.take_along_axis(weights, np.stack(places, axis=1), axis=1), found)
    for row in np.stack(places, axis=1):
        assert len(set(row)) == len(row)  # each word once
