"""Layers in numpy, for inference only: what Chainer's own functions give, several times faster.

Chainer keeps what the backward pass needs (arg-max indices, the normaliser) and computes powers and windows one way for
every case. Here nothing is kept, pooling is separable, the usual power of response normalisation is two square roots,
and groups are groups instead of dense weights full of zeros. All arrays are float32, pictures are (N, C, H, W).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Array = NDArray[np.float32]
Pair = tuple[int, int]
CACHED = 1 << 19  # numbers that are laid out at once, 2 MB: smaller matrices cost more than the cache saves


def convolution(x: Array, w: Array, b: Array | None, stride: Pair, pad: Pair, groups: int) -> Array:
    """Convolution of x (N, C, H, W) with w (O, C / groups, kh, kw), plus b (O,): (N, O, H', W').

    The windows are laid out as columns for a matrix product (im2col), a few rows of one picture and group at a time: so
    few that they are still in the processor's cache when they are multiplied.
    """
    n, _, height, width = x.shape
    outputs, inputs, kh, kw = w.shape
    out_h, out_w = (height + 2 * pad[0] - kh) // stride[0] + 1, (width + 2 * pad[1] - kw) // stride[1] + 1
    weights = w.reshape(groups, outputs // groups, -1)
    x = x.reshape(n, groups, inputs, height, width)
    y = np.empty((n, groups, outputs // groups, out_h * out_w), np.float32)
    if (kh, kw) == stride == (1, 1) and pad == (0, 0):
        np.matmul(weights, x.reshape(n, groups, inputs, -1), out=y)
    else:
        rows = _rows_at_once(weights.shape[2] * out_w, out_h)
        columns = np.empty(weights.shape[2] * out_w * rows, np.float32)
        padded = np.zeros((inputs, height + 2 * pad[0], width + 2 * pad[1]), np.float32)
        c, v, h = padded.strides
        strides = (c, v, h, v * stride[0], h * stride[1])
        for picture, group in np.ndindex(n, groups):
            padded[:, pad[0] : pad[0] + height, pad[1] : pad[1] + width] = x[picture, group]
            for top in range(0, out_h, rows):
                shape = (inputs, kh, kw, min(rows, out_h - top), out_w)
                part = columns[: math.prod(shape)].reshape(shape)
                part[...] = as_strided(padded[:, top * stride[0] :], shape, strides, writeable=False)
                out = y[picture, group, :, top * out_w : (top + rows) * out_w]
                np.matmul(weights[group], part.reshape(weights.shape[2], -1), out=out)
    y = y.reshape(n, outputs, out_h, out_w)
    if b is not None:
        y += b[:, None, None]
    return y


def depthwise_convolution(x: Array, w: Array, b: Array, stride: Pair) -> Array:
    """Convolution of every channel of x (N, C, H, W) with its own kernel w (C, 1, kh, kw), plus b (C,), without padding.

    As a matrix product this would be one row for each channel; shifted pictures, weighted and added up, are faster.
    """
    n, channels, height, width = x.shape
    kh, kw = w.shape[2:]
    out_h, out_w = (height - kh) // stride[0] + 1, (width - kw) // stride[1] + 1
    y = np.empty((n, channels, out_h, out_w), np.float32)
    at_once = max(16, CACHED // 8 // (out_h * out_w))
    for first in range(0, channels, at_once):
        own = slice(first, first + at_once)
        out = y[:, own]
        out[...] = b[own, None, None]
        weighted = np.empty_like(out)
        for i, j in np.ndindex(kh, kw):
            rows = slice(i, i + stride[0] * (out_h - 1) + 1, stride[0])
            columns = slice(j, j + stride[1] * (out_w - 1) + 1, stride[1])
            np.multiply(x[:, own, rows, columns], w[own, 0, i, j][:, None, None], out=weighted)
            out += weighted
    return y


def _rows_at_once(numbers_per_row: int, rows: int) -> int:
    """As many output rows as `CACHED` allows, in parts of about the same size."""
    parts = -(-rows // max(1, CACHED // numbers_per_row))
    return -(-rows // parts)


def linear(x: Array, w: Array, b: Array | None) -> Array:
    """x (N, ...) flattened to (N, I), times w (O, I) transposed, plus b (O,): (N, O)."""
    flat = x.reshape(len(x), -1)
    # This way round the large matrix is read in the order in which it lies in memory.
    y = w @ flat[0] if len(flat) == 1 else w @ flat.T
    y = np.ascontiguousarray(y.reshape(len(w), len(flat)).T)
    if b is not None:
        y += b
    return y


def relu_in_place(x: Array) -> Array:
    """max(x, 0), written over x."""
    return np.maximum(x, 0, out=x)


def relu6_in_place(x: Array) -> Array:
    """min(max(x, 0), 6), written over x."""
    return np.clip(x, 0, 6, out=x)


def max_pooling(x: Array, kernel: Pair, stride: Pair, pad: Pair) -> Array:
    """Largest value of each window; the last window may reach over the edge, as Caffe and `cover_all` have it."""
    if pad != (0, 0):
        x = np.pad(x, ((0, 0), (0, 0), (pad[0], pad[0]), (pad[1], pad[1])), constant_values=-np.inf)
    # Rows first: the rows that are compared lie contiguous in memory, and the columns are then already fewer.
    return _max_along(_max_along(x, 2, kernel[0], stride[0]), 3, kernel[1], stride[1])


def _max_along(x: Array, axis: int, kernel: int, stride: int) -> Array:
    count = -(-(x.shape[axis] - kernel) // stride) + 1
    before = (slice(None),) * axis
    y = np.array(x[(*before, slice(0, (count - 1) * stride + 1, stride))])
    for offset in range(1, kernel):
        shifted = x[(*before, slice(offset, offset + (count - 1) * stride + 1, stride))]
        part = y[(*before, slice(0, shifted.shape[axis]))]
        np.maximum(part, shifted, out=part)
    return y


def can_pool(size: Pair, kernel: Pair, stride: Pair) -> bool:
    """Whether `max_pooling` handles this: windows that leave no gaps, over at least one window of picture."""
    return all(k <= n and s <= k for n, k, s in zip(size, kernel, stride, strict=True))


def local_response_normalization(x: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """x / (k + alpha * sum of squares over n neighbouring channels) ** beta (Krizhevsky et al. 2012, section 3.3)."""
    squares = x * x
    total = squares.copy()
    for shift in range(1, n // 2 + 1):
        total[:, shift:] += squares[:, :-shift]
        total[:, :-shift] += squares[:, shift:]
    total *= np.float32(alpha)
    total += np.float32(k)
    if beta == 0.75:
        root = np.sqrt(total, out=total)
        np.multiply(root, np.sqrt(root, out=squares), out=total)
    else:
        np.power(total, np.float32(beta), out=total)
    return np.divide(x, total, out=total)
