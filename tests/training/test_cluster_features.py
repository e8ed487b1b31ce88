"""Vectors computed on a real cluster: scheduler and workers are processes, which are killed, join and come back."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bokemodel.encoders import load_encoder
from bokemodel.encoders.base import Encoder
from bokemodel.encoders.efficientnet_weights import weights_path
from store.cluster import ClusterExecutor, ClusterSeen
from store.sections import Engine
from tests.cluster import Cluster, kill, make_certificate, unclosed
from tests.training import worker_functions
from tests.training.corpora import write_picture
from tests.training.small import PHOTOS, finish, start, write_corpus, write_recipe
from training import cluster_features, cluster_worker, features
from training.cluster_features import ClusterEncoding
from training.cluster_worker import Wanted
from training.corpus import StoredPicture
from training.encoders import EncoderChoice
from training.errors import FeaturesClusterFailed
from training.features import FeatureReport, FeatureStore, compute_missing
from training.recording import Stopped
from training.retrain import FAILED, PUBLISHED

CHOICE = EncoderChoice("efficientnet-lite0")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("efficientnet-lite0", threads=1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With one worker, for tests that leave it whole."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.scheduler()
    made.worker()
    yield made
    made.end()


@pytest.fixture(autouse=True)
def small_parcels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cluster_features, "PICTURES", 4)
    yield
    assert not unclosed()


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


def shorten(encoding: ClusterEncoding, cluster: Cluster) -> None:
    """A worker that is there and has something to do may be silent for a second only."""
    assert encoding._executor is not None
    while not with_workers(encoding._executor):
        pass
    encoding._engine = engine(cluster, start_timeout_s=1)


def after_sending(encoding: ClusterEncoding, act: Callable[[], object]) -> ClusterEncoding:
    """It does this after each parcel that it sends."""
    send = encoding._send

    def sending(parcel: Any) -> None:
        send(parcel)
        act()

    encoding._send = sending  # type: ignore[method-assign]
    return encoding


def test_the_same_vectors_as_here_and_the_same_words_for_what_has_none(
    cluster: Cluster, encoder: Encoder, tmp_path: Path
) -> None:
    some = pictures(tmp_path, 9)
    for photo in PHOTOS:
        (tmp_path / photo.name).write_bytes(photo.read_bytes())
        some.append(stored(tmp_path / photo.name, tmp_path))
    (tmp_path / some[2].path).write_bytes(b"no picture")
    (tmp_path / some[5].path).write_bytes(PHOTOS[0].read_bytes()[:3000])
    (tmp_path / some[7].path).unlink()
    here, there = (FeatureStore.open(tmp_path / name, encoder) for name in ("here", "there"))
    largest = max(picture.width * picture.height for picture in map(Image.open, PHOTOS))
    reports = [
        compute_missing(store, tmp_path, some, encoder, max_pixels=largest - 1, encoding=encoding)
        for store, encoding in ((here, None), (there, ClusterEncoding(engine(cluster), CHOICE, encoder)))
    ]
    assert sorted(reports[0].unreadable) == sorted(reports[1].unreadable)
    assert [(r.known, r.computed, r.failed) for r in reports] == [(0, 12, 5)] * 2
    whole = [p.digest for p in some if here.rows([p.digest])[0] >= 0]
    np.testing.assert_allclose(there.get(whole), here.get(whole), rtol=1e-5, atol=1e-5)
    assert here.folder.name == there.folder.name
    # What is known needs no cluster, not even one that is there.
    nowhere = ClusterEncoding(Engine(kind="dask", address="tcp://127.0.0.1:1"), CHOICE, encoder)
    known = [p for p in some if p.digest in whole]
    assert compute_missing(there, tmp_path, known, encoder, encoding=nowhere) == FeatureReport(12, 0, 0, ())


def test_a_parcel_holds_a_few_megabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_features, "PARCEL_BYTES", 20)
    sizes = (10, 10, 1, 500, 9, 9, 1, 1, 1)
    for number, size in enumerate(sizes):
        (tmp_path / str(number)).write_bytes(bytes(size))
    some = [StoredPicture("", str(number)) for number in range(len(sizes))]
    parcels = cluster_features._parcels([some[:4], some[4:]], tmp_path)
    assert [[len(data) for data in parcel.data] for parcel in parcels] == [[10, 10], [1], [500], [9, 9, 1, 1], [1]]


def test_a_worker_with_other_weights_is_named(cluster: Cluster, encoder: Encoder, tmp_path: Path) -> None:
    some = pictures(tmp_path, 3)
    changed = tmp_path / "other.pth"
    changed.write_bytes(weights_path().read_bytes() + b"\0")
    store = FeatureStore.open(tmp_path, encoder)
    encoding = ClusterEncoding(engine(cluster), EncoderChoice(CHOICE.name, str(changed)), encoder)
    digests = f"its weights are {hashlib.sha256(changed.read_bytes()).hexdigest()}, wanted are {encoder.weights_digest}"
    with pytest.raises(FeaturesClusterFailed, match=rf"process \d+ on \S+, cannot encode: {digests}$"):
        compute_missing(store, tmp_path, some, encoder, encoding=encoding)
    changed.write_bytes(weights_path().read_bytes())  # put right: the worker sees it
    assert compute_missing(store, tmp_path, some, encoder, encoding=encoding).computed == 3
    missing = ClusterEncoding(engine(cluster), EncoderChoice(CHOICE.name, str(tmp_path / "none")), encoder)
    with pytest.raises(FeaturesClusterFailed, match=rf"process \d+ on \S+, cannot encode: no weights at {tmp_path}"):
        compute_missing(FeatureStore.open(tmp_path / "b", encoder), tmp_path, some, encoder, encoding=missing)


def test_a_worker_computes_with_as_many_threads_as_it_may(encoder: Encoder) -> None:
    assert ClusterEncoding(Engine(kind="dask", address="tcp://x:1"), CHOICE, encoder)._wanted.threads == 1
    assert ClusterEncoding(Engine(kind="dask", address="tcp://x:1", threads=3), CHOICE, encoder)._wanted.threads == 3
    held = cluster_worker._hold(Wanted(CHOICE, encoder.weights_digest, threads=3))
    assert held.session.get_session_options().intra_op_num_threads == 3  # type: ignore[attr-defined]
    assert cluster_worker._hold(Wanted(CHOICE, encoder.weights_digest, threads=3)) is held  # loaded once


def test_people_who_wait_for_an_answer_come_first(cluster: Cluster, tmp_path: Path) -> None:
    night = ClusterExecutor(engine(cluster), priority=cluster_features.PRIORITY)
    people = ClusterExecutor(engine(cluster))
    try:
        under_way = night.submit(worker_functions.closed, str(tmp_path / "gate"))
        parcels = [night.submit(worker_functions.turn) for _ in range(20)]
        while not any("turn" in key for key in with_workers(night)):
            pass
        question = people.submit(worker_functions.question)
        while not any("question" in key for key in with_workers(people)):
            pass
        (tmp_path / "gate").touch()
        under_way.result()
        assert question.result() < min(parcel.result() for parcel in parcels)
    finally:
        people.shutdown()
        night.shutdown()


def addresses(executor: ClusterExecutor) -> set[str]:
    """The cluster's workers; one that is started again has another port."""
    seen = executor.look()
    assert seen is not None
    return {worker.address for worker in seen.workers}


