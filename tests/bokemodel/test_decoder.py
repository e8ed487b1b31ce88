"""The Chainer decoder: what it is, that it learns from many jokes per picture, and that the numpy network is the same thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bokemodel.chainer_compat import chainer
from bokemodel.decoder import Decoder, DecoderConfig
from bokemodel.network import Network
from bokemodel.packing import pack

BOS, EOS = 1, 2
TEXTS = [[5, 6, 7, 8], [9], [4, 4, 6], [5, 9, 7, 8, 3, 4]]


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(3).standard_normal((4, 6)).astype(np.float32)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tied": True},
        {"topics": 3},
        {"start": True},
        {"every": True},
        {"output": True},
        {"tied": True, "topics": 3, "start": True, "every": True, "output": True},
    ],
    ids=str,
)
def test_network_equals_decoder(pictures: np.ndarray, options: dict[str, Any]) -> None:
    decoder = Decoder(DecoderConfig(12, 6, 8, 8, **options), seed=1)
    for parameter in decoder.params():  # no weight that starts at 0 hides another's absence
        parameter.array += np.random.default_rng(parameter.size).normal(0, 0.1, parameter.shape).astype(np.float32)
    network = Network(decoder.arrays())
    batch = pack(TEXTS, BOS, EOS)
    log_probs = network.log_probs(pictures, batch, BOS)
    with chainer.using_config("train", False):
        together = decoder.loss(pictures, batch)
        np.testing.assert_allclose(float(together.array), -log_probs.sum() / len(batch.targets), rtol=1e-5)
        for index, text in enumerate(TEXTS):
            one = decoder.loss(pictures[index : index + 1], pack([text], BOS, EOS))
            np.testing.assert_allclose(log_probs[index], -float(one.array) * (len(text) + 1), rtol=1e-5)


@pytest.mark.parametrize("option", ["start", "every", "output"])
def test_where_else_the_picture_enters(pictures: np.ndarray, option: str) -> None:
    """Beyond the first step it is seen: in the state that it is wiped from, or through the state alone."""
    network = Network(Decoder(DecoderConfig(12, 6, 8, 8, **{option: True}), seed=1).arrays())
    first = network.start(pictures, BOS)
    wiped = replace(first, h=np.zeros_like(first.h), c=np.zeros_like(first.c))
    later = network.step(wiped, np.full(4, 5))
    assert (np.abs(later.h - later.h[0]).max() > 1e-3) == (option == "every")
    assert (np.abs(later.output - later.output[0]).max() > 1e-3) == (option in ("every", "output"))
    blind = dict(Decoder(DecoderConfig(12, 6, 8, 8, start=True), seed=1).arrays(), img2x_w=np.zeros((8, 6)))
    started = Network(blind).start(pictures, BOS)
    assert np.abs(started.h - started.h[0]).max() > 1e-3


def test_rows_of_a_state_are_taken_whole(pictures: np.ndarray) -> None:
    network = Network(Decoder(DecoderConfig(12, 6, 8, 8, every=True, output=True), seed=1).arrays())
    words = np.array([5, 6])
    taken = network.step(network.start(pictures, BOS).take(np.array([2, 0])), words)
    alone = network.step(network.start(pictures[[2, 0]], BOS), words)
    np.testing.assert_allclose(taken.output, alone.output, rtol=1e-5)


def test_picture_enters_at_the_first_step_only(pictures: np.ndarray) -> None:
    """With the state wiped after the first step, nothing of the picture is left."""
    network = Network(Decoder(DecoderConfig(12, 6, 8, 8), seed=1).arrays())
    first = network.start(pictures, BOS)
    assert np.abs(first.h - first.h[0]).max() > 1e-3
    wiped = type(first)(np.zeros_like(first.h), np.zeros_like(first.c))
    later = network.step(wiped, np.full(4, 5))
    np.testing.assert_allclose(later.h, np.broadcast_to(later.h[0], later.h.shape))


def test_padding_and_company_change_nothing(pictures: np.ndarray) -> None:
    network = Network(Decoder(DecoderConfig(12, 6, 8, 8), seed=1).arrays())
    together = network.log_probs(pictures, pack(TEXTS, BOS, EOS), BOS)
    alone = [network.log_probs(pictures[i : i + 1], pack([TEXTS[i]], BOS, EOS), BOS)[0] for i in range(4)]
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_weights_survive_a_round_trip() -> None:
    first = Decoder(DecoderConfig(12, 6, 8, 8, True), seed=1)
    second = Decoder(DecoderConfig(12, 6, 8, 8, True), seed=2)
    second.load_arrays(first.arrays())
    for name, array in first.arrays().items():
        np.testing.assert_array_equal(second.arrays()[name], array)


def test_same_seed_same_weights() -> None:
    assert all(
        np.array_equal(a, b)
        for a, b in zip(
            Decoder(DecoderConfig(12, 6), 5).arrays().values(),
            Decoder(DecoderConfig(12, 6), 5).arrays().values(),
            strict=True,
        )
    )


def test_state_is_reset_between_batches_unless_it_is_carried(pictures: np.ndarray) -> None:
    batch = pack([[5, 6], [7, 8]], BOS, EOS)
    for carries in (False, True):
        decoder = Decoder(DecoderConfig(12, 6, 8, 8), seed=1)
        decoder.carry_state(carries)
        with chainer.using_config("train", True):
            first, second = (float(decoder.loss(pictures[:2], batch).array) for _ in range(2))
            larger = float(decoder.loss(pictures, pack([[5, 6]] * 4, BOS, EOS)).array)
        assert (first != second) == carries
        assert np.isfinite(larger)
