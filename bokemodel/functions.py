"""Chainer functions with hand-derived gradients: an LSTM over whole sequences, and softmax cross entropy with its linear layer.

Chainer's own LSTM makes a graph node per step and gate; most of the time on a CPU goes there. Here one node covers the whole
sequence: one matrix product for all input projections, gates in place, one product for each weight's gradient.

Sequences are *packed*: the rows of step 0 come first, then those of step 1 and so on. Sequences are sorted by falling
length, so that the rows of step t continue the first `counts[t]` rows of step t - 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bokemodel.chainer_compat import chainer

Array = Any  # numpy or CuPy array


class LSTMSequence(chainer.FunctionNode):
    """Hochreiter & Schmidhuber 1997 with forget gate, over packed sequences. Gates in the order i, f, o, g."""

    def __init__(self, counts: np.ndarray[Any, Any]) -> None:
        self.counts = [int(n) for n in counts]
        self.starts = np.concatenate([[0], np.cumsum(self.counts)]).tolist()

    def forward(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        x, w, u, b, h0, c0 = inputs
        xp = chainer.backend.get_array_module(x)
        units = u.shape[1]
        gates = x @ w.T
        gates += b
        cells, tanh_cells, outputs = (xp.empty((len(x), units), x.dtype) for _ in range(3))
        h, c = h0, c0
        for n, start in zip(self.counts, self.starts, strict=False):
            rows = slice(start, start + n)
            g = gates[rows]
            g += h[:n] @ u.T
            sigmoids, candidate = g[:, : 3 * units], g[:, 3 * units :]
            _sigmoid(xp, sigmoids)
            xp.tanh(candidate, out=candidate)
            c_new, tanh_c = cells[rows], tanh_cells[rows]
            xp.multiply(g[:, units : 2 * units], c[:n], out=c_new)
            c_new += g[:, :units] * candidate
            xp.tanh(c_new, out=tanh_c)
            xp.multiply(g[:, 2 * units : 3 * units], tanh_c, out=outputs[rows])
            h, c = outputs[rows], c_new
        self.retain_inputs((0, 1, 2, 4, 5))
        self.retain_outputs((0,))
        self.gates, self.cells, self.tanh_cells = gates, cells, tanh_cells
        return (outputs,)

    def backward(self, indexes: Any, grad_outputs: Any) -> Any:
        x, w, u, h0, c0 = (v.array for v in self.get_retained_inputs())
        outputs = self.get_retained_outputs()[0].array
        xp = chainer.backend.get_array_module(x)
        units = u.shape[1]
        gates, cells, tanh_cells = self.gates, self.cells, self.tanh_cells
        grad_h_out = grad_outputs[0].array
        grad_gates = xp.empty_like(gates)
        dh_next, dc_next = xp.zeros_like(h0), xp.zeros_like(c0)
        for step in range(len(self.counts) - 1, -1, -1):
            n, start = self.counts[step], self.starts[step]
            rows = slice(start, start + n)
            g, d = gates[rows], grad_gates[rows]
            i, f, o, candidate = (g[:, k * units : (k + 1) * units] for k in range(4))
            c_before = c0[:n] if step == 0 else cells[self.starts[step - 1] : self.starts[step - 1] + n]
            dh = grad_h_out[rows] + dh_next[:n]
            tanh_c = tanh_cells[rows]
            dc = dh * o
            dc *= 1 - tanh_c * tanh_c
            dc += dc_next[:n]
            d[:, :units] = dc * candidate * i * (1 - i)
            d[:, units : 2 * units] = dc * c_before * f * (1 - f)
            d[:, 2 * units : 3 * units] = dh * tanh_c * o * (1 - o)
            d[:, 3 * units :] = dc * i * (1 - candidate * candidate)
            dh_next[:n] = d @ u
            dc_next[:n] = dc * f
        h_before = xp.concatenate([h0[: self.counts[0]], *self._shifted(outputs)])
        grads = (
            grad_gates @ w,
            grad_gates.T @ x,
            grad_gates.T @ h_before,
            grad_gates.sum(axis=0),
            dh_next,
            dc_next,
        )
        return tuple(chainer.as_variable(grads[index]) for index in indexes)

    def _shifted(self, outputs: Array) -> list[Array]:
        """What each row saw as the hidden state before it, from step 1 on."""
        return [outputs[s : s + n] for s, n in zip(self.starts, self.counts[1:], strict=False)]


def _sigmoid(xp: Any, values: Array) -> None:
    """Logistic function in place, by tanh: no overflow, and one fast vector instruction."""
    values *= 0.5
    xp.tanh(values, out=values)
    values *= 0.5
    values += 0.5


def lstm_sequence(x: Any, w: Any, u: Any, b: Any, h0: Any, c0: Any, counts: np.ndarray[Any, Any]) -> Any:
    """Run an LSTM over packed sequences.

    Args:
        x: (N, E) inputs, packed. w: (4H, E), u: (4H, H), b: (4H,). h0, c0: (B, H) the state before step 0.
        counts: (T,) falling numbers of running sequences by step; counts[0] = B, sum = N.

    Returns:
        Variable (N, H): the hidden state after each row.
    """
    return LSTMSequence(counts).apply((x, w, u, b, h0, c0))[0]


class LinearSoftmaxCrossEntropy(chainer.FunctionNode):
    """Mean of -log softmax(h w' + b)[t], weighted, without keeping more than one (N, V) array."""

    def __init__(self, targets: Array, weights: Array, smoothing: float) -> None:
        self.targets, self.weights, self.smoothing = targets, weights, smoothing

    def forward(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        h, w, b = inputs
        xp = chainer.backend.get_array_module(h)
        rows = xp.arange(len(h))
        logits = h @ w.T
        logits += b
        logits -= logits.max(axis=1, keepdims=True)
        picked = logits[rows, self.targets]
        mean_logit = logits.mean(axis=1) if self.smoothing else 0.0
        xp.exp(logits, out=logits)
        total = logits.sum(axis=1)
        log_total = xp.log(total)
        nats = log_total - picked
        if self.smoothing:
            nats = (1 - self.smoothing) * nats + self.smoothing * (log_total - mean_logit)
        self.retain_inputs((0, 1))
        self.exp, self.total = logits, total
        return (xp.asarray((nats * self.weights).sum() / self.weights.sum(), dtype=h.dtype),)

    def backward(self, indexes: Any, grad_outputs: Any) -> Any:
        h, w = (v.array for v in self.get_retained_inputs())
        xp = chainer.backend.get_array_module(h)
        share = grad_outputs[0].array * self.weights / self.weights.sum()
        grad = self.exp  # used up here: the graph is walked once
        grad *= (share / self.total)[:, None]
        if self.smoothing:
            grad -= (share * (self.smoothing / grad.shape[1]))[:, None]
        grad[xp.arange(len(h)), self.targets] -= (1 - self.smoothing) * share
        grads = (grad @ w, grad.T @ h, grad.sum(axis=0))
        return tuple(chainer.as_variable(grads[index]) for index in indexes)


def linear_softmax_cross_entropy(h: Any, w: Any, b: Any, targets: Array, weights: Array, smoothing: float = 0.0) -> Any:
    """Weighted mean cross entropy of a linear layer's softmax, in nats.

    Args:
        h: (N, H). w: (V, H), b: (V,). targets: (N,) int32. weights: (N,) float32, at least one above 0.
        smoothing: share of the target's probability that is spread evenly over all V words.

    Returns:
        Variable (): sum(weights * nats) / sum(weights).
    """
    return LinearSoftmaxCrossEntropy(targets, weights, smoothing).apply((h, w, b))[0]
