"""What the tests of vectors from a cluster have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bokemodel.encoders.base import Encoder
from store.cluster import ClusterExecutor
from store.sections import Engine
from tests.cluster import Cluster
from tests.training.corpora import write_picture
from training.cluster_features import ClusterEncoding
from training.corpus import StoredPicture
from training.encoders import EncoderChoice
from training.features import FeatureStore, compute_missing

CHOICE = EncoderChoice("efficientnet-lite0")


def engine(cluster: Cluster, **keys: object) -> Engine:
    return Engine.model_validate({"kind": "dask", "address": cluster.address, "workers": 2, **keys})


def stored(path: Path, folder: Path) -> StoredPicture:
    return StoredPicture(hashlib.sha256(path.read_bytes()).hexdigest(), str(path.relative_to(folder)))


def pictures(folder: Path, count: int) -> list[StoredPicture]:
    return [stored(write_picture(folder / f"{number}.png", number), folder) for number in range(count)]


def local(folder: Path, some: Sequence[StoredPicture], encoder: Encoder) -> FeatureStore:
    store = FeatureStore.open(folder / "local", encoder)
    compute_missing(store, folder, some, encoder)
    return store


def after_sending(encoding: ClusterEncoding, act: Callable[[], object]) -> ClusterEncoding:
    """It does this after each parcel that it sends."""
    send = encoding._send

    def sending(parcel: Any) -> None:
        send(parcel)
        act()

    encoding._send = sending  # type: ignore[method-assign]
    return encoding


def addresses(executor: ClusterExecutor) -> set[str]:
    """The cluster's workers; one that is started again has another port."""
    seen = executor.look()
    assert seen is not None
    return {worker.address for worker in seen.workers}


def with_workers(executor: ClusterExecutor) -> list[str]:
    """What workers have to do or are doing."""
    return [str(key) for keys in executor._client.processing().values() for key in keys]
