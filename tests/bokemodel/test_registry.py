"""The models folder as it is read: what a bundle is by its manifest, and what is no bundle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bokemodel.bundle import load_bundle
from bokemodel.registry import MANIFEST, manifest_facts, published
from tests.bundles import QUOTES, tiny_bundle

NAME = "20240101-000000-00000000"


def test_a_bundle_says_what_it_is(tmp_path: Path) -> None:
    place = tiny_bundle(tmp_path, quotes=QUOTES)
    loaded, facts = load_bundle(place), manifest_facts(place)
    assert facts is not None
    assert (facts.digest, facts.encoder, facts.recipe) == (loaded.digest, "efficientnet-lite0", "test")
    assert (facts.vocabulary, facts.hidden, facts.training_pictures) == (len(loaded.tokenizer), 32, 0)
    files = [path for path in place.iterdir() if path.name != MANIFEST]
    assert facts.bytes == sum(path.stat().st_size for path in files)
    assert facts.files == {path.name for path in files}
    assert facts.bits_per_char is None


def test_another_bundle_in_the_same_place_is_read_anew(tmp_path: Path) -> None:
    place = tiny_bundle(tmp_path)
    first = manifest_facts(place)
    manifest = json.loads((place / MANIFEST).read_bytes())
    other = tmp_path / MANIFEST
    other.write_text(json.dumps({**manifest, "recipe": "another"}))
    other.replace(place / MANIFEST)
    second = manifest_facts(place)
    assert first is not None
    assert second is not None
    assert (first.recipe, second.recipe) == ("test", "another")


def test_what_is_no_bundle_is_left_out(tmp_path: Path) -> None:
    assert published(tmp_path / "models") == []
    made = tiny_bundle(tmp_path)
    for name in (NAME, "my-own-model"):
        shutil.copytree(made, tmp_path / "models" / name)
    for number, text in enumerate((b"{", b"[]", b'{"files": {"a": 1}}')):
        broken = tmp_path / "models" / f"2024010{2 + number}-000000-00000000"
        broken.mkdir()
        (broken / MANIFEST).write_bytes(text)
    (tmp_path / "models" / "20240109-000000-00000000").mkdir()
    [found] = published(tmp_path / "models")
    assert (found.name, found.live, found.withdrawn) == (NAME, False, False)
