"""The word layer: closed forms against the long way round, and what it is for."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from bokemodel.packing import Normalizer
from training.dataset import LeftOut, Normalised, Vectors
from training.word_layer import CHUNK, _bags, fit_word_layer

UNITS, DIM = 12, 9


def made_up(count: int, seed: int = 0) -> tuple[np.ndarray, list[list[int]], np.ndarray]:
    """Pictures whose two largest numbers are the words of their texts, beside words that mean nothing."""
    rng = np.random.default_rng(seed)
    pictures = rng.standard_normal((count, DIM)).astype(np.float32)
    pictures -= pictures.mean(axis=0)
    texts = [[*np.argsort(-p)[:2].tolist(), int(rng.integers(DIM, UNITS))] for p in pictures for _ in range(2)]
    return pictures, texts, np.repeat(np.arange(count), 2)


def test_bags_count_texts_not_words() -> None:
    ((rows, bags),) = _bags([[3, 3], [3], [1]], np.array([0, 0, 1]), 2, 5)
    assert rows == slice(0, 2)
    np.testing.assert_allclose(bags, np.log1p([[0, 0, 0, 2, 0], [0, 1, 0, 0, 0]]))


@pytest.mark.parametrize("count", [30, CHUNK + 7])
def test_unseen_is_what_a_layer_without_the_picture_says(count: int) -> None:
    """Fitted anew without one picture, with the same penalty and the same directions among the units."""
    pictures, texts, owners = made_up(count)
    layer = fit_word_layer(pictures, texts, owners, UNITS, DIM)
    bags = np.concatenate([bags for _, bags in _bags(texts, owners, count, UNITS)])
    x = pictures.astype(np.float64)
    bags -= bags.mean(axis=0)
    inverse = np.linalg.pinv(layer.weights.astype(np.float64))
    # weights = (x'x + p)^-1 x'y directions: find p and the directions again from the weights themselves
    for penalty in np.geomspace(1e-2, 1e3, 21) * np.linalg.eigvalsh(x.T @ x).mean():
        full = np.linalg.solve(x.T @ x + penalty * np.eye(DIM), x.T @ bags)
        directions = np.linalg.lstsq(full, layer.weights.astype(np.float64), rcond=None)[0]
        if np.allclose(np.linalg.svd(directions)[1], np.linalg.svd(directions)[1][0], rtol=1e-3):
            break
    else:
        pytest.fail("no penalty gives these weights")
    assert inverse.shape == (DIM, DIM)
    for out in (0, count - 1):
        rest = np.arange(count) != out
        x0, y0 = x[rest].mean(axis=0), bags[rest].mean(axis=0)
        xr, yr = x[rest] - x0, bags[rest] - y0
        without = np.linalg.solve(xr.T @ xr + penalty * np.eye(DIM), xr.T @ yr)
        expected = ((x[out] - x0) @ without + y0) @ directions
        np.testing.assert_allclose(layer.unseen[out], expected, rtol=2e-2, atol=2e-3)


def test_it_says_the_same_of_new_pictures_as_of_left_out_ones() -> None:
    """In size: a decoder meets what it has learned from. What is fitted in the usual way looks larger than it is."""
    rng = np.random.default_rng(1)
    pictures = rng.standard_normal((60, 50)).astype(np.float32)
    pictures -= pictures.mean(axis=0)
    texts = [[int(np.argmax(p[:5]))] for p in pictures]
    layer = fit_word_layer(pictures, texts, np.arange(60), UNITS, 5)
    new = rng.standard_normal((500, 50)).astype(np.float32) @ layer.weights
    left_out, fitted = (
        np.linalg.norm(layer.unseen, axis=1).mean(),
        np.linalg.norm(pictures @ layer.weights, axis=1).mean(),
    )
    assert np.linalg.norm(new, axis=1).mean() == pytest.approx(left_out, rel=0.15)
    assert fitted > 1.15 * left_out


def test_pictures_of_the_same_words_come_together() -> None:
    pictures, texts, owners = made_up(400)
    layer = fit_word_layer(pictures, texts, owners, UNITS, 4)
    new, new_texts, _ = made_up(50, seed=5)
    said = new @ layer.weights
    said /= np.linalg.norm(said, axis=1, keepdims=True)
    alike = said @ said.T
    shared = np.array([[len({*a[:2]} & {*b[:2]}) for b in new_texts[::2]] for a in new_texts[::2]])
    assert alike[shared == 2].mean() > alike[shared == 1].mean() + 0.2 > alike[shared == 0].mean() + 0.4


def test_more_numbers_than_the_data_fill_stay_zero() -> None:
    pictures, texts, owners = made_up(40)
    layer = fit_word_layer(pictures, texts, owners, UNITS, 30)
    assert layer.weights.shape == (DIM, 30)
    assert layer.unseen.shape == (40, 30)
    assert not layer.weights[:, DIM:].any()
    assert not layer.unseen[:, DIM:].any()
    assert np.isfinite(layer.unseen).all()


def test_one_picture_alone_is_no_trouble() -> None:
    layer = fit_word_layer(np.zeros((1, DIM), np.float32), [[3]], np.zeros(1, int), UNITS, 4)
    assert np.isfinite(layer.weights).all()
    assert np.isfinite(layer.unseen).all()


def test_a_selections_pictures_come_from_the_layer_without_them() -> None:
    """What the training loop is given: left-out numbers for fitted pictures, the layer's own for all others."""
    normalizer = Normalizer(np.zeros(DIM, np.float32), np.ones(DIM, np.float32), np.ones((DIM, 2), np.float32))
    vectors = np.abs(np.random.default_rng(0).standard_normal((3, DIM))).astype(np.float32)
    left_out = LeftOut(np.array([1, -1, 0]), np.array([[7.0, 7.5], [8.0, 8.5]], np.float32))
    pictures = Normalised(cast(Vectors, vectors), np.array([0, 1, 2, 0]), normalizer, left_out)
    found = pictures[np.array([3, 1, 2])]
    np.testing.assert_array_equal(found[[0, 2]], [[8.0, 8.5], [7.0, 7.5]])
    np.testing.assert_allclose(found[1], normalizer(vectors[1:2])[0])
