"""Read the tensors of a PyTorch `.pth` file of the years before 2020 without torch, and without unpickling anything else.

Such a file is four pickles (magic number, protocol, system, the object), a pickled list of storage keys, and then each
storage's bytes. A pickle can name any function to call; the reader here knows the four names that tensors need and refuses
every other one.
"""

from __future__ import annotations

import math
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from bokemodel.errors import WeightsMissing, WeightsUnreadable

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


@dataclass(frozen=True)
class _StorageType:
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in elements; weights converted from another library are often permuted


def _tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_rest: object
) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): _StorageType(np.dtype("<f4")),
    ("torch", "LongStorage"): _StorageType(np.dtype("<i8")),
}


class _TensorUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise WeightsUnreadable(f"the file asks for {module}.{name}, which no tensor needs") from None

    def persistent_load(self, pid: Any) -> _Storage:
        _kind, storage_type, key, _device, _size, *_view = pid
        return _Storage(str(key), storage_type.dtype)


def load_state_dict(path: str | Path) -> dict[str, np.ndarray[Any, Any]]:
    """Names to arrays, in the file's order.

    Raises:
        WeightsMissing: no such file.
        WeightsUnreadable: not such a file, cut short, or it names something other than tensors.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _read(file)
    except FileNotFoundError as error:
        raise WeightsMissing(f"no weights at {path}") from error
    except WeightsUnreadable:
        raise
    except Exception as error:  # a damaged pickle raises whatever its instructions lead to
        raise WeightsUnreadable(f"{path.name} is not a readable .pth file: {error}") from error


def _read(file: IO[bytes]) -> dict[str, np.ndarray[Any, Any]]:
    if _TensorUnpickler(file).load() != _MAGIC or _TensorUnpickler(file).load() != _PROTOCOL:
        raise ValueError("wrong magic number")
    _TensorUnpickler(file).load()  # the machine that wrote it; storages are little-endian either way
    tensors: dict[str, _Tensor] = _TensorUnpickler(file).load()
    keys: list[str] = _TensorUnpickler(file).load()
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages = {key: _read_storage(file, dtypes[key]) for key in keys}
    return {name: _view(tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _read_storage(file: IO[bytes], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    (count,) = struct.unpack("<q", file.read(8))
    data = file.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise EOFError("cut short")
    return np.frombuffer(data, dtype)


def _view(tensor: _Tensor, storage: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    smallest = min([tensor.offset, *tensor.strides, *(n - 1 for n in tensor.shape)])
    if smallest < 0 or last >= len(storage) or math.prod(tensor.shape) > len(storage):
        raise ValueError("a tensor reaches outside its storage")
    strides = tuple(stride * storage.itemsize for stride in tensor.strides)
    view = np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides, writeable=False)
    return np.ascontiguousarray(view).reshape(tensor.shape)
