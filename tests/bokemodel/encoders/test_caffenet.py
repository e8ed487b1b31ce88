"""CaffeNet in Chainer gives what the network's definition gives, for every way its file can be written."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from benchmarks.caffemodel_writer import Layer, caffenet, small_caffenet, write_caffemodel
from bokemodel.chainer_compat import chainer
from bokemodel.encoders import load_encoder
from bokemodel.encoders.caffenet import CaffeNet
from bokemodel.encoders.files import sha256_of
from bokemodel.errors import WeightsMissing, WeightsUnreadable
from tests.bokemodel.encoders.conftest import Written, difference, noise_pictures
from tests.bokemodel.encoders.plain_caffenet import blob_of


def test_fc7_of_the_full_network(full: Written) -> None:
    """V1 layers with four sizes a blob, as in the published file."""
    encoder = load_encoder("caffenet", full.path, backend="chainer")
    (picture,) = noise_pictures(1)
    features = encoder.encode([picture])
    assert features.shape == (1, encoder.dim) == (1, 4096)
    assert features.dtype == np.float32
    assert 0.1 < (features > 0).mean() < 0.9  # after ReLU, and neither dead nor saturated
    assert difference(features[0], blob_of(full.layers, picture, "fc7")) < 1e-4
    assert encoder.weights_digest == sha256_of(full.path)


def test_fc7_of_the_full_network_in_new_messages(tmp_path: Path) -> None:
    """What Caffe has written since 2014, with other weights."""
    path, layers = tmp_path / "new.caffemodel", caffenet(seed=1)
    write_caffemodel(path, layers, message="layer", blobs="shape")
    encoder = CaffeNet(path)
    (picture,) = noise_pictures(1, seed=1)
    assert difference(encoder.encode([picture])[0], blob_of(layers, picture, "fc7")) < 1e-4
    for file in sorted(path.with_name("new.caffemodel.arrays").iterdir()):
        file.unlink()  # half a gigabyte, which pytest would keep for three runs
    path.unlink()


@pytest.mark.parametrize("message", ["layers", "layer"])
@pytest.mark.parametrize("blobs", ["num", "shape"])
def test_every_format(tmp_path: Path, message: Literal["layers", "layer"], blobs: Literal["num", "shape"]) -> None:
    layers = small_caffenet()
    write_caffemodel(tmp_path / "small.caffemodel", layers, message=message, blobs=blobs)
    (picture,) = noise_pictures(1)
    features = CaffeNet(tmp_path / "small.caffemodel").encode([picture])
    assert difference(features[0], blob_of(layers, picture, "fc7")) < 1e-4


@pytest.mark.parametrize(("blob", "dim"), [("fc6", 64), ("pool5", 576), ("norm2", 16 * 13 * 13), ("fc8", 20)])
def test_another_blob(small: Written, blob: str, dim: int) -> None:
    """One of more than one dimension is flattened, and layers after it are not computed."""
    encoder = CaffeNet(small.path, blob=blob)
    (picture,) = noise_pictures(1)
    features = encoder.encode([picture])
    assert features.shape == (1, encoder.dim) == (1, dim)
    assert difference(features[0], blob_of(small.layers, picture, blob)) < 1e-4
    assert all(layer.name != "loss" for layer in encoder.layers)


def test_another_mean(small: Written) -> None:
    (picture,) = noise_pictures(1)
    mean = (10.0, 120.0, 60.0)
    features = CaffeNet(small.path, mean=mean).encode([picture])
    assert difference(features[0], blob_of(small.layers, picture, "fc7", mean)) < 1e-4
    assert difference(features, CaffeNet(small.path).encode([picture])) > 0.01


def test_another_size(tmp_path: Path) -> None:
    """195 pixels leave 5 x 5 after pool5."""
    layers = small_caffenet()
    index = next(i for i, layer in enumerate(layers) if layer.name == "fc6")
    w = layers[index].blobs[0].reshape(64, 16, 6, 6)[:, :, :5, :5].reshape(64, -1)
    blobs = (np.ascontiguousarray(w), layers[index].blobs[1])
    layers[index] = Layer("fc6", "InnerProduct", "pool5", "fc6", layers[index].params, blobs)
    write_caffemodel(tmp_path / "smaller.caffemodel", layers)
    (picture,) = noise_pictures(1, (195, 195))
    features = CaffeNet(tmp_path / "smaller.caffemodel", size=195).encode([picture])
    assert difference(features[0], blob_of(layers, picture, "fc7")) < 1e-4


def test_a_size_that_does_not_fit(small: Written) -> None:
    with pytest.raises(WeightsUnreadable, match="cannot take pictures of 150 pixels"):
        CaffeNet(small.path, size=150).encode(noise_pictures(1))


def test_vectors_that_must_not_be_mixed_have_other_digests(small: Written) -> None:
    encoders = [
        CaffeNet(small.path),
        CaffeNet(small.path, blob="fc6"),
        CaffeNet(small.path, size=231),
        CaffeNet(small.path, mean=(0, 0, 0)),
    ]
    assert len({encoder.weights_digest for encoder in encoders}) == 4
    assert CaffeNet(small.path, mean=(104, 117, 123)).weights_digest == encoders[0].weights_digest


def test_a_picture_of_the_right_size_enters_unchanged(small: Written) -> None:
    (picture,) = noise_pictures(1)
    entered = CaffeNet(small.path).preprocess([picture])
    blue = np.asarray(picture, np.float32)[:, :, 2] - 104
    np.testing.assert_array_equal(entered[0, 0], blue)


def test_other_pictures_are_scaled_and_cropped(small: Written) -> None:
    """Short side to 227, then the centre."""
    (wide,) = noise_pictures(1, (454, 300))
    scaled = wide.resize((round(454 * 227 / 300), 227), Image.Resampling.BICUBIC)
    left = (scaled.width - 227) // 2
    cropped = scaled.crop((left, 0, left + 227, 227))
    encoder = CaffeNet(small.path)
    np.testing.assert_array_equal(encoder.encode([wide]), encoder.encode([cropped]))


def test_a_batch_equals_singles(small: Written) -> None:
    encoder = CaffeNet(small.path)
    pictures = noise_pictures(11)  # more than go through the network at once
    batch = encoder.encode(pictures)
    assert difference(batch, np.concatenate([encoder.encode([picture]) for picture in pictures])) < 1e-5
    assert encoder.encode([]).shape == (0, 48)


def test_without_shortcuts_chainer_gives_the_same(full: Written) -> None:
    """With backpropagation every layer is Chainer's own."""
    encoder = CaffeNet(full.path)
    x = encoder.preprocess(noise_pictures(2))
    with chainer.using_config("train", False):
        reference = encoder.forward(x)
    assert reference.creator is not None
    assert difference(encoder.encode(noise_pictures(2)), reference.array) < 1e-5


