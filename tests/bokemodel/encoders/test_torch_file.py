"""Reading tensors without torch: nothing but tensors comes out, and nothing else of the file runs."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bokemodel.encoders.efficientnet_weights import weights_path
from bokemodel.encoders.torch_file import load_state_dict
from bokemodel.errors import WeightsMissing, WeightsUnreadable

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class Named:
    """Pickles as a global name, which is how torch's file names its functions and types."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Storage:
    """A storage of numbers; pickles as its persistent id, as torch's do."""

    def __init__(self, key: str, array: np.ndarray, kind: str = "FloatStorage") -> None:
        self.key, self.array, self.kind = key, array, kind


class Tensor:
    def __init__(self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.state = (storage, offset, shape, strides, False, OrderedDict())


class Call:
    """Pickles as a call of a function by name."""

    def __init__(self, module: str, name: str, *arguments: Any) -> None:
        self.function, self.arguments = Named(module, name), arguments


class TorchPickler(pickle._Pickler):  # type: ignore[name-defined]
    """Writes what torch.save wrote before 1.6; the pure-Python pickler, so that names need no module behind them."""

    def persistent_id(self, value: object) -> Any:
        if isinstance(value, Storage):
            return ("storage", Named("torch", value.kind), value.key, "cpu", value.array.size, None)
        return None

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        if isinstance(value, Named):
            self.write(b"c" + value.module.encode() + b"\n" + value.name.encode() + b"\n")
        elif isinstance(value, Tensor):
            self.save(Named("torch._utils", "_rebuild_tensor_v2"))
            super().save(value.state)
            self.write(b"R")
        elif isinstance(value, Call):
            self.save(value.function)
            super().save(value.arguments)
            self.write(b"R")
        else:
            super().save(value, save_persistent_id)


def write(path: Path, state: object, storages: list[Storage], magic: int = MAGIC) -> Path:
    with path.open("wb") as file:
        for part in (magic, PROTOCOL, SYSTEM, state, [storage.key for storage in storages]):
            TorchPickler(file, 2).dump(part)
        for storage in storages:
            file.write(struct.pack("<q", storage.array.size) + storage.array.tobytes())
    return path


def test_tensors(tmp_path: Path) -> None:
    """Contiguous, permuted, a slice of a shared storage, a scalar, and of whole numbers."""
    shared = Storage("0", np.arange(24, dtype="<f4"))
    counts = Storage("1", np.array([7, 8], "<i8"), "LongStorage")
    state = OrderedDict(
        plain=Tensor(shared, 0, (2, 3, 4), (12, 4, 1)),
        permuted=Tensor(shared, 0, (4, 2, 3), (1, 12, 4)),
        slice=Tensor(shared, 5, (2, 3), (12, 1)),
        scalar=Tensor(shared, 23, (), ()),
        counts=Tensor(counts, 1, (1,), (1,)),
    )
    found = load_state_dict(write(tmp_path / "some.pth", state, [shared, counts]))
    whole = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert list(found) == ["plain", "permuted", "slice", "scalar", "counts"]
    np.testing.assert_array_equal(found["plain"], whole)
    np.testing.assert_array_equal(found["permuted"], whole.transpose(2, 0, 1))
    np.testing.assert_array_equal(found["slice"], [[5, 6, 7], [17, 18, 19]])
    np.testing.assert_array_equal(found["scalar"], 23)
    np.testing.assert_array_equal(found["counts"], [8])
    assert found["counts"].dtype == np.int64


@pytest.mark.parametrize(
    "tensor",
    [
        (0, (5,), (1,)),
        (3, (2,), (1,)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (2, 2), (4, 1)),
        (0, (0,), (1,)),
        (0, (2, 2), (1,)),
        (0, (1 << 62, 4), (1, 1)),
        (0, (1 << 40,), (0,)),
    ],
    ids=str,
)
def test_a_tensor_that_reaches_outside_its_storage(tmp_path: Path, tensor: Any) -> None:
    storage = Storage("0", np.zeros(4, "<f4"))
    with pytest.raises(WeightsUnreadable):
        load_state_dict(write(tmp_path / "some.pth", {"w": Tensor(storage, *tensor)}, [storage]))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("torch", "DoubleStorage"),
        ("collections", "Counter"),
        ("os.path", "exists"),
    ],
)
def test_other_names_are_refused(tmp_path: Path, module: str, name: str) -> None:
    mark = tmp_path / "it ran"
    path = write(tmp_path / "evil.pth", {"w": Call(module, name, f"touch '{mark}'")}, [])
    with pytest.raises(WeightsUnreadable, match=f"asks for {module}.{name}"):
        load_state_dict(path)
    assert not mark.exists()


@pytest.mark.parametrize("place", range(3))
def test_the_other_pickles_of_the_file_are_guarded_too(tmp_path: Path, place: int) -> None:
    """Magic number, protocol, system."""
    mark = tmp_path / "it ran"
    parts: list[object] = [MAGIC, PROTOCOL, SYSTEM]
    parts[place] = Call("os", "system", f"touch '{mark}'")
    with (tmp_path / "evil.pth").open("wb") as file:
        for part in parts:
            TorchPickler(file, 2).dump(part)
    with pytest.raises(WeightsUnreadable, match=r"asks for os\.system"):
        load_state_dict(tmp_path / "evil.pth")
    assert not mark.exists()


def test_a_cut_file(tmp_path: Path) -> None:
    storage = Storage("0", np.arange(1000, dtype="<f4"))
    path = write(tmp_path / "some.pth", {"w": Tensor(storage, 0, (10, 100), (100, 1))}, [storage])
    whole = path.read_bytes()
    assert load_state_dict(path)["w"].shape == (10, 100)
    for end in [*range(0, 400), *range(400, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:end])
        with pytest.raises(WeightsUnreadable):
            load_state_dict(path)


def test_a_spoilt_file_never_crashes(tmp_path: Path) -> None:
    storage = Storage("0", np.arange(10, dtype="<f4"))
    whole = write(tmp_path / "some.pth", {"w": Tensor(storage, 0, (2, 5), (5, 1))}, [storage]).read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        spoilt = bytearray(whole)
        for position in random.integers(0, len(whole), 2):
            spoilt[position] = random.integers(0, 256)
        (tmp_path / "spoilt.pth").write_bytes(spoilt)
        try:
            load_state_dict(tmp_path / "spoilt.pth")
        except WeightsUnreadable:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 a newer file", b"no weights", pickle.dumps(5), bytes(1000)])
def test_other_files(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "other.pth").write_bytes(data)
    with pytest.raises(WeightsUnreadable):
        load_state_dict(tmp_path / "other.pth")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        load_state_dict(tmp_path / "none.pth")
    with pytest.raises(WeightsUnreadable):
        load_state_dict(tmp_path)


def test_the_published_file() -> None:
    state = load_state_dict(weights_path())
    assert state["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert state["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(array).all() for array in state.values())
