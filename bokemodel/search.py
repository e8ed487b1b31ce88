"""From a picture's vector to texts: sampling and beam search, all candidates of all pictures in one batch, and reranking.

Reranking is by ln p(text | picture) - lambda ln p(text | mean picture), the anti-language-model form of maximum mutual
information (Li et al. 2016, eq. 9), over a power of the length: what would be said of any picture loses.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bokemodel.network import Network, Prediction, State
from bokemodel.tokenizer import Tokenizer

Floats = NDArray[np.float32]
TINY = np.finfo(np.float32).tiny  # for a word that rounds to nothing under the mean picture: its ln p stays a number
TOP = 64  # a sampled word is always among so many likeliest ones; far fewer carry the probability that top-p keeps


@dataclass(frozen=True)
class SearchSettings:
    """How answers are looked for; a bundle carries what suits it."""

    candidates: int = 32
    max_tokens: int = 50
    temperature: float = 0.8
    top_p: float = 0.95
    mmi_lambda: float = 0.5
    length_power: float = 1.0
    fluency: float = float("inf")  # nats a token by which a text may be less likely than the likeliest, unpunished
    variety: float = 0.0  # size of the chance in the choice among good texts; 0 always takes the best score
    freshness: float = 0.0  # added to the score of a text that the model did not learn word for word
    funny_weight: float = (
        0.0  # what one standard deviation of funniness adds to the score, where a model has a sense of it
    )
    beam: int = 3


@dataclass(frozen=True)
class Candidate:
    """A text with its ln p(text | picture) in nats and its number of tokens, </s> included.

    What `sample` knows besides: everyday, ln p(text | mean picture); state, (H,) what the output layer read, the mean over the
    steps.
    """

    text: str
    tokens: tuple[int, ...]
    log_prob: float
    everyday: float = float("nan")
    state: Floats | None = field(default=None, repr=False, compare=False)


Sense = Callable[[Sequence[Candidate]], NDArray[np.float64]]  # candidates (N,) to how funny they are (N,)


@np.errstate(divide="ignore", over="ignore")  # ln p of what cannot come is -inf; for `Network.predict`
def sample(
    network: Network, tokenizer: Tokenizer, pictures: Floats, settings: SearchSettings, seeds: Sequence[int]
) -> list[list[Candidate]]:
    """Draw `settings.candidates` texts for each picture by temperature and top-p (Holtzman et al. 2020).

    pictures: normalised vectors (N, dim); seeds: (N,), a picture's texts depend on its own seed alone.
    Returns for each picture the different finished texts, likeliest first.

    Candidates of a picture that are equal so far are one row. All rows come twice: those of the pictures are followed by as many
    that read the same under the mean picture, because twice the rows in one product take less time than two products.
    """
    count, steps = settings.candidates, settings.max_tokens + 1
    draws = np.concatenate([np.random.default_rng(seed).random((steps, count)) for seed in seeds], axis=1)
    rows = np.arange(len(pictures) * count)  # which candidate each running one is
    at = rows // count  # the row that it stands at
    everyday = network.mean_start(tokenizer.bos).take(np.zeros(len(pictures), np.int64))
    state = network.start(pictures, tokenizer.bos).followed_by(everyday)
    said = network.predict(state)
    written = np.full((len(rows), steps), -1, np.int64)
    nats, outputs = np.zeros((2, len(rows))), np.zeros((len(rows), network.hidden), np.float32)
    finished = np.zeros(len(rows), bool)
    never = np.array(tokenizer.never(), np.int64)
    for step in range(steps):
        half = len(said.total) // 2
        outputs[rows] += state.output[at]
        parents, tokens, which = _draw(
            said.take(slice(half)), never, at, draws[step, rows], settings.temperature, settings.top_p
        )
        both = np.array((parents, parents + half))
        drawn = np.log(np.maximum(said.weights[both, tokens], TINY)) - np.log(said.total[both])
        nats[:, rows] += drawn[:, which]
        going = tokens != tokenizer.eos
        running = going[which]
        finished[rows[~running]] = True
        rows, which = rows[running], which[running]
        if not len(rows) or step == steps - 1:
            break
        written[rows, step] = tokens[which]
        at, following = (going.cumsum() - 1)[which], both[:, going].ravel()
        state = network.step(state.take(following), np.tile(tokens[going], 2), said.gates[following])
        said = network.predict(state)
    outputs /= (written >= 0).sum(axis=1, keepdims=True) + 1
    return [
        _unique(
            _candidate(tokenizer, written[row], *nats[:, row], outputs[row])
            for row in range(n * count, (n + 1) * count)
            if finished[row]
        )
        for n in range(len(pictures))
    ]


def _draw(
    said: Prediction,
    never: NDArray[np.int64],
    at: NDArray[np.int64],
    draws: NDArray[np.float64],
    temperature: float,
    top_p: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """One word for each candidate. at, draws: (candidates,) its row in `said`, and its chance from 0 to 1.

    Returns the different ones that were drawn, (D,) the row that each follows on and (D,) the word, and which of these each
    candidate has, (candidates,).
    """
    found = _largest(_possible(said, never))
    values = np.log(found)
    weights = np.exp((values - values[:, :1]) * np.float32(1 / max(temperature, 1e-4)))
    upto = weights.cumsum(axis=1)
    last = (upto >= min(top_p, 1) * upto[:, -1:]).argmax(axis=1)
    most = upto[np.arange(len(upto)), last]
    wanted = (draws * most[at]).astype(np.float32)
    chosen = (upto[at] >= wanted[:, None]).argmax(axis=1)
    different: dict[int, int] = {}
    which = [different.setdefault(cell, len(different)) for cell in (at * found.shape[1] + chosen).tolist()]
    parents, chosen = np.divmod(np.array(list(different)), found.shape[1])
    return parents, _words(said.weights[parents], found[parents], chosen), np.array(which)


def _largest(weights: Floats) -> Floats:
    """The `TOP` largest of each row, largest first: (rows, TOP); all of them where there are fewer.

    Floating-point numbers that are not negative are ordered as the integers of the same bits are, which are sorted faster.
    """
    bits = weights.copy().view(np.int32)
    if bits.shape[1] > TOP:
        bits.partition(bits.shape[1] - TOP, axis=1)
        bits = bits[:, -TOP:]
    bits.sort(axis=1)
    return bits[:, ::-1].view(np.float32)


def _words(weights: Floats, found: Floats, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where in each row of `weights` that one stands which is number `chosen` of the largest ones `found`: (rows,).

    It is sought by its value: cheaper than to sort words along with their weights.
    """
    value = found[np.arange(len(found)), chosen, None]
    same = weights == value
    words = same.argmax(axis=1)
    if np.count_nonzero(same) > len(same):  # hardly ever: some have equals
        for row, number in enumerate(chosen - np.count_nonzero(found > value, axis=1)):
            words[row] = np.flatnonzero(same[row])[number]
    return words


