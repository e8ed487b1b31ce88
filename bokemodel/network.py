"""The trained decoder as plain numpy arrays: one step for many rows at once, and the likelihood of given texts.

The arithmetic is that of `bokemodel.decoder.Decoder`, without a graph and without importing Chainer, so that a worker starts
quickly; a parity test holds the two together. What does not change between steps is computed once: the input projection of
every word of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bokemodel.trigrams import NAMES, NOTHING, Trigrams

if TYPE_CHECKING:
    from bokemodel.packing import Batch

Floats = NDArray[np.float32]
SMALLEST = 1e-20  # sum of the numbers `exp` makes of a row's logits, so that none of weight is lost in 32 bits
LOGITS_AT_ONCE = 4096  # rows of (rows, V) held at a time when texts are scored


@dataclass(frozen=True)
class State:
    """Hidden and cell state, each (rows, H), and what the picture adds at each step: to the gates (rows, 4H), to the output
    layer's input (rows, H); None where it adds nothing. A step reads `output`, too: `to_gates` takes off what that has too
    much for it. before: (2, rows) the last two words, where it matters."""

    h: Floats
    c: Floats
    to_gates: Floats | None = None
    to_output: Floats | None = None
    before: NDArray[np.int64] | None = None

    def take(self, rows: NDArray[Any] | slice) -> State:
        gates, output, before = self.to_gates, self.to_output, self.before
        return State(
            self.h[rows],
            self.c[rows],
            None if gates is None else gates[rows],
            None if output is None else output[rows],
            None if before is None else before[:, rows],
        )

    def followed_by(self, other: State) -> State:
        """The rows of both."""

        def joined(a: Any, b: Any, axis: int = 0) -> Any:
            return None if a is None else np.concatenate((a, b), axis)

        return State(
            joined(self.h, other.h),
            joined(self.c, other.c),
            joined(self.to_gates, other.to_gates),
            joined(self.to_output, other.to_output),
            joined(self.before, other.before, 1),
        )

    @property
    def output(self) -> Floats:
        """What the output layer reads: (rows, H)."""
        return self.h if self.to_output is None else self.h + self.to_output


@dataclass(frozen=True)
class Prediction:
    """Which words may come next.

    weights: (rows, V) in proportion to each word's probability; total: (rows,) what they add up to; gates: (rows, 4H) what
    the state gives to the gates of the next step.
    """

    weights: Floats
    total: Floats
    gates: Floats

    def take(self, rows: NDArray[Any] | slice) -> Prediction:
        return Prediction(self.weights[rows], self.total[rows], self.gates[rows])


class Network:
    """Weights of a decoder, ready to run."""

    def __init__(
        self, arrays: Mapping[str, NDArray[Any]], product: Callable[[Floats], Callable[[Floats], Floats]] | None = None
    ) -> None:
        """Take the arrays of `Decoder.arrays`, of any float type, and those of `Trigrams.learn` where there are any.

        product: makes, of weights (K, M), what multiplies rows (N, K) with them in each step; left out, NumPy does.
        """
        a = {name: np.asarray(array, np.float32) for name, array in arrays.items() if name not in NAMES}
        self.hidden = a["lstm_u"].shape[1]
        self.vocabulary = len(a["embed"])
        self._halved = np.repeat(np.array([0.5, 1], np.float32), [3 * self.hidden, self.hidden])  # see `_gated`
        self.trigrams = Trigrams(arrays, self.vocabulary) if NAMES[0] in arrays else None
        self.topics = _layer(a, "topic") if "topic_w" in a else None
        self.every = "every_w" in a
        self.img2x = _layer(a, "every" if self.every else "img2x")
        self.img2start = _layer(a, "start") if "start_w" in a else None
        self.img2out = _layer(a, "img2out") if "img2out_w" in a else None
        self.feature_dim = len((self.topics or self.img2x)[0])
        self.lstm_w = np.ascontiguousarray(a["lstm_w"].T) * self._halved
        # The recurrent weights and the output layer with its bias side by side: one product with a state is faster than two.
        width = 4 * self.hidden + self.vocabulary
        odd = 8 * (width % 32 == 0)  # rows a multiple of 128 bytes apart: a product takes a fifth to two fifths longer
        self.reads = np.zeros((self.hidden + 1, width + odd), np.float32)[:, :width]
        self.lstm_u, self.out_b = self.reads[:-1, : 4 * self.hidden], self.reads[-1, 4 * self.hidden :]
        self.lstm_u[:] = a["lstm_u"].T * self._halved
        self.reads[:-1, 4 * self.hidden :] = a.get("out_w", a["embed"]).T
        self.out_b[:] = a["out_b"]
        self.words = a["embed"] @ self.lstm_w + a["lstm_b"] * self._halved
        self._ones = np.ones(self.vocabulary, np.float32)
        self._mean_starts: dict[int, State] = {}
        self._read = product(self.reads) if product else self.reads.__rmatmul__

    def start(self, pictures: Floats, bos: int) -> State:
        """Normalised vectors (N, dim) to the state after <s>, where the picture enters."""
        if self.topics:
            pictures = _softmax(_apply(self.topics, pictures))
        h = c = np.zeros((len(pictures), self.hidden), np.float32)
        seen = _apply(self.img2x, pictures) @ self.lstm_w
        gates = seen + self.words[bos]
        if self.img2start:
            start = _apply(self.img2start, pictures)
            h, c = np.tanh(start[:, : self.hidden]), start[:, self.hidden :]
            gates += h @ self.lstm_u
        to_gates, to_output = seen if self.every else None, None
        if self.img2out:
            to_output = _apply(self.img2out, pictures)
            excess = to_output @ self.lstm_u
            to_gates = -excess if to_gates is None else to_gates - excess
        before = None if self.trigrams is None else np.repeat([[NOTHING], [bos]], len(pictures), axis=1)
        return self._gated(gates, State(h, c, to_gates, to_output), before)

    def mean_start(self, bos: int) -> State:
        """The state after <s> under the mean picture, one row; worked out once."""
        if bos not in self._mean_starts:
            self._mean_starts[bos] = self.start(np.zeros((1, self.feature_dim), np.float32), bos)
        return self._mean_starts[bos]

    def step(self, state: State, tokens: NDArray[np.integer[Any]], gates: Floats | None = None) -> State:
        """One more word in each row. gates: of the state's `Prediction`, where there is one."""
        inputs = self.words[tokens]
        inputs += state.output @ self.lstm_u if gates is None else gates
        if state.to_gates is not None:
            inputs += state.to_gates
        before = None if state.before is None else np.array((state.before[1], tokens))
        return self._gated(inputs, state, before)

    def predict(self, state: State) -> Prediction:
        """What comes next. Logits beyond what `exp` can take are dealt with, but NumPy may warn of them first."""
        both = self._read(_and_one(state.output))
        gates, logits = both[:, : 4 * self.hidden], both[:, 4 * self.hidden :]
        weights = np.exp(logits)
        total = weights @ self._ones
        sums = total.tolist()
        if not SMALLEST < min(sums) <= max(sums) < 1 / SMALLEST:  # hardly ever; only then in the safe way
            weights = np.exp(logits - logits.max(axis=1, keepdims=True))
            total = weights @ self._ones
        if self.trigrams is not None and state.before is not None:
            total = self.trigrams.mix(weights, total, *state.before)
        return Prediction(weights, total, gates)

    def logits(self, h: Floats) -> Floats:
        """`State.output` (rows, H) to what the LSTM alone says of the next word, (rows, V)."""
        return _and_one(h) @ self.reads[:, 4 * self.hidden :]

    def _gated(self, gates: Floats, last: State, before: NDArray[np.int64] | None) -> State:
        """Gates (rows, 4H), all but the last H halved, to the state after them: sigmoid(x) is (1 + tanh(x / 2)) / 2."""
        units = self.hidden
        np.tanh(gates, out=gates)
        doubled = gates[:, : 3 * units]
        doubled += 1
        c = doubled[:, units : 2 * units] * last.c
        c += doubled[:, :units] * gates[:, 3 * units :]
        c *= 0.5
        h = np.tanh(c)
        h *= doubled[:, 2 * units :]
        h *= 0.5
        return State(h, c, last.to_gates, last.to_output, before)

    def outputs(self, pictures: Floats, batch: Batch, bos: int) -> Floats:
        """What the output layer reads at each step of given texts: (N, H), packed as the batch is.

        pictures: normalised vectors (B, dim), one for each text in the given order, or one for all, (1, dim).
        """
        state = self.start(pictures, bos).take(batch.order if len(pictures) > 1 else np.zeros_like(batch.order))
        hidden = [state.output]
        offset = int(batch.counts[0])
        for count in batch.counts[1:]:
            state = self.step(state.take(slice(0, int(count))), batch.inputs[offset : offset + int(count)])
            hidden.append(state.output)
            offset += int(count)
        return np.concatenate(hidden)

    def mean_outputs(self, pictures: Floats, batch: Batch, bos: int) -> Floats:
        """The mean of `outputs` over each text's steps: (B, H) in the given order."""
        h = self.outputs(pictures, batch, bos)
        total = np.zeros((len(batch.order), self.hidden), np.float32)
        offset = 0
        for count in batch.counts:  # the texts that go on are always the first ones
            total[:count] += h[offset : offset + int(count)]
            offset += int(count)
        steps = (np.arange(len(total))[:, None] < batch.counts).sum(axis=1)
        mean = np.empty_like(total)
        mean[batch.order] = total / steps[:, None]
        return mean

    def log_probs(self, pictures: Floats, batch: Batch, bos: int) -> NDArray[np.float64]:
        """ln p(text | picture), </s> included, for each text of a batch: (B,) in the given order.

        pictures: normalised vectors (B, dim), one for each text in the given order, or one for all, (1, dim).
        """
        h = self.outputs(pictures, batch, bos)
        nats = np.empty(len(h), np.float64)
        for begin in range(0, len(h), LOGITS_AT_ONCE):
            part = slice(begin, begin + LOGITS_AT_ONCE)
            nats[part] = self._token_log_probs(h[part], batch.targets[part])
        if self.trigrams is not None:
            nats = self.trigrams.mixed_log_probs(nats, batch.second_last, batch.inputs, batch.targets)
        return np.bincount(batch.rows, nats, minlength=len(batch.order)).astype(np.float64)

    def _token_log_probs(self, h: Floats, targets: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """ln p of a target by the LSTM alone after each row of `State.output`."""
        logits = self.logits(h)
        logits -= logits.max(axis=1, keepdims=True)
        picked = logits[np.arange(len(logits)), targets].astype(np.float64)
        np.exp(logits, out=logits)
        return picked - np.log(logits @ self._ones)


Layer = tuple[Floats, Floats]


def _layer(arrays: Mapping[str, Floats], name: str) -> Layer:
    """Weights (in, out) and bias (out,)."""
    return np.ascontiguousarray(arrays[f"{name}_w"].T), arrays[f"{name}_b"]


def _apply(layer: Layer, values: Floats) -> Floats:
    return values @ layer[0] + layer[1]


def _softmax(scores: Floats) -> Floats:
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def _and_one(values: Floats) -> Floats:
    """(rows, H) to (rows, H + 1): what a bias is multiplied with."""
    found = np.empty((len(values), values.shape[1] + 1), np.float32)
    found[:, :-1], found[:, -1] = values, 1
    return found
