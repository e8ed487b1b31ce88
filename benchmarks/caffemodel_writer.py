"""Write a CaffeNet with random weights as a `.caffemodel`, in Caffe's real wire format, for measurements and tests.

The published file may not be at hand (233 MB from Berkeley); one of the same layers, sizes and format always can be. The
encoder reads messages with protobuf; here they are put together byte by byte from Caffe's field numbers, so that a
mistake in the reader's schema cannot hide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Value = int | float | str | bytes
Fields = list[tuple[int, Value]]

# V1LayerParameter.LayerType, and the fields of each layer's parameters in the old and in the new message.
_V1_TYPES = {
    "Data": 5, "Convolution": 4, "ReLU": 18, "Pooling": 17, "LRN": 15, "InnerProduct": 14, "Dropout": 6,
    "SoftmaxWithLoss": 21,
}  # fmt: skip
_V1_PARAMS = {"Convolution": 10, "Pooling": 19, "LRN": 18, "InnerProduct": 17, "Dropout": 12}
_NEW_PARAMS = {
    "Convolution": 106, "Pooling": 121, "LRN": 118, "InnerProduct": 117, "Dropout": 108, "Concat": 104, "Eltwise": 110,
    "ReLU": 123, "Softmax": 125, "Slice": 126, "BatchNorm": 139, "Scale": 142,
}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One layer: `params` are the fields of its ...Parameter message, by number; `blobs` its weights and bias.

    The V1 message can hold only the types that CaffeNet has. Several bottoms or tops are separated by spaces.
    """

    name: str
    type: str
    bottom: str = ""
    top: str = ""
    params: Fields = field(default_factory=list)
    blobs: tuple[Array, ...] = ()


