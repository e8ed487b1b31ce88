"""The optimizer takes the steps that Chainer's own Adam takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bokemodel.chainer_compat import chainer
from bokemodel.decoder import Decoder, DecoderConfig
from bokemodel.packing import pack
from training.optimizer import make_optimizer

SIZES = DecoderConfig(vocabulary=50, feature_dim=6, embed=12, hidden=12, tied=True)
BATCH = pack([[5, 6, 7], [9], [4, 4]], 1, 2)
PICTURES = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)


def chainers_own(decoder: Decoder, weight_decay: float) -> chainer.optimizers.Adam:
    optimizer = chainer.optimizers.Adam(1e-2, weight_decay_rate=weight_decay)
    optimizer.setup(decoder)
    for bias in (decoder.b, decoder.out_b, decoder.img2x.b):
        bias.update_rule.hyperparam.weight_decay_rate = 0.0
    optimizer.add_hook(chainer.optimizer_hooks.GradientClipping(0.5))
    return optimizer


@pytest.mark.parametrize("weight_decay", [0.0, 1e-2])
def test_same_steps_as_chainers_adam(monkeypatch: pytest.MonkeyPatch, weight_decay: float) -> None:
    monkeypatch.setattr("training.optimizer.BLOCK", 100)  # smaller than the embedding: several blocks
    ours, theirs = Decoder(SIZES, 1), Decoder(SIZES, 1)
    before = ours.arrays()
    first, second = make_optimizer(ours, 1e-2, 0.5, weight_decay), chainers_own(theirs, weight_decay)
    for _ in range(20):
        first.update(ours.loss, PICTURES, BATCH)
        second.update(theirs.loss, PICTURES, BATCH)
    for name, array in theirs.arrays().items():
        assert np.abs(array - before[name]).max() > 1e-3
        np.testing.assert_allclose(ours.arrays()[name], array, rtol=1e-3, atol=1e-5)


def test_weights_decay_and_biases_do_not() -> None:
    decoder = Decoder(SIZES, 1)
    before = {name: array + 1 for name, array in decoder.arrays().items()}
    decoder.load_arrays(before)
    optimizer = make_optimizer(decoder, 1e-12, 0.5)  # nothing is learned
    for rate in (0.1, 0.1, 0.0):
        optimizer.weight_decay_rate = rate
        optimizer.update(decoder.loss, PICTURES, BATCH)
    for name, array in decoder.arrays().items():
        np.testing.assert_allclose(array, before[name] * (1 if array.ndim == 1 else 0.81), rtol=1e-5)


def test_state_is_saved_under_chainers_names(tmp_path: Path) -> None:
    decoder = Decoder(SIZES, 1)
    optimizer = make_optimizer(decoder, 1e-2, 0.5)
    optimizer.update(decoder.loss, PICTURES, BATCH)
    chainer.serializers.save_npz(tmp_path / "adam.npz", optimizer)
    again = chainers_own(Decoder(SIZES, 2), 0.0)
    chainer.serializers.load_npz(tmp_path / "adam.npz", again)
    np.testing.assert_array_equal(again.target.embed.W.update_rule.state["m"], decoder.embed.W.update_rule.state["m"])
