"""A `.caffemodel` as a folder of memory-mapped arrays beside it, so that it loads at once and processes share its pages.

The first load converts FILE into the folder FILE.arrays: the layers without weights (`net.binaryproto`), one `.npy` file
for each blob, and a manifest with the digest of FILE. A file that has changed is converted anew. Where the folder cannot
be written, the user's cache folder takes its place, and where that cannot be written either, memory. Nothing is pickled.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from bokemodel.encoders.caffe_file import DOWNLOAD_HINT, caffe_pb2, read_caffemodel
from bokemodel.encoders.files import (
    cache_folder,
    folder_written_atomically,
    held_for_one_process,
    sha256_of,
    write_atomically,
)
from bokemodel.errors import WeightsMissing, WeightsUnreadable

log = logging.getLogger(__name__)
Array = NDArray[np.float32]

FORMAT = 1
MANIFEST, NET = "manifest.json", "net.binaryproto"


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    `message` is its `caffe_pb2.LayerParameter`, whose blobs have shapes but no data; `blobs` are weights, then bias,
    read-only; `files` are the `.npy` files that they are mapped from, none where they are in memory.
    """

    message: Any
    blobs: tuple[Array, ...]
    files: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        return str(self.message.name)

    @property
    def type(self) -> str:
        return str(self.message.type)

    @property
    def bottom(self) -> tuple[str, ...]:
        return tuple(self.message.bottom)

    @property
    def top(self) -> tuple[str, ...]:
        return tuple(self.message.top)


@dataclass(frozen=True)
class CaffeArrays:
    """A network: its layers in order, the SHA-256 of the file it came from, and the folder of its arrays, if any."""

    layers: tuple[Layer, ...]
    digest: str
    folder: Path | None


def load_caffe_arrays(path: Path) -> CaffeArrays:
    """The network in a `.caffemodel`, converted on the first call.

    Raises:
        WeightsMissing: no such file.
        WeightsUnreadable: cut short, damaged, or no `.caffemodel`.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise WeightsMissing(f"no weights at {path}; {DOWNLOAD_HINT}") from error
    source = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    folders = [path.with_name(f"{path.name}.arrays"), _cached_folder(path)]
    if (found := _open_first(folders, source)) is not None:
        return found
    with held_for_one_process(path):  # which may have waited for another one that converts the same file
        return _open_first(folders, source) or _convert(path, source, folders)


def _cached_folder(path: Path) -> Path:
    """One folder for each name: files of the same name at different places take turns, which their digests make safe."""
    return cache_folder() / f"{path.name}.arrays"


def _open_first(folders: Iterable[Path], source: dict[str, int]) -> CaffeArrays | None:
    return next((found for folder in folders if (found := _open_folder(folder, source)) is not None), None)


def _open_folder(folder: Path, source: dict[str, int]) -> CaffeArrays | None:
    """The network in a converted folder, or None where there is none, or an old or damaged one."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT or manifest["source"] != source:
            return None
        if any((folder / name).stat().st_size != size for name, size in manifest["files"].items()):
            return None
        net = caffe_pb2.NetParameter.FromString((folder / NET).read_bytes())
        # All are mapped now, though few may be needed: that reads nothing, and what is mapped stays what it is when
        # another process replaces the folder.
        layers = tuple(_map_layer(folder, index, message) for index, message in enumerate(net.layer))
        return CaffeArrays(layers, str(manifest["sha256"]), folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DecodeError):
        return None


def _map_layer(folder: Path, index: int, message: Any) -> Layer:
    files = _files(folder, index, message)
    blobs = tuple(np.asarray(np.load(file, mmap_mode="r", allow_pickle=False)) for file in files)
    if [(blob.dtype, blob.shape) for blob in blobs] != [(np.float32, tuple(b.shape.dim)) for b in message.blobs]:
        raise ValueError(f"the arrays of layer {message.name!r} are not those that were converted")
    return Layer(message, blobs, files)


def _convert(path: Path, source: dict[str, int], folders: Iterable[Path]) -> CaffeArrays:
    layers = read_caffemodel(path)
    digest = sha256_of(path)
    for folder in folders:
        try:
            with folder_written_atomically(folder) as temporary:
                net = caffe_pb2.NetParameter(layer=[layer.message for layer in layers])
                (temporary / NET).write_bytes(net.SerializeToString())
                for index, layer in enumerate(layers):
                    for file, blob in zip(_files(temporary, index, layer.message), layer.blobs, strict=True):
                        np.save(file, np.ascontiguousarray(blob), allow_pickle=False)
                sizes = {file.name: file.stat().st_size for file in sorted(temporary.iterdir())}
                manifest = {"format": FORMAT, "source": source, "sha256": digest, "files": sizes}
                write_atomically(temporary / MANIFEST, json.dumps(manifest, indent=1).encode())
        except OSError as error:
            log.warning("no room for the converted weights at %s: %s", folder, error)
            continue
        if (converted := _open_folder(folder, source)) is not None:
            return converted
    log.warning("the weights of %s stay in memory; every start reads the whole file", path.name)
    in_memory = (Layer(layer.message, tuple(np.array(blob) for blob in layer.blobs)) for layer in layers)
    return CaffeArrays(tuple(in_memory), digest, None)


def _files(folder: Path, index: int, message: Any) -> tuple[Path, ...]:
    return tuple(folder / f"{index:03}-{number}.npy" for number in range(len(message.blobs)))


def data_offset(file: Path) -> int:
    """Where the numbers of a `.npy` file begin, in bytes. Raises OSError, ValueError."""
    with file.open("rb") as opened:
        np.lib.format.read_magic(opened)
        np.lib.format.read_array_header_1_0(opened)
        return opened.tell()


def needed_layers(layers: Iterable[Layer], blob: str) -> tuple[tuple[Layer, ...], str]:
    """The layers that lead to a blob, in order, and the name of the blob that the picture goes into.

    A blob that layers work on in place (`fc7` by `relu7`) is taken after the last of them.

    Raises:
        WeightsUnreadable: no layer makes that blob, or it needs more than one input.
    """
    layers = tuple(layer for layer in layers if layer.bottom)  # the others bring pictures in
    made = [top for layer in layers for top in layer.top]
    if blob not in made:
        raise WeightsUnreadable(f"the network has no blob {blob!r}; it has {', '.join(dict.fromkeys(made))}")
    wanted, needed = {blob}, []
    for layer in reversed(layers):
        if wanted.intersection(layer.top):
            wanted.difference_update(layer.top)
            wanted.update(layer.bottom)
            needed.append(layer)
    if len(wanted) != 1:
        raise WeightsUnreadable(f"blob {blob!r} needs {', '.join(sorted(wanted))}, not one picture")
    return tuple(reversed(needed)), wanted.pop()
