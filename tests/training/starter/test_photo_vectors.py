"""The photo vectors that ship, and how they are made from a folder of photos."""

from __future__ import annotations

import io
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from bokemodel.encoders import load_encoder
from bokemodel.pictures import open_file
from training.starter import photo_vectors
from training.starter.photo_vectors import Photo, PhotoMissing, PhotoVectors, PhotoVectorsMissing

PHOTOS = Path(__file__).resolve().parents[2] / "data"
NAME = "efficientnet-lite0"


@pytest.fixture(scope="module")
def encoder() -> Any:
    return load_encoder(NAME)


def test_shipped_file(encoder: Any) -> None:
    path = photo_vectors.vectors_path(NAME)
    shipped = photo_vectors.load(NAME)
    assert path.stat().st_size < 600_000
    assert shipped.weights_digest == encoder.weights_digest
    assert shipped.vectors.dtype == np.float32
    assert 400 <= len(shipped.vectors) <= 600
    assert shipped.vectors.shape[1] == encoder.dim
    assert shipped.vectors.min() == 0
    assert 4 < shipped.vectors.max() <= 6
    assert np.array_equal(photo_vectors.load_photo_vectors(NAME), shipped.vectors)


def test_shipped_vectors_show_many_different_things(encoder: Any) -> None:
    classes = encoder.class_scores(photo_vectors.load_photo_vectors(NAME)).argmax(axis=1)
    counts = np.bincount(classes)
    assert np.count_nonzero(counts) > 200
    assert counts.max() < 0.05 * len(classes)


def test_every_photo_has_a_licence_that_allows_derived_data() -> None:
    packages = tomllib.loads(photo_vectors.PHOTOS.read_text(encoding="utf-8"))["package"]
    free = ("CC0", "CC BY", "GPL", "LGPL", "MIT", "BSD", "Apache", "public domain")
    for package in packages:
        assert package["licence"].startswith(free), package["name"]
        assert package["authors"]
        assert package["version"]
        assert not any(
            word in package["licence"] + str(package["files"]).upper() for word in ("-NC", "-ND", " NC", " ND")
        )
    # The measurements use the pictures of that package: they must stay unseen.
    assert "tuxpaint-stamps" not in [package["name"] for package in packages]
    photos = photo_vectors.listed_photos()
    assert len({photo.key for photo in photos}) == len(photos) == sum(len(package["files"]) for package in packages)


def test_a_qt_resource_file_holds_pictures_by_number(tmp_path: Path) -> None:
    pictures = []
    for colour in ("red", "blue"):
        buffer = io.BytesIO()
        Image.new("RGB", (20, 10), colour).save(buffer, "WEBP", lossless=True)
        pictures.append(buffer.getvalue())
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "a.rcc").write_bytes(b"qres" + pictures[0] + b"\0\0between" + pictures[1] + b"end")
    assert Photo("package", "a.rcc#0").read(tmp_path) == pictures[0]
    assert Photo("package", "a.rcc#1").read(tmp_path) == pictures[1]


def test_a_photo_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PhotoMissing, match=r"cat\.jpg.*unpack pets first"):
        Photo("pets", "cat.jpg").read(tmp_path)


def test_views_are_the_whole_and_of_a_large_photo_a_part() -> None:
    image = Image.effect_noise((900, 600), 80).convert("RGB")
    for number in range(20):
        (whole,) = photo_vectors.views(image, f"small/{number}", 0, 224, photo_vectors.LARGE - 1)
        assert whole.tobytes() in (image.tobytes(), ImageOps.mirror(image).tobytes())
        _, part = photo_vectors.views(image, f"large/{number}", 0, 224, photo_vectors.LARGE)
        assert 0.29 < part.width * part.height / (900 * 600) < 0.61
        assert part.width / part.height == pytest.approx(1.5, abs=0.01)
    _, part = photo_vectors.views(image.resize((300, 230)), "tiny", 0, 224, photo_vectors.LARGE)
    assert min(part.size) == 224


def test_views_depend_on_key_and_seed_alone() -> None:
    image = Image.effect_noise((900, 600), 80).convert("RGB")

    def part(key: str, seed: int) -> bytes:
        return list(photo_vectors.views(image, key, seed, 224, photo_vectors.LARGE))[1].tobytes()

    assert part("a", 0) == part("a", 0)
    assert part("a", 0) != part("b", 0)
    assert part("a", 0) != part("a", 1)


def test_vectors_are_the_encoders(encoder: Any) -> None:
    photos = [Photo("data", "cat.jpg"), Photo("data", "coffee.jpg")]
    result = photo_vectors.compute(photos, PHOTOS.parent, NAME)
    assert (result.encoder, result.weights_digest) == (NAME, encoder.weights_digest)
    assert result.vectors.shape == (2, encoder.dim)
    for vector, name in zip(result.vectors, ("cat.jpg", "coffee.jpg"), strict=True):
        image = open_file(PHOTOS / name, short_side=2 * encoder.input_size)
        either = encoder.encode([image, ImageOps.mirror(image)])
        assert min(np.abs(vector - row).max() for row in either) < 1e-4


def test_stored_vectors_come_back_within_a_step(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).uniform(0, 5.9, (7, 40)).astype(np.float32)
    vectors[0, 0] = 0
    path = tmp_path / "v.npz"
    photo_vectors.save(PhotoVectors("some", "digest", vectors), path)
    back = photo_vectors.load("some", path)
    assert back.weights_digest == "digest"
    assert back.vectors[0, 0] == 0
    # Half a step of the root, where one step of the value is 2 * sqrt(v * scale) / 255.
    assert np.all(np.abs(back.vectors - vectors) <= np.sqrt(vectors * 6) / 255 + 6 / (4 * 255**2) + 1e-5)


def test_larger_values_get_a_larger_scale(tmp_path: Path) -> None:
    path = tmp_path / "v.npz"
    photo_vectors.save(PhotoVectors("some", "digest", np.array([[0, 30.0]], np.float32)), path)
    assert np.allclose(photo_vectors.load("some", path).vectors, [[0, 30.0]])
    with pytest.raises(ValueError, match="ReLU"):
        photo_vectors.save(PhotoVectors("some", "digest", np.array([[-1.0]], np.float32)), path)


def test_no_vectors_of_another_encoder(tmp_path: Path) -> None:
    with pytest.raises(PhotoVectorsMissing, match="--encoder caffenet"):
        photo_vectors.load("caffenet", tmp_path / "none.npz")
    with pytest.raises(PhotoVectorsMissing, match="is of efficientnet-lite0"):
        photo_vectors.load("caffenet", photo_vectors.vectors_path(NAME))


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "photos.toml"
    table.write_text('[[package]]\nname = "data"\nfiles = ["flower.jpg"]\n')
    monkeypatch.setattr(photo_vectors.listed_photos, "__defaults__", (table,))
    out = tmp_path / "out.npz"
    photo_vectors.main(["--photos", str(PHOTOS.parent), "--out", str(out)])
    assert "1 vectors" in capsys.readouterr().out
    assert photo_vectors.load(NAME, out).vectors.shape == (1, 1280)
