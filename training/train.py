"""The training loop: batches of like length, Adam, clipping, a falling learning rate, an average of the last weights.

A run that is killed continues from its last snapshot and ends with the very same weights: every epoch's order comes from
the seed and the epoch's number, every batch's dropout from the seed, the epoch and the batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bokemodel.chainer_compat import chainer
from bokemodel.decoder import Decoder
from bokemodel.packing import Batch, pack
from training.averaging import WeightAverage
from training.optimizer import make_optimizer
from training.snapshots import Snapshot, Snapshots

Floats = NDArray[np.float32]
POOL = 30  # batches whose texts are sorted by length together
DEV_BATCH = 4  # times the size of a training batch: nothing is kept for a backward pass


class TrainingDiverged(Exception):
    """The loss is no number any more; the message says what to change."""


@dataclass(frozen=True)
class TrainConfig:
    """How a decoder is trained."""

    epochs: int = 30
    batch_size: int = 64  # texts
    learning_rate: float = 2e-3
    final_rate: float = 0.05  # of the learning rate, at the end of a cosine
    warm_up: float = 0.02  # share of all steps
    clip: float = 5.0  # norm of the gradient
    weight_decay: float = 0.0  # share of each weight, but for biases, that an epoch takes off at the full learning rate
    smoothing: float = 0.0
    average: float = 0.25  # share of the epochs, at the end, whose weights are averaged
    patience: int = 0  # epochs without a better dev loss after which training ends; 0: never
    shuffle: bool = True  # false: texts and batches come in the corpus's order, every epoch alike
    equal_lengths: bool = False  # a batch's texts have the very same length; otherwise about the same
    carry_state: bool = False  # a batch starts from the state in which the one before ended, as the article's loop did
    seed: int = 0


class Rows(Protocol):
    """Vectors by number: an array, or something that looks them up."""

    def __getitem__(self, index: NDArray[np.int64], /) -> Floats: ...


@dataclass(frozen=True)
class Texts:
    """What one epoch learns from: normalised vectors (N, dim), token ids, and how much each text counts."""

    pictures: Rows
    tokens: Sequence[Sequence[int]] | Sequence[NDArray[Any]]
    weights: Floats | None = None


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch; losses in nats a token.

    Attributes:
        article_loss: the training loss as the article's loop prints its own: a batch's mean nats a text, summed over all
            batches, over the number of texts. That is nats a text over the batch's size: it falls where batches are larger.
    """

    number: int
    train_loss: float
    learning_rate: float
    tokens: int
    dev_loss: float | None = None
    seconds: float = 0.0
    article_loss: float = 0.0


@dataclass(frozen=True)
class Step:
    """How far training is: batches done of an epoch."""

    epoch: int
    epochs: int
    done: int
    batches: int
    loss: float


@dataclass(frozen=True)
class Trained:
    """How training ended: whose weights the decoder holds now."""

    epochs: tuple[Epoch, ...]
    chosen: str  # "average", or "epoch N"
    dev_loss: float | None
    stopped_early: bool


def batches(
    texts: Texts, size: int, bos: int, eos: int, rng: np.random.Generator, skip: int = 0
) -> Iterator[tuple[Floats, Batch]]:
    """All texts in random batches of like length, without the first `skip`: (pictures (B, dim), packed batch)."""
    return _packed(texts, _shuffled(_lengths(texts.tokens), size, rng)[skip:], bos, eos)


def _packed(texts: Texts, cut: Sequence[NDArray[np.int64]], bos: int, eos: int) -> Iterator[tuple[Floats, Batch]]:
    for chosen in cut:
        weights = None if texts.weights is None else texts.weights[chosen].tolist()
        yield texts.pictures[chosen], pack([texts.tokens[i] for i in chosen], bos, eos, weights)


