"""The whole run over a small corpus: what is published and when, what is continued, what is written down."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bokemodel import BokeModel
from bokemodel.bundle import load_bundle
from bokemodel.chainer_compat import chainer
from bokemodel.pictures import open_file
from bokemodel.registry import current_folder, published
from store.answers import NewAnswer, add_answer, save_feature
from store.config import Config
from store.locks import LockHeld, hold_lock, lock_lease
from store.runs import last_runs
from store.tables import RunEpoch
from store.votes import vote
from tests.bundles import DOES, WHO
from tests.training.small import JOKES, PHOTOS, SmallHouse, finish, small_recipe, start, write_corpus, write_recipe
from training import night
from training.publish import rollback
from training.recording import Recorder, Stopped
from training.retrain import FAILED, NOTHING, PUBLISHED

Make = Callable[..., Config]
STAGES = ["crawl", "import", "corpus", "features", "train", "extras", "evaluate", "publish"]


@pytest.fixture
def house(make_config: Make, tmp_path: Path) -> SmallHouse:
    return SmallHouse(make_config, tmp_path)


def stage(ended: Any, name: str) -> Any:
    return next(stage for stage in ended.stages if stage.name == name)


def test_from_nothing_to_a_model_that_answers(house: SmallHouse, tmp_path: Path) -> None:
    ended = house.run(small_recipe(tmp_path), write_corpus(tmp_path))
    assert ended.code == PUBLISHED, ended.message
    model = BokeModel.load(house.models / "current")
    assert model.boke([open_file(PHOTOS[0])], n=1, seed=0)[0][0].text
    manifest = model.bundle.manifest
    assert (manifest.language, manifest.recipe, manifest.parent) == ("ja", "small", "")
    assert len(manifest.training_pictures) == len(PHOTOS) - 2
    assert manifest.metrics["pictures"] == 2
    assert manifest.metrics["jokes"] == 2 * JOKES
    assert manifest.search["max_tokens"] >= 8


def test_the_model_quotes_jokes_and_says_where_they_stand(house: SmallHouse, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path)
    lines = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    where = {line["text"]: f"https://bokete.example/boke/{number}" for number, line in enumerate(lines)}
    told = "\n".join(json.dumps({**line, "url": where[line["text"]]}, ensure_ascii=False) for line in lines)
    corpus.write_text(told, encoding="utf-8")
    house.run(small_recipe(tmp_path), corpus)
    model = BokeModel.load(house.models / "current")
    assert set(model.modes) == {"boke", "article", "retrieve", "mismatch"}
    for mode in ("retrieve", "mismatch"):
        (told_of,) = model.boke([open_file(PHOTOS[0])], n=1, mode=mode, seed=0)
        assert told_of[0].source == where[told_of[0].text]


def test_the_model_has_a_sense_of_what_is_funny(house: SmallHouse, tmp_path: Path) -> None:
    """Where the stars can be told from the text: here they follow one of its words."""
    corpus = write_corpus(tmp_path, jokes=16)
    lines = [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line["stars"] = 50 if DOES[0] in line["text"] or DOES[1] in line["text"] else 1
        line["ratings"] = 100
    corpus.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
    house.run(small_recipe(tmp_path), corpus)
    model = BokeModel.load(house.models / "current")
    features = model.encoder.encode([open_file(PHOTOS[0])] * 2)
    liked, other = model.funny_of_features(features, [WHO[0] + DOES[0], WHO[0] + DOES[2]])
    assert liked > other
    (run,) = last_runs(house.database, 1)
    assert run.metrics["spearman_funny"] > 0.3  # on held-out pictures, by the model's own sense
    extras = next(stage for stage in run.stages if stage["name"] == "extras")
    assert extras["funny_correlation"] > 0


def test_what_a_run_did_is_written_down(house: SmallHouse, tmp_path: Path) -> None:
    house.run(small_recipe(tmp_path, epochs=3), write_corpus(tmp_path))
    (run,) = last_runs(house.database, 5)
    assert (run.state, run.trigger, run.recipe) == ("published", "hand", "small")
    assert run.bundle_digest == load_bundle(house.models / "current").digest
    names = [stage["name"] for stage in run.stages]
    assert names == STAGES
    by_name = {stage["name"]: stage for stage in run.stages}
    assert by_name["crawl"]["state"] == "skipped"
    assert all(stage["seconds"] >= 0 for stage in run.stages)
    assert by_name["import"]["added"] == by_name["corpus"]["jokes"] == JOKES * len(PHOTOS)
    assert by_name["features"]["computed"] == len(PHOTOS)
    assert run.metrics["bits_per_char"] > 0
    with house.database.reader() as session:
        epochs = session.query(RunEpoch).order_by(RunEpoch.epoch).all()
        assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
        assert all(epoch.dev_loss for epoch in epochs)
        assert epochs[-1].train_loss < epochs[0].train_loss


def test_nothing_new_is_nothing_done(house: SmallHouse, tmp_path: Path) -> None:
    recipe, corpus = small_recipe(tmp_path), write_corpus(tmp_path)
    house.run(recipe, corpus)
    before = current_folder(house.models)
    again = house.run(recipe, corpus)
    assert (again.code, [s.name for s in again.stages]) == (NOTHING, ["crawl", "import", "corpus"])
    assert current_folder(house.models) == before
    assert last_runs(house.database, 1)[0].reason == "nothing_new"


def test_nothing_new_is_trained_all_the_same_where_the_model_is_gone(house: SmallHouse, tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path)
    house.run(recipe, write_corpus(tmp_path))
    house.models.rename(tmp_path / "elsewhere")
    assert house.run(recipe).code == PUBLISHED


def test_a_model_that_was_rolled_back_is_not_published_again(house: SmallHouse, tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path)
    house.run(recipe, write_corpus(tmp_path))
    rollback(house.models)
    assert house.run(recipe).code == NOTHING
    assert current_folder(house.models) is None


def test_too_few_jokes(make_config: Make, tmp_path: Path) -> None:
    house = SmallHouse(make_config, tmp_path, retrain={"min_jokes": 65})
    ended = house.run(small_recipe(tmp_path), write_corpus(tmp_path))
    assert ended.code == NOTHING
    assert "64" in ended.message
    assert current_folder(house.models) is None
    forced = house.run(small_recipe(tmp_path), force=True)
    assert forced.code == PUBLISHED


def test_no_jokes_at_all(house: SmallHouse, tmp_path: Path) -> None:
    ended = house.run(small_recipe(tmp_path), force=True)
    assert (ended.code, "--import" in ended.message) == (NOTHING, True)


def test_new_jokes_go_on_from_the_live_model(house: SmallHouse, tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path, epochs=6)
    # Two held-out pictures: whether the first model repeats itself more than the starter is chance.
    assert house.run(recipe, write_corpus(tmp_path), force=True).code == PUBLISHED
    first = load_bundle(house.models / "current")
    ended = house.run(recipe, write_corpus(tmp_path, first=JOKES, jokes=2))
    assert ended.code == PUBLISHED, ended.message
    second = load_bundle(house.models / "current")
    assert second.manifest.parent == first.digest
    assert second.tokenizer.model == first.tokenizer.model
    assert second.arrays["ngram_counts"].sum() > first.arrays["ngram_counts"].sum()  # counted anew in all jokes
    assert second.manifest.metrics["bits_per_char"] < first.manifest.metrics["bits_per_char"]
    assert [bundle.live for bundle in published(house.models)] == [False, True]
    assert stage(ended, "features").counts["computed"] == 0
    assert last_runs(house.database, 1)[0].champion_digest == first.digest


def test_a_worse_model_is_not_published(house: SmallHouse, tmp_path: Path) -> None:
    house.run(small_recipe(tmp_path, epochs=12), write_corpus(tmp_path))
    before = current_folder(house.models)
    ended = house.run(small_recipe(tmp_path, epochs=1, rate=1e-7, more="enabled = false\n"))
    assert (ended.code, current_folder(house.models)) == (NOTHING, before), ended.message
    run = last_runs(house.database, 1)[0]
    assert (run.state, run.reason) == ("kept", "not_better")
    assert run.metrics["bits_per_char"] > run.champion_metrics["bits_per_char"]
    assert run.metrics["pictures"] == run.champion_metrics["pictures"] == 2
    # The same once more: it is known how that ends.
    assert house.run(small_recipe(tmp_path, epochs=1, rate=1e-7, more="enabled = false\n")).code == NOTHING
    assert last_runs(house.database, 1)[0].reason == "nothing_new"
    forced = house.run(small_recipe(tmp_path, epochs=1, rate=1e-7, more="enabled = false\n"), force=True)
    assert forced.code == PUBLISHED
    assert current_folder(house.models) != before


def test_another_size_starts_from_scratch(house: SmallHouse, tmp_path: Path) -> None:
    house.run(small_recipe(tmp_path), write_corpus(tmp_path))
    bigger = small_recipe(tmp_path)
    bigger = load_with(tmp_path, bigger, "embed = 24\nhidden = 24", "embed = 32\nhidden = 32")
    ended = house.run(bigger, force=True)
    assert "other sizes" in stage(ended, "train").counts["start"]
    assert load_bundle(house.models / "current").manifest.parent == ""


def load_with(folder: Path, _: Any, old: str, new: str) -> Any:
    from training.recipe import load_recipe

    path = folder / "small.toml"
    path.write_text(path.read_text().replace(old, new))
    return load_recipe(str(path))


def test_a_model_of_another_language_is_no_champion(house: SmallHouse, tmp_path: Path) -> None:
    house.run(small_recipe(tmp_path, epochs=12), write_corpus(tmp_path))
    bad = small_recipe(tmp_path, epochs=1, rate=1e-7)
    bad = load_with(tmp_path, bad, "\n[tokenizer]", '\nlanguage = "en"\n[tokenizer]')
    ended = house.run(bad)
    assert (ended.code, "speaks ja" in ended.message) == (PUBLISHED, True)


def test_a_damaged_champion_is_none(house: SmallHouse, tmp_path: Path) -> None:
    house.run(small_recipe(tmp_path), write_corpus(tmp_path))
    (house.models / "current" / "decoder.npz").write_bytes(b"damaged")
    ended = house.run(small_recipe(tmp_path, epochs=5))
    assert ended.code == PUBLISHED
    assert load_bundle(house.models / "current")


def test_a_run_that_is_stopped_goes_on_where_it_was(
    house: SmallHouse, make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, corpus = small_recipe(tmp_path, epochs=8), write_corpus(tmp_path)
    epoch = Recorder.epoch

    def stopping(self: Recorder, record: Any) -> None:
        epoch(self, record)
        if record.epoch == 5:
            raise Stopped("for the test")

    monkeypatch.setattr(Recorder, "epoch", stopping)
    stopped = house.run(recipe, corpus)
    assert (stopped.code, current_folder(house.models)) == (FAILED, None)
    assert last_runs(house.database, 1)[0].state == "stopped"
    monkeypatch.undo()
    continued = house.run(recipe, corpus)
    assert (continued.code, "going on with run" in stage(continued, "corpus").note) == (PUBLISHED, True)

    other = SmallHouse(make_config, tmp_path, data={"dir": tmp_path / "other"}, models={"dir": tmp_path / "others"})
    other.run(recipe, corpus)
    unbroken, broken = (load_bundle(h.models / "current") for h in (other, house))
    assert all(np.array_equal(unbroken.arrays[name], broken.arrays[name]) for name in unbroken.arrays)
    with house.database.reader() as session:
        last = last_runs(house.database, 1)[0].id
        assert session.query(RunEpoch).filter(RunEpoch.run_id == last).count() == 8


def test_a_run_that_was_killed_right_after_publishing_has_published(
    house: SmallHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise Stopped("killed")

    monkeypatch.setattr(night, "remember_learned", killed)
    recipe = small_recipe(tmp_path)
    assert house.run(recipe, write_corpus(tmp_path)).code == FAILED
    live = load_bundle(house.models / "current")
    monkeypatch.undo()
    assert house.run(recipe).code == NOTHING
    after, before = last_runs(house.database, 2)
    assert (before.state, before.bundle_digest) == ("published", live.digest)
    assert after.reason == "nothing_new"
    assert len(published(house.models)) == 1


def test_answers_that_people_liked_are_learned_from(house: SmallHouse, tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path)
    house.run(recipe, write_corpus(tmp_path))
    digest = load_bundle(house.models / "current").manifest.encoder_digest
    for text, value in (("うけた", 1), ("すべった", -1)):
        answer = NewAnswer(
            platform="web",
            channel_id="1",
            picture_key=("ab" if value > 0 else "cd") * 8,
            text=text,
            score=0.0,
            mode="boke",
            model="m",
            encoder="efficientnet-lite0",
        )
        add_answer(house.database, answer)
        vote(house.database, answer.public_id, "a" * 32, value)
        vector = np.ones(1280, np.float32).tobytes()
        save_feature(house.database, answer.public_id, "efficientnet-lite0", digest, vector)
    ended = house.run(recipe, force=True)
    assert ended.code == PUBLISHED, ended.message
    assert stage(ended, "corpus").counts["chat"] == 1
    assert stage(ended, "corpus").counts["jokes"] == JOKES * len(PHOTOS) + 1
    assert len(load_bundle(house.models / "current").manifest.training_pictures) == len(PHOTOS) - 2


@pytest.mark.skipif(chainer.cuda.available, reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_said_plainly(house: SmallHouse, tmp_path: Path) -> None:
    ended = house.run(small_recipe(tmp_path), write_corpus(tmp_path), device="cuda:0")
    assert (ended.code, "CuPy" in ended.message) == (FAILED, True)


def test_somebody_asks_it_to_stop(house: SmallHouse, tmp_path: Path) -> None:
    process = start(
        tmp_path, "--import", str(write_corpus(tmp_path)), "--recipe", str(write_recipe(tmp_path, epochs=100_000))
    )
    from store.runs import request_stop

    while not request_stop(house.database) and process.poll() is None:
        pass
    code, _, err = finish(process)
    assert code == FAILED
    assert "on request" in err
    assert last_runs(house.database, 1)[0].state == "stopped"


def test_two_at_once(house: SmallHouse, tmp_path: Path) -> None:
    recipe, corpus = small_recipe(tmp_path), write_corpus(tmp_path)
    with hold_lock(house.database, "retrain"):  # another machine
        with pytest.raises(LockHeld, match="already going on"):
            house.run(recipe, corpus)
    other = start(tmp_path, "--import", str(corpus), "--recipe", str(write_recipe(tmp_path, epochs=100_000)))
    while lock_lease(house.database, "retrain") is None and other.poll() is None:
        pass
    with pytest.raises(LockHeld, match="already going on"):
        house.run(recipe, corpus)
    other.kill()
    finish(other)
    assert house.run(small_recipe(tmp_path), corpus).code == PUBLISHED  # a killed holder keeps nothing


def test_the_time_limit(make_config: Make, tmp_path: Path) -> None:
    house = SmallHouse(make_config, tmp_path)
    arguments = ("--import", str(write_corpus(tmp_path)), "--recipe", str(write_recipe(tmp_path, epochs=100_000)))
    code, _, err = finish(start(tmp_path, *arguments, BOKE__RETRAIN__TIME_LIMIT_S="1"))
    assert code == FAILED
    assert "time limit" in err
    assert last_runs(house.database, 1)[0].state == "stopped"


def test_in_another_thread_it_runs_as_well(house: SmallHouse, tmp_path: Path) -> None:
    recipe, corpus = small_recipe(tmp_path), write_corpus(tmp_path)
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(house.run(recipe, corpus).code))
    thread.start()
    thread.join(60)
    assert codes == [PUBLISHED]


def test_the_command_line(tmp_path: Path) -> None:
    recipe, corpus = write_recipe(tmp_path), write_corpus(tmp_path)
    code, out, err = finish(
        start(tmp_path, "--import", str(corpus), "--recipe", str(recipe), "--models", str(tmp_path / "elsewhere"))
    )
    assert code == PUBLISHED, err
    assert all(name in out for name in STAGES)
    assert load_bundle(tmp_path / "elsewhere" / "current")
    code, out, err = finish(start(tmp_path, "--recipe", str(recipe), "--models", str(tmp_path / "elsewhere")))
    assert code == NOTHING
    assert "nothing is new" in out
    code, out, err = finish(start(tmp_path, "--recipe", "nonsense"))
    assert (code, len(err.strip().splitlines())) == (FAILED, 1)
    assert "no recipe" in err
