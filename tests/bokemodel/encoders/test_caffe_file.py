"""Reading `.caffemodel` files of every age, and refusing what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from benchmarks.caffemodel_writer import Layer, encode_fields, small_caffenet, write_caffemodel
from bokemodel.encoders.caffe_file import CaffeLayer, read_caffemodel
from bokemodel.errors import WeightsMissing, WeightsUnreadable
from tests.bokemodel.encoders.conftest import Written

PHOTO = Path(__file__).parents[2] / "data" / "cat.jpg"


@pytest.mark.parametrize("message", ["layers", "layer"])
@pytest.mark.parametrize("blobs", ["num", "shape"])
def test_every_format_reads_as_the_same_layers(
    tmp_path: Path, message: Literal["layers", "layer"], blobs: Literal["num", "shape"]
) -> None:
    written = small_caffenet()
    write_caffemodel(tmp_path / "net.caffemodel", written, message=message, blobs=blobs)
    layers = read_caffemodel(tmp_path / "net.caffemodel")
    assert [(layer.message.name, layer.message.type) for layer in layers] == [(w.name, w.type) for w in written]
    for layer, expected in zip(layers, written, strict=True):
        assert " ".join(layer.message.bottom) == expected.bottom
        assert " ".join(layer.message.top) == expected.top
        assert [tuple(blob.shape.dim) for blob in layer.message.blobs] == [blob.shape for blob in expected.blobs]
        for blob, array in zip(layer.blobs, expected.blobs, strict=True):
            np.testing.assert_array_equal(blob, array)
    conv2 = layers[5].message.convolution_param
    assert (conv2.num_output, list(conv2.pad), list(conv2.kernel_size), conv2.group) == (16, [2], [5], 2)
    norm1 = layers[4].message.lrn_param
    assert (norm1.local_size, norm1.alpha, norm1.beta) == (5, pytest.approx(1e-4), 0.75)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([(5, 1.0), (5, 2.0), (5, 3.0)], id="one field for each number"),
        pytest.param([(8, np.array([1, 2, 3], "<f8").tobytes())], id="double precision"),
        pytest.param([(5, np.array([1, 2], "<f4").tobytes()), (5, np.array([3], "<f4").tobytes())], id="two pieces"),
        pytest.param(
            [(5, np.array([1, 2, 3], "<f4").tobytes()), (6, np.array([9, 9, 9], "<f4").tobytes())], id="with gradients"
        ),
    ],
)
def test_numbers_in_every_encoding(tmp_path: Path, fields: list[tuple[int, float | bytes]]) -> None:
    blob = encode_fields([(7, encode_fields([(1, b"\x03")])), *fields])
    (layer,) = read(tmp_path, encode_fields([(100, encode_fields([(1, "scale"), (2, "Scale"), (7, blob)]))]))
    np.testing.assert_array_equal(layer.blobs[0], np.array([1, 2, 3], np.float32))


def test_fields_that_nobody_knows_are_skipped(tmp_path: Path) -> None:
    layer = encode_fields([(999, 1.5), (1, "relu"), (998, 7), (2, "ReLU"), (997, b"later")])
    assert read(tmp_path, encode_fields([(996, 3), (100, layer)]))[0].message.name == "relu"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "cannot be read", id="empty"),
        pytest.param(b'name: "CaffeNet"\nlayers {\n  name: "conv1"\n}\n', "no .caffemodel", id="text"),
        pytest.param(encode_fields([(1, "CaffeNet")]), "no layers", id="no layers"),
        pytest.param(encode_fields([(100, 5)]), "not a message", id="a number for a layer"),
        pytest.param(encode_fields([(100, encode_fields([(1, "nameless")]))]), "no type", id="a layer of no type"),
        pytest.param(b"\xff" * 64, "no .caffemodel", id="endless number"),
        pytest.param(PHOTO.read_bytes(), "no .caffemodel", id="photo"),
        pytest.param(
            encode_fields([(100, encode_fields([(2, "Scale"), (7, encode_fields([(1, 9), (5, 1.0)]))]))]),
            "has 1 numbers",
            id="fewer numbers than the shape",
        ),
    ],
)
def test_other_files_are_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(WeightsUnreadable, match=reason):
        read(tmp_path, data)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnreadable):
        read_caffemodel(tmp_path)


def test_a_missing_file_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"python -m bokemodel\.download caffenet"):
        read_caffemodel(tmp_path / "none.caffemodel")


def test_a_file_cut_anywhere_is_refused(small: Written) -> None:
    """But for a cut between two layers, which the format cannot tell from a shorter network."""
    whole = small.path.read_bytes()
    for end in range(1, len(whole), 1009):
        small.path.write_bytes(whole[:end])
        with pytest.raises(WeightsUnreadable):
            read_caffemodel(small.path)


def test_a_spoilt_file_is_refused_or_read_but_never_crashes(tmp_path: Path) -> None:
    """Flips bytes where the structure is: a network without numbers is all structure."""
    bare = [Layer(layer.name, layer.type, layer.bottom, layer.top, layer.params) for layer in small_caffenet()]
    write_caffemodel(tmp_path / "bare", bare)
    whole = bytearray((tmp_path / "bare").read_bytes())
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        spoilt = bytearray(whole)
        for position in random.integers(0, len(whole), 3):
            spoilt[position] = random.integers(0, 256)
        try:
            read(tmp_path, bytes(spoilt))
        except WeightsUnreadable:
            refused += 1
    assert 100 < refused < 400


def read(folder: Path, data: bytes) -> list[CaffeLayer]:
    (folder / "some.caffemodel").write_bytes(data)
    return read_caffemodel(folder / "some.caffemodel")
