"""The fast layers give what Chainer's own functions give."""

from __future__ import annotations

import numpy as np
import pytest

from bokemodel.chainer_compat import F
from bokemodel.encoders import fast_functions as fast
from tests.bokemodel.encoders.conftest import difference


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("channels", "size", "outputs", "kernel", "stride", "pad", "groups"),
    [
        (3, (23, 19), 8, (11, 11), (4, 4), (0, 0), 1),
        (8, (13, 13), 12, (5, 5), (1, 1), (2, 2), 2),
        (12, (7, 9), 8, (3, 3), (1, 1), (1, 1), 4),
        (6, (7, 9), 8, (1, 1), (1, 1), (0, 0), 2),
        (6, (7, 9), 8, (1, 1), (2, 2), (0, 0), 1),
        (4, (11, 8), 6, (5, 3), (2, 1), (0, 1), 1),
    ],
)
def test_convolution(
    batch: int,
    channels: int,
    size: tuple[int, int],
    outputs: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
    groups: int,
) -> None:
    x, w, b = numbers(batch, channels, *size), numbers(outputs, channels // groups, *kernel), numbers(outputs)
    for bias in (b, None):
        expected = F.convolution_2d(x, w, bias, stride, pad, groups=groups).array
        assert (
            difference(fast.convolution(x, fast.kernel_matrices(w, groups), bias, kernel, stride, pad), expected) < 1e-5
        )


def test_convolution_of_a_view() -> None:
    """Slices of other blobs are not contiguous."""
    x, w = numbers(2, 8, 6, 6)[:, ::2], numbers(5, 4, 1, 1)
    expected = F.convolution_2d(np.ascontiguousarray(x), w).array
    assert difference(fast.convolution(x, fast.kernel_matrices(w, 1), None, (1, 1), (1, 1), (0, 0)), expected) < 1e-5


@pytest.mark.parametrize(
    ("shape", "kernel", "stride"),
    [((2, 5, 9, 8), 3, (1, 1)), ((1, 7, 11, 12), 5, (2, 2)), ((1, 40, 113, 112), 3, (2, 1)), ((3, 2, 3, 3), 3, (1, 1))],
)
def test_depthwise_convolution(shape: tuple[int, ...], kernel: int, stride: tuple[int, int]) -> None:
    x, w, b = numbers(*shape), numbers(shape[1], 1, kernel, kernel), numbers(shape[1])
    expected = F.convolution_2d(x, w, b, stride, groups=shape[1]).array
    assert difference(fast.depthwise_convolution(x, w, b, stride), expected) < 1e-5


@pytest.mark.parametrize("size", [(55, 55), (13, 13), (14, 12), (12, 15), (3, 3)])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad"),
    [((3, 3), (2, 2), (0, 0)), ((2, 2), (2, 2), (0, 0)), ((3, 3), (1, 1), (1, 1)), ((3, 2), (3, 1), (1, 0))],
)
def test_max_pooling(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int]
) -> None:
    """Also where the last window reaches over the edge, and where everything is negative."""
    x = numbers(2, 5, *size) - 3
    expected = F.max_pooling_2d(x, kernel, stride, pad).array
    np.testing.assert_array_equal(fast.max_pooling(x, kernel, stride, pad), expected)


def test_pooling_with_gaps_is_left_to_chainer() -> None:
    assert fast.can_pool((6, 6), (3, 3), (2, 2))
    assert not fast.can_pool((6, 6), (2, 2), (3, 3))
    assert not fast.can_pool((2, 6), (3, 3), (2, 2))


@pytest.mark.parametrize(("n", "beta"), [(5, 0.75), (3, 0.75), (5, 0.5), (1, 0.75), (9, 0.75)])
def test_local_response_normalization(n: int, beta: float) -> None:
    x = numbers(2, 7, 4, 5) * 100
    expected = F.local_response_normalization(x, n, 2.0, 1e-3, beta).array
    assert difference(fast.local_response_normalization(x, n, 2.0, 1e-3, beta), expected) < 1e-5


@pytest.mark.parametrize("batch", [1, 4])
def test_linear(batch: int) -> None:
    x, w, b = numbers(batch, 3, 2, 2), numbers(7, 12), numbers(7)
    assert difference(fast.linear(x, w, b), F.linear(x, w, b).array) < 1e-5
    assert difference(fast.linear(x, w, None), F.linear(x, w).array) < 1e-5


def test_relu_writes_over_its_input() -> None:
    x = numbers(3, 4)
    expected = F.relu(x).array
    assert fast.relu_in_place(x) is x
    np.testing.assert_array_equal(x, expected)


def test_relu6_writes_over_its_input() -> None:
    x = numbers(3, 4) * 8
    expected = F.clip(x, 0.0, 6.0).array
    assert fast.relu6_in_place(x) is x
    np.testing.assert_array_equal(x, expected)