def with_workers(executor: ClusterExecutor) -> list[str]:
    """What workers have to do or are doing."""
    return [str(key) for keys in executor._client.processing().values() for key in keys]


def test_workers_that_hang_die_and_join_and_a_scheduler_that_restarts_cost_no_picture(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "BATCH", 16)  # pictures that are read at a time
    some = pictures(tmp_path, 64)
    store = FeatureStore.open(tmp_path, encoder)
    cluster = Cluster(tmp_path)
    encoding = ClusterEncoding(engine(cluster), CHOICE, encoder)
    evict = ClusterExecutor.evict
    replaced: list[list[str]] = []

    def noticed(executor: ClusterExecutor, silent: Sequence[str] | None = None) -> list[str]:
        encoding._engine = engine(cluster)
        replaced.append(evict(executor, silent))
        return replaced[-1]

    monkeypatch.setattr(ClusterExecutor, "evict", noticed)

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
    evict, replaced = ClusterExecutor.evict, []

    def noticed(executor: ClusterExecutor, silent: Sequence[str] | None = None) -> list[str]:
        encoding._engine = engine(cluster)
        replaced.append(evict(executor, silent))
        return replaced[-1]

    monkeypatch.setattr(ClusterExecutor, "evict", noticed)
    try:
        cluster.scheduler()
        cluster.worker()
        encoding = ClusterEncoding(engine(cluster), CHOICE, encoder)
        encoding = after_sending(encoding, lambda: None if replaced else shorten(encoding, cluster))
        report = compute_missing(store, tmp_path, some, encoder, encoding=encoding)
        assert report == FeatureReport(0, 6, 0, ())
        assert [len(workers) for workers in replaced] == [1]
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


