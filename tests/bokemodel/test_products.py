"""Products on ONNX Runtime: NumPy's but for rounding, in the decoder as well, and only where they can be had."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from bokemodel.encoders import load_encoder
from bokemodel.model import BokeModel
from bokemodel.network import Network
from bokemodel.products import OnnxProduct
from bokemodel.search import sample
from tests.bokemodel.conftest import Small, vector
from tests.bokemodel.test_search import SETTINGS

WITHOUT = """
import sys
for name in sys.argv[2:]:
    sys.modules[name] = None
from bokemodel.encoders import load_encoder
from bokemodel.model import BokeModel
model = BokeModel.load(encoder=load_encoder("efficientnet-lite0", backend=sys.argv[1]))
import numpy as np
print(len(model.boke_of_features(np.ones((1, 1280), np.float32), 3, seed=1)[0]), "bokemodel.products" in sys.modules)
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [1, 13, 200])
def test_it_is_the_product(rows: int, threads: int) -> None:
    random = np.random.default_rng(rows)
    weights, values = (random.standard_normal(shape, np.float32) for shape in ((57, 210), (rows, 57)))
    product = OnnxProduct(weights[:, :201], threads)
    expected = values.astype(np.float64) @ weights[:, :201]
    np.testing.assert_allclose(product(values), expected, rtol=1e-4, atol=1e-4)


def test_the_weights_are_copied() -> None:
    weights = np.ones((3, 4), np.float32)
    product = OnnxProduct(weights, 1)
    weights[:] = 0
    np.testing.assert_array_equal(product(np.ones((2, 3), np.float32)), np.full((2, 4), 3))


def test_a_decoder_says_the_same_with_either(small: Small) -> None:
    pictures = small.bundle.normalizer(np.array([vector(kind) for kind in range(4)]))
    said = [
        sample(Network(small.bundle.arrays, product), small.bundle.tokenizer, pictures, SETTINGS, [1, 2, 3, 4])
        for product in (None, partial(OnnxProduct, threads=2))
    ]
    for plain, fast in zip(*said, strict=True):
        assert [candidate.text for candidate in fast] == [candidate.text for candidate in plain]
        scores = np.array([[(c.log_prob, c.everyday) for c in candidates] for candidates in (plain, fast)])
        np.testing.assert_allclose(scores[1], scores[0], rtol=1e-4, atol=1e-4)


def test_what_computes_the_encoder_computes_the_decoder() -> None:
    """Which texts come is decided by numbers that may round to either side, hence a few pictures."""
    vectors = np.random.default_rng(0).random((5, 1280), np.float32)
    reference, fast = (
        BokeModel.load(encoder=load_encoder("efficientnet-lite0", backend=backend))
        for backend in ("chainer", "onnxruntime")
    )
    assert isinstance(fast.network._read, OnnxProduct)
    assert not isinstance(reference.network._read, OnnxProduct)
    said = [[jokes[0].text for jokes in model.boke_of_features(vectors, seed=7)] for model in (reference, fast)]
    assert sum(a == b for a, b in zip(*said, strict=True)) >= 4


@pytest.mark.parametrize(
    ("backend", "missing"), [("onnxruntime", ["onnx"]), ("auto", ["onnxruntime", "onnx"])], ids=["onnx", "both"]
)
def test_without_the_packages_numpy_multiplies(backend: str, missing: list[str]) -> None:
    load_encoder("efficientnet-lite0", backend="onnxruntime")  # its graph is kept now: making one needs onnx
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, backend, *missing], capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[0] == "3"
