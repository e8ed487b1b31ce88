"""The encoder `caffenet` in Chainer: any BVLC-style `.caffemodel` through Chainer's `CaffeFunction`.

The vector is `fc7` after ReLU: 4096 numbers (Krizhevsky et al. 2012, in BVLC's CaffeNet, with pooling before
normalisation). The links hold the memory-mapped arrays themselves. Without backpropagation, which is how `encode` runs,
convolution, pooling and normalisation are those of `fast_functions`; with it, Chainer's own, which are the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bokemodel.chainer_compat import F, L, chainer
from bokemodel.encoders import fast_functions as fast
from bokemodel.encoders.base import Features
from bokemodel.encoders.caffe_arrays import Layer
from bokemodel.encoders.caffe_params import window_of
from bokemodel.encoders.caffe_weights import BLOB, MEAN, SIZE, CaffeWeights
from bokemodel.errors import WeightsUnreadable

_caffe_function = chainer.links.caffe.caffe_function


class Convolution(L.Convolution2D):
    """Chainer's convolution around arrays that are not copied."""

    def __init__(self, w: Any, b: Any, stride: tuple[int, int], pad: tuple[int, int], groups: int, dilate: int) -> None:
        super().__init__(None, w.shape[0], w.shape[2:], stride, pad, True, groups=groups, dilate=dilate)
        with self.init_scope():
            self.W = chainer.Parameter(w)
            self.b = None if b is None else chainer.Parameter(b)
        self.matrices = fast.kernel_matrices(w, groups)  # the one copy: 9 of CaffeNet's 233 MB

    def forward(self, x: Any) -> Any:
        if chainer.config.enable_backprop or self.dilate != (1, 1):
            return super().forward(x)
        b = None if self.b is None else self.b.array
        kernel = self.W.shape[2:]
        return chainer.Variable(fast.convolution(x.array, self.matrices, b, kernel, self.stride, self.pad))


class Linear(L.Linear):
    """Chainer's linear layer around arrays that are not copied."""

    def __init__(self, w: Any, b: Any) -> None:
        super().__init__(None, w.shape[0], nobias=True)
        with self.init_scope():
            self.W = chainer.Parameter(w)
            self.b = None if b is None else chainer.Parameter(b)

    def forward(self, x: Any) -> Any:
        if chainer.config.enable_backprop:
            return super().forward(x)
        return chainer.Variable(fast.linear(x.array, self.W.array, None if self.b is None else self.b.array))


def max_pooling(x: Any, kernel: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int]) -> Any:
    """`F.max_pooling_2d`, fast where nothing is learnt."""
    padded = (x.shape[2] + 2 * pad[0], x.shape[3] + 2 * pad[1])
    if chainer.config.enable_backprop or not fast.can_pool(padded, kernel, stride):
        return F.max_pooling_2d(x, kernel, stride, pad)
    return chainer.Variable(fast.max_pooling(x.array, kernel, stride, pad))


def local_response_normalization(x: Any, n: int, k: float, alpha: float, beta: float) -> Any:
    """`F.local_response_normalization`, fast where nothing is learnt."""
    if chainer.config.enable_backprop:
        return F.local_response_normalization(x, n, k, alpha, beta)
    return chainer.Variable(fast.local_response_normalization(x.array, n, k, alpha, beta))


def relu_over_its_input(x: Any) -> Any:
    """`F.relu` for an input that nobody needs afterwards."""
    return F.relu(x) if chainer.config.enable_backprop else chainer.Variable(fast.relu_in_place(x.array))