def test_features_with_tls(encoder: Encoder, tmp_path: Path) -> None:
    key, cert = make_certificate(tmp_path)
    some = pictures(tmp_path, 5)
    store = FeatureStore.open(tmp_path, encoder)
    cluster = Cluster(tmp_path, ("--tls-ca-file", cert, "--tls-cert", cert, "--tls-key", key))
    try:
        cluster.scheduler()
        cluster.worker()
        cluster.reachable()
        for keys in ({}, {"tls_ca": cert}):  # nobody without a certificate of his own
            without = ClusterEncoding(engine(cluster, start_timeout_s=5, **keys), CHOICE, encoder)
            with pytest.raises(FeaturesClusterFailed, match="cannot be reached"):
                compute_missing(store, tmp_path, some, encoder, encoding=without)
        tls = engine(cluster, tls_ca=cert, tls_cert=cert, tls_key=key)
        encoding = ClusterEncoding(tls, CHOICE, encoder)
        assert compute_missing(store, tmp_path, some, encoder, encoding=encoding) == FeatureReport(0, 5, 0, ())
        digests = [picture.digest for picture in some]
        np.testing.assert_allclose(
            store.get(digests), local(tmp_path, some, encoder).get(digests), rtol=1e-5, atol=1e-5
        )
    finally:
        cluster.end()


def test_a_picture_that_workers_die_of_is_named(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_features, "encode", worker_functions.encode)
    some = pictures(tmp_path, 12)
    (tmp_path / some[5].path).write_bytes(worker_functions.KILLS)
    store = FeatureStore.open(tmp_path, encoder)
    cluster = Cluster(tmp_path)
    try:
        cluster.scheduler()
        for machine in "ab":
            cluster.worker(machine)
        encoding = ClusterEncoding(engine(cluster), CHOICE, encoder)
        report = compute_missing(store, tmp_path, some, encoder, encoding=encoding)
        assert report == FeatureReport(0, 11, 1, ("5.png: workers of the cluster die of it",))
        assert len(store) == 11

        # The next night leaves it out: no worker dies, and a new picture has its vector.
        more = [*some, stored(write_picture(tmp_path / "new.png", 99), tmp_path)]
        watching = ClusterExecutor(engine(cluster))
        alive = addresses(watching)
        assert len(alive) == 2
        file = store.folder / "deadly.txt"
        again = FeatureStore.open(tmp_path, encoder)
        report = compute_missing(again, tmp_path, more, encoder, encoding=encoding)
        note = f"5.png: processes died of it before, it is left out; to try it again, remove {file}"
        assert report == FeatureReport(11, 1, 1, (note,))
        assert addresses(watching) == alive
        watching.shutdown()
        # Whoever wants it tried again removes the file; another network tries it anyway.
        (tmp_path / some[5].path).write_bytes(PHOTOS[0].read_bytes())
        other = FeatureStore.open(tmp_path / "other", encoder)
        assert compute_missing(other, tmp_path, more[5:6], encoder, encoding=encoding).computed == 1
        file.unlink()
        report = compute_missing(again, tmp_path, more, encoder, encoding=encoding)
        assert report == FeatureReport(12, 1, 0, ())

        # Where they die of every picture it is not the pictures, and none is remembered.
        monkeypatch.setattr(cluster_features, "MOST_DEATHS", 1)
        for picture in some[:2]:
            (tmp_path / picture.path).write_bytes(worker_functions.KILLS)
        innocent = FeatureStore.open(tmp_path / "b", encoder)
        with pytest.raises(FeaturesClusterFailed, match="workers die of whatever they are sent"):
            compute_missing(innocent, tmp_path, some[:2], encoder, encoding=encoding)
        assert not (innocent.folder / "deadly.txt").exists()
    finally:
        cluster.end()


