"""Layers in numpy, for inference only: what Chainer's own functions give, several times faster.

Chainer keeps what the backward pass needs (arg-max indices, the normaliser) and computes powers and windows one way for
every case. Here nothing is kept, pooling is separable, the usual power of response normalisation is two square roots,
and groups are groups instead of dense weights full of zeros. All arrays are float32.

Pictures are (N, C, H, W) to whoever indexes them, in whatever order they lie in memory. What comes out of a convolution
lies as (N, H, W, C): a row of a window is then one contiguous run, and neighbouring channels are neighbours.
"""

from __future__ import annotations

import math
import threading

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Array = NDArray[np.float32]
Pair = tuple[int, int]
AT_ONCE = 1 << 19  # numbers that are laid out at once, 2 MB: smaller matrices cost more than the cache saves
_local = threading.local()


def kernel_matrices(w: Array, groups: int) -> Array:
    """Weights (O, C / groups, kh, kw) as `convolution` multiplies them: (groups, kh * kw * C / groups, O / groups)."""
    outputs, inputs, kh, kw = w.shape
    by_group = w.reshape(groups, outputs // groups, inputs, kh, kw).transpose(0, 3, 4, 2, 1)
    return np.ascontiguousarray(by_group).reshape(groups, kh * kw * inputs, outputs // groups)


def convolution(x: Array, matrices: Array, b: Array | None, kernel: Pair, stride: Pair, pad: Pair) -> Array:
    """Convolution of x (N, C, H, W) with the weights that became `matrices`, plus b (O,): (N, O, H', W').

    The windows are laid out as rows for a matrix product (im2col), a few lines of one picture and group at a time: so few
    that they are still in the processor's cache when they are multiplied.
    """
    n, channels, height, width = x.shape
    groups, numbers, outputs = matrices.shape
    inputs = channels // groups
    x = x.transpose(0, 2, 3, 1)
    out_h, out_w = (height + 2 * pad[0] - kernel[0]) // stride[0] + 1, (width + 2 * pad[1] - kernel[1]) // stride[1] + 1
    y = np.empty((n, out_h * out_w, groups * outputs), np.float32)
    if kernel == stride == (1, 1) and pad == (0, 0) and groups == 1:
        np.matmul(x.reshape(n, -1, channels), matrices[0], out=y)
    else:
        lines = _lines_at_once(numbers * out_w, out_h)
        padded = np.zeros((height + 2 * pad[0], width + 2 * pad[1], inputs), np.float32)
        v, h, c = padded.strides
        strides = (v * stride[0], h * stride[1], v, c)
        for picture, group in np.ndindex(n, groups):
            own = slice(group * inputs, (group + 1) * inputs)
            _copy_pixels(x[picture, :, :, own], padded[pad[0] : pad[0] + height, pad[1] : pad[1] + width])
            for top in range(0, out_h, lines):
                shape = (min(lines, out_h - top), out_w, kernel[0], kernel[1] * inputs)
                windows = _workspace(math.prod(shape)).reshape(shape)
                windows[...] = as_strided(padded[top * stride[0] :], shape, strides, writeable=False)
                out = y[picture, top * out_w : (top + lines) * out_w, group * outputs : (group + 1) * outputs]
                np.matmul(windows.reshape(-1, numbers), matrices[group], out=out)
    if b is not None:
        y += b
    return y.reshape(n, out_h, out_w, -1).transpose(0, 3, 1, 2)


def depthwise_convolution(x: Array, w: Array, b: Array, stride: Pair) -> Array:
    """Convolution of every channel of x (N, C, H, W) with its own kernel w (C, 1, kh, kw), plus b (C,), without padding.

    As a matrix product this would be one row for each channel; shifted pictures, weighted and added up, are faster.
    """
    n, channels, height, width = x.shape
    kh, kw = w.shape[2:]
    out_h, out_w = (height - kh) // stride[0] + 1, (width - kw) // stride[1] + 1
    x = x.transpose(0, 2, 3, 1)
    weights = np.ascontiguousarray(w[:, 0].transpose(1, 2, 0))
    y = np.empty((n, out_h, out_w, channels), np.float32)
    lines = _lines_at_once(8 * out_w * channels, out_h)
    for picture, top in np.ndindex(n, -(-out_h // lines)):
        out = y[picture, top * lines : (top + 1) * lines]
        out[...] = b
        weighted = _workspace(out.size).reshape(out.shape)
        for i, j in np.ndindex(kh, kw):
            first = top * lines * stride[0] + i
            rows = slice(first, first + stride[0] * (len(out) - 1) + 1, stride[0])
            columns = slice(j, j + stride[1] * (out_w - 1) + 1, stride[1])
            np.multiply(x[picture, rows, columns], weights[i, j], out=weighted)
            out += weighted
    return y.transpose(0, 3, 1, 2)


def _copy_pixels(source: Array, target: Array) -> None:
    """Copy (H, W, C). Three colours that lie apart are copied one by one: pixel by pixel takes six times as long."""
    if source.shape[2] <= 4:
        for channel in range(source.shape[2]):
            target[:, :, channel] = source[:, :, channel]
    else:
        target[...] = source


def _lines_at_once(numbers_per_line: int, lines: int) -> int:
    """As many lines of the result as `AT_ONCE` allows, in parts of about the same size."""
    parts = -(-lines // max(1, AT_ONCE // numbers_per_line))
    return -(-lines // parts)


def _workspace(count: int) -> Array:
    """`count` numbers of no particular value, always at the same place, so that they stay in the cache."""
    buffer: Array | None = getattr(_local, "buffer", None)
    if buffer is None or buffer.size < count:
        buffer = _local.buffer = np.empty(max(count, 2 * AT_ONCE), np.float32)
    return buffer[:count]


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
    shifted = [x[(*before, slice(offset, offset + (count - 1) * stride + 1, stride))] for offset in range(kernel)]
    if kernel > 1 and shifted[1].shape == shifted[0].shape:
        y = np.maximum(shifted.pop(0), shifted.pop(0))
    else:
        y = np.array(shifted.pop(0))
    for other in shifted:
        part = y[(*before, slice(0, other.shape[axis]))]
        np.maximum(part, other, out=part)
    return y


def can_pool(size: Pair, kernel: Pair, stride: Pair) -> bool:
    """Whether `max_pooling` handles this: windows that leave no gaps, over at least one window of picture."""
    return all(k <= n and s <= k for n, k, s in zip(size, kernel, stride, strict=True))


def local_response_normalization(x: Array, n: int, k: float, alpha: float, beta: float) -> Array:
    """x / (k + alpha * sum of squares over n neighbouring channels) ** beta (Krizhevsky et al. 2012, section 3.3)."""
    x = x.transpose(0, 2, 3, 1)
    y = np.empty(x.shape, np.float32)
    _, height, width, channels = x.shape
    half = n // 2
    # Pixels one after another, with zeros between them: a shift of all numbers is then a shift of the channels.
    shape = (height, width, channels + 2 * half)
    squares, total = _workspace(2 * math.prod(shape)).reshape(2, -1)
    spaced = squares.reshape(shape)
    for picture, out in zip(x, y, strict=True):
        spaced[:, :, :half] = spaced[:, :, half + channels :] = 0
        np.multiply(picture, picture, out=spaced[:, :, half : half + channels])
        total[:] = squares
        for shift in range(1, 2 * half + 1):
            total[:-shift] += squares[shift:]
        total *= np.float32(alpha)
        total += np.float32(k)
        if beta == 0.75:
            root = np.sqrt(total, out=total)
            np.multiply(root, np.sqrt(root, out=squares), out=total)
        else:
            np.power(total, np.float32(beta), out=total)
        np.divide(picture, total.reshape(shape)[:, :, :channels], out=out)
    return y.transpose(0, 3, 1, 2)