def _possible(said: Prediction, never: NDArray[np.int64]) -> Floats:
    """The weights, (rows, V), without those words that no text holds."""
    said.weights[:, never] = 0
    return said.weights


@np.errstate(divide="ignore", over="ignore")
def beam_search(
    network: Network, tokenizer: Tokenizer, pictures: Floats, settings: SearchSettings, width: int | None = None
) -> list[list[Candidate]]:
    """The `width` likeliest texts that a beam finds for each picture, likeliest for their length first."""
    width = width or settings.beam
    count = len(pictures)
    state = network.start(pictures, tokenizer.bos).take(np.repeat(np.arange(count), width))
    scores = np.full((count, width), -np.inf)
    scores[:, 0] = 0.0  # all beams of a picture start equal: only one may branch at first
    texts: list[list[tuple[int, ...]]] = [[()] * width for _ in range(count)]
    done: list[list[Candidate]] = [[] for _ in range(count)]
    never = np.array(tokenizer.never(), np.int64)
    for step in range(settings.max_tokens + 1):
        said = network.predict(state)
        weights = _possible(said, never)
        words = np.argpartition(weights, -2 * width, axis=1)[:, -2 * width :]  # more of one beam are never needed
        nats = np.log(np.take_along_axis(weights, words, axis=1)) - np.log(said.total)[:, None]
        words, totals = words.reshape(count, -1), (scores.reshape(-1, 1) + nats).reshape(count, -1)
        parents, tokens = np.zeros((count, width), np.int64), np.full((count, width), tokenizer.eos)
        scores = np.full((count, width), -np.inf)
        for n in range(count):
            kept = 0
            for index in np.argsort(-totals[n], kind="stable")[: 2 * width]:
                parent, token, total = int(index) // (2 * width), int(words[n, index]), float(totals[n, index])
                if not np.isfinite(total) or kept == width:
                    break
                if token == tokenizer.eos:
                    done[n].append(_candidate(tokenizer, texts[n][parent], total))
                elif step < settings.max_tokens:
                    parents[n, kept], tokens[n, kept], scores[n, kept] = parent, token, total
                    kept += 1
            texts[n] = [(*texts[n][parents[n, k]], int(tokens[n, k])) for k in range(width)]
            if len(done[n]) >= width and not _can_improve(done[n], scores[n], width, step, settings.length_power):
                scores[n] = -np.inf
        if not np.isfinite(scores).any():
            break
        rows = (np.arange(count)[:, None] * width + parents).ravel()
        state = network.step(state.take(rows), tokens.ravel(), said.gates[rows])
    return [
        sorted(_unique(found), key=lambda c: -_per_length(c.log_prob, len(c.tokens) + 1, settings.length_power))[:width]
        for found in done
    ]


