"""Trigrams: what they count, and that sampling, scoring and a bundle on disk all mix them in alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bokemodel.bundle import Bundle, load_bundle, save_bundle
from bokemodel.network import Network
from bokemodel.packing import pack
from bokemodel.search import SearchSettings, beam_search, sample
from bokemodel.trigrams import NOTHING, Trigrams
from tests.bokemodel.conftest import Small, vector
from training.ngrams import NGrams

UNITS, BOS, EOS = 12, 1, 2
TEXTS = [np.random.default_rng(n).integers(3, 10, n % 7).tolist() for n in range(40)]
CONTEXTS = [(NOTHING, BOS), (BOS, 4), (4, 5), (9, 9), (11, 4), (4, 11), (11, 11)]  # no text holds 11


@pytest.fixture(scope="module")
def mixed(small: Small) -> Bundle:
    tokenizer = small.bundle.tokenizer
    texts = [tokenizer.encode(text) for _, text in small.jokes]
    more = Trigrams.learn(texts, len(tokenizer), tokenizer.bos, tokenizer.eos, 0.25)
    return replace(small.bundle, arrays={**small.bundle.arrays, **more})


def test_probabilities_are_those_of_counts_one_by_one() -> None:
    """A decoder that says nothing (all words alike) leaves three quarters spread evenly."""
    trigrams = Trigrams(Trigrams.learn(TEXTS, UNITS, BOS, EOS, 0.25), UNITS)
    by_hand = NGrams(TEXTS, 3, UNITS, BOS, EOS)
    second, last = np.array(CONTEXTS).T
    found = np.ones((len(CONTEXTS), UNITS), np.float32)
    total = trigrams.mix(found, found.sum(axis=1), second, last)
    for row, context in zip(found / total[:, None], CONTEXTS, strict=True):
        before = tuple(unit for unit in context if unit != NOTHING)
        expected = [0.75 / UNITS + 0.25 * by_hand.probability(before, unit) for unit in range(UNITS)]
        np.testing.assert_allclose(row, expected, rtol=1e-5)


def test_one_unit_of_each_row_is_found_without_the_others() -> None:
    trigrams = Trigrams(Trigrams.learn(TEXTS, UNITS, BOS, EOS, 0.25), UNITS)
    second, last = np.array(CONTEXTS).T
    logits = np.random.default_rng(0).normal(0, 2, (len(CONTEXTS), UNITS)).astype(np.float32)
    alone = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    together = np.exp(logits)
    together /= trigrams.mix(together, together.sum(axis=1), second, last)[:, None]
    for unit in range(UNITS):
        units = np.full(len(CONTEXTS), unit)
        found = trigrams.mixed_log_probs(alone[:, unit].astype(np.float64), second, last, units)
        np.testing.assert_allclose(found, np.log(together[:, unit]), rtol=1e-4, atol=1e-5)


def test_no_texts_no_trigrams() -> None:
    assert Trigrams.learn([], UNITS, BOS, EOS, 0.25) == {}


def test_what_is_sampled_or_found_by_a_beam_scores_the_same_when_it_is_read(small: Small, mixed: Bundle) -> None:
    network, tokenizer = Network(mixed.arrays), mixed.tokenizer
    settings = SearchSettings(candidates=24, max_tokens=20, temperature=1.3, top_p=1.0)
    pictures = mixed.normalizer(np.array([vector(kind) for kind in range(3)]))
    found = sample(network, tokenizer, pictures, settings, [1, 2, 3])
    found += beam_search(network, tokenizer, pictures, settings, 3)
    for candidates, picture in zip(found, [*pictures, *pictures], strict=True):
        batch = pack([candidate.tokens for candidate in candidates], tokenizer.bos, tokenizer.eos)
        seen = np.repeat(picture[None], len(candidates), 0)
        expected = network.log_probs(seen, batch, tokenizer.bos)
        np.testing.assert_allclose([c.log_prob for c in candidates], expected, rtol=1e-4, atol=1e-4)
        without = Network(small.bundle.arrays).log_probs(seen, batch, tokenizer.bos)
        assert np.abs(expected - without).max() > 0.01


def test_counts_are_whole_on_disk(mixed: Bundle, tmp_path: Path) -> None:
    """Weights are stored in 16 bits; a count or a context that was would be another one."""
    often = [[300, 301, 302]] * 4097
    arrays = {**mixed.arrays, **Trigrams.learn(often, len(mixed.tokenizer), BOS, EOS, 0.25)}
    save_bundle(replace(mixed, arrays=arrays), tmp_path / "model")
    loaded = load_bundle(tmp_path / "model")
    for name in ("ngram_contexts", "ngram_sizes", "ngram_units", "ngram_counts"):
        np.testing.assert_array_equal(loaded.arrays[name], arrays[name])
    batch = pack([[300, 301, 302], [301]], BOS, EOS)
    pictures = mixed.normalizer(np.array([vector(0), vector(1)]))
    expected = Network(arrays).log_probs(pictures, batch, BOS)
    np.testing.assert_allclose(Network(loaded.arrays).log_probs(pictures, batch, BOS), expected, rtol=1e-2)