def test_links_hold_the_mapped_arrays(small: Written) -> None:
    """A copy of the weights in every process is what the folder of arrays is there to avoid."""
    encoder = CaffeNet(small.path)
    for layer in encoder.layers:
        if layer.blobs:
            assert np.shares_memory(encoder.function[layer.name].W.array, layer.blobs[0])
            assert encoder.function[layer.name].W.grad is None


def test_the_classifier(small: Written) -> None:
    (picture,) = noise_pictures(1)
    encoder = CaffeNet(small.path)
    assert encoder.class_weights.shape == (20, 48)
    assert encoder.class_bias.shape == (20,)
    scores = encoder.class_scores(encoder.encode([picture]))
    assert difference(scores[0], blob_of(small.layers, picture, "fc8")) < 1e-4


def test_no_classifier_on_another_blob(small: Written) -> None:
    with pytest.raises(WeightsUnreadable, match="no classifier fc8 on top of fc6"):
        _ = CaffeNet(small.path, blob="fc6").class_weights


def test_a_layer_that_chainer_does_not_know(tmp_path: Path) -> None:
    layers = [*small_caffenet()[:4], Layer("spp", "SPP", "pool1", "spp")]
    write_caffemodel(tmp_path / "odd.caffemodel", layers, message="layer")
    with pytest.raises(WeightsUnreadable, match=r"'spp' is of type SPP"):
        CaffeNet(tmp_path / "odd.caffemodel", blob="spp")
    assert CaffeNet(tmp_path / "odd.caffemodel", blob="pool1").dim == 12 * 27 * 27


