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
        # sigmoid(z) = (1 + tanh(z / 2)) / 2: with the halves in the weights, one tanh serves all four gates.
        halves = xp.full((4 * units, 1), 0.5, x.dtype)
        halves[3 * units :] = 1
        gates = x @ (w * halves).T
        gates += b * halves[:, 0]
        recurrent = xp.ascontiguousarray((u * halves).T)
        cells, tanh_cells, outputs = (xp.empty((len(x), units), x.dtype) for _ in range(3))
        h, c = h0, c0
        for n, start in zip(self.counts, self.starts, strict=False):
            rows = slice(start, start + n)
            g = gates[rows]
            g += h[:n] @ recurrent
            xp.tanh(g, out=g)
            sigmoids = g[:, : 3 * units]
            sigmoids *= 0.5
            sigmoids += 0.5
            c_new, tanh_c, h_new = cells[rows], tanh_cells[rows], outputs[rows]
            xp.multiply(g[:, :units], g[:, 3 * units :], out=c_new)
            xp.multiply(g[:, units : 2 * units], c[:n], out=h_new)  # h_new lends its room
            c_new += h_new
            xp.tanh(c_new, out=tanh_c)
            xp.multiply(g[:, 2 * units : 3 * units], tanh_c, out=h_new)
            h, c = h_new, c_new
        self.retain_inputs((0, 1, 2, 4, 5))
        self.retain_outputs((0,))
        self.gates, self.cells, self.tanh_cells = gates, cells, tanh_cells
        return (outputs,)

    def backward(self, indexes: Any, grad_outputs: Any) -> Any:
        x, w, u, h0, c0 = (v.array for v in self.get_retained_inputs())
        outputs = self.get_retained_outputs()[0].array
        xp = chainer.backend.get_array_module(x)
        units, first = u.shape[1], self.counts[0]
        grad_h_out = grad_outputs[0].array
        grad_gates, grad_cells = self._local_gradients(xp, c0)
        forget = self.gates[:, units : 2 * units]
        dh_next, dc_next = xp.zeros_like(h0), xp.zeros_like(c0)
        dh_room, dc_room = xp.empty_like(h0), xp.empty_like(c0)
        for step in range(len(self.counts) - 1, -1, -1):
            n, start = self.counts[step], self.starts[step]
            rows = slice(start, start + n)
            d = grad_gates[rows].reshape(n, 4, units)
            dh, dc = dh_room[:n], dc_room[:n]
            xp.add(grad_h_out[rows], dh_next[:n], out=dh)
            xp.multiply(dh, grad_cells[rows], out=dc)
            dc += dc_next[:n]
            d[:, :2] *= dc[:, None]
            d[:, 2] *= dh
            d[:, 3] *= dc
            dh_next[:n] = grad_gates[rows] @ u
            xp.multiply(dc, forget[rows], out=dc_next[:n])
        h_before = xp.concatenate([h0[:first], *self._shifted(outputs)])
        grads = (
            grad_gates @ w,
            grad_gates.T @ x,
            grad_gates.T @ h_before,
            grad_gates.sum(axis=0),
            dh_next,
            dc_next,
        )
        return tuple(chainer.as_variable(grads[index]) for index in indexes)

    def _local_gradients(self, xp: Any, c0: Array) -> tuple[Array, Array]:
        """All of the gradient that needs no later step, over the whole sequence at once.

        Returns (N, 4H): what a gate's gradient is for each unit of dc (i, f, g) or of dh (o), and (N, H): dc for each of dh.
        """
        gates, cells, tanh_cells = self.gates, self.cells, self.tanh_cells
        units = cells.shape[1]
        i, o, g = (gates[:, k * units : (k + 1) * units] for k in (0, 2, 3))
        local = xp.empty_like(gates)
        sigmoids = local[:, : 3 * units]
        xp.subtract(1, gates[:, : 3 * units], out=sigmoids)
        sigmoids *= gates[:, : 3 * units]
        local[:, :units] *= g
        c_before = c0
        for n, start in zip(self.counts, self.starts, strict=False):
            local[start : start + n, units : 2 * units] *= c_before[:n]
            c_before = cells[start : start + n]
        local[:, 2 * units : 3 * units] *= tanh_cells
        candidate = local[:, 3 * units :]
        xp.multiply(g, g, out=candidate)
        xp.subtract(1, candidate, out=candidate)
        candidate *= i
        grad_cells = tanh_cells * tanh_cells
        xp.subtract(1, grad_cells, out=grad_cells)
        grad_cells *= o
        return local, grad_cells

    def _shifted(self, outputs: Array) -> list[Array]:
        """What each row saw as the hidden state before it, from step 1 on."""
        return [outputs[s : s + n] for s, n in zip(self.starts, self.counts[1:], strict=False)]


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
        logits = h @ w.T
        nats = xp.empty(len(h), h.dtype)
        self.total = xp.empty((len(h), 1), h.dtype)
        for rows in _blocks(xp, logits):  # a block stays in the cache while it is walked over several times
            block, targets = logits[rows], self.targets[rows]
            block += b
            block -= block.max(axis=1, keepdims=True)
            picked = block[xp.arange(len(block)), targets]
            mean_logit = block.mean(axis=1) if self.smoothing else 0.0
            xp.exp(block, out=block)
            total = block.sum(axis=1, keepdims=True)
            log_total = xp.log(total[:, 0])
            nats[rows] = log_total - (1 - self.smoothing) * picked - self.smoothing * mean_logit
            self.total[rows] = total
        self.retain_inputs((0, 1))
        self.exp = logits
        return (xp.asarray((nats * self.weights).sum() / self.weights.sum(), dtype=h.dtype),)

    def backward(self, indexes: Any, grad_outputs: Any) -> Any:
        h, w = (v.array for v in self.get_retained_inputs())
        xp = chainer.backend.get_array_module(h)
        share = grad_outputs[0].array * self.weights / self.weights.sum()
        grad = self.exp  # used up here: the graph is walked once
        grad *= share[:, None] / self.total
        if self.smoothing:
            grad -= (share * (self.smoothing / grad.shape[1]))[:, None]
        grad[xp.arange(len(h)), self.targets] -= (1 - self.smoothing) * share
        grads = (grad @ w, grad.T @ h, grad.sum(axis=0))
        return tuple(chainer.as_variable(grads[index]) for index in indexes)


