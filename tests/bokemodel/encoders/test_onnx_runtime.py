"""Encoders on ONNX Runtime: the same vectors as Chainer's, a graph that is kept and checked, weights that are shared."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.caffemodel_writer import Fields, Layer, small_caffenet, write_caffemodel
from bokemodel.encoders import load_encoder
from bokemodel.encoders.caffe_weights import CaffeWeights
from bokemodel.encoders.onnx_runtime import OnnxEncoder
from bokemodel.errors import NoGraph, UnknownEncoder, WeightsMissing, WeightsUnreadable
from tests.bokemodel.encoders.conftest import Written, difference, noise_pictures

ROOT = Path(__file__).resolve().parents[3]
LOAD = """
import sys
from PIL import Image
from bokemodel.encoders import load_encoder
encoder = load_encoder(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
encoder.encode([Image.new("RGB", (300, 250), "orange")])
"""


def run(program: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("count", [1, 3])
def test_efficientnet_gives_what_chainer_gives(count: int) -> None:
    pictures = noise_pictures(count, (300, 230))
    reference, encoder = (load_encoder("efficientnet-lite0", backend=b) for b in ("chainer", "onnxruntime"))
    assert isinstance(encoder, OnnxEncoder)
    assert difference(encoder.encode(pictures), reference.encode(pictures)) < 1e-4
    assert (encoder.name, encoder.dim, encoder.input_size) == (reference.name, reference.dim, reference.input_size)
    assert encoder.weights_digest == reference.weights_digest


@pytest.mark.parametrize("count", [1, 3])
def test_caffenet_gives_what_chainer_gives(full: Written, count: int) -> None:
    pictures = noise_pictures(count, (300, 230))
    reference, encoder = (load_encoder("caffenet", full.path, backend=b) for b in ("chainer", "onnxruntime"))
    assert isinstance(encoder, OnnxEncoder)
    assert difference(encoder.encode(pictures), reference.encode(pictures)) < 1e-4
    assert (encoder.name, encoder.dim, encoder.input_size) == (reference.name, reference.dim, reference.input_size)
    assert encoder.weights_digest == reference.weights_digest


@pytest.mark.parametrize(
    "options",
    [{"blob": "pool5"}, {"blob": "fc6"}, {"blob": "norm1", "size": 224}, {"mean": (0, 0, 0)}, {"blob": "fc8"}],
    ids=str,
)
def test_the_options_of_caffenet(small: Written, options: dict[str, Any]) -> None:
    """A side of 224 makes the last pooling windows reach over the edge."""
    pictures = noise_pictures(2)
    reference, encoder = (
        load_encoder("caffenet", small.path, backend=b, **options) for b in ("chainer", "onnxruntime")
    )
    features = encoder.encode(pictures)
    assert features.shape == (2, encoder.dim)
    assert difference(features, reference.encode(pictures)) < 1e-4
    assert encoder.weights_digest == reference.weights_digest


def random_blobs(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    w = random.standard_normal(shape, np.float32) * np.float32(np.prod(shape[1:]) ** -0.5)
    return w, random.standard_normal(shape[0], np.float32)


def network_of_today() -> list[Layer]:
    """What GoogLeNet and others add: branches, padded and average pooling, leaky and separate ReLU, sums."""
    conv: Fields = [(1, 8), (3, 1), (4, 3)]
    pool: Fields = [(1, 0), (2, 3), (3, 1), (4, 1)]
    return [
        Layer("first", "Convolution", "data", "first", [(1, 8), (4, 7), (6, 4)], random_blobs(8, 3, 7, 7)),
        Layer("leaky", "ReLU", "first", "leaky", [(1, 0.1)]),
        Layer("split", "Split", "leaky", "left right"),
        Layer("narrow", "Convolution", "left", "narrow", [(1, 8), (4, 1)], random_blobs(8, 8, 1, 1)),
        Layer("positive", "ReLU", "narrow", "positive"),
        Layer("wide", "Convolution", "right", "wide", conv, random_blobs(8, 8, 3, 3)),
        Layer("sum", "Eltwise", "positive wide", "sum", [(1, 1)]),
        Layer("largest", "Pooling", "right", "largest", pool),
        Layer("product", "Eltwise", "largest narrow", "product", [(1, 0)]),
        Layer("both", "Concat", "sum product", "both"),
        Layer("again", "ReLU", "both", "both"),
        Layer("squash", "Sigmoid", "both", "squashed"),
        Layer("average", "Pooling", "squashed", "average", [(1, 1), (12, 1)]),
        Layer("classes", "InnerProduct", "average", "classes", [(1, 5)], random_blobs(5, 16)),
        Layer("prob", "Softmax", "classes", "prob"),
    ]


@pytest.mark.parametrize("blob", ["sum", "narrow", "both", "average", "prob"])
def test_layers_of_other_networks(tmp_path: Path, blob: str) -> None:
    write_caffemodel(tmp_path / "other.caffemodel", network_of_today(), message="layer", blobs="shape")
    pictures = noise_pictures(2)
    chainer, onnx = (
        load_encoder("caffenet", tmp_path / "other.caffemodel", backend=b, blob=blob, size=99).encode(pictures)
        for b in ("chainer", "onnxruntime")
    )
    assert difference(onnx, chainer) < 1e-4


def test_what_is_not_translated_runs_on_chainer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Batch normalisation with its scale, as in ResNet."""
    mean, variance, one = np.full(8, 3, np.float32), np.full(8, 4, np.float32), np.ones(1, np.float32)
    layers = [
        *network_of_today()[:1],
        Layer("norm", "BatchNorm", "first", "norm", [(1, 1)], (mean, variance, one)),
        Layer("scale", "Scale", "norm", "scale", [(4, 1)], (mean, variance)),
    ]
    write_caffemodel(tmp_path / "other.caffemodel", layers, message="layer", blobs="shape")
    with pytest.raises(NoGraph, match="'norm' of type BatchNorm"):
        load_encoder("caffenet", tmp_path / "other.caffemodel", backend="onnxruntime", blob="scale", size=99)
    encoder = load_encoder("caffenet", tmp_path / "other.caffemodel", blob="scale", size=99)
    assert "runs on Chainer" in caplog.text
    before = load_encoder("caffenet", tmp_path / "other.caffemodel", blob="first", size=99).encode(noise_pictures(1))
    expected = (before - 3) / np.sqrt(4 + 1e-5) * 3 + 4
    assert difference(encoder.encode(noise_pictures(1)), expected) < 1e-4


def test_without_onnx_runtime_chainer_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert type(load_encoder("efficientnet-lite0")).__name__ == "EfficientNetLite0"
    with pytest.raises(NoGraph, match="not installed"):
        load_encoder("efficientnet-lite0", backend="onnxruntime")


def test_a_kept_graph_starts_without_chainer_and_onnx(small: Written) -> None:
    imported = "print(sorted({'chainer', 'onnx'} & sys.modules.keys()))"
    for arguments in (("efficientnet-lite0",), ("caffenet", str(small.path))):
        assert run(LOAD + imported, *arguments).strip() == "['onnx']"  # makes the graph
        assert run(LOAD + imported, *arguments).strip() == "[]"


def test_where_graphs_are_kept(small: Written, cache: Path) -> None:
    load_encoder("efficientnet-lite0")
    (kept,) = cache.iterdir()
    assert kept.name.startswith("efficientnet-lite0-")
    load_encoder("caffenet", small.path)
    assert len(list(small.path.with_name("small.caffemodel.arrays").glob("caffenet-*.onnx"))) == 1
    assert list(cache.iterdir()) == [kept]


@pytest.mark.parametrize("spoil", ["flip", "cut", "empty"])
def test_a_damaged_graph_is_made_again(cache: Path, spoil: str) -> None:
    pictures = noise_pictures(1)
    before = load_encoder("efficientnet-lite0").encode(pictures)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 0x40]) + whole[middle + 1 :]
    kept.write_bytes({"flip": flipped, "cut": whole[:middle], "empty": b""}[spoil])
    np.testing.assert_array_equal(load_encoder("efficientnet-lite0").encode(pictures), before)
    (kept,) = cache.iterdir()
    assert kept.read_bytes() == whole


