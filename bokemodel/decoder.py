"""The article's decoder: an LSTM that sees the picture once, at the first step, and then writes.

    h_0 = embed(<s>) + img2x(v),  h_t = embed(w_t)          (Karpathy & Fei-Fei 2015, eq. 13-15; Vinyals et al. 2014, eq. 10-12)
    s_t = LSTM(h_t, s_{t-1}),     p(w_{t+1}) = softmax(out(s_t))

v is the encoder's vector, brought to length 1, centred and scaled by what `Normalizer` learned from the training pictures;
the mean picture is therefore v = 0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bokemodel.chainer_compat import F, L, chainer
from bokemodel.functions import LSTMSequence, linear_softmax_cross_entropy, rows_of
from bokemodel.packing import Batch

Floats = NDArray[np.float32]


# What is seen at the first step must last to the end of the text. With the usual small weights and a forget gate half
# open, a picture's trace is gone before the gradient finds it, and the decoder learns to do without.
FORGET_BIAS = 3.0
INPUT_GAIN = 3.0


@dataclass(frozen=True)
class DecoderConfig:
    """Sizes of a decoder. The article's sees the picture at the first step alone; the three last fields go beyond that.

    tied: use the embedding as output layer (needs embed == hidden).
    embed_gain: how many times as large as usual the embeddings start. Larger ones are heard by the gates from the first
        batch on; what small ones say of a rare word is learned so late that a few thousand texts end before it.
    word_dropout: share of the words before that the decoder does not see while it learns (Bowman et al. 2016); it then
        relies more on the picture, and joins halves of sentences that it never saw together.
    topics: 0 is the article's linear img2x. Otherwise the vector first becomes a distribution over so many topics
        (softmax of a linear layer), and img2x reads that: what the picture shows, without everything else about it.
    start: the picture also sets the state before the first step, h = tanh(a v), c = b v (Vinyals et al. 2014 by another way).
    every: the picture enters with every word, as at the first step (what Karpathy & Fei-Fei 2015 found to be worse).
    output: the picture is also added to what the output layer reads at each step, after the LSTM, which need not
        remember it then (the "merge" of Tanti et al. 2017).
    """

    vocabulary: int
    feature_dim: int
    embed: int = 100
    hidden: int = 100
    tied: bool = False
    embed_gain: float = 1.0
    dropout: float = 0.0
    word_dropout: float = 0.0
    topics: int = 0
    start: bool = False
    every: bool = False
    output: bool = False


class Decoder(chainer.Chain):
    """The LSTM as Chainer links; `bokemodel.search` runs the same arithmetic on its `arrays`."""

    def __init__(self, config: DecoderConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self._carries = False
        self._ended: tuple[Any, ...] = ()
        self.fixed: tuple[str, ...] = ()  # names of links that training leaves as they are
        rng = np.random.default_rng(seed)
        embed, hidden = config.embed, config.hidden

        def uniform(*shape: int, fan: int, gain: float = 1.0) -> Floats:
            bound = gain / np.sqrt(fan)
            return rng.uniform(-bound, bound, shape).astype(np.float32)

        forget_open = np.zeros(4 * hidden, np.float32)
        forget_open[hidden : 2 * hidden] = FORGET_BIAS
        with self.init_scope():
            self.embed = L.EmbedID(
                config.vocabulary,
                embed,
                initialW=uniform(config.vocabulary, embed, fan=embed if config.tied else 10, gain=config.embed_gain),
            )
            # the vector has length 1 in all (packing.Normalizer): its weights start as large as one input's would
            if config.topics:
                self.topic = L.Linear(
                    config.feature_dim, config.topics, initialW=uniform(config.topics, config.feature_dim, fan=1)
                )
            seen = config.topics or config.feature_dim
            self.img2x = L.Linear(seen, embed, initialW=uniform(embed, seen, fan=1))
            if config.start:
                self.img2start = L.Linear(seen, 2 * hidden, initialW=uniform(2 * hidden, seen, fan=1, gain=0.5))
            if config.output:
                self.img2out = L.Linear(seen, hidden, initialW=uniform(hidden, seen, fan=1, gain=0.5))
            self.w = chainer.Parameter(uniform(4 * hidden, embed, fan=embed, gain=INPUT_GAIN))
            self.u = chainer.Parameter(uniform(4 * hidden, hidden, fan=hidden))
            self.b = chainer.Parameter(forget_open)
            if not config.tied:
                self.out_w = chainer.Parameter(uniform(config.vocabulary, hidden, fan=hidden, gain=INPUT_GAIN))
            self.out_b = chainer.Parameter(np.zeros(config.vocabulary, np.float32))

    def hidden_states(self, pictures: Any, batch: Batch) -> Any:
        """Normalised vectors (B, dim) of the texts of `batch`, in the given order, to the LSTM's states (N, hidden)."""
        xp, units = self.xp, self.config.hidden
        first = int(batch.counts[0])
        pictures = xp.asarray(pictures)[xp.asarray(batch.order)]
        x = rows_of(self.embed.W, xp.asarray(batch.inputs))
        if self.config.dropout:
            x = F.dropout(x, self.config.dropout)
        if self.config.word_dropout and chainer.config.train:
            x = x * self._word_mask(batch)
        seen = F.softmax(self.topic(pictures)) if self.config.topics else pictures
        picture_of = xp.asarray(np.concatenate([np.arange(n) for n in batch.counts]))
        if self.config.every:
            x = x + rows_of(self.img2x(seen), picture_of)
        elif len(x) > first:
            x = F.concat([x[:first] + self.img2x(seen), x[first:]], axis=0)
        else:
            x = x + self.img2x(seen)
        h = c = xp.zeros((first, units), np.float32)
        if self.config.start:
            start = self.img2start(seen)
            h, c = F.tanh(start[:, :units]), start[:, units:]
        if self._carries and chainer.config.train:
            h, c = self._continued(first)
        sequence = LSTMSequence(batch.counts)
        (h,) = sequence.apply((x, self.w, self.u, self.b, h, c))
        if self._carries:
            self._ended = (h.array[-int(batch.counts[-1]) :], sequence.cells[-int(batch.counts[-1]) :])
        if self.config.output:
            h = h + rows_of(self.img2out(seen), picture_of)
        return F.dropout(h, self.config.dropout) if self.config.dropout else h

    def carry_state(self, carries: bool) -> None:
        """While it learns: start each batch from the state in which the longest texts of the one before ended.

        This is what the article's published loop does, which never resets the LSTM; it makes no sense otherwise.
        """
        self._carries, self._ended = carries, ()

    @property
    def carried(self) -> tuple[Floats, ...]:
        """The state (h, c), each (B, hidden), that the next batch starts from; empty where none is carried."""
        return tuple(chainer.cuda.to_cpu(array) for array in self._ended)

    @carried.setter
    def carried(self, state: tuple[Floats, ...]) -> None:
        self._ended = tuple(self.xp.asarray(array) for array in state)

    def _continued(self, rows: int) -> tuple[Any, Any]:
        """State (rows, H) from the batch before; zeros for rows that it did not have."""
        state = [self.xp.zeros((rows, self.config.hidden), np.float32) for _ in range(2)]
        for array, before in zip(state, self._ended, strict=False):
            array[: len(before)] = before[:rows]
        return state[0], state[1]

    def _word_mask(self, batch: Batch) -> Any:
        kept = self.xp.asarray(np.random.random(len(batch.inputs)) >= self.config.word_dropout)
        return self.xp.broadcast_to(kept[:, None], (len(kept), self.config.embed)).astype(np.float32)

    def loss(self, pictures: Any, batch: Batch, smoothing: float = 0.0) -> Any:
        """Weighted mean of -ln p(token) in nats, a Variable ()."""
        h = self.hidden_states(pictures, batch)
        targets, weights = self.xp.asarray(batch.targets), self.xp.asarray(batch.weights)
        loss = linear_softmax_cross_entropy(h, self._out_w, self.out_b, targets, weights, smoothing)
        self.last_loss = float(loss.array)
        return loss

    @property
    def _out_w(self) -> Any:
        return self.embed.W if self.config.tied else self.out_w

    def _named(self) -> dict[str, Any]:
        named = {"embed": self.embed.W, "img2x_w": self.img2x.W, "img2x_b": self.img2x.b}
        named |= {"lstm_w": self.w, "lstm_u": self.u, "lstm_b": self.b, "out_b": self.out_b}
        if not self.config.tied:
            named["out_w"] = self.out_w
        if self.config.topics:
            named |= {"topic_w": self.topic.W, "topic_b": self.topic.b}
        if self.config.every:
            named["every_w"], named["every_b"] = named.pop("img2x_w"), named.pop("img2x_b")
        if self.config.start:
            named |= {"start_w": self.img2start.W, "start_b": self.img2start.b}
        if self.config.output:
            named |= {"img2out_w": self.img2out.W, "img2out_b": self.img2out.b}
        return named

    def arrays(self) -> dict[str, Floats]:
        """All weights by name, for a bundle."""
        return {name: chainer.cuda.to_cpu(parameter.array).copy() for name, parameter in self._named().items()}

    def load_arrays(self, arrays: dict[str, Floats]) -> None:
        """Take weights made by `arrays`; a copy, so a decoder can go on learning from a bundle."""
        for name, parameter in self._named().items():
            parameter.array[...] = self.xp.asarray(arrays[name])


def config_to_json(config: DecoderConfig) -> dict[str, Any]:
    """For a bundle's manifest."""
    return asdict(config)
