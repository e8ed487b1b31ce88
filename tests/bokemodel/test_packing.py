from __future__ import annotations

import numpy as np

from bokemodel.packing import Normalizer, pack


def test_texts_are_packed_step_by_step_longest_first() -> None:
    batch = pack([[7], [5, 6, 8], [9, 4]], bos=1, eos=2)
    assert batch.order.tolist() == [1, 2, 0]
    assert batch.counts.tolist() == [3, 3, 2, 1]
    assert batch.inputs.tolist() == [1, 1, 1, 5, 9, 7, 6, 4, 8]
    assert batch.second_last.tolist() == [-1, -1, -1, 1, 1, 1, 5, 9, 6]
    assert batch.targets.tolist() == [5, 9, 7, 6, 4, 2, 8, 2, 2]
    assert batch.rows.tolist() == [1, 2, 0, 1, 2, 0, 1, 2, 1]


def test_a_texts_weight_counts_for_each_of_its_tokens() -> None:
    batch = pack([[7], [5, 6]], bos=1, eos=2, weights=[0.5, 2.0])
    assert batch.weights.tolist() == [2.0, 0.5, 2.0, 0.5, 2.0]


def test_an_empty_text_is_only_its_end() -> None:
    batch = pack([[]], bos=1, eos=2)
    assert (batch.inputs.tolist(), batch.targets.tolist(), batch.counts.tolist()) == ([1], [2], [1])


def test_normalizer_centres_and_does_not_blow_up_what_never_moves() -> None:
    features = np.random.default_rng(0).random((50, 8)).astype(np.float32)
    features[:, 3] = 0.0
    normalizer = Normalizer.fit(features)
    out = normalizer(features)
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-5)
    assert 0.3 < np.linalg.norm(out, axis=1).mean() < 1.5
    np.testing.assert_allclose(normalizer(features * 7), out, rtol=1e-4, atol=1e-5)  # only the direction counts


def test_a_word_layer_comes_after_the_scale() -> None:
    features = np.abs(np.random.default_rng(0).standard_normal((20, 5))).astype(np.float32)
    plain = Normalizer.fit(features)
    words = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    layered = Normalizer(plain.mean, plain.scale, words)
    assert (plain.size, layered.size) == (5, 3)
    np.testing.assert_allclose(layered(features), plain(features) @ words, rtol=1e-5)
