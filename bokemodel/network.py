"""The trained decoder as plain numpy arrays: one step for many rows at once, and the likelihood of given texts.

The arithmetic is that of `bokemodel.decoder.Decoder`, without a graph and without importing Chainer, so that a worker starts
quickly; a parity test holds the two together. What does not change between steps is computed once: the input projection of
every word of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bokemodel.packing import Batch

Floats = NDArray[np.float32]
LOGITS_AT_ONCE = 4096  # rows of (rows, V) held at a time when texts are scored


@dataclass(frozen=True)
class State:
    """Hidden and cell state, each (rows, H)."""

    h: Floats
    c: Floats

    def take(self, rows: NDArray[Any]) -> State:
        return State(self.h[rows], self.c[rows])


class Network:
    """Weights of a decoder, ready to run."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the arrays of `Decoder.arrays`, of any float type."""
        a = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
        self.hidden = a["lstm_u"].shape[1]
        self.vocabulary = len(a["embed"])
        self.topics = (np.ascontiguousarray(a["topic_w"].T), a["topic_b"]) if "topic_w" in a else None
        self.img2x_w, self.img2x_b = np.ascontiguousarray(a["img2x_w"].T), a["img2x_b"]
        self.feature_dim = len(self.topics[0] if self.topics else self.img2x_w)
        self.lstm_w = np.ascontiguousarray(a["lstm_w"].T)
        self.lstm_u = np.ascontiguousarray(a["lstm_u"].T)
        self.out_w = np.ascontiguousarray(a.get("out_w", a["embed"]).T)
        self.out_b = a["out_b"]
        self.words = a["embed"] @ self.lstm_w + a["lstm_b"]

    def start(self, pictures: Floats, bos: int) -> State:
        """Normalised vectors (N, dim) to the state after <s>, where the picture enters."""
        if self.topics:
            w, b = self.topics
            pictures = _softmax(pictures @ w + b)
        gates = (pictures @ self.img2x_w + self.img2x_b) @ self.lstm_w + self.words[bos]
        return self._gated(gates, np.zeros((len(pictures), self.hidden), np.float32))

    def step(self, state: State, tokens: NDArray[np.integer[Any]]) -> State:
        """One more word in each row."""
        gates = state.h @ self.lstm_u
        gates += self.words[tokens]
        return self._gated(gates, state.c)

    def logits(self, h: Floats) -> Floats:
        """(rows, H) to (rows, V)."""
        out = h @ self.out_w
        out += self.out_b
        return out

    def _gated(self, gates: Floats, c: Floats) -> State:
        units = self.hidden
        sigmoids = gates[:, : 3 * units]
        sigmoids *= 0.5
        np.tanh(sigmoids, out=sigmoids)
        sigmoids *= 0.5
        sigmoids += 0.5
        candidate = np.tanh(gates[:, 3 * units :])
        c = sigmoids[:, units : 2 * units] * c + sigmoids[:, :units] * candidate
        return State(sigmoids[:, 2 * units :] * np.tanh(c), c)

    def log_probs(self, pictures: Floats, batch: Batch, bos: int) -> NDArray[np.float64]:
        """ln p(text | picture), </s> included, for each text of a batch: (B,) in the given order.

        pictures: normalised vectors (B, dim), one for each text in the given order.
        """
        state = self.start(pictures[batch.order], bos)
        hidden = [state.h]
        offset = int(batch.counts[0])
        for count in batch.counts[1:]:
            rows = slice(0, int(count))
            state = self.step(State(state.h[rows], state.c[rows]), batch.inputs[offset : offset + int(count)])
            hidden.append(state.h)
            offset += int(count)
        h = np.concatenate(hidden)
        nats = np.empty(len(h), np.float64)
        for begin in range(0, len(h), LOGITS_AT_ONCE):
            part = slice(begin, begin + LOGITS_AT_ONCE)
            nats[part] = token_log_probs(self.logits(h[part]), batch.targets[part])
        return np.bincount(batch.rows, nats, minlength=len(batch.order)).astype(np.float64)


def _softmax(scores: Floats) -> Floats:
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def token_log_probs(logits: Floats, targets: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """ln softmax(logits)[target] for each row. `logits` is used up."""
    logits -= logits.max(axis=1, keepdims=True)
    picked = logits[np.arange(len(logits)), targets].astype(np.float64)
    np.exp(logits, out=logits)
    return picked - np.log(logits.sum(axis=1, dtype=np.float64))