def test_a_layer_with_two_tops(tmp_path: Path) -> None:
    """Slice cuts channels apart; both halves are used, one of them by a layer that works in place."""
    layers = [
        small_caffenet()[1],
        Layer("slice", "Slice", "conv1", "first second", [(3, 1), (2, 4)]),
        Layer("relu", "ReLU", "first", "first"),
        Layer("again", "Concat", "second first", "again"),
    ]
    write_caffemodel(tmp_path / "sliced.caffemodel", layers, message="layer")
    whole, again = (CaffeNet(tmp_path / "sliced.caffemodel", blob=blob) for blob in ("conv1", "again"))
    y = whole.encode(noise_pictures(1)).reshape(12, -1)
    expected = np.concatenate([y[4:], np.maximum(y[:4], 0)]).reshape(1, -1)
    np.testing.assert_array_equal(again.encode(noise_pictures(1)), expected)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (Layer("fc", "InnerProduct", "data", "fc", [(1, 4)]), "not in the file"),
        (Layer("fc", "InnerProduct", "data", "fc", [(1, 4)], (np.ones((5, 3), np.float32), np.ones(5, np.float32))), "4"),
        (Layer("fc", "InnerProduct", "data", "fc", [(1, 4)], (np.ones((4, 3), np.float32), np.ones(5, np.float32))), "bias"),
        (Layer("c", "Convolution", "data", "c", [(1, 4), (4, 5)], (np.ones((4, 3, 3, 3), np.float32),) * 2), "bias|weights"),
        (Layer("p", "Pooling", "data", "p", [(1, 2), (2, 3)]), "Stochastic"),
        (Layer("n", "LRN", "data", "n", [(4, 1)]), "Within-channel"),
    ],
)  # fmt: skip
def test_a_layer_that_cannot_be(tmp_path: Path, layer: Layer, reason: str) -> None:
    write_caffemodel(tmp_path / "odd.caffemodel", [layer], message="layer", blobs="shape")
    with pytest.raises(WeightsUnreadable, match=reason):
        CaffeNet(tmp_path / "odd.caffemodel", blob=layer.top)


def test_unreadable_files(small: Written, tmp_path: Path) -> None:
    small.path.write_bytes(small.path.read_bytes()[:100_000])
    with pytest.raises(WeightsUnreadable, match="cut short"):
        CaffeNet(small.path)
    (tmp_path / "text.caffemodel").write_text('name: "CaffeNet"\nlayers { name: "conv1" }\n')
    with pytest.raises(WeightsUnreadable, match=r"no \.caffemodel"):
        CaffeNet(tmp_path / "text.caffemodel")
    write_caffemodel(small.path, small.layers)
    with pytest.raises(WeightsUnreadable, match="no blob 'fc9'"):
        CaffeNet(small.path, blob="fc9")
    with pytest.raises(WeightsMissing, match=r"python -m bokemodel\.download caffenet"):
        CaffeNet(tmp_path / "none.caffemodel")


def test_without_a_path_the_downloaded_file_is_taken(cache: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"python -m bokemodel\.download caffenet"):
        CaffeNet()
    cache.mkdir(parents=True)
    write_caffemodel(cache / "bvlc_reference_caffenet.caffemodel", small_caffenet())
    assert CaffeNet().dim == 48
