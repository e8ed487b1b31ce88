"""Read a `.caffemodel`: the layers as messages, their weights as views of the file, whatever year it was written in.

A file of CaffeNet's size takes protobuf seconds and twice its size in memory, nearly all of it for the weights. So the
file is walked by hand down to the weights, which are found by offset and length, and only the rest is given to protobuf.
What comes out is always the new kind of message (`LayerParameter`), sizes always as a `BlobShape`.

Format: https://protobuf.dev/programming-guides/encoding/ and BVLC/caffe's caffe.proto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from bokemodel.encoders import caffe_pb2 as _caffe_pb2
from bokemodel.errors import WeightsMissing, WeightsUnreadable

caffe_pb2: Any = _caffe_pb2  # generated: its members exist only at run time
Array = NDArray[np.float32]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NET_V1_LAYERS, _NET_LAYER = 2, 100
_BLOB_SIZES, _BLOB_DATA, _BLOB_SHAPE, _BLOB_DOUBLE_DATA = range(1, 5), 5, 7, 8
# V1's names of layer types that are not simply the new name in capitals.
_NEW_TYPES = {"RELU": "ReLU", "LRN": "LRN", "SOFTMAX_LOSS": "SoftmaxWithLoss", "HDF5_DATA": "HDF5Data", "TANH": "TanH"}
DOWNLOAD_HINT = "python -m bokemodel.download caffenet brings the published CaffeNet"


@dataclass(frozen=True)
class CaffeLayer:
    """One layer: `message` is a `caffe_pb2.LayerParameter` whose blobs have a shape but no data; `blobs` are the data."""

    message: Any
    blobs: tuple[Array, ...]


@dataclass(frozen=True)
class _Field:
    number: int
    wire_type: int
    value: memoryview  # without its length, for a string or a message
    whole: memoryview  # with key and length


class _Damaged(Exception):
    """Not the wire format, or cut short."""


def read_caffemodel(path: Path) -> list[CaffeLayer]:
    """The layers of a file, in order. The arrays are read-only views of the mapped file and may be unaligned.

    Raises:
        WeightsMissing: no such file.
        WeightsUnreadable: cut short, damaged, or no `.caffemodel`.
    """
    try:
        with path.open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError as error:
        raise WeightsMissing(f"no weights at {path}; {DOWNLOAD_HINT}") from error
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise WeightsUnreadable(f"{path} cannot be read: {error}") from error
    try:
        layers = list(_layers(data))
    except (_Damaged, DecodeError, UnicodeDecodeError) as error:
        raise WeightsUnreadable(f"{path.name} is no .caffemodel, or is cut short: {error}; {DOWNLOAD_HINT}") from error
    if not layers:
        raise WeightsUnreadable(f"{path.name} has no layers, so it is no .caffemodel; {DOWNLOAD_HINT}")
    return layers


def _layers(data: memoryview) -> Iterator[CaffeLayer]:
    parts: dict[int, list[memoryview]] = {_NET_V1_LAYERS: [], _NET_LAYER: []}
    for field in _fields(data):
        if field.number in parts:
            if field.wire_type != _BYTES:
                raise _Damaged("a layer is not a message")
            parts[field.number].append(field.value)
    if parts[_NET_LAYER]:
        yield from (_layer(part, caffe_pb2.LayerParameter, 7) for part in parts[_NET_LAYER])
    else:
        yield from (_layer(part, caffe_pb2.V1LayerParameter, 6) for part in parts[_NET_V1_LAYERS])


def _layer(data: memoryview, kind: Any, blob_field: int) -> CaffeLayer:
    """Cut the blobs out of a layer's message and let protobuf read what is left."""
    rest = bytearray()
    blobs = []
    for field in _fields(data):
        if field.number == blob_field and field.wire_type == _BYTES:
            blobs.append(_blob(field.value))
        else:
            rest += field.whole
    message = kind.FromString(bytes(rest))
    if kind is caffe_pb2.V1LayerParameter:
        message = _upgraded(message)
    if not message.type:
        raise _Damaged(f"the layer {message.name!r} has no type")
    shaped = [_without_leading_ones(blob, message.type, index) for index, blob in enumerate(blobs)]
    for blob in shaped:
        message.blobs.add().shape.dim.extend(blob.shape)
    return CaffeLayer(message, tuple(shaped))


