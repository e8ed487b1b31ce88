"""Vision networks by name."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bokemodel.errors import NoGraph, UnknownEncoder

if TYPE_CHECKING:
    from bokemodel.encoders.base import Encoder, VisionWeights

log = logging.getLogger(__name__)
NAMES = ("efficientnet-lite0", "caffenet")
Backend = Literal["auto", "chainer", "onnxruntime"]


def load_encoder(
    name: str,
    path: str | Path | None = None,
    *,
    backend: Backend = "auto",
    threads: int | None = None,
    **options: Any,
) -> Encoder:
    """Load a vision network.

    Args:
        name: one of `NAMES`.
        path: the weights. `efficientnet-lite0` brings its own; for `caffenet`, left out, what
            `python -m bokemodel.download caffenet` brought.
        backend: what computes the network: `chainer`, `onnxruntime`, or `auto`: ONNX Runtime where it is installed.
            Both give the same vectors but for rounding (relative difference below 1e-4).
        threads: of ONNX Runtime for one picture; left out, as many as this process may use. Chainer's are OpenBLAS's.
        options: for `caffenet`: `blob`, `size`, `mean` of another Caffe network.

    Raises:
        UnknownEncoder: no encoder, or no backend, of that name.
        NoGraph: `onnxruntime` was asked for, but is not installed or cannot run this network.
        WeightsMissing, WeightsUnreadable
    """
    if name not in NAMES:
        raise UnknownEncoder(f"no encoder is called {name!r}; there are {', '.join(NAMES)}")
    if backend not in ("auto", "chainer", "onnxruntime"):
        raise UnknownEncoder(f"no backend is called {backend!r}; there are auto, chainer, onnxruntime")
    if backend == "onnxruntime" or (backend == "auto" and importlib.util.find_spec("onnxruntime") is not None):
        from bokemodel.encoders.onnx_runtime import OnnxEncoder

        try:
            return OnnxEncoder(_weights(name, path, options), threads=threads)
        except NoGraph as error:
            if backend == "onnxruntime":
                raise
            log.warning("%s runs on Chainer: %s", name, error)
    return _chainer_encoder(name, path, options)


def _weights(name: str, path: str | Path | None, options: dict[str, Any]) -> VisionWeights:
    if name == "caffenet":
        from bokemodel.encoders.caffe_weights import CaffeWeights

        return CaffeWeights(path, **options)
    from bokemodel.encoders.efficientnet_weights import EfficientNetWeights

    return EfficientNetWeights(path, **options)


def _chainer_encoder(name: str, path: str | Path | None, options: dict[str, Any]) -> Encoder:
    if name == "caffenet":
        from bokemodel.encoders.caffenet import CaffeNet

        return CaffeNet(path, **options)
    from bokemodel.encoders.efficientnet_lite0 import EfficientNetLite0

    return EfficientNetLite0(path, **options)