def caffenet(
    seed: int = 0, *, channels: tuple[int, ...] = (96, 256, 384, 384, 256), units: tuple[int, ...] = (4096, 4096, 1000),
    pixels_after_pool5: int = 6 * 6,
) -> list[Layer]:  # fmt: skip
    """BVLC's reference CaffeNet with random weights of a size that keeps activations near 1 to 100.

    Args:
        seed: of the weights.
        channels: of the five convolutions; smaller numbers make a small file for tests.
        units: of fc6, fc7, fc8.
        pixels_after_pool5: 6 x 6 for pictures of 227 pixels.
    """
    rng = np.random.default_rng(seed)

    def weights(*shape: int) -> tuple[Array, Array]:
        w = rng.standard_normal(shape, np.float32)
        w *= np.float32(np.sqrt(2.0 / np.prod(shape[1:])))
        return w, rng.uniform(0.0, 0.5, shape[0]).astype(np.float32)

    def conv(
        name: str, bottom: str, inputs: int, outputs: int, kernel: int, pad: int, stride: int, group: int
    ) -> Layer:
        params: Fields = [(1, outputs), (3, pad), (4, kernel), (5, group), (6, stride)]
        blobs = weights(outputs, inputs // group, kernel, kernel)
        return Layer(name, "Convolution", bottom, name, [p for p in params if p[1]], blobs)

    def inner(name: str, bottom: str, inputs: int, outputs: int) -> Layer:
        return Layer(name, "InnerProduct", bottom, name, [(1, outputs)], weights(outputs, inputs))

    def relu(blob: str) -> Layer:
        return Layer(f"relu{blob[-1]}", "ReLU", blob, blob)

    def pool(number: int) -> Layer:
        return Layer(f"pool{number}", "Pooling", f"conv{number}", f"pool{number}", [(1, 0), (2, 3), (3, 2)])

    def norm(number: int) -> Layer:
        return Layer(f"norm{number}", "LRN", f"pool{number}", f"norm{number}", [(1, 5), (2, 1e-4), (3, 0.75)])

    def drop(blob: str) -> Layer:
        return Layer(f"drop{blob[-1]}", "Dropout", blob, blob, [(1, 0.5)])

    c1, c2, c3, c4, c5 = channels
    u6, u7, u8 = units
    return [
        Layer("data", "Data", top="data label"),
        conv("conv1", "data", 3, c1, 11, 0, 4, 1), relu("conv1"), pool(1), norm(1),
        conv("conv2", "norm1", c1, c2, 5, 2, 1, 2), relu("conv2"), pool(2), norm(2),
        conv("conv3", "norm2", c2, c3, 3, 1, 1, 1), relu("conv3"),
        conv("conv4", "conv3", c3, c4, 3, 1, 1, 2), relu("conv4"),
        conv("conv5", "conv4", c4, c5, 3, 1, 1, 2), relu("conv5"), pool(5),
        inner("fc6", "pool5", c5 * pixels_after_pool5, u6), relu("fc6"), drop("fc6"),
        inner("fc7", "fc6", u6, u7), relu("fc7"), drop("fc7"),
        inner("fc8", "fc7", u7, u8),
        Layer("loss", "SoftmaxWithLoss", "fc8 label", "loss"),
    ]  # fmt: skip


def small_caffenet(seed: int = 0) -> list[Layer]:
    """The same layers with a sixteenth of the channels: a file of less than 1 MB."""
    return caffenet(seed, channels=(12, 16, 24, 24, 16), units=(64, 48, 20))


def write_caffemodel(
    path: str | Path,
    layers: list[Layer],
    *,
    message: Literal["layers", "layer"] = "layers",
    blobs: Literal["num", "shape"] = "num",
) -> None:
    """Write `layers` to `path`.

    Args:
        path: the file; replaced if there is one.
        layers: in order.
        message: `layers`, the V1 message of the published CaffeNet, or `layer`, the one that Caffe writes since 2014.
        blobs: sizes as num, channels, height, width, as in the published CaffeNet, or as a BlobShape.
    """
    with Path(path).open("wb") as file:
        file.write(encode_fields([(1, "CaffeNet")]))
        for layer in layers:
            head = encode_fields(_head(layer, v1=message == "layers"))
            blob_field = 6 if message == "layers" else 7
            bodies = [(_blob_head(array, old=blobs == "num"), array) for array in layer.blobs]
            size = len(head) + sum(
                len(_blob_prefix(blob_field, start, array)) + array.nbytes for start, array in bodies
            )
            file.write(_key(2 if message == "layers" else 100, 2) + _varint(size) + head)
            for start, array in bodies:
                file.write(_blob_prefix(blob_field, start, array))
                _write_floats(file, array)


def _head(layer: Layer, *, v1: bool) -> Iterator[tuple[int, Value]]:
    """Everything of a layer but its weights."""
    name, kind, bottom, top = (4, 5, 2, 3) if v1 else (1, 2, 3, 4)
    yield name, layer.name
    yield kind, _V1_TYPES[layer.type] if v1 else layer.type
    yield from ((bottom, blob) for blob in layer.bottom.split())
    yield from ((top, blob) for blob in layer.top.split())
    if layer.params:
        yield (_V1_PARAMS if v1 else _NEW_PARAMS)[layer.type], encode_fields(layer.params)


def _blob_head(array: Array, *, old: bool) -> bytes:
    """A blob's size: (1, 1, 1, n) for a bias and (1, 1, out, in) for an inner product in the old way."""
    if old:
        sizes = (1,) * (4 - array.ndim) + array.shape
        return encode_fields([(number, size) for number, size in enumerate(sizes, 1)])
    return encode_fields([(7, encode_fields([(1, b"".join(_varint(size) for size in array.shape))]))])


def _blob_prefix(number: int, head: bytes, array: Array) -> bytes:
    data = _key(5, 2) + _varint(array.nbytes)
    return _key(number, 2) + _varint(len(head) + len(data) + array.nbytes) + head + data


def _write_floats(file: IO[bytes], array: Array) -> None:
    file.write(np.ascontiguousarray(array, "<f4").data.cast("B"))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def encode_fields(fields: Iterable[tuple[int, Value]]) -> bytes:
    """A message of these fields, by number: whole numbers as varints, `float` as four bytes, the rest with its length."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, int):
            out += _key(number, 0) + _varint(value)
        elif isinstance(value, float):
            out += _key(number, 5) + np.float32(value).tobytes()
        else:
            data = value.encode() if isinstance(value, str) else value
            out += _key(number, 2) + _varint(len(data)) + data
    return bytes(out)
