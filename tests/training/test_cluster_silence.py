"""Workers of a real cluster that are busy, hang, die or are forgotten while vectors are waited for."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from pathlib import Path

import numpy as np
import pytest

from bokemodel.encoders.base import Encoder
from store.cluster import ClusterExecutor, ClusterSeen
from tests.cluster import Cluster, kill
from tests.training import worker_functions
from tests.training.on_cluster import CHOICE, after_sending, engine, local, pictures, with_workers
from training import cluster_features, features
from training.cluster_features import ClusterEncoding
from training.corpus import StoredPicture
from training.features import FeatureReport, FeatureStore, compute_missing

pytestmark = pytest.mark.usefixtures("small_parcels")


def shorten(encoding: ClusterEncoding, cluster: Cluster) -> None:
    """A worker that is there and has something to do may be silent for a second only."""
    assert encoding._executor is not None
    while not with_workers(encoding._executor):
        pass
    encoding._engine = engine(cluster, start_timeout_s=1)


def patient_again(encoding: ClusterEncoding, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Whoever replaces workers waits for long again. Returns which ones were replaced, filled as it happens."""
    evict, replaced = ClusterExecutor.evict, []

    def noticed(executor: ClusterExecutor, silent: Sequence[str] | None = None) -> list[str]:
        encoding._engine = engine(cluster)
        replaced.append(evict(executor, silent))
        return replaced[-1]

    monkeypatch.setattr(ClusterExecutor, "evict", noticed)
    return replaced


def ask(people: ClusterExecutor, kind: str, ended: Path) -> None:
    """Have people's answers keep the one worker busy until there is that file."""
    if kind == "one long answer":
        people.submit(worker_functions.closed, str(ended))
        return

    def again(answer: Future[bool]) -> None:
        if answer.exception() is None and answer.result():
            people.submit(worker_functions.answer, str(ended)).add_done_callback(again)

    for _ in range(8):
        people.submit(worker_functions.answer, str(ended)).add_done_callback(again)


@pytest.mark.parametrize("kind", ["one long answer", "many short answers"])
def test_a_worker_that_is_busy_with_answers_is_no_silent_one(
    cluster: Cluster, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """They take three times as long as the night waits for a sign of life."""
    some, ended = pictures(tmp_path, 12), tmp_path / "ended"
    store = FeatureStore.open(tmp_path, encoder)
    looked, looks = ClusterExecutor.look, []

    def looking(executor: ClusterExecutor) -> ClusterSeen | None:
        looks.append(looked(executor))
        if len(looks) == 3 * cluster_features.LOOKS:
            ended.touch()
        return looks[-1]

    people = ClusterExecutor(engine(cluster))
    worker = people.submit(os.getpid).result()
    monkeypatch.setattr(ClusterExecutor, "look", looking)
    monkeypatch.setattr(ClusterExecutor, "evict", lambda *_: pytest.fail("a busy worker was replaced"))
    try:
        ask(people, kind, ended)
        while not with_workers(people):
            pass
        encoding = ClusterEncoding(engine(cluster, start_timeout_s=1), CHOICE, encoder)
        assert compute_missing(store, tmp_path, some, encoder, encoding=encoding) == FeatureReport(0, 12, 0, ())
        assert len(looks) >= 3 * cluster_features.LOOKS
        assert people.submit(os.getpid).result() == worker
    finally:
        ended.touch()
        people.shutdown()


def test_a_worker_that_does_not_come_to_an_end_is_replaced(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its heart beats on: that alone is no sign of life."""
    monkeypatch.setattr(cluster_features, "encode", worker_functions.encode)
    some = pictures(tmp_path, 6)
    path = tmp_path / some[0].path
    path.write_bytes(worker_functions.marked(worker_functions.HANGS, tmp_path / "times", path.read_bytes()))
    store = FeatureStore.open(tmp_path, encoder)
    cluster = Cluster(tmp_path)
    encoding = ClusterEncoding(engine(cluster), CHOICE, encoder)
    replaced = patient_again(encoding, cluster, monkeypatch)
    try:
        cluster.scheduler()
        cluster.worker()
        encoding = after_sending(encoding, lambda: None if replaced else shorten(encoding, cluster))
        report = compute_missing(store, tmp_path, some, encoder, encoding=encoding)
        assert report == FeatureReport(0, 6, 0, ())
        assert [len(workers) for workers in replaced] == [1]
    finally:
        cluster.end()


def test_workers_that_hang_die_and_join_and_a_scheduler_that_restarts_cost_no_picture(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "BATCH", 16)  # pictures that are read at a time
    some = pictures(tmp_path, 64)
    store = FeatureStore.open(tmp_path, encoder)
    cluster = Cluster(tmp_path)
    encoding = ClusterEncoding(engine(cluster), CHOICE, encoder)
    replaced = patient_again(encoding, cluster, monkeypatch)

    def with_faults() -> Iterator[StoredPicture]:
        """Pictures are read as the cluster gets through with them: what happens here happens in the middle."""
        for number, picture in enumerate(some):
            if number == 16:
                assert encoding._executor is not None
                os.kill(encoding._executor.submit(os.getpid).result(), signal.SIGSTOP)
                encoding._engine = engine(cluster, start_timeout_s=2)  # until it is noticed
            if number == 32:
                kill(first)  # and another machine joins
                others.append(cluster.worker("b"))
            if number == 48:
                kill(scheduler)
                kill(others[0])  # dask's workers leave with their scheduler; a service manager starts them again
                cluster.scheduler()
                others.append(cluster.worker("b"))
            yield picture

    try:
        scheduler, first = cluster.scheduler(), cluster.worker()
        others: list[subprocess.Popen[bytes]] = []
        report = compute_missing(store, tmp_path, with_faults(), encoder, encoding=encoding)
        assert report == FeatureReport(0, 64, 0, ())
        assert [len(workers) for workers in replaced] == [1]
        assert len(others) == 2
        assert len(store) == 64  # none twice
        digests = [picture.digest for picture in some]
        expected = local(tmp_path, some, encoder).get(digests)
        np.testing.assert_allclose(store.get(digests), expected, rtol=1e-5, atol=1e-5)
    finally:
        cluster.end()


def test_a_call_that_dask_gives_up_while_its_result_is_fetched_is_not_forgotten(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker dies with the result in its hands, and the next one before it has a result."""
    monkeypatch.setattr(cluster_features, "encode", worker_functions.encode)
    some = pictures(tmp_path, 6)
    path = tmp_path / some[0].path
    path.write_bytes(worker_functions.marked(worker_functions.FORGOTTEN, tmp_path / "times", path.read_bytes()))
    store = FeatureStore.open(tmp_path, encoder)
    cluster = Cluster(tmp_path)
    encoding = ClusterEncoding(engine(cluster), CHOICE, encoder)
    monkeypatch.setattr(encoding, "_replace", lambda _: pytest.fail("it was forgotten, and sent again after a silence"))
    try:
        cluster.scheduler()
        cluster.worker()
        report = compute_missing(store, tmp_path, some, encoder, encoding=encoding)
        assert report == FeatureReport(0, 6, 0, ())
        assert (tmp_path / "times").stat().st_size >= 3
    finally:
        cluster.end()


def test_whoever_disconnects_waits_for_nothing(cluster: Cluster, tmp_path: Path) -> None:
    executor = ClusterExecutor(engine(cluster))
    call = executor.submit(worker_functions.closed, str(tmp_path / "gate"))
    while not with_workers(executor):
        pass
    executor.shutdown(wait=False)
    (tmp_path / "gate").touch()
    with pytest.raises(BrokenExecutor):
        call.result()
