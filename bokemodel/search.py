"""From a picture's vector to texts: sampling and beam search, all candidates of all pictures in one batch, and reranking.

Reranking is by ln p(text | picture) - lambda ln p(text | mean picture), the anti-language-model form of maximum mutual
information (Li et al. 2016, eq. 9), over a power of the length: what would be said of any picture loses.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bokemodel.network import Network, State
from bokemodel.packing import pack
from bokemodel.tokenizer import Tokenizer

Floats = NDArray[np.float32]
TOP = 64  # a sampled word is always among so many likeliest ones; far fewer carry the probability that top-p keeps


GROUP = 8  # words that are compared with one another before any are sorted


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
    """A text with its ln p(text | picture) in nats and its number of tokens, </s> included."""

    text: str
    tokens: tuple[int, ...]
    log_prob: float


# Candidates (N,), the number of each one's picture, and ln p(text | mean picture), to how funny they are (N,).
Sense = Callable[[Sequence[Candidate], NDArray[np.int64], NDArray[np.float64]], NDArray[np.float64]]


def sample(
    network: Network, tokenizer: Tokenizer, pictures: Floats, settings: SearchSettings, seeds: Sequence[int]
) -> list[list[Candidate]]:
    """Draw `settings.candidates` texts for each picture by temperature and top-p (Holtzman et al. 2020).

    pictures: normalised vectors (N, dim); seeds: (N,), a picture's texts depend on its own seed alone.
    Returns for each picture the different finished texts, likeliest first.
    """
    count, steps = settings.candidates, settings.max_tokens + 1
    draws = np.concatenate([np.random.default_rng(seed).random((steps, count)) for seed in seeds], axis=1)
    rows = np.arange(len(pictures) * count)  # which candidate each running row is
    state = network.start(pictures, tokenizer.bos).take(rows // count)
    written = np.full((len(rows), steps), -1, np.int64)
    log_prob = np.zeros(len(rows))
    finished = np.zeros(len(rows), bool)
    never = tokenizer.never()
    for step in range(steps):
        logits, counted = network.logits(state.output), network.counted(state)
        tokens, nats = _draw(logits, counted, never, draws[step, rows], settings.temperature, settings.top_p)
        log_prob[rows] += nats
        finished[rows[tokens == tokenizer.eos]] = True
        running = tokens != tokenizer.eos
        if not running.all():
            rows, tokens, state = rows[running], tokens[running], state.take(running)
        if not len(rows) or step == steps - 1:
            break
        written[rows, step] = tokens
        state = network.step(state, tokens)
    return [
        _unique(
            _candidate(tokenizer, written[row], log_prob[row])
            for row in range(n * count, (n + 1) * count)
            if finished[row]
        )
        for n in range(len(pictures))
    ]


def _draw(
    logits: Floats,
    counted: Floats | None,
    never: list[int],
    draws: NDArray[np.float64],
    temperature: float,
    top_p: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """One word for each row, and its ln p at temperature 1. `logits` is used up.

    counted: (rows, V) part of each word's probability that comes from elsewhere; the logits' has the rest.
    """
    row = np.arange(len(logits))
    column = row[:, None]
    peak = logits.max(axis=1)
    exp = logits - peak[:, None]
    np.exp(exp, out=exp)
    total = exp.sum(axis=1)
    log_total = np.log(total).astype(np.float64) + peak
    if counted is None:
        logits[:, never] = -np.inf
        top = _likeliest(logits)
        values = logits[column, top]
    else:  # ln of the likeliest words alone: of all it would take as long as all else
        exp *= ((1 - counted.sum(axis=1)) / total)[:, None]
        exp += counted
        exp[:, never] = 0
        top = _likeliest(exp)
        values = np.log(np.maximum(exp[column, top], np.finfo(np.float32).tiny))
        log_total[:] = 0
    order = np.argsort(-values, axis=1, kind="stable")
    top, values = top[column, order], values[column, order].astype(np.float64)
    weights = np.exp((values - values[:, :1]) / max(temperature, 1e-4))
    upto = np.cumsum(weights, axis=1)
    kept = upto - weights < top_p * weights.sum(axis=1, keepdims=True)  # the first word always is
    last = kept.sum(axis=1) - 1
    wanted = draws * upto[row, last]
    chosen = np.minimum((upto < wanted[:, None]).sum(axis=1), last)
    return top[row, chosen].astype(np.int64), values[row, chosen] - log_total


def _likeliest(logits: Floats) -> NDArray[np.int64]:
    """Which `TOP` words of each row are the largest: (rows, TOP), in any order; all of them where there are fewer.

    They lie in the `TOP` groups of words whose largest one is largest: most of the vocabulary need not be sorted.
    """
    rows, words = logits.shape
    groups = words // GROUP
    if groups <= TOP:
        return np.argpartition(logits, -TOP, axis=1)[:, -TOP:] if words > TOP else np.argsort(logits, axis=1)
    # word g of every group stands in column g, g + groups ...: the largest of a group is found row by row, all at once
    whole = groups * GROUP
    largest = logits[:, :whole].reshape(rows, GROUP, groups).max(axis=1)
    best = np.argpartition(largest, -TOP, axis=1)[:, -TOP:]
    within = (best[:, None, :] + np.arange(0, whole, groups)[:, None]).reshape(rows, -1)
    rest = np.broadcast_to(np.arange(whole, words), (rows, words - whole))
    within = np.concatenate([within, rest], axis=1)
    column = np.arange(rows)[:, None]
    chosen = np.argpartition(logits[column, within], -TOP, axis=1)[:, -TOP:]
    return within[column, chosen]


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
    never = tokenizer.never()
    for step in range(settings.max_tokens + 1):
        logits = network.predict(state).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        logits[:, never] = -np.inf
        totals = (scores.reshape(-1, 1) + logits).reshape(count, -1)
        parents, tokens = np.zeros((count, width), np.int64), np.full((count, width), tokenizer.eos)
        scores = np.full((count, width), -np.inf)
        for n in range(count):
            kept, size = 0, logits.shape[1]
            for index in np.argsort(-totals[n], kind="stable")[: 2 * width]:
                parent, token = divmod(int(index), size)
                total = float(totals[n, index])
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
        state = network.step(state.take((np.arange(count)[:, None] * width + parents).ravel()), tokens.ravel())
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
    network: Network,
    tokenizer: Tokenizer,
    candidates: list[list[Candidate]],
    settings: SearchSettings,
    seeds: Sequence[int] | None = None,
    learned: Container[str] = (),
    funny: Sense | None = None,
) -> list[list[tuple[Candidate, float]]]:
    """Each picture's candidates with their score, best first.

    The score is the MMI score; less what a text lacks in fluency, so that stumbling sentences come last; plus `freshness`
    for what is not among the `learned` texts; plus `funny_weight` times what the sense of what is `funny` says; plus a little
    chance where `variety` asks for it (Gumbel noise, from the picture's seed), so that pictures alike do not all get the
    same answer.
    """
    flat = [candidate for found in candidates for candidate in found]
    if not flat:
        return [[] for _ in candidates]
    everyday = mean_picture_log_probs(network, tokenizer, [candidate.tokens for candidate in flat])
    bonus = np.zeros(len(flat))
    if funny is not None and settings.funny_weight:
        which = np.repeat(np.arange(len(candidates)), [len(found) for found in candidates])
        bonus = settings.funny_weight * funny(flat, which, everyday)
    out: list[list[tuple[Candidate, float]]] = []
    start = 0
    for number, found in enumerate(candidates):
        here = slice(start, start + len(found))
        plain = everyday[here]
        start += len(found)
        if not found:
            out.append([])
            continue
        own = np.array([candidate.log_prob for candidate in found])
        length = np.array([len(candidate.tokens) + 1 for candidate in found], np.float64)
        scores = (own - settings.mmi_lambda * plain) / length**settings.length_power + bonus[here]
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


def mean_picture_log_probs(
    network: Network, tokenizer: Tokenizer, texts: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    """ln p(text | mean picture) of token sequences: (N,)."""
    batch = pack(texts, tokenizer.bos, tokenizer.eos)
    return network.log_probs(np.zeros((len(texts), network.feature_dim), np.float32), batch, tokenizer.bos)


def _per_length(log_prob: float, tokens: int, power: float) -> float:
    return float(log_prob / tokens**power)


def _candidate(tokenizer: Tokenizer, written: Any, log_prob: float) -> Candidate:
    tokens = tuple(int(token) for token in written if token >= 0)
    return Candidate(tokenizer.decode(tokens), tokens, float(log_prob))


def _unique(candidates: Any) -> list[Candidate]:
    """Different, readable texts, likeliest first. Two token sequences can spell one text: the likelier one stays."""
    best: dict[str, Candidate] = {}
    for candidate in sorted(candidates, key=lambda c: -c.log_prob):
        text = candidate.text.strip()
        if text and "\ufffd" not in text and text not in best:
            best[text] = candidate
    return list(best.values())


__all__ = ["Candidate", "SearchSettings", "State", "beam_search", "mean_picture_log_probs", "rerank", "sample"]
