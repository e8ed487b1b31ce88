"""Trigrams: what they count, and that sampling, scoring and a bundle on disk all mix them in alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
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


class KneserNey:
    """Interpolated Kneser-Ney smoothing as Chen & Goodman (1999, section 2.7) write it down, a count at a time."""

    def __init__(self, texts: Iterable[list[int]]) -> None:
        lines = [[BOS, *text, EOS] for text in texts]
        three = Counter(tuple(line[i : i + 3]) for line in lines for i in range(len(line) - 2))
        two = Counter(gram[1:] for gram in three) + Counter(tuple(line[:2]) for line in lines)
        one = Counter(gram[1:] for gram in two)
        self.levels = [Counter(one), Counter(two), Counter(three)]

    def probability(self, before: tuple[int, ...], unit: int) -> float:
        found = 1 / UNITS
        for length, level in enumerate(self.levels[: len(before) + 1]):
            context = before[len(before) - length :]
            followers = [count for gram, count in level.items() if gram[:-1] == context]
            if followers:
                once, twice = (sum(count == n for count in level.values()) for n in (1, 2))
                off = float(np.float16((once + 1) / (once + 2 * twice + 2)))
                kept = max(level[(*context, unit)] - off, 0)
                found = (kept + off * len(followers) * found) / sum(followers)
        return found


def counted(trigrams: Trigrams) -> np.ndarray:
    """What a decoder that says nothing (all units alike) becomes: (contexts, units)."""
    second, last = np.array(CONTEXTS).T
    found = np.ones((len(CONTEXTS), UNITS), np.float32)
    total = trigrams.mix(found, found.sum(axis=1), second, last)
    return found / total[:, None]


@pytest.mark.parametrize("texts", [TEXTS, [[4]], [[4, 4], [4, 4]], [[], []]])
def test_probabilities_are_those_of_counts_one_by_one(texts: list[list[int]]) -> None:
    by_hand = KneserNey(texts)
    for row, context in zip(
        counted(Trigrams(Trigrams.learn(texts, UNITS, BOS, EOS, 0.25), UNITS)), CONTEXTS, strict=True
    ):
        before = tuple(unit for unit in context if unit != NOTHING)
        expected = [0.75 / UNITS + 0.25 * by_hand.probability(before, unit) for unit in range(UNITS)]
        np.testing.assert_allclose(row, expected, rtol=1e-5)
        assert row.sum() == pytest.approx(1, rel=1e-5)


def test_what_follows_one_unit_only_is_not_expected_elsewhere() -> None:
    """8 follows 7 nine times, 9 follows three different units once each: elsewhere 9 is likelier."""
    row = counted(Trigrams(Trigrams.learn([[7, 8]] * 9 + [[3, 9], [5, 9], [6, 9]], UNITS, BOS, EOS, 0.25), UNITS))[-1]
    assert row[9] > row[8]


def test_a_bundle_of_before_is_smoothed_as_it_was() -> None:
    """Without discounts: Witten & Bell (1991), with plain counts after one unit, too."""
    counts = Counter[tuple[int, int, int]]()
    for text in TEXTS:
        line = [BOS, *text, EOS]
        counts += Counter((UNITS, last, unit) for last, unit in pairwise(line))
        counts += Counter(zip(line, line[1:], line[2:], strict=False))
    grams = sorted((second * (UNITS + 1) + last, unit, n) for (second, last, unit), n in counts.items())
    contexts, units, often = np.array(grams).T
    found, sizes = np.unique(contexts, return_counts=True)
    arrays = {"share": np.array([0.25]), "contexts": found, "sizes": sizes, "units": units, "counts": often}
    by_hand = NGrams(TEXTS, 3, UNITS, BOS, EOS)
    rows = counted(Trigrams({f"ngram_{name}": array for name, array in arrays.items()}, UNITS))
    for row, context in zip(rows, CONTEXTS, strict=True):
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


@pytest.mark.parametrize("dense", [2, 1000])
def test_a_row_of_its_own_says_what_the_entries_say(monkeypatch: pytest.MonkeyPatch, dense: int) -> None:
    arrays = Trigrams.learn(TEXTS, UNITS, BOS, EOS, 0.25)
    rows = {}
    for least in (0, dense):
        monkeypatch.setattr("bokemodel.trigrams.DENSE", least)
        trigrams = Trigrams(arrays, UNITS)
        rows[least] = counted(trigrams), len(trigrams._dense)
    np.testing.assert_allclose(rows[dense][0], rows[0][0], rtol=1e-5)
    assert rows[dense][1] > rows[0][1] == 1


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
    for name in ("ngram_contexts", "ngram_sizes", "ngram_units", "ngram_counts", "ngram_discounts"):
        np.testing.assert_array_equal(loaded.arrays[name], arrays[name])
    batch = pack([[300, 301, 302], [301]], BOS, EOS)
    pictures = mixed.normalizer(np.array([vector(0), vector(1)]))
    expected = Network(arrays).log_probs(pictures, batch, BOS)
    np.testing.assert_allclose(Network(loaded.arrays).log_probs(pictures, batch, BOS), expected, rtol=1e-2)
