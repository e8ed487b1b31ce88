"""The next word: predicted as likely as in the whole text, wherever the picture enters and however large the logits are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bokemodel.decoder import Decoder, DecoderConfig
from bokemodel.network import Network
from bokemodel.packing import pack

WORDS, DIM, BOS, EOS = 12, 6, 1, 2
TEXT = [5, 7, 7, 3]


def arrays(**options: Any) -> dict[str, np.ndarray]:
    found = Decoder(DecoderConfig(WORDS, DIM, 8, 8, **options), seed=1).arrays()
    rng = np.random.default_rng(0)
    return {name: array + rng.normal(0, 0.1, array.shape).astype(np.float32) for name, array in found.items()}


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((3, DIM)).astype(np.float32)


@pytest.mark.parametrize(
    "options", [{}, {"output": True}, {"every": True, "output": True}, {"start": True, "tied": True}], ids=str
)
def test_word_by_word_or_the_whole_text(pictures: np.ndarray, options: dict[str, Any]) -> None:
    network = Network(arrays(**options))
    state, nats = network.start(pictures, BOS), np.zeros(len(pictures))
    for word in [*TEXT, EOS]:
        said = network.predict(state)
        np.testing.assert_allclose(said.weights.sum(axis=1), said.total, rtol=1e-5)
        nats += np.log(said.weights[:, word] / said.total)
        words = np.full(len(pictures), word)
        with_gates, without = network.step(state, words, said.gates), network.step(state, words)
        np.testing.assert_allclose(with_gates.h, without.h, rtol=1e-4, atol=1e-6)
        state = with_gates
    np.testing.assert_allclose(nats, network.log_probs(pictures, pack([TEXT] * 3, BOS, EOS), BOS), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("shift", [-300, 80, 300])
def test_only_differences_of_logits_matter(pictures: np.ndarray, shift: float) -> None:
    plain = arrays()
    far = Network({**plain, "out_b": plain["out_b"] + np.float32(shift)})
    expected, found = (n.predict(n.start(pictures, BOS)) for n in (Network(plain), far))
    np.testing.assert_allclose(
        found.weights / found.total[:, None], expected.weights / expected.total[:, None], rtol=1e-3
    )


def test_rows_of_a_prediction_are_taken_whole(pictures: np.ndarray) -> None:
    network = Network(arrays())
    state = network.start(pictures, BOS)
    rows = np.array([2, 0, 2])
    taken, alone = network.predict(state).take(rows), network.predict(state.take(rows))
    for name in ("weights", "total", "gates"):
        np.testing.assert_allclose(getattr(taken, name), getattr(alone, name), rtol=1e-4, atol=1e-5)
