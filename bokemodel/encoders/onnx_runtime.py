"""Encoders on ONNX Runtime: the face of a Chainer encoder, several times faster, without importing Chainer.

The graph is made of the encoder's own weights the first time and kept on disk afterwards, because making it takes longer
than everything else at the start. A kept graph carries its own digest in its name and is used only if that is right.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bokemodel.encoders.base import Features, VisionWeights
from bokemodel.encoders.files import cache_folder, write_atomically
from bokemodel.errors import NoGraph, WeightsUnreadable

log = logging.getLogger(__name__)

GRAPH_FORMAT = 1  # goes up when `onnx_graph` changes; graphs kept by an earlier version are then left alone
INPUT, OUTPUT = "pictures", "features"


class OnnxEncoder:
    """An encoder whose arithmetic is ONNX Runtime's."""

    def __init__(self, weights: VisionWeights, *, threads: int | None = None) -> None:
        """Load the network, from the kept graph if there is one.

        Args:
            weights: which network.
            threads: that one picture is computed with; left out, as many as this process may use.

        Raises:
            NoGraph: no ONNX Runtime here, or the network has a layer that is not translated.
            WeightsMissing, WeightsUnreadable
        """
        self.weights = weights
        self.name, self.input_size = weights.name, weights.input_size
        self.threads = threads or _usable_processors()
        self.session = _session(_graph(weights), weights.weights_folder, self.threads)

    @property
    def weights_digest(self) -> str:
        return self.weights.weights_digest

    @property
    def class_weights(self) -> NDArray[np.float32]:
        return self.weights.class_weights

    @property
    def class_bias(self) -> NDArray[np.float32]:
        return self.weights.class_bias

    def class_scores(self, features: Features) -> NDArray[np.float32]:
        """Vectors (N, dim) to the published classifier's logits (N, classes)."""
        return self.weights.class_scores(features)

    @cached_property
    def dim(self) -> int:
        known = self.weights.known_dim
        if known is not None:
            return known
        return int(self.forward(np.zeros((1, 3, self.input_size, self.input_size), np.float32)).shape[1])

    def preprocess(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """RGB pictures of any size to what the network reads."""
        return self.weights.preprocess(images)

    def forward(self, x: NDArray[np.float32]) -> Features:
        """Float32 (N, 3, size, size) to (N, dim). Raises WeightsUnreadable where the size does not fit."""
        try:
            features: Features = self.session.run([OUTPUT], {INPUT: x})[0]
        except _errors() as error:
            raise WeightsUnreadable(f"the network cannot take pictures of {self.input_size} pixels") from error
        return features

    def encode(self, images: Sequence[Image.Image]) -> Features:
        """RGB pictures of any size to float32 (N, dim)."""
        out = np.empty((len(images), self.dim), np.float32)
        chunk = self.weights.chunk
        for start in range(0, len(images), chunk):
            out[start : start + chunk] = self.forward(self.preprocess(images[start : start + chunk]))
        return out


def _usable_processors() -> int:
    with contextlib.suppress(AttributeError):  # Linux only; a container's share may be smaller than the machine
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return state.Fail, state.InvalidArgument, state.RuntimeException, state.InvalidGraph


def session_options(threads: int, *, prepacking: bool) -> Any:
    """Settings for a session. Raises NoGraph where ONNX Runtime is not installed.

    prepacking: whether it keeps weights a second time, in its own order; mapped ones, which several processes share, shall not.
    """
    # Its wheels report to their maker what is run on whose machine, unless this is set before the import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise NoGraph("onnxruntime is not installed") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    # Threads that wait by computing take the cores from whatever else runs there, such as the bot itself.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.disable_prepacking", str(int(not prepacking)))
    return options


def _session(graph: bytes, folder: Path | None, threads: int) -> Any:
    options = session_options(threads, prepacking=False)
    import onnxruntime

    if folder is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except _errors() as error:
        raise NoGraph(f"ONNX Runtime refuses the graph: {error}") from error


def _graph(weights: VisionWeights) -> bytes:
    """The encoder's graph: kept from earlier, or made now and kept."""
    folders = [folder for folder in (weights.weights_folder, cache_folder()) if folder is not None]
    prefix = f"{weights.name}-{weights.weights_digest[:20]}-v{GRAPH_FORMAT}-"
    for folder in folders:
        if (kept := _kept_graph(folder, prefix)) is not None:
            return kept
    try:
        from bokemodel.encoders.onnx_graph import build_graph
    except ImportError as error:
        raise NoGraph("the package onnx, which makes graphs, is not installed") from error
    graph = build_graph(weights)
    _keep_graph(graph, folders, prefix)
    return graph


def _kept_graph(folder: Path, prefix: str) -> bytes | None:
    for file in folder.glob(f"{prefix}*.onnx"):
        with contextlib.suppress(OSError):
            graph = file.read_bytes()
            if file.stem == prefix + hashlib.sha256(graph).hexdigest():
                return graph
            log.warning("%s is damaged and is made again", file)
            file.unlink()
    return None


def _keep_graph(graph: bytes, folders: Iterable[Path], prefix: str) -> None:
    for folder in folders:
        try:
            write_atomically(folder / f"{prefix}{hashlib.sha256(graph).hexdigest()}.onnx", graph)
        except OSError as error:
            log.info("no room for the graph at %s: %s", folder, error)
        else:
            return
