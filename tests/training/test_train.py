"""The training loop: it learns, continues after a kill with the very same result, and stops when it no longer helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bokemodel.decoder import Decoder, DecoderConfig
from training.snapshots import Snapshots
from training.train import (
    Epoch,
    Step,
    Texts,
    TrainConfig,
    TrainingDiverged,
    _cut,
    batches,
    dev_batches,
    dev_loss,
    train,
)

BOS, EOS = 1, 2
SIZES = DecoderConfig(vocabulary=20, feature_dim=6, embed=12, hidden=12, tied=True, dropout=0.3)
CONFIG = TrainConfig(epochs=5, batch_size=8, learning_rate=1e-2, weight_decay=0.02, average=0.4, seed=7)


class Killed(BaseException):
    """Stands for the end of the process."""


def some_texts(count: int, seed: int = 0) -> Texts:
    """Texts whose first word follows from the picture."""
    rng = np.random.default_rng(seed)
    pictures = rng.normal(size=(count, 6)).astype(np.float32)
    first = 3 + pictures.argmax(axis=1)
    tokens = [[int(word), *rng.integers(9, 20, rng.integers(0, 6)).tolist()] for word in first]
    return Texts(pictures, tokens, rng.uniform(0.5, 1.5, count).astype(np.float32))


TEXTS, DEV = some_texts(50), some_texts(20, seed=1)


def run(
    snapshots: Snapshots | None = None,
    on_step: Callable[[Step], None] = lambda _: None,
    config: TrainConfig = CONFIG,
    dev: Texts | None = DEV,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> tuple[Decoder, tuple[Epoch, ...]]:
    decoder = Decoder(SIZES, seed=3)

    def epoch_texts(_number: int, rng: np.random.Generator) -> Texts:
        rng.random(3)  # an epoch may draw before its order is drawn
        return TEXTS

    arguments = {"bos": BOS, "eos": EOS, "dev": dev, "on_step": on_step, "on_epoch": on_epoch}
    trained = train(decoder, config, epoch_texts, snapshots=snapshots, snapshot_every_s=0.0, **arguments)  # type: ignore[arg-type]
    return decoder, trained.epochs


def same_weights(one: Decoder, other: Decoder) -> bool:
    a, b = one.arrays(), other.arrays()
    return all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("kills", [[1], [7], [8], [3, 20, 30], [35]])
def test_a_killed_run_ends_as_an_unbroken_one(tmp_path: Path, kills: list[int]) -> None:
    unbroken, epochs = run()
    steps = 0
    for kill in kills:

        def stop(_: Step, at: int = kill) -> None:
            nonlocal steps
            steps += 1
            if steps == at:
                raise Killed

        with pytest.raises(Killed):
            run(Snapshots(tmp_path / "run"), stop)
    continued, continued_epochs = run(Snapshots(tmp_path / "run"))
    assert same_weights(unbroken, continued)
    assert [replace(e, seconds=0.0) for e in continued_epochs] == [replace(e, seconds=0.0) for e in epochs]


@pytest.mark.parametrize("kill", [3, 10, 17])
def test_a_carried_state_survives_a_kill(tmp_path: Path, kill: int) -> None:
    config = replace(CONFIG, carry_state=True, epochs=3)
    unbroken, epochs = run(config=config)
    steps = 0

    def stop(_: Step) -> None:
        nonlocal steps
        steps += 1
        if steps == kill:
            raise Killed

    with pytest.raises(Killed):
        run(Snapshots(tmp_path), stop, config)
    continued, continued_epochs = run(Snapshots(tmp_path), config=config)
    assert same_weights(unbroken, continued)
    assert [replace(e, seconds=0.0) for e in continued_epochs] == [replace(e, seconds=0.0) for e in epochs]


@pytest.mark.parametrize(("batch_size", "final_rate"), [(1, 1.0), (50, 1.0), (25, 0.0)])
def test_weights_decay_by_the_epoch_and_with_the_learning_rate(batch_size: int, final_rate: float) -> None:
    config = TrainConfig(2, batch_size, 1e-12, final_rate, warm_up=0.0, weight_decay=0.1, average=0.0)
    decoder, _ = run(config=config, dev=None)  # average: of the last epoch alone
    steps = 100 // batch_size
    rates = np.ones(steps) if final_rate else (1 + np.cos(np.pi * np.arange(steps) / steps)) / 2
    left = np.prod(1 - 0.1 / (steps / 2) * rates)
    np.testing.assert_allclose(decoder.arrays()["lstm_u"], Decoder(SIZES, seed=3).arrays()["lstm_u"] * left, rtol=1e-4)


def test_a_killed_run_does_not_start_over(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def stop(step: Step) -> None:
        seen.append((step.epoch, step.done))
        if len(seen) == 10:
            raise Killed

    with pytest.raises(Killed):
        run(Snapshots(tmp_path), stop)
    run(Snapshots(tmp_path), lambda step: seen.append((step.epoch, step.done)))
    assert seen[10] in (seen[9], seen[9 - 1])  # the batch after the last snapshot
    assert seen[-1] == (5, 7)


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first, _ = run(Snapshots(tmp_path))
    again, _ = run(Snapshots(tmp_path), lambda _: pytest.fail("trained again"))
    assert same_weights(first, again)


def test_a_snapshot_of_another_configuration_is_left_alone(tmp_path: Path) -> None:
    run(Snapshots(tmp_path), config=replace(CONFIG, seed=1))
    fresh, _ = run()
    other, _ = run(Snapshots(tmp_path))
    assert same_weights(fresh, other)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half an archive", None])
def test_a_damaged_snapshot_starts_over(tmp_path: Path, damage: bytes | None) -> None:
    fresh, _ = run(Snapshots(tmp_path))
    for path in tmp_path.glob("arrays-*"):
        path.unlink() if damage is None else path.write_bytes(damage)
    again, _ = run(Snapshots(tmp_path))
    assert same_weights(fresh, again)


def test_same_seed_same_weights_and_another_seed_others() -> None:
    assert same_weights(run()[0], run()[0])
    assert not same_weights(run()[0], run(config=replace(CONFIG, seed=8))[0])


def test_the_global_generator_is_left_as_it_was() -> None:
    np.random.seed(5)
    run()
    drawn = np.random.random()
    np.random.seed(5)
    assert drawn == np.random.random()


def test_it_learns_the_pictures_word() -> None:
    config = replace(CONFIG, epochs=40, average=0.2)
    decoder, epochs = run(config=config, dev=None)
    assert epochs[-1].train_loss < epochs[0].train_loss - 0.5
    losses = {}
    for name, pictures in {"own": DEV.pictures, "none": np.zeros((20, 6), np.float32)}.items():
        losses[name] = dev_loss(decoder, dev_batches(Texts(pictures, DEV.tokens), 8, BOS, EOS))
    assert losses["own"] < losses["none"]


def test_training_ends_early_and_keeps_the_best_epoch() -> None:
    # Held-out texts that contradict what is learned: every epoch makes them worse.
    dev = Texts(TEXTS.pictures, [[3 + (text[0] - 2) % 6] for text in TEXTS.tokens])
    best: dict[int, Decoder] = {}
    decoder = Decoder(SIZES, seed=3)
    seen: list[Epoch] = []

    def note(epoch: Epoch) -> None:
        seen.append(epoch)
        copy = Decoder(SIZES)
        copy.load_arrays(decoder.arrays())
        best[epoch.number] = copy

    config = replace(CONFIG, epochs=200, patience=3)
    trained = train(decoder, config, lambda *_: TEXTS, bos=BOS, eos=EOS, dev=dev, on_epoch=note)
    losses = [epoch.dev_loss for epoch in seen]
    chosen = int(np.argmin([loss or 0 for loss in losses])) + 1
    assert trained.stopped_early
    assert len(seen) == chosen + 3
    assert trained.chosen == f"epoch {chosen}"
    assert same_weights(decoder, best[chosen])
    assert dev_loss(decoder, dev_batches(dev, 8, BOS, EOS)) == pytest.approx(trained.dev_loss, rel=1e-5)


def test_without_patience_every_epoch_is_trained() -> None:
    dev = Texts(TEXTS.pictures, [[3 + (text[0] - 2) % 6] for text in TEXTS.tokens])
    assert len(run(config=replace(CONFIG, epochs=12), dev=dev)[1]) == 12


def test_a_loss_that_is_no_number_is_said_plainly() -> None:
    broken = Texts(np.full((50, 6), np.nan, np.float32), TEXTS.tokens)
    with pytest.raises(TrainingDiverged, match="learning_rate"):
        train(Decoder(SIZES), CONFIG, lambda *_: broken, bos=BOS, eos=EOS)


def test_batches_hold_every_text_once_and_skipping_leaves_out_the_first() -> None:
    def all_of(skip: int) -> list[bytes]:
        rng = np.random.default_rng(0)
        return [pictures.tobytes() for pictures, _ in batches(TEXTS, 8, BOS, EOS, rng, skip)]

    assert sorted(map(len, all_of(0))) == [2 * 24, *([8 * 24] * 6)]
    assert len({row.tobytes() for batch in all_of(0) for row in np.frombuffer(batch, np.float32).reshape(-1, 6)}) == 50
    assert all_of(0)[3:] == all_of(3)


def test_texts_that_count_more_are_learned_better() -> None:
    pictures = np.zeros((2, 6), np.float32)
    tokens = [[5], [9]]

    def learned(weights: list[float]) -> list[float]:
        decoder = Decoder(replace(SIZES, dropout=0.0), seed=3)
        texts = Texts(pictures, tokens, np.array(weights, np.float32))
        train(decoder, replace(CONFIG, epochs=60), lambda *_: texts, bos=BOS, eos=EOS)
        return [dev_loss(decoder, dev_batches(Texts(pictures[:1], [text]), 8, BOS, EOS)) for text in tokens]

    first, second = learned([3.0, 1.0])
    assert first < second
    first, second = learned([1.0, 3.0])
    assert first > second


def test_equal_lengths_in_order() -> None:
    lengths = np.array([3, 1, 3, 1, 1, 2, 3])
    config = TrainConfig(batch_size=2, equal_lengths=True, shuffle=False)
    cut = _cut(lengths, config, np.random.default_rng(0))
    assert [batch.tolist() for batch in cut] == [[1, 3], [4], [5], [0, 2], [6]]
    shuffled = _cut(lengths, replace(config, shuffle=True), np.random.default_rng(0))
    assert all(len(set(lengths[batch])) == 1 for batch in shuffled)
    assert sorted(np.concatenate(shuffled).tolist()) == list(range(7))
    assert [batch.tolist() for batch in shuffled] != [batch.tolist() for batch in cut]


def test_the_loss_as_the_article_prints_it_is_that_of_a_text_over_the_size_of_its_batch() -> None:
    texts = Texts(np.zeros((6, 6), np.float32), [[5, 9], [6, 8], [7, 7], [4, 4], [3], [5]])
    config = TrainConfig(
        epochs=1, batch_size=4, learning_rate=1e-9, equal_lengths=True, shuffle=False, average=0.0, final_rate=1.0
    )
    decoder = Decoder(DecoderConfig(vocabulary=20, feature_dim=6, embed=12, hidden=12))
    decoder.load_arrays({name: np.zeros_like(array) for name, array in decoder.arrays().items()})
    (epoch,) = train(decoder, config, lambda *_: texts, bos=BOS, eos=EOS).epochs
    assert epoch.train_loss == pytest.approx(np.log(20), rel=1e-3)
    # one batch of two texts of two steps, one of four texts of three: five steps of ln 20 each, over six texts
    assert epoch.article_loss == pytest.approx((2 + 3) * np.log(20) / 6, rel=1e-3)


def test_unshuffled_batches_keep_the_order() -> None:
    config = TrainConfig(batch_size=3, shuffle=False)
    cut = _cut(np.array([3, 1, 3, 1]), config, np.random.default_rng(0))
    assert [batch.tolist() for batch in cut] == [[0, 1, 2], [3]]


@pytest.mark.parametrize("carry", [False, True])
def test_a_carried_state_changes_what_is_learned(carry: bool) -> None:
    plain, _ = run(dev=None)
    other, _ = run(dev=None, config=replace(CONFIG, carry_state=carry))
    assert same_weights(plain, other) != carry
