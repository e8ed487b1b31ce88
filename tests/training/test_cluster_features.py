"""Vectors computed on a real cluster: scheduler and workers are processes, which are killed, join and come back."""

from __future__ import annotations

import hashlib
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bokemodel.encoders.base import Encoder
from bokemodel.encoders.efficientnet_weights import weights_path
from store.cluster import ClusterExecutor
from store.sections import Engine
from tests.cluster import Cluster, kill, make_certificate
from tests.training import worker_functions
from tests.training.corpora import write_picture
from tests.training.on_cluster import CHOICE, addresses, after_sending, engine, local, pictures, stored, with_workers
from tests.training.small import PHOTOS, finish, start, write_corpus, write_recipe
from training import cluster_features, cluster_worker
from training.cluster_features import ClusterEncoding
from training.cluster_worker import Wanted
from training.corpus import StoredPicture
from training.encoders import EncoderChoice
from training.errors import FeaturesClusterFailed
from training.features import FeatureReport, FeatureStore, compute_missing
from training.recording import Stopped
from training.retrain import FAILED, PUBLISHED

pytestmark = pytest.mark.usefixtures("small_parcels")


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
