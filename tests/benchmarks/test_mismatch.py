"""How borrowed captions suit: shared units and bands worked out by hand, and the whole on a small model."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from benchmarks.mismatch import DRAWN, EDGES, OWN, Borrowed, Rarity, band_of, borrow, figures
from bokemodel.model import BokeModel
from tests.bundles import LINES, tiny_bundle
from training.held_out import HeldOutPicture, Joke


def test_a_rare_unit_counts_more() -> None:
    rarity = Rarity([[1, 5], [1, 6], [1, 7]])
    assert rarity({1}) == 0.0
    assert rarity({5}) == pytest.approx(np.log(4 / 2))
    assert rarity({9}) == pytest.approx(np.log(4))
    assert rarity.shared([1, 5, 9], [[1], [5, 5]]) == pytest.approx(1 / 3)
    assert rarity.shared([1], [[1]]) == 0.0


def test_bands_share_out_the_ranks() -> None:
    order = np.arange(100)[::-1]
    assert band_of(order, 0.02, 0.05).tolist() == [97, 96, 95]
    assert band_of(order, 0.0, 0.001).tolist() == [99]
    assert sum(len(band_of(order, low, high)) for low, high in itertools.pairwise(EDGES)) >= 99


def test_figures_by_hand() -> None:
    found = {
        OWN: [Borrowed(np.array([0.4, 0.6, 0.8]), np.array([1.0, -1.0, 3.0]))],
        "near": [Borrowed(np.array([0.6, 0.0]), np.array([2.0, -1.0]))],
    }
    near = {name: one.value for name, one in figures(found, 0)["near"].items() if one}
    assert near == pytest.approx({"shared": 0.3, "named": 0.5, "gained": 0.5, "believed": 0.5})


def test_every_picture_borrows_from_every_band(tmp_path: Path) -> None:
    model = BokeModel.load(tiny_bundle(tmp_path))
    rng = np.random.default_rng(0)
    pictures = [
        HeldOutPicture(str(i), rng.normal(size=1280).astype(np.float32), (Joke(LINES[i]), Joke(LINES[i + 9])))
        for i in range(30)
    ]
    found = borrow(model, pictures[4:], pictures[:4], 0)
    assert len(found) == len(EDGES) - 1 + 2
    assert sum("mismatch" in name for name in found) == 1
    assert all(len(one.shared) == (2 if name == OWN else DRAWN) for name, ones in found.items() for one in ones)
    assert all(0 <= share <= 1 for ones in found.values() for one in ones for share in one.shared)
    # the lender itself: nearest to its own vector, and its captions share all that they have
    (same,) = borrow(model, pictures, pictures[:1], 0)["0.0% to 0.5%"]
    one, other = (model.tokenizer.encode(LINES[i]) for i in (0, 9))
    rarity = Rarity([model.tokenizer.encode(joke.text) for picture in pictures for joke in picture.jokes])
    assert set(same.shared) <= {1.0, rarity.shared(one, [other]), rarity.shared(other, [one])}