def _upgraded(old: Any) -> Any:
    """A V1 layer as the layer that Caffe has written since 2014."""
    name = caffe_pb2.V1LayerParameter.LayerType.Name(old.type) if old.HasField("type") else ""
    new_type = _NEW_TYPES.get(name, name.title().replace("_", ""))
    new = caffe_pb2.LayerParameter(name=old.name, type=new_type, bottom=old.bottom, top=old.top)
    for descriptor, value in old.ListFields():
        if descriptor.name.endswith("_param"):
            getattr(new, descriptor.name).CopyFrom(value)
    return new


def _without_leading_ones(blob: Array, layer_type: str, index: int) -> Array:
    """Old files give every blob four sizes: a bias as (1, 1, 1, n), an inner product as (1, 1, out, in)."""
    if blob.ndim == 4 and index > 0 and blob.shape[:3] == (1, 1, 1):
        return blob.reshape(-1)
    if blob.ndim == 4 and layer_type == "InnerProduct" and blob.shape[:2] == (1, 1):
        return blob.reshape(blob.shape[2:])
    return blob


def _blob(data: memoryview) -> Array:
    sizes: dict[int, int] = {}
    shape: tuple[int, ...] | None = None
    chunks: list[NDArray[Any]] = []
    for field in _fields(data):
        if field.number in _BLOB_SIZES and field.wire_type == _VARINT:
            sizes[field.number] = _varint(field.value, 0)[0]
        elif field.number == _BLOB_SHAPE and field.wire_type == _BYTES:
            shape = tuple(caffe_pb2.BlobShape.FromString(bytes(field.value)).dim)
        elif field.number == _BLOB_DATA and field.wire_type in (_BYTES, _FIXED32):
            chunks.append(_numbers(field.value, "<f4"))
        elif field.number == _BLOB_DOUBLE_DATA and field.wire_type in (_BYTES, _FIXED64):
            chunks.append(_numbers(field.value, "<f8").astype(np.float32))
    if shape is None:
        shape = tuple(sizes.get(number, 0) for number in _BLOB_SIZES)
    values = chunks[0] if len(chunks) == 1 else np.concatenate([*chunks, np.empty(0, np.float32)])
    if min(shape, default=1) < 1 or values.size != int(np.prod(shape, dtype=np.float64)):
        raise _Damaged(f"a blob of shape {shape} has {values.size:,} numbers")
    return values.reshape(shape)


def _numbers(data: memoryview, dtype: str) -> NDArray[Any]:
    if len(data) % np.dtype(dtype).itemsize:
        raise _Damaged("a blob ends inside a number")
    return np.frombuffer(data, dtype)


def _fields(data: memoryview) -> Iterator[_Field]:
    """The fields of a message."""
    at, size = 0, len(data)
    while at < size:
        start = at
        key, at = _varint(data, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == _VARINT:
            end = _varint(data, at)[1]
        elif wire_type == _BYTES:
            length, at = _varint(data, at)
            end = at + length
        elif wire_type in (_FIXED32, _FIXED64):
            end = at + (4 if wire_type == _FIXED32 else 8)
        else:
            raise _Damaged(f"wire type {wire_type}")
        if number == 0 or end > size:
            raise _Damaged(f"a field of {end - at:,} bytes where {size - at:,} are left")
        yield _Field(number, wire_type, data[at:end], data[start:end])
        at = end


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A varint and where it ends."""
    value = shift = 0
    while shift < 70:
        if at >= len(data):
            raise _Damaged("it ends inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _Damaged("a number of more than ten bytes")