CACHED = 1 << 17  # numbers of a block


def _blocks(xp: Any, array: Array) -> list[slice]:
    """Rows of an array (N, V) in parts that fit a processor's cache; all at once on a GPU."""
    size = max(1, CACHED // array.shape[1]) if xp is np else len(array)
    return [slice(start, start + size) for start in range(0, len(array), size)]


class Rows(chainer.FunctionNode):
    """Some rows of a matrix, such as the embeddings of words. The gradient adds up by sorting instead of one by one."""

    def __init__(self, index: Array) -> None:
        self.index = index

    def forward(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        self.shape = inputs[0].shape
        return (inputs[0][self.index],)

    def backward(self, indexes: Any, grad_outputs: Any) -> Any:
        grad = grad_outputs[0].array
        xp = chainer.backend.get_array_module(grad)
        total = xp.zeros(self.shape, grad.dtype)
        if xp is np:
            order = np.argsort(self.index, kind="stable")
            words = self.index[order]
            starts = np.flatnonzero(np.diff(words, prepend=-1))
            total[words[starts]] = np.add.reduceat(grad[order], starts, axis=0)
        else:
            xp.add.at(total, self.index, grad)
        return (chainer.as_variable(total),)


def rows_of(matrix: Any, index: Array) -> Any:
    """matrix (V, E), index (N,) of integers, to a Variable (N, E)."""
    return Rows(index).apply((matrix,))[0]


def linear_softmax_cross_entropy(h: Any, w: Any, b: Any, targets: Array, weights: Array, smoothing: float = 0.0) -> Any:
    """Weighted mean cross entropy of a linear layer's softmax, in nats.

    Args:
        h: (N, H). w: (V, H), b: (V,). targets: (N,) int32. weights: (N,) float32, at least one above 0.
        smoothing: share of the target's probability that is spread evenly over all V words.

    Returns:
        Variable (): sum(weights * nats) / sum(weights).
    """
    return LinearSoftmaxCrossEntropy(targets, weights, smoothing).apply((h, w, b))[0]
