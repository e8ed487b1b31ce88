"""CaffeNets with random weights, full-size and small, and a cache folder of each test's own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.caffemodel_writer import Layer, caffenet, small_caffenet, write_caffemodel


@dataclass(frozen=True)
class Written:
    """A `.caffemodel` and the layers that were written into it."""

    path: Path
    layers: list[Layer]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bokemodel"


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """CaffeNet at its real size, in the format of the published file: V1 layers, sizes as num, channels, height, width."""
    folder = tmp_path_factory.mktemp("full")
    layers = caffenet()
    write_caffemodel(folder / "full.caffemodel", layers)
    yield Written(folder / "full.caffemodel", layers)
    shutil.rmtree(folder)  # half a gigabyte, which pytest would keep for three runs


@pytest.fixture
def small(tmp_path: Path) -> Written:
    """CaffeNet with few channels."""
    layers = small_caffenet()
    write_caffemodel(tmp_path / "small.caffemodel", layers)
    return Written(tmp_path / "small.caffemodel", layers)


def noise_pictures(count: int, size: tuple[int, int] = (227, 227), seed: int = 0) -> list[Image.Image]:
    """Pictures in which every pixel differs, so that a wrong one shows."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, size[1], size[0], 3), dtype=np.uint8)
    return [Image.fromarray(picture) for picture in pixels]


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference, relative to the largest value."""
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / np.abs(b).max())
