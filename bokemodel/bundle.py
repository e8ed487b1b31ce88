"""What a trained model is on disk: a folder of files and a manifest that names each by size and SHA-256.

    manifest.json     format version, encoder and its weights' digest, sizes, search settings, metrics, parent, files
    tokenizer.model   sentencepiece, or words
    decoder.npz       the LSTM's weights, the normaliser, and the trigrams where there are any (never pickled)
    others            what a model may have or not: jokes to quote (`examples`), a sense of what is funny (`funny`)

A bundle is written into a temporary folder beside its place and renamed, so that a reader sees all of it or nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bokemodel.archives import npz_bytes, read_npz
from bokemodel.errors import BundleError, BundleMissing, BundleTampered, BundleTooNew, BundleTruncated
from bokemodel.packing import Normalizer
from bokemodel.registry import MANIFEST
from bokemodel.search import SearchSettings
from bokemodel.tokenizer import Tokenizer
from bokemodel.words import tokenizer_of

FORMAT_VERSION = 1
TOKENIZER, DECODER = "tokenizer.model", "decoder.npz"


@dataclass(frozen=True)
class Manifest:
    """Everything about a bundle but the weights."""

    encoder: str
    encoder_digest: str  # SHA-256 of the vision network's weights
    feature_dim: int
    decoder: dict[str, Any]  # sizes, as in decoder.DecoderConfig
    language: str = "ja"
    recipe: str = ""
    created: str = ""  # ISO 8601, UTC; empty where a bundle must come out the same every time
    parent: str = ""  # digest of the bundle that training started from
    search: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    training_pictures: list[str] = field(default_factory=list)  # SHA-256 of each picture's file
    tokenizer: str = Tokenizer.kind
    format_version: int = FORMAT_VERSION
    files: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A trained model in memory. `extra` holds the other files of the folder by name."""

    manifest: Manifest
    tokenizer: Tokenizer
    normalizer: Normalizer
    arrays: dict[str, NDArray[Any]]
    extra: dict[str, bytes] = field(default_factory=dict)
    digest: str = ""  # SHA-256 of the manifest, which names all else; "" before it is saved

    @property
    def search(self) -> SearchSettings:
        return SearchSettings(**self.manifest.search)


def save_bundle(bundle: Bundle, folder: str | Path) -> str:
    """Write a bundle; returns its digest. An existing folder of that name is replaced. Raises OSError (disk full...)."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    weights: dict[str, NDArray[Any]] = {name: _stored(array) for name, array in bundle.arrays.items()}
    weights |= {"picture_mean": bundle.normalizer.mean, "picture_scale": bundle.normalizer.scale}
    if bundle.normalizer.words is not None:
        weights["picture_words"] = bundle.normalizer.words
    files = {TOKENIZER: bundle.tokenizer.model, DECODER: npz_bytes(weights), **bundle.extra}
    named = {name: {"size": len(data), "sha256": _sha256(data)} for name, data in sorted(files.items())}
    manifest = json.dumps({**asdict(bundle.manifest), "files": named}, ensure_ascii=False, indent=1, sort_keys=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        temporary.chmod(0o755)
        for name, data in {**files, MANIFEST: manifest.encode()}.items():
            with (temporary / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        _replace_folder(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return _sha256(manifest.encode())


def _stored(array: NDArray[Any]) -> NDArray[Any]:
    """Weights lose nothing that matters by half of their bits; counts stay as they are."""
    return array.astype(np.float16) if array.dtype.kind == "f" else array


def load_bundle(folder: str | Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        BundleMissing: no manifest there. BundleTruncated: a file is missing or cut short, or the manifest is.
        BundleTampered: a file is not the one the manifest names. BundleTooNew: written by a later version.
    """
    while True:
        place = Path(os.path.realpath(folder))  # a link may be moved to another bundle while this one is read
        try:
            return _load(place)
        except BundleError:
            if Path(os.path.realpath(folder)) == place:
                raise


def _load(folder: Path) -> Bundle:
    try:
        text = (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleMissing(f"no model at {folder}: {MANIFEST} is missing") from error
    manifest = _manifest(text, folder)
    files = {name: _verified(folder, name, facts) for name, facts in manifest.files.items()}
    for name in (TOKENIZER, DECODER):
        if name not in files:
            raise BundleTruncated(f"{folder / MANIFEST} names no {name}")
    try:
        arrays = read_npz(files.pop(DECODER))
        normalizer = Normalizer(
            arrays.pop("picture_mean"), arrays.pop("picture_scale"), arrays.pop("picture_words", None)
        )
    except (ValueError, KeyError) as error:
        raise BundleTampered(f"{folder / DECODER} does not hold a decoder's weights: {error}") from error
    try:
        tokenizer = tokenizer_of(manifest.tokenizer, files.pop(TOKENIZER))
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise BundleTampered(f"{folder / TOKENIZER} does not hold a tokenizer: {error}") from error
    return Bundle(manifest, tokenizer, normalizer, arrays, files, _sha256(text))


def _manifest(text: bytes, folder: Path) -> Manifest:
    try:
        fields: Mapping[str, Any] = json.loads(text)
        version = int(fields["format_version"])
    except (ValueError, TypeError, KeyError) as error:
        raise BundleTruncated(f"{folder / MANIFEST} is not a whole manifest: {error}") from error
    if version > FORMAT_VERSION:
        raise BundleTooNew(f"{folder} has format {version}; this program reads up to {FORMAT_VERSION}: update it")
    known = {name: value for name, value in fields.items() if name in Manifest.__dataclass_fields__}
    try:
        return Manifest(**known)
    except TypeError as error:
        raise BundleTruncated(f"{folder / MANIFEST} lacks what a manifest needs: {error}") from error


def _verified(folder: Path, name: str, facts: Mapping[str, Any]) -> bytes:
    if Path(name).name != name:
        raise BundleTampered(f"{folder / MANIFEST} names a file outside its folder: {name}")
    try:
        data = (folder / name).read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise BundleTruncated(f"{folder / name} is missing") from error
    if len(data) < facts["size"]:
        raise BundleTruncated(f"{folder / name} is cut short: {len(data)} of {facts['size']} bytes")
    if _sha256(data) != facts["sha256"]:
        raise BundleTampered(f"{folder / name} is not the file that the manifest names")
    return data


def _replace_folder(new: Path, place: Path) -> None:
    """Rename a folder over another; a folder that is not empty must step aside first."""
    if not place.exists():
        os.replace(new, place)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{place.name}.old.", dir=place.parent))
    os.replace(place, aside / "old")
    try:
        os.replace(new, place)
    except OSError:
        os.replace(aside / "old", place)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