def test_other_weights_have_another_graph(small: Written) -> None:
    """Both lie in the same folder of arrays if the file is replaced."""
    pictures = noise_pictures(1)
    before = load_encoder("caffenet", small.path).encode(pictures)
    other = load_encoder("caffenet", small.path, blob="fc6").encode(pictures)
    assert before.shape != other.shape
    write_caffemodel(small.path, small_caffenet(seed=1))
    after = load_encoder("caffenet", small.path).encode(pictures)
    assert difference(after, load_encoder("caffenet", small.path, backend="chainer").encode(pictures)) < 1e-4
    assert difference(after, before) > 0.01


def test_without_a_place_to_keep_it_the_graph_is_made_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    assert load_encoder("efficientnet-lite0", backend="onnxruntime").encode(noise_pictures(1)).shape == (1, 1280)


def test_weights_in_memory_stay_with_chainer(small: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    small.path.with_name("small.caffemodel.arrays").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    assert type(load_encoder("caffenet", small.path)).__name__ == "CaffeNet"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is told apart only on Linux")
def test_caffenets_weights_are_not_copied(full: Written) -> None:
    """A worker's own memory stays far below the 233 MB that all workers map from the same file."""
    load_encoder("caffenet", full.path)  # converts, and keeps the graph
    own = """
for line in open("/proc/self/status"):
    if line.startswith("RssAnon"):
        print(int(line.split()[1]) // 1024)
"""
    assert int(run(LOAD + own, "caffenet", str(full.path))) < 150


def test_threads(small: Written) -> None:
    encoder = load_encoder("caffenet", small.path, threads=1)
    assert isinstance(encoder, OnnxEncoder)
    assert encoder.session.get_session_options().intra_op_num_threads == 1


def test_batches_of_any_size(small: Written) -> None:
    encoder = OnnxEncoder(CaffeWeights(small.path))
    pictures = noise_pictures(11)
    singles = np.concatenate([encoder.encode([picture]) for picture in pictures])
    assert difference(encoder.encode(pictures), singles) < 1e-5
    assert encoder.encode([]).shape == (0, 48)


def test_the_classifier_is_the_same(small: Written) -> None:
    reference, encoder = (load_encoder("caffenet", small.path, backend=b) for b in ("chainer", "onnxruntime"))
    assert isinstance(encoder, OnnxEncoder)
    features = reference.encode(noise_pictures(2))
    np.testing.assert_array_equal(encoder.class_scores(features), reference.class_scores(features))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(encoder.class_bias, small.layers[-2].blobs[1])
    assert encoder.class_weights.shape == (20, 48)


def test_a_size_that_does_not_fit(small: Written) -> None:
    with pytest.raises((WeightsUnreadable, NoGraph)):
        load_encoder("caffenet", small.path, backend="onnxruntime", size=150).encode(noise_pictures(1))


def test_errors_of_load_encoder(tmp_path: Path) -> None:
    with pytest.raises(UnknownEncoder, match="efficientnet-lite0, caffenet"):
        load_encoder("resnet")
    with pytest.raises(UnknownEncoder, match="onnxruntime"):
        load_encoder("caffenet", backend="torch")  # type: ignore[arg-type]
    with pytest.raises(WeightsMissing):
        load_encoder("caffenet", tmp_path / "none")
    with pytest.raises(WeightsMissing):
        load_encoder("efficientnet-lite0", tmp_path / "none")
    (tmp_path / "text").write_text("no weights")
    with pytest.raises(WeightsUnreadable):
        load_encoder("efficientnet-lite0", tmp_path / "text")


def test_nothing_is_noted_down_for_onnx_runtimes_maker(tmp_path: Path) -> None:
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", LOAD, "efficientnet-lite0"], cwd=ROOT, env=environment, check=True)
    assert {file.parent.name for file in tmp_path.rglob("*") if file.is_file()} == {"bokemodel"}
