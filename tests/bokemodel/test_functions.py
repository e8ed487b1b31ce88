"""The hand-derived gradients against numerical ones, and the functions against straightforward arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bokemodel.chainer_compat import F, chainer
from bokemodel.functions import linear_softmax_cross_entropy, lstm_sequence, rows_of

COUNTS = np.array([4, 3, 3, 1])
N, E, H, V = 11, 3, 5, 7


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def numerical_gradient(
    function: Callable[[], float], array: np.ndarray[Any, Any], step: float = 1e-6
) -> np.ndarray[Any, Any]:
    """Central differences of a scalar function by each number of `array`, which it reads."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        above = function()
        array[index] = kept - step
        gradient[index] = (above - function()) / (2 * step)
        array[index] = kept
    return gradient


def check_gradients(function: Callable[..., Any], arrays: list[np.ndarray[Any, Any]]) -> None:
    inputs = [chainer.Variable(array) for array in arrays]
    function(*inputs).backward()
    for variable, array in zip(inputs, arrays, strict=True):
        expected = numerical_gradient(lambda: float(function(*arrays).array), array)
        np.testing.assert_allclose(variable.grad, expected, rtol=1e-5, atol=1e-7)


def lstm_inputs(rng: np.random.Generator) -> list[np.ndarray[Any, Any]]:
    shapes = [(N, E), (4 * H, E), (4 * H, H), (4 * H,), (4, H), (4, H)]
    return [rng.standard_normal(shape) for shape in shapes]


def test_lstm_gradients(rng: np.random.Generator) -> None:
    weights = rng.standard_normal((N, H))
    check_gradients(lambda *inputs: F.sum(lstm_sequence(*inputs, COUNTS) * weights), lstm_inputs(rng))


def test_lstm_equals_chainers_own_step_by_step(rng: np.random.Generator) -> None:
    x, w, u, b, h, c = lstm_inputs(rng)
    packed = lstm_sequence(x, w, u, b, h, c, COUNTS).array
    start, rows = 0, []
    for count in COUNTS:
        gates = x[start : start + count] @ w.T + h[:count] @ u.T + b
        i, f, o, g = np.split(gates, 4, axis=1)
        # Chainer's lstm takes its gates interleaved: a, i, f, o for each unit
        interleaved = np.stack([g, i, f, o], axis=2).reshape(count, 4 * H)
        c_new, h_new = F.lstm(c[:count], interleaved)
        c, h = c_new.array, h_new.array
        rows.append(h)
        start += count
    np.testing.assert_allclose(packed, np.concatenate(rows), rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_gradients(rng: np.random.Generator, smoothing: float) -> None:
    targets, weights = rng.integers(0, V, N), rng.random(N)
    check_gradients(
        lambda h, w, b: linear_softmax_cross_entropy(h, w, b, targets, weights, smoothing),
        [rng.standard_normal(shape) for shape in ((N, H), (V, H), (V,))],
    )


def test_cross_entropy_equals_chainers_own(rng: np.random.Generator) -> None:
    h, w, b = (rng.standard_normal(shape) for shape in ((N, H), (V, H), (V,)))
    targets = rng.integers(0, V, N).astype(np.int32)
    own = linear_softmax_cross_entropy(h, w, b, targets, np.ones(N))
    np.testing.assert_allclose(own.array, F.softmax_cross_entropy(h @ w.T + b, targets).array, rtol=1e-12)


def test_weights_count_tokens(rng: np.random.Generator) -> None:
    h, w, b = (rng.standard_normal(shape) for shape in ((N, H), (V, H), (V,)))
    targets = rng.integers(0, V, N)
    only_two = np.zeros(N)
    only_two[:2] = 1
    loss = linear_softmax_cross_entropy(h, w, b, targets, only_two).array
    np.testing.assert_allclose(loss, linear_softmax_cross_entropy(h[:2], w, b, targets[:2], np.ones(2)).array)


def test_gradients_of_rows(rng: np.random.Generator) -> None:
    index = np.array([3, 0, 3, 4, 3, 0])
    weights = rng.standard_normal((6, H))
    check_gradients(lambda matrix: F.sum(rows_of(matrix, index) * weights), [rng.standard_normal((V, H))])


def test_cross_entropy_in_blocks_is_the_same(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [rng.standard_normal(shape) for shape in ((N, H), (V, H), (V,))]
    targets, weights = rng.integers(0, V, N), rng.random(N)
    whole = linear_softmax_cross_entropy(*inputs, targets, weights, 0.1).array
    monkeypatch.setattr("bokemodel.functions.CACHED", 2 * V)
    np.testing.assert_allclose(linear_softmax_cross_entropy(*inputs, targets, weights, 0.1).array, whole, rtol=1e-12)