def test_no_scheduler_and_one_that_goes(encoder: Encoder, tmp_path: Path) -> None:
    cluster, store, some = Cluster(tmp_path), FeatureStore.open(tmp_path, encoder), pictures(tmp_path, 1)
    encoding = ClusterEncoding(engine(cluster, start_timeout_s=1), CHOICE, encoder)
    cannot = f"the cluster at {cluster.address} cannot be reached"
    with pytest.raises(FeaturesClusterFailed, match=cannot):
        compute_missing(store, tmp_path, some, encoder, encoding=encoding)
    try:
        scheduler = cluster.scheduler()
        cluster.reachable()
        encoding = after_sending(encoding, lambda: kill(scheduler))
        with pytest.raises(FeaturesClusterFailed, match=cannot):
            compute_missing(store, tmp_path, some, encoder, encoding=encoding)
    finally:
        cluster.end()


def test_a_connection_that_does_not_hold(
    cluster: Cluster, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_features, "encode", worker_functions.encode)
    some = pictures(tmp_path, 2)
    (tmp_path / some[1].path).write_bytes(worker_functions.LOST)
    encoding = ClusterEncoding(engine(cluster), CHOICE, encoder)
    with pytest.raises(FeaturesClusterFailed, match="the connection to the cluster does not hold"):
        compute_missing(FeatureStore.open(tmp_path, encoder), tmp_path, some, encoder, encoding=encoding)
    (tmp_path / some[1].path).write_bytes(PHOTOS[0].read_bytes())
    store = FeatureStore.open(tmp_path / "b", encoder)  # what was to be sent again there is forgotten here
    assert compute_missing(store, tmp_path, some[:1], encoder, encoding=encoding).computed == 1


def test_another_program_there(encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.cluster.ROOT", tmp_path)
    cluster = Cluster(tmp_path)
    try:
        cluster.scheduler()
        store, encoding = FeatureStore.open(tmp_path, encoder), ClusterEncoding(engine(cluster), CHOICE, encoder)
        with pytest.raises(FeaturesClusterFailed, match=r"is the same program there\? RuntimeError: .*deserialization"):
            compute_missing(store, tmp_path, pictures(tmp_path, 1), encoder, encoding=encoding)
    finally:
        cluster.end()


def test_a_night_with_a_cluster(tmp_path: Path) -> None:
    """Without a worker it fails in one line; with one it goes on, and publishes."""
    corpus, recipe = write_corpus(tmp_path), write_recipe(tmp_path)
    cluster = Cluster(tmp_path)
    variables = {"BOKE__ENGINE__KIND": "dask", "BOKE__ENGINE__ADDRESS": cluster.address}
    arguments = ("--import", str(corpus), "--recipe", str(recipe))
    try:
        cluster.scheduler()
        cluster.reachable()
        code, _, err = finish(start(tmp_path, *arguments, **variables, BOKE__ENGINE__START_TIMEOUT_S="3"))
        assert code == FAILED
        (line,) = [line for line in err.splitlines() if line.startswith("retrain: ")]
        assert line == (
            f"retrain: no worker of the cluster at {cluster.address} has answered in 3 s; "
            "the vectors computed so far are kept"
        )
        cluster.worker()
        code, out, err = finish(start(tmp_path, "--recipe", str(recipe), "--force-publish", **variables))
        assert code == PUBLISHED, err
        assert f"{len(PHOTOS)} pictures encoded, 0 known, 0 unreadable" in out
    finally:
        cluster.end()


def test_a_run_that_waits_for_a_worker_can_be_stopped(encoder: Encoder, tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise Stopped

    cluster = Cluster(tmp_path)
    before = signal.signal(signal.SIGALRM, stop)
    try:
        cluster.scheduler()
        store = FeatureStore.open(tmp_path, encoder)
        encoding = ClusterEncoding(engine(cluster), CHOICE, encoder)
        encoding = after_sending(encoding, lambda: signal.setitimer(signal.ITIMER_REAL, 0.2))
        with pytest.raises(Stopped):
            compute_missing(store, tmp_path, pictures(tmp_path, 3), encoder, encoding=encoding)
    finally:
        signal.signal(signal.SIGALRM, before)
        cluster.end()
