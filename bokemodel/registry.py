"""The models folder: which bundles it holds, and which of them is live.

    20240501-033512-3f2a9c1b   a bundle, named by the moment it was trained
    current                    a link to one of them; none: the starter answers
    withdrawn                  names that were rolled back; they are not gone back to

`training.publish` writes it. Reading it needs none of the networks' libraries.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from bokemodel.examples import VECTORS

CURRENT, WITHDRAWN = "current", "withdrawn"
MANIFEST = "manifest.json"
STARTER = Path(__file__).with_name("starter")  # the bundle that ships
NAME = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")


@dataclass(frozen=True)
class ManifestFacts:
    """What a bundle's manifest says, for people; what it does not say is empty.

    Attributes:
        digest: of the manifest, which is the bundle's. parent: of the bundle that training started from.
        created: ISO 8601, UTC.
        vocabulary, embed, hidden: sizes of the decoder.
        training_pictures: how many pictures it was trained on.
        bytes: of all its files.
        files: their names.
        metrics: keys of `training.evaluate`, on held-out pictures, when it was trained.
    """

    digest: str
    created: str
    recipe: str
    encoder: str
    language: str
    parent: str
    vocabulary: int | None
    embed: int | None
    hidden: int | None
    training_pictures: int
    bytes: int
    files: frozenset[str]
    metrics: Mapping[str, Any] = field(hash=False)

    @property
    def quotes(self) -> bool:
        """Does it carry jokes that people wrote?"""
        return VECTORS in self.files

    @property
    def bits_per_char(self) -> float | None:
        """On held-out pictures; None where that is not known."""
        return self.metrics.get("bits_per_char")


@dataclass(frozen=True)
class Published:
    """A bundle in the models folder. `name` is its folder's; `withdrawn`: it was rolled back."""

    name: str
    path: Path
    live: bool
    withdrawn: bool
    facts: ManifestFacts

    @property
    def digest(self) -> str:
        return self.facts.digest


def current_folder(models: Path) -> Path | None:
    """The live bundle's own folder, or None where none was published."""
    current = models / CURRENT
    return current.resolve() if current.exists() else None


def published(models: Path) -> list[Published]:
    """All bundles of the folder, oldest first; what is no bundle is left out. The files' contents are not verified."""
    live, back = current_folder(models), withdrawn(models)
    found = []
    for path in sorted(models.glob("*")) if models.is_dir() else []:
        facts = manifest_facts(path) if NAME.fullmatch(path.name) else None
        if facts is not None:
            found.append(Published(path.name, path, path.resolve() == live, path.name in back, facts))
    return found


def manifest_facts(folder: Path) -> ManifestFacts | None:
    """What the bundle in a folder is; None where there is no manifest that can be read."""
    path = folder / MANIFEST
    try:
        status = path.stat()
        return _read(path, status.st_ino, status.st_mtime_ns)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def withdrawn(models: Path) -> frozenset[str]:
    """Names of the bundles that were rolled back."""
    try:
        return frozenset((models / WITHDRAWN).read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError):
        return frozenset()


@lru_cache(maxsize=64)
def _read(path: Path, _inode: int, _changed: int) -> ManifestFacts:
    """A manifest names every picture it was trained on, so it may be large; it never changes."""
    text = path.read_bytes()
    manifest = json.loads(text)
    decoder, files = manifest.get("decoder", {}), manifest.get("files", {})
    return ManifestFacts(
        digest=hashlib.sha256(text).hexdigest(),
        created=manifest.get("created", ""),
        recipe=manifest.get("recipe", ""),
        encoder=manifest.get("encoder", ""),
        language=manifest.get("language", ""),
        parent=manifest.get("parent", ""),
        vocabulary=decoder.get("vocabulary"),
        embed=decoder.get("embed"),
        hidden=decoder.get("hidden"),
        training_pictures=len(manifest.get("training_pictures", ())),
        bytes=sum(file["size"] for file in files.values()),
        files=frozenset(files),
        metrics=manifest.get("metrics", {}),
    )