class FastCaffeFunction(chainer.links.caffe.CaffeFunction):
    """Chainer's `CaffeFunction`, filled from converted layers instead of a file."""

    def __init__(self, layers: Sequence[Layer], entry: str, blob: str) -> None:
        """Build the network of these layers, from the blob `entry` to `blob`.

        Raises WeightsUnreadable for a layer that Chainer does not know.
        """
        chainer.Chain.__init__(self)  # not CaffeFunction's, which would parse the file
        self.forwards: dict[str, Callable[..., Any]] = {}
        self.split_map: dict[str, str] = {}
        self.layers: list[tuple[str, list[str], list[str]]] = []
        fresh: set[str] = set()  # blobs that a ReLU may write over: no other blob shares their memory
        for layer in layers:
            self._add(layer, layer.bottom == layer.top and layer.bottom[0] in fresh)
            fresh.difference_update(layer.top)
            fresh.update(layer.top if layer.type in ("Convolution", "InnerProduct") else ())
        self.entry, self.blob = entry, self.split_map.get(blob, blob)
        self.needed_after: list[set[str]] = [{self.blob}]
        for _, bottom, _ in reversed(self.layers[1:]):
            self.needed_after.insert(0, self.needed_after[0].union(bottom))

    def compute(self, x: Any) -> Any:
        """A Variable with pictures to the Variable of the blob.

        CaffeFunction's own `forward` keeps every blob until the next picture; here one goes as soon as it is not needed,
        and the next ones find its memory still in the processor's cache.
        """
        variables = {self.entry: x}
        for (name, bottom, top), needed in zip(self.layers, self.needed_after, strict=True):
            y = self.forwards[name](*(variables[blob] for blob in bottom))
            variables.update(zip(top, y if isinstance(y, tuple) else (y,), strict=True))
            variables = {blob: variable for blob, variable in variables.items() if blob in needed}
            del y
        return variables[self.blob]

    def _add(self, layer: Layer, may_write_over: bool) -> None:
        method = _caffe_function._type_to_method.get(layer.type)
        if method is None:
            raise WeightsUnreadable(f"layer {layer.name!r} is of type {layer.type}, which Chainer's Caffe reader lacks")
        try:
            if layer.type == "Convolution":
                self._add_link(layer, self._convolution(layer))
            elif layer.type == "InnerProduct":
                self._add_link(layer, self._linear(layer))
            else:
                method(self, _with_data(layer))
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise WeightsUnreadable(f"layer {layer.name!r} ({layer.type}) cannot be used: {error}") from error
        faster = self._faster(layer, may_write_over)
        if faster is not None:
            self.forwards[layer.name] = faster

    def _add_link(self, layer: Layer, link: Any) -> None:
        with self.init_scope():
            setattr(self, layer.name, link)
        self.forwards[layer.name] = link
        self._add_layer(layer.message)

    @staticmethod
    def _convolution(layer: Layer) -> Convolution:
        param = layer.message.convolution_param
        w, b = _weights(layer, param.bias_term)
        window, dilation = window_of(param), list(param.dilation) or [1]
        if w.ndim != 4 or w.shape[0] != param.num_output or w.shape[2:] != window.kernel or w.shape[0] % param.group:
            raise ValueError(f"weights of shape {w.shape} for a convolution with {param.num_output} outputs")
        return Convolution(w, b, window.stride, window.pad, param.group, dilation[0])

    @staticmethod
    def _linear(layer: Layer) -> Linear:
        param = layer.message.inner_product_param
        w, b = _weights(layer, param.bias_term)
        if w.ndim != 2 or w.shape[0] != param.num_output or param.axis != 1:
            raise ValueError(f"weights of shape {w.shape} for {param.num_output} outputs")
        return Linear(w, b)

    @staticmethod
    def _faster(layer: Layer, may_write_over: bool) -> Callable[..., Any] | None:
        """What stands in for the function that Chainer's reader chose, if anything does."""
        message = layer.message
        if layer.type == "ReLU" and may_write_over and message.relu_param.negative_slope == 0:
            return relu_over_its_input
        if layer.type == "LRN":
            p = message.lrn_param
            alpha = p.alpha / p.local_size
            return partial(local_response_normalization, n=p.local_size, k=p.k, alpha=alpha, beta=p.beta)
        if layer.type == "Pooling" and message.pooling_param.pool == message.pooling_param.MAX:
            window = window_of(message.pooling_param)
            if window.kernel != (0, 0):
                return partial(max_pooling, kernel=window.kernel, stride=window.stride, pad=window.pad)
        return None


def _weights(layer: Layer, bias_term: bool) -> tuple[Any, Any]:
    if len(layer.blobs) < 1 + bias_term:
        raise ValueError("its weights are not in the file")
    w, b = layer.blobs[0], layer.blobs[1] if bias_term else None
    if b is not None and b.shape != w.shape[:1]:
        raise ValueError(f"bias of shape {b.shape} for weights of shape {w.shape}")
    return w, b


def _with_data(layer: Layer) -> Any:
    """The layer's message with its (few) numbers in it, as Chainer's reader wants them."""
    message = type(layer.message)()
    message.CopyFrom(layer.message)
    for blob, array in zip(message.blobs, layer.blobs, strict=True):
        blob.data.extend(array.ravel())
    return message


class CaffeNet(CaffeWeights):
    """The encoder `caffenet`."""

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        blob: str = BLOB,
        size: int = SIZE,
        mean: tuple[float, float, float] = MEAN,
    ) -> None:
        """As `CaffeWeights`. Raises WeightsMissing, WeightsUnreadable."""
        super().__init__(path, blob=blob, size=size, mean=mean)
        self.function = FastCaffeFunction(self.layers, self.input, self.blob)

    @cached_property
    def dim(self) -> int:
        if self.known_dim is not None:
            return self.known_dim
        blank = np.zeros((1, 3, self.input_size, self.input_size), np.float32)
        with chainer.no_backprop_mode(), chainer.using_config("train", False):
            return int(self.forward(blank).shape[1])

    def forward(self, x: NDArray[np.float32]) -> Any:
        """Float32 (N, 3, size, size) to a Variable (N, dim). Raises WeightsUnreadable where the size does not fit."""
        try:
            y = self.function.compute(chainer.as_variable(x))
        except (ValueError, chainer.utils.type_check.InvalidType) as error:
            reason = f"{self.path.name} cannot take pictures of {self.input_size} pixels"
            raise WeightsUnreadable(reason) from error
        return y.reshape(len(x), -1)

    def encode(self, images: Sequence[Image.Image]) -> Features:
        """RGB pictures of any size to float32 (N, dim)."""
        out = np.empty((len(images), self.dim), np.float32)
        with chainer.no_backprop_mode(), chainer.using_config("train", False):
            for start in range(0, len(images), self.chunk):
                out[start : start + self.chunk] = self.forward(
                    self.preprocess(images[start : start + self.chunk])
                ).array
        return out