def _can_improve(done: list[Candidate], running: NDArray[np.float64], width: int, step: int, power: float) -> bool:
    """Could a running beam still beat the worst of the best `width` finished ones, if it ended now?"""
    finished = sorted((_per_length(c.log_prob, len(c.tokens) + 1, power) for c in done), reverse=True)
    return bool(_per_length(float(running.max()), step + 2, power) > finished[width - 1])


FLUENCY_PENALTY = 4.0  # for each nat a token beyond `fluency`


def rerank(
    candidates: list[list[Candidate]],
    settings: SearchSettings,
    seeds: Sequence[int] | None = None,
    learned: Container[str] = (),
    funny: Sense | None = None,
) -> list[list[tuple[Candidate, float]]]:
    """Each picture's candidates, as `sample` gives them, with their score, best first.

    The score is the MMI score; less what a text lacks in fluency, so that stumbling sentences come last; plus `freshness`
    for what is not among the `learned` texts; plus `funny_weight` times what the sense of what is `funny` says; plus a little
    chance where `variety` asks for it (Gumbel noise, from the picture's seed), so that pictures alike do not all get the
    same answer.
    """
    out: list[list[tuple[Candidate, float]]] = []
    for number, found in enumerate(candidates):
        if not found:
            out.append([])
            continue
        own, everyday = np.array([(candidate.log_prob, candidate.everyday) for candidate in found]).T
        length = np.array([len(candidate.tokens) + 1 for candidate in found], np.float64)
        scores = (own - settings.mmi_lambda * everyday) / length**settings.length_power
        if funny is not None and settings.funny_weight:
            scores += settings.funny_weight * funny(found)
        if np.isfinite(settings.fluency):
            fluent = own / length
            scores -= FLUENCY_PENALTY * np.maximum(0.0, fluent.max() - settings.fluency - fluent)
        if settings.freshness:
            scores += settings.freshness * np.array([candidate.text not in learned for candidate in found])
        if settings.variety:
            rng = np.random.default_rng([0 if seeds is None else seeds[number], 1])
            scores += settings.variety * rng.gumbel(size=len(found))
        order = np.argsort(-scores, kind="stable")
        out.append([(found[index], float(scores[index])) for index in order])
    return out


def _per_length(log_prob: float, tokens: int, power: float) -> float:
    return float(log_prob / tokens**power)


def _candidate(tokenizer: Tokenizer, written: Any, log_prob: float, *others: Any) -> Candidate:
    tokens = tuple(int(token) for token in written if token >= 0)
    return Candidate(tokenizer.decode(tokens), tokens, float(log_prob), *others)


def _unique(candidates: Any) -> list[Candidate]:
    """Different, readable texts, likeliest first. Two token sequences can spell one text: the likelier one stays."""
    best: dict[str, Candidate] = {}
    for candidate in sorted(candidates, key=lambda c: -c.log_prob):
        text = candidate.text.strip()
        if text and "\ufffd" not in text and text not in best:
            best[text] = candidate
    return list(best.values())


__all__ = ["Candidate", "SearchSettings", "State", "beam_search", "rerank", "sample"]