def _cut(lengths: NDArray[np.int64], config: TrainConfig, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Which texts each batch of an epoch holds."""
    if config.equal_lengths:
        return _of_equal_length(lengths, config.batch_size, rng if config.shuffle else None)
    if config.shuffle:
        return _shuffled(lengths, config.batch_size, rng)
    return [np.arange(i, min(i + config.batch_size, len(lengths))) for i in range(0, len(lengths), config.batch_size)]


def _shuffled(lengths: NDArray[np.int64], size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    order = rng.permutation(len(lengths))
    cut: list[NDArray[np.int64]] = []
    for start in range(0, len(order), size * POOL):
        pool = order[start : start + size * POOL]
        pool = pool[np.argsort(-lengths[pool], kind="stable")]
        cut += [pool[i : i + size] for i in range(0, len(pool), size)]
    return [cut[index] for index in rng.permutation(len(cut))]


def _of_equal_length(lengths: NDArray[np.int64], size: int, rng: np.random.Generator | None) -> list[NDArray[np.int64]]:
    """Without a generator: the shortest first, and texts of one length in their order."""
    order = np.arange(len(lengths)) if rng is None else rng.permutation(len(lengths))
    order = order[np.argsort(lengths[order], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1)
    cut = [group[i : i + size] for group in groups for i in range(0, len(group), size)]
    return cut if rng is None else [cut[index] for index in rng.permutation(len(cut))]


def dev_batches(texts: Texts, size: int, bos: int, eos: int) -> Iterator[tuple[Floats, Batch]]:
    """All texts in batches of like length, the same every time; every text counts the same."""
    order = np.argsort(-_lengths(texts.tokens), kind="stable")
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield texts.pictures[chosen], pack([texts.tokens[i] for i in chosen], bos, eos)


def train(
    decoder: Decoder,
    config: TrainConfig,
    epoch_texts: Callable[[int, np.random.Generator], Texts],
    *,
    bos: int,
    eos: int,
    dev: Texts | None = None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
    on_step: Callable[[Step], None] = lambda _: None,
    snapshots: Snapshots | None = None,
    snapshot_every_s: float = 60.0,
) -> Trained:
    """Train in place; at the end the decoder holds the average of the last epochs' weights.

    With `dev`, it holds the weights of the best epoch instead where those do better on it.

    Args:
        epoch_texts: called with the epoch's number (from 1) and a generator of its own; gives that epoch's texts.
        dev: texts of pictures that are not trained on.
        on_epoch: called after each epoch of this call; on_step: after each batch. An exception of theirs ends the training.
        snapshots: where the run is kept, and found again if it was interrupted.
        snapshot_every_s: seconds between two snapshots within an epoch.

    Raises:
        TrainingDiverged
        OSError: a snapshot could not be written.
    """
    run = _Run(decoder, config, dev is not None)
    if snapshots is not None and (saved := snapshots.load()) is not None:
        run.restore(saved)
    saved_at = time.monotonic()
    while run.number <= config.epochs and not run.stopped_early:
        began = time.monotonic() - run.seconds
        texts, rng = _epoch(epoch_texts, config, run.number)
        cut = _cut(_lengths(texts.tokens), config, rng)
        count = len(cut)
        with chainer.using_config("train", True):
            for pictures, batch in _packed(texts, cut[run.done :], bos, eos):
                run.step(pictures, batch, count)
                on_step(Step(run.number, config.epochs, run.done, count, run.last_loss))
                if snapshots is not None and time.monotonic() - saved_at >= snapshot_every_s:
                    run.seconds = time.monotonic() - began
                    snapshots.save(run.snapshot())
                    saved_at = time.monotonic()
        found = None if dev is None else dev_loss(decoder, dev_batches(dev, DEV_BATCH * config.batch_size, bos, eos))
        epoch = run.end_epoch(found, time.monotonic() - began)
        on_epoch(epoch)
        if snapshots is not None:
            snapshots.save(run.snapshot())
            saved_at = time.monotonic()
    return run.choose(dev, bos, eos)


def _epoch(
    epoch_texts: Callable[[int, np.random.Generator], Texts], config: TrainConfig, number: int
) -> tuple[Texts, np.random.Generator]:
    rng = np.random.default_rng([config.seed, number])
    return epoch_texts(number, rng), rng


class _Run:
    """Everything that changes while a decoder is trained."""

    def __init__(self, decoder: Decoder, config: TrainConfig, has_dev: bool) -> None:
        self.decoder, self.config, self.has_dev = decoder, config, has_dev
        decoder.carry_state(config.carry_state)
        self.optimizer = make_optimizer(decoder, config.learning_rate, config.clip)
        self.average = WeightAverage(decoder)
        self.first_averaged = config.epochs - max(1, round(config.epochs * config.average)) + 1
        self.best: dict[str, Floats] = {}
        self.epochs: list[Epoch] = []
        self.number, self.done = 1, 0  # the epoch under way, and its batches behind us
        self.total, self.tokens, self.seconds, self.last_loss = 0.0, 0, 0.0, 0.0
        self.summed, self.texts = 0.0, 0  # of the epoch under way: batches' mean nats a text, and texts

    def step(self, pictures: Floats, batch: Batch, count: int) -> None:
        """Learn from one batch."""
        progress = (self.number - 1 + self.done / count) / self.config.epochs
        self.optimizer.alpha = _rate(self.config, progress)
        # With what is learned: otherwise the last epochs' weights shrink faster than they are learned again.
        rate = self.optimizer.alpha / self.config.learning_rate
        self.optimizer.weight_decay_rate = self.config.weight_decay / count * rate
        with _chainer_seed(self.config.seed, self.number, self.done):
            self.optimizer.update(self.decoder.loss, pictures, batch, self.config.smoothing)
        self.last_loss = float(self.decoder.last_loss)
        if not math.isfinite(self.last_loss):
            raise TrainingDiverged(
                f"the loss became {self.last_loss} in epoch {self.number}: lower train.learning_rate or train.clip"
            )
        self.total += self.last_loss * len(batch.targets)
        self.tokens += len(batch.targets)
        self.summed += self.last_loss * len(batch.targets) / len(batch.order)
        self.texts += len(batch.order)
        self.done += 1

    def end_epoch(self, found: float | None, seconds: float) -> Epoch:
        """Close the epoch under way and open the next."""
        epoch = Epoch(
            self.number,
            self.total / max(self.tokens, 1),
            float(self.optimizer.alpha),
            self.tokens,
            found,
            seconds,
            self.summed / max(self.texts, 1),
        )
        if found is not None and found < min((e.dev_loss for e in self.epochs if e.dev_loss is not None), default=1e9):
            self.best = _weights(self.decoder)
        if self.number >= self.first_averaged:
            self.average.add()
        self.epochs.append(epoch)
        self.number, self.done, self.total, self.tokens, self.seconds = self.number + 1, 0, 0.0, 0, 0.0
        self.summed, self.texts = 0.0, 0
        return epoch

    @property
    def stopped_early(self) -> bool:
        losses = [epoch.dev_loss for epoch in self.epochs if epoch.dev_loss is not None]
        if not self.config.patience or not losses:
            return False
        return len(losses) - 1 - losses.index(min(losses)) >= self.config.patience

    def choose(self, dev: Texts | None, bos: int, eos: int) -> Trained:
        """Give the decoder its final weights."""
        epochs, stopped = tuple(self.epochs), self.stopped_early and self.number <= self.config.epochs
        if self.average.count:
            self.average.apply()
        if dev is None:
            return Trained(epochs, "average", None, stopped)
        best = min(epochs, key=lambda epoch: math.inf if epoch.dev_loss is None else epoch.dev_loss)
        assert best.dev_loss is not None
        if self.average.count:
            size = DEV_BATCH * self.config.batch_size
            averaged = dev_loss(self.decoder, dev_batches(dev, size, bos, eos))
            if averaged <= best.dev_loss:
                return Trained(epochs, "average", averaged, stopped)
        _put_weights(self.decoder, self.best)
        return Trained(epochs, f"epoch {best.number}", best.dev_loss, stopped)

    def snapshot(self) -> Snapshot:
        adam = chainer.serializers.DictionarySerializer()
        adam.save(self.optimizer)
        arrays = {f"weights{name}": array for name, array in _weights(self.decoder).items()}
        arrays |= {f"best{name}": array for name, array in self.best.items()}
        arrays |= {f"adam/{name}": np.asarray(chainer.cuda.to_cpu(value)) for name, value in adam.target.items()}
        arrays |= {f"average/{index}": total for index, total in enumerate(self.average.sums)}
        arrays |= {f"carried/{index}": array for index, array in enumerate(self.decoder.carried)}
        facts = {
            "config": asdict(self.config),
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "number": self.number,
            "done": self.done,
            "total": self.total,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "summed": self.summed,
            "texts": self.texts,
            "averaged": self.average.count,
        }
        return Snapshot(facts, arrays)

    def restore(self, saved: Snapshot) -> None:
        """Go on where a snapshot of the same configuration was taken; one of another is left alone."""
        facts, arrays = saved.facts, saved.arrays
        if facts.get("config") != asdict(self.config):
            return
        adam = {name.removeprefix("adam/"): array for name, array in arrays.items() if name.startswith("adam/")}
        _put_weights(self.decoder, _under("weights", arrays))
        chainer.serializers.NpzDeserializer(adam).load(self.optimizer)
        self.best = _under("best", arrays)
        self.average.restore([arrays[f"average/{index}"] for index in range(len(self.average.sums))], facts["averaged"])
        self.epochs = [Epoch(**epoch) for epoch in facts["epochs"]]
        self.number, self.done, self.tokens = facts["number"], facts["done"], facts["tokens"]
        self.total, self.seconds = facts["total"], facts["seconds"]
        self.summed, self.texts = facts.get("summed", 0.0), facts.get("texts", 0)
        self.decoder.carried = tuple(arrays[f"carried/{i}"] for i in range(2) if f"carried/{i}" in arrays)
        if self.epochs:
            self.optimizer.alpha = self.epochs[-1].learning_rate


def _rate(config: TrainConfig, progress: float) -> float:
    """Linear warm-up, then a cosine down to `final_rate`."""
    if progress < config.warm_up:
        return config.learning_rate * max(progress / config.warm_up, 0.02)
    fall = 0.5 * (1 + np.cos(np.pi * (progress - config.warm_up) / (1 - config.warm_up)))
    return float(config.learning_rate * (config.final_rate + (1 - config.final_rate) * fall))


class _chainer_seed:
    """Chainer's dropout draws from numpy's global generator (CuPy's on a GPU): seed it for a batch, and put it back."""

    def __init__(self, *seed: int) -> None:
        self.seed = np.random.SeedSequence(seed).generate_state(1)[0]

    def __enter__(self) -> None:
        self.before = np.random.get_state()
        np.random.seed(self.seed)
        if chainer.cuda.available:
            chainer.cuda.cupy.random.seed(int(self.seed))

    def __exit__(self, *_: object) -> None:
        np.random.set_state(self.before)


def _lengths(tokens: Sequence[Any]) -> NDArray[np.int64]:
    known = getattr(tokens, "lengths", None)
    return np.array([len(text) for text in tokens], np.int64) if known is None else np.asarray(known, np.int64)


def _weights(decoder: Decoder) -> dict[str, Floats]:
    """Copies of all weights by their path, such as /embed/W."""
    return {name: np.array(chainer.cuda.to_cpu(parameter.array)) for name, parameter in decoder.namedparams()}


def _put_weights(decoder: Decoder, weights: dict[str, Floats]) -> None:
    for name, parameter in decoder.namedparams():
        parameter.array[...] = decoder.xp.asarray(weights[name])


def _under(prefix: str, arrays: dict[str, NDArray[Any]]) -> dict[str, Floats]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(f"{prefix}/")}


def dev_loss(decoder: Decoder, batches_of: Iterable[tuple[Floats, Batch]]) -> float:
    """Mean nats a token, without dropout."""
    total, tokens = 0.0, 0
    with chainer.no_backprop_mode(), chainer.using_config("train", False):
        for pictures, batch in batches_of:
            total += float(decoder.loss(pictures, batch).array) * len(batch.targets)
            tokens += len(batch.targets)
    return total / max(tokens, 1)
