"""The training loop: batches of like length, Adam, clipping, a falling learning rate, an average of the last weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bokemodel.chainer_compat import chainer
from bokemodel.decoder import Decoder
from bokemodel.packing import Batch, pack

Floats = NDArray[np.float32]
POOL = 30  # batches whose texts are sorted by length together


@dataclass(frozen=True)
class TrainConfig:
    """How a decoder is trained."""

    epochs: int = 30
    batch_size: int = 64  # texts
    learning_rate: float = 2e-3
    final_rate: float = 0.05  # of the learning rate, at the end of a cosine
    warm_up: float = 0.02  # share of all steps
    clip: float = 5.0  # norm of the gradient
    weight_decay: float = 0.0
    smoothing: float = 0.0
    average: float = 0.25  # share of the epochs, at the end, whose weights are averaged
    seed: int = 0


@dataclass(frozen=True)
class Texts:
    """What one epoch learns from: normalised vectors (N, dim), token ids, and how much each text counts."""

    pictures: Floats
    tokens: Sequence[Sequence[int]]
    weights: Floats | None = None


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch; losses in nats a token."""

    number: int
    train_loss: float
    learning_rate: float
    tokens: int


def batches(texts: Texts, size: int, bos: int, eos: int, rng: np.random.Generator) -> Iterator[tuple[Floats, Batch]]:
    """All texts in random batches of like length: (pictures (B, dim), packed batch)."""
    order = rng.permutation(len(texts.tokens))
    cut: list[NDArray[np.int64]] = []
    for start in range(0, len(order), size * POOL):
        pool = order[start : start + size * POOL]
        pool = pool[np.argsort([-len(texts.tokens[i]) for i in pool], kind="stable")]
        cut += [pool[i : i + size] for i in range(0, len(pool), size)]
    for index in rng.permutation(len(cut)):
        chosen = cut[index]
        weights = None if texts.weights is None else texts.weights[chosen].tolist()
        yield texts.pictures[chosen], pack([texts.tokens[i] for i in chosen], bos, eos, weights)


def train(
    decoder: Decoder,
    config: TrainConfig,
    epoch_texts: Callable[[int, np.random.Generator], Texts],
    *,
    bos: int,
    eos: int,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> None:
    """Train in place; at the end the decoder holds the average of the last epochs' weights.

    epoch_texts: called with the epoch's number (from 1) and a generator of its own; gives that epoch's texts.
    """
    optimizer = chainer.optimizers.Adam(config.learning_rate, weight_decay_rate=config.weight_decay)
    optimizer.setup(decoder)
    optimizer.add_hook(chainer.optimizer_hooks.GradientClipping(config.clip))
    average = _Average(decoder)
    first_averaged = config.epochs - max(1, round(config.epochs * config.average)) + 1
    for number in range(1, config.epochs + 1):
        rng = np.random.default_rng([config.seed, number])
        texts = epoch_texts(number, rng)
        count = -(-len(texts.tokens) // config.batch_size)
        total, tokens = 0.0, 0
        with chainer.using_config("train", True), _chainer_seed(config.seed, number):
            for done, (pictures, batch) in enumerate(batches(texts, config.batch_size, bos, eos, rng)):
                optimizer.alpha = _rate(config, (number - 1 + done / count) / config.epochs)
                optimizer.update(decoder.loss, pictures, batch, config.smoothing)
                total += float(optimizer.target.last_loss) * len(batch.targets)
                tokens += len(batch.targets)
        if number >= first_averaged:
            average.add()
        on_epoch(Epoch(number, total / max(tokens, 1), float(optimizer.alpha), tokens))
    average.apply()


def _rate(config: TrainConfig, progress: float) -> float:
    """Linear warm-up, then a cosine down to `final_rate`."""
    if progress < config.warm_up:
        return config.learning_rate * max(progress / config.warm_up, 0.02)
    fall = 0.5 * (1 + np.cos(np.pi * (progress - config.warm_up) / (1 - config.warm_up)))
    return float(config.learning_rate * (config.final_rate + (1 - config.final_rate) * fall))


class _Average:
    """Mean of a decoder's weights over several moments (Izmailov et al. 2018)."""

    def __init__(self, decoder: Decoder) -> None:
        self.parameters = list(decoder.params())
        self.sums = [np.zeros(p.shape, np.float64) for p in self.parameters]
        self.count = 0

    def add(self) -> None:
        for total, parameter in zip(self.sums, self.parameters, strict=True):
            total += chainer.cuda.to_cpu(parameter.array)
        self.count += 1

    def apply(self) -> None:
        for total, parameter in zip(self.sums, self.parameters, strict=True):
            xp = chainer.backend.get_array_module(parameter.array)
            parameter.array[...] = xp.asarray((total / self.count).astype(np.float32))


class _chainer_seed:  # noqa: N801
    """Chainer's dropout draws from numpy's global generator: seed it for an epoch, and put it back."""

    def __init__(self, seed: int, number: int) -> None:
        self.seed = np.random.SeedSequence([seed, number]).generate_state(1)[0]

    def __enter__(self) -> None:
        self.before = np.random.get_state()
        np.random.seed(self.seed)

    def __exit__(self, *_: object) -> None:
        np.random.set_state(self.before)


def dev_loss(decoder: Decoder, batches_of: Iterable[tuple[Floats, Batch]]) -> float:
    """Mean nats a token, without dropout."""
    total, tokens = 0.0, 0
    with chainer.no_backprop_mode(), chainer.using_config("train", False):
        for pictures, batch in batches_of:
            total += float(decoder.loss(pictures, batch).array) * len(batch.targets)
            tokens += len(batch.targets)
    return total / max(tokens, 1)
