"""CaffeNet written down plainly, in float64 and without any of the program's code: what the encoder has to give.

From the definition of each layer in Caffe (caffe.berkeleyvision.org/tutorial/layers.html). Slow on purpose: windows,
groups and neighbouring channels are loops.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from benchmarks.caffemodel_writer import Layer

MEAN_BGR = (104.0, 117.0, 123.0)


def blob_of(layers: list[Layer], picture: Image.Image, blob: str, mean: tuple[float, ...] = MEAN_BGR) -> np.ndarray:
    """The blob, after all layers that work on it, for a picture that already has the network's size."""
    red, green, blue = np.asarray(picture, np.float64).transpose(2, 0, 1)
    blobs = {"data": np.stack([blue - mean[0], green - mean[1], red - mean[2]])}
    last = max(index for index, layer in enumerate(layers) if layer.top == blob)
    for layer in layers[: last + 1]:
        params = dict(layer.params)
        x = blobs.get(layer.bottom)
        if layer.type == "Convolution":
            y = convolution(x, layer.blobs[0], params.get(5, 1), params.get(6, 1), params.get(3, 0))
            y += layer.blobs[1].astype(np.float64)[:, None, None]
        elif layer.type == "ReLU":
            y = np.where(x > 0, x, 0.0)
        elif layer.type == "Pooling":
            y = max_pooling(x, params[2], params[3])
        elif layer.type == "LRN":
            y = across_channels(x, params[1], params[2], params[3])
        elif layer.type == "InnerProduct":
            y = layer.blobs[0].astype(np.float64) @ x.ravel() + layer.blobs[1]
        elif layer.type in ("Dropout", "Data"):
            y = x
        blobs[layer.top] = y
    return blobs[blob].ravel()


def convolution(x: np.ndarray, w: np.ndarray, groups: int, stride: int, pad: int) -> np.ndarray:
    """One picture (C, H, W), weights (O, C / groups, k, k): group g of the outputs sees group g of the inputs."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    outputs, inputs, kernel, _ = w.shape
    side = (x.shape[1] - kernel) // stride + 1
    y = np.zeros((outputs, side, side))
    for group in range(groups):
        source = x[group * inputs : (group + 1) * inputs]
        own = slice(group * outputs // groups, (group + 1) * outputs // groups)
        for i in range(kernel):
            for j in range(kernel):
                seen = source[:, i : i + stride * side : stride, j : j + stride * side : stride][:, :side, :side]
                y[own] += np.tensordot(w[own, :, i, j].astype(np.float64), seen, 1)
    return y


def max_pooling(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """Caffe rounds the number of windows up; the last ones may reach over the edge."""
    channels, height, width = x.shape
    rows, columns = math.ceil((height - kernel) / stride) + 1, math.ceil((width - kernel) / stride) + 1
    y = np.empty((channels, rows, columns))
    for i in range(rows):
        for j in range(columns):
            window = x[:, i * stride : i * stride + kernel, j * stride : j * stride + kernel]
            y[:, i, j] = window.max((1, 2))
    return y


def across_channels(x: np.ndarray, n: int, alpha: float, beta: float) -> np.ndarray:
    """x / (1 + alpha / n * sum over n neighbouring channels of x squared) ** beta."""
    y = np.empty_like(x)
    for channel in range(len(x)):
        near = x[max(channel - n // 2, 0) : channel + n // 2 + 1]
        y[channel] = x[channel] / (1 + alpha / n * (near**2).sum(0)) ** beta
    return y
