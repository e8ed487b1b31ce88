"""Arrays to bytes and back."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest

from bokemodel.archives import npz_bytes, read_npz


def test_arrays_come_back_as_they_were() -> None:
    arrays: dict[str, np.ndarray] = {
        "a": np.arange(6, dtype=np.int8).reshape(2, 3),
        "b": np.array([0.5, -1.25], np.float16),
        "c": np.array(3.0),
    }
    found = read_npz(npz_bytes(arrays))
    assert sorted(found) == ["a", "b", "c"]
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_the_same_arrays_are_the_same_bytes_in_any_order() -> None:
    one, two = np.arange(4), np.arange(4.0)
    assert npz_bytes({"one": one, "two": two}) == npz_bytes({"two": two.copy(), "one": one.copy()})


def _pickled() -> bytes:
    out = io.BytesIO()
    np.savez(out, a=np.array([{"not": "numbers"}], object))
    return out.getvalue()


@pytest.mark.parametrize(
    "data", [b"", b"no archive", npz_bytes({"a": np.arange(9)})[:-30], _pickled(), pickle.dumps([1])], ids=range(5)
)
def test_what_is_no_archive_of_arrays_is_named_so(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_npz(data)
