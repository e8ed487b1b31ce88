"""The model that is live: what a new one goes on from, and what it must beat."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bokemodel.bundle import Bundle, load_bundle
from bokemodel.encoders.base import Encoder
from bokemodel.errors import BundleError, BundleMissing
from bokemodel.model import STARTER
from bokemodel.registry import current_folder
from training.fitting import Parent

log = logging.getLogger(__name__)
LEARNED = "learned"  # folder in data.dir; a file for each bundle, named by its digest
KEPT = 20  # such files


@dataclass(frozen=True)
class Live:
    """The live model. `published`: it comes from the models folder, and is not the starter."""

    parent: Parent
    published: bool

    @property
    def bundle(self) -> Bundle:
        return self.parent.bundle


def live_model(models: Path, data_dir: Path) -> Live | None:
    """The current bundle, else the starter; None where neither can be read."""
    current = current_folder(models)
    for place, published in ((current, True), (STARTER, False)):
        if place is None:
            continue
        try:
            bundle = load_bundle(place)
        except BundleMissing:
            continue
        except (BundleError, OSError) as error:
            log.warning("the live model cannot be compared to: %s", error)
            continue
        return Live(Parent(bundle, _learned(data_dir, bundle.digest)), published)
    return None


def comparable(live: Live | None, challenger: Bundle, encoder: Encoder) -> str:
    """Why the live model is no champion to beat; empty where it is one."""
    if live is None:
        return "there is no model yet"
    old, new = live.bundle.manifest, challenger.manifest
    if (old.encoder, old.encoder_digest) != (encoder.name, encoder.weights_digest):
        return "the live model knows another encoder"
    if old.tokenizer != new.tokenizer:
        return "the live model writes in another kind of units"
    if old.language != new.language:
        return f"the live model speaks {old.language}, this one {new.language}"
    return ""


def remember_learned(data_dir: Path, digest: str, keys: NDArray[np.uint64]) -> None:
    """Keep which jokes a bundle was trained on, for the run after it. Raises OSError."""
    folder = data_dir / LEARNED
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / ".half.npy"
    np.save(half, keys, allow_pickle=False)
    half.rename(folder / f"{digest}.npy")
    for old in sorted(folder.glob("*.npy"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)


def _learned(data_dir: Path, digest: str) -> NDArray[np.uint64] | None:
    try:
        keys: NDArray[np.uint64] = np.load(data_dir / LEARNED / f"{digest}.npy", mmap_mode="r", allow_pickle=False)
        return keys
    except (OSError, ValueError):
        return None
