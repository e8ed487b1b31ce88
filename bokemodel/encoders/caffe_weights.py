"""A Caffe network's weights and layers, and the way a picture enters it; the arithmetic is elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bokemodel.encoders.base import VisionWeights, fit_all
from bokemodel.encoders.caffe_arrays import CaffeArrays, Layer, load_caffe_arrays, needed_layers
from bokemodel.encoders.caffe_file import DOWNLOAD_HINT
from bokemodel.encoders.files import cache_folder
from bokemodel.errors import WeightsMissing, WeightsUnreadable

Array = NDArray[np.float32]
FILE_NAME = "bvlc_reference_caffenet.caffemodel"
BLOB, SIZE, MEAN = "fc7", 227, (104.0, 117.0, 123.0)
CLASSIFIER = "fc8"


class CaffeWeights(VisionWeights):
    """What the encoders of the name `caffenet` have in common."""

    name = "caffenet"

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        blob: str = BLOB,
        size: int = SIZE,
        mean: tuple[float, float, float] = MEAN,
    ) -> None:
        """Open the weights; the first time this converts the file, which takes seconds.

        Args:
            path: a `.caffemodel`; left out, the one that `python -m bokemodel.download caffenet` brought.
            blob: whose numbers are the vector; one of more than one dimension is flattened.
            size: side of the picture that the network reads, in pixels.
            mean: of blue, green and red, subtracted from every pixel.

        Raises:
            WeightsMissing: no such file.
            WeightsUnreadable: damaged, or without that blob.
        """
        self.path = Path(path) if path is not None else cache_folder() / FILE_NAME
        if path is None and not self.path.exists():
            raise WeightsMissing(f"caffenet needs its weights; {DOWNLOAD_HINT}")
        self.blob, self.input_size = blob, size
        self.mean = (float(mean[0]), float(mean[1]), float(mean[2]))
        self.arrays: CaffeArrays = load_caffe_arrays(self.path)
        self.weights_folder = self.arrays.folder
        self.layers, self.input = needed_layers(self.arrays.layers, blob)

    @cached_property
    def weights_digest(self) -> str:
        if (self.blob, self.input_size, self.mean) == (BLOB, SIZE, MEAN):
            return self.arrays.digest
        options = f"{self.arrays.digest} {self.blob} {self.input_size} {self.mean}"
        return hashlib.sha256(options.encode()).hexdigest()

    @property
    def known_dim(self) -> int | None:
        makers = [layer for layer in self.layers if self.blob in layer.top and layer.bottom != layer.top]
        inner_product = makers and makers[-1].type == "InnerProduct"
        return int(makers[-1].message.inner_product_param.num_output) if inner_product else None

    def preprocess(self, images: Sequence[Image.Image]) -> Array:
        """RGB pictures to float32 (N, 3, size, size): blue, green, red from 0 to 255, less the mean."""
        blue_green_red = fit_all(images, self.input_size)[..., ::-1].transpose(0, 3, 1, 2)
        return np.ascontiguousarray(blue_green_red, np.float32) - np.array(self.mean, np.float32)[:, None, None]

    @cached_property
    def _classifier(self) -> Layer:
        for layer in self.arrays.layers:
            found = (layer.name, layer.type, layer.bottom) == (CLASSIFIER, "InnerProduct", (self.blob,))
            if found and len(layer.blobs) == 2:
                return layer
        raise WeightsUnreadable(f"{self.path.name} has no classifier {CLASSIFIER} on top of {self.blob}")

    @property
    def class_weights(self) -> Array:
        return self._classifier.blobs[0]

    @property
    def class_bias(self) -> Array:
        return self._classifier.blobs[1]
