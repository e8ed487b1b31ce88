"""Teaches a model what is funny (`bokemodel.funny`): from stars within a picture, and from votes in chat.

Ridge regression on ranks: of the jokes that are compared with one another, features and ranks are taken from their mean, so
that the weights tell better from worse within a picture and nothing about the picture. The penalty is chosen by
cross-validation over pictures, on the training pictures only; where even the best one finds nothing that holds on other
pictures, there is no scorer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bokemodel.bundle import Bundle
from bokemodel.funny import SURFACE, Funny, Seen, read, standardised
from bokemodel.network import Network
from training.corpus import VotedJoke
from training.dataset import Dataset
from training.metrics import midranks
from training.selection import PackedTokens
from training.weights import standings, voted

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

MOST = 30_000  # jokes that are learned from
LEAST, LEAST_GROUPS = 40, 4  # jokes, and pictures, below which nothing can be learned
FOLDS = 4  # of the cross-validation
PENALTIES = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0)
SURE = 2.0  # standard errors by which the correlation on other pictures must be above 0
UNITS = 2000  # the most frequent ones have a weight of their own ...
SEEN = 5  # ... if so many jokes have them
SURFACE_SCALE = 3.0  # likelihood and length are few among many: the penalty shall weigh less on them
AT_ONCE = 4096  # jokes held as rows


@dataclass(frozen=True)
class Rated:
    """Texts that can be compared: `groups` (N,) rise, and within a group a higher `standing` (N,) was liked better."""

    seen: Seen
    standing: NDArray[np.float64]
    groups: Ints


@dataclass(frozen=True)
class Learned:
    """A scorer, and what it was found worth on pictures that it had not seen: the mean correlation with the ranks."""

    funny: Funny
    correlation: float
    penalty: float
    jokes: int
    pictures: int


def fit_funny(
    bundle: Bundle,
    dataset: Dataset | None = None,
    tokens: PackedTokens | None = None,
    *,
    answers: Sequence[VotedJoke] = (),
) -> Learned | None:
    """Learn from the training pictures' stars, and from chat; None where there is nothing to learn.

    Args:
        bundle: whose decoder reads the texts.
        dataset: jokes with stars; tokens: of the dataset's jokes, in the bundle's units.
        answers: the bot's own, that people voted for or against.
    """
    network = Network(bundle.arrays)
    rated = list(_voted(answers, bundle, network))
    if dataset is not None and tokens is not None:
        rated += _starred(dataset, tokens, bundle, network)
    if not rated:
        return None
    return learn(_joined(rated), len(bundle.tokenizer))


def learn(rated: Rated, vocabulary: int) -> Learned | None:
    """The scorer for texts that were rated; None where there are too few, or none is better than chance."""
    numbers = rated.seen.numbers
    groups, starts, sizes = np.unique(rated.groups, return_index=True, return_counts=True)
    if len(rated.groups) < LEAST or len(groups) < LEAST_GROUPS:
        return None
    mean, scale = numbers.mean(axis=0), np.maximum(numbers.std(axis=0), 1e-6)
    rows = _Rows(rated, starts, sizes, mean, scale)
    folds = np.arange(len(groups)) % FOLDS
    products, targets = rows.products(folds)
    best, correlation = _best_penalty(rows, folds, products, targets)
    if correlation <= 0:
        return None
    weights = _solve(sum(products), sum(targets), best)
    spread = rows.spread(weights)
    if not spread:
        return None
    weights /= spread
    units = np.zeros(vocabulary, np.float32)
    units[rows.units] = weights[: len(rows.units)]
    funny = Funny(units, (weights[len(rows.units) :] * rows.factors).astype(np.float32), mean, scale)
    return Learned(funny, correlation, best, len(rated.groups), len(groups))


class _Rows:
    """The rows of the regression, some whole groups at a time, and its targets: ranks, with mean 0 and spread 1 in a group."""

    def __init__(self, rated: Rated, starts: Ints, sizes: Ints, mean: Floats, scale: Floats) -> None:
        self.seen, self.starts, self.sizes = rated.seen, starts, sizes
        self.mean, self.scale = mean, scale
        self.factors = np.where(np.arange(len(mean)) < SURFACE, SURFACE_SCALE, 1.0).astype(np.float32)
        counts = Counter(int(unit) for ids in rated.seen.tokens for unit in {int(i) for i in ids})
        self.units = np.sort([unit for unit, count in counts.most_common(UNITS) if count >= SEEN]).astype(np.int64)
        self.target = np.concatenate(
            [_ranks(rated.standing[a : a + n]) for a, n in zip(starts, sizes, strict=True)]
        ).astype(np.float32)

    def __iter__(self) -> Iterator[tuple[slice, Floats]]:
        """(which groups, their rows (n, D), centred in each group)."""
        first = 0
        while first < len(self.starts):
            last = first + 1
            while last < len(self.starts) and self.starts[last] + self.sizes[last] - self.starts[first] <= AT_ONCE:
                last += 1
            yield slice(first, last), self._block(slice(first, last))
            first = last

    def jokes(self, groups: slice) -> slice:
        return slice(int(self.starts[groups][0]), int(self.starts[groups][-1] + self.sizes[groups][-1]))

    def _block(self, groups: slice) -> Floats:
        jokes = self.jokes(groups)
        bag = np.zeros((jokes.stop - jokes.start, len(self.units)), np.float32)
        for row, ids in enumerate(self.seen.tokens[jokes]):
            wanted = np.asarray(ids, np.int64)
            place = np.searchsorted(self.units, wanted)
            place[place == len(self.units)] = 0
            if len(self.units):
                bag[row, place[self.units[place] == wanted]] = 1.0
        numbers = standardised(self.seen.numbers[jokes], self.mean, self.scale) * self.factors
        block = np.concatenate([bag, numbers], axis=1)
        means = np.add.reduceat(block, self.starts[groups] - jokes.start, axis=0) / self.sizes[groups][:, None]
        return block - np.repeat(means, self.sizes[groups], axis=0)

    def products(self, folds: Ints) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
        """For each fold: X'X (D, D) and X'y (D,)."""
        size = len(self.units) + len(self.mean)
        second = [np.zeros((size, size)) for _ in range(FOLDS)]
        first = [np.zeros(size) for _ in range(FOLDS)]
        for groups, block in self:
            fold_of = np.repeat(folds[groups], self.sizes[groups])
            target = self.target[self.jokes(groups)]
            for fold in range(FOLDS):
                chosen = block[fold_of == fold]
                second[fold] += chosen.T @ chosen
                first[fold] += chosen.T @ target[fold_of == fold]
        return second, first

    def correlations(self, weights: NDArray[np.float64], folds: Ints) -> NDArray[np.float64]:
        """Of the ranks with what a fold's weights (FOLDS, D, K) say of its groups: (groups, K)."""
        found = np.zeros((len(self.starts), weights.shape[2]))
        for groups, block in self:
            jokes = self.jokes(groups)
            for group in range(groups.start, groups.stop):
                own = slice(
                    int(self.starts[group]) - jokes.start, int(self.starts[group] + self.sizes[group]) - jokes.start
                )
                said = block[own] @ weights[folds[group]]
                length = np.sqrt((said * said).sum(axis=0) * self.sizes[group])
                found[group] = self.target[jokes][own] @ said / np.maximum(length, 1e-12)
        return found

    def spread(self, weights: NDArray[np.float64]) -> float:
        """The standard deviation of what weights (D,) say within a group."""
        total = sum(float(((block @ weights) ** 2).sum()) for _, block in self)
        return float(np.sqrt(total / max(len(self.target), 1)))


def _best_penalty(
    rows: _Rows, folds: Ints, products: list[NDArray[np.float64]], targets: list[NDArray[np.float64]]
) -> tuple[float, float]:
    """The penalty that does best on pictures that were left out, and its mean correlation; 0 where that may be chance."""
    second, first = sum(products), sum(targets)
    weights = np.stack(
        [
            np.stack([_solve(second - products[k], first - targets[k], penalty) for penalty in PENALTIES], axis=1)
            for k in range(FOLDS)
        ]
    )
    found = rows.correlations(weights, folds)
    means = found.mean(axis=0)
    best = int(np.argmax(means))
    error = float(found[:, best].std()) / np.sqrt(len(found))
    return PENALTIES[best], float(means[best]) if means[best] > SURE * error else 0.0


def _solve(second: NDArray[np.float64] | int, first: NDArray[np.float64] | int, penalty: float) -> NDArray[np.float64]:
    matrix, right = np.array(second, np.float64), np.asarray(first, np.float64)
    matrix[np.diag_indices_from(matrix)] += penalty
    return np.linalg.solve(matrix, right).astype(np.float64)


def _ranks(standing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks with mean 0 and spread 1; zeros where all stand alike."""
    ranks = midranks(standing)
    return (ranks - ranks.mean()) / max(float(ranks.std()), 1e-9)


def _starred(dataset: Dataset, tokens: PackedTokens, bundle: Bundle, network: Network) -> Iterator[Rated]:
    """Jokes of training pictures of which at least two have stars."""
    chosen = dataset.selection
    own = len(chosen.digests) - len(chosen.vectors)  # answers from chat come with their votes, also those not learned
    jokes = dataset.train[np.isfinite(chosen.stars[dataset.train]) & (chosen.picture[dataset.train] < own)]
    pictures = chosen.picture[jokes]
    standing = standings(pictures, chosen.stars[jokes], chosen.ratings[jokes])
    kept = _comparable(pictures, standing)
    jokes, standing, pictures = jokes[kept], standing[kept], pictures[kept]
    if not len(jokes):
        return
    # Through the whole word layer: with the vectors of each picture left out, with which the decoder learned these very jokes,
    # it knows them by heart, and what their likelihood teaches holds on no other picture (0.17 for 0.23 on newyorker).
    texts = dataset.texts(jokes, tokens, bundle.normalizer, None)
    ids = [[int(unit) for unit in texts.tokens[i]] for i in range(len(jokes))]
    written = [chosen.texts[int(joke)] for joke in jokes]
    seen = read(network, bundle.tokenizer, texts.pictures, written, ids)
    yield Rated(seen, standing, pictures.astype(np.int64))


def _comparable(pictures: NDArray[np.integer], standing: NDArray[np.float64]) -> Ints:
    """Numbers of the jokes whose picture has others that stand elsewhere; of whole pictures, as far as `MOST` goes."""
    found, total = [], 0
    numbers, starts, sizes = np.unique(pictures, return_index=True, return_counts=True)
    for group in np.random.default_rng(0).permutation(len(numbers)):
        inside = np.arange(starts[group], starts[group] + sizes[group])
        if np.ptp(standing[inside]) > 0 and total < MOST:
            found.append(inside)
            total += len(inside)
    return np.sort(np.concatenate(found)).astype(np.int64) if found else np.empty(0, np.int64)


def _voted(answers: Sequence[VotedJoke], bundle: Bundle, network: Network) -> Iterator[Rated]:
    """The bot's answers, compared with each other: all are of its own making, most pictures have one only."""
    answers = answers[-MOST:]
    votes = voted(np.array([answer.joke.up - answer.joke.down for answer in answers], np.float32))
    fold = np.array([int(n) % FOLDS for n in _numbered([answer.joke.picture for answer in answers])])
    for part in range(FOLDS):
        inside = np.flatnonzero(fold == part)
        if len(inside) > 1 and np.ptp(votes[inside]) > 0:
            some = [answers[int(i)] for i in inside]
            vectors = bundle.normalizer(np.stack([answer.vector for answer in some]))
            texts = [answer.joke.text for answer in some]
            ids = [bundle.tokenizer.encode(text) for text in texts]
            seen = read(network, bundle.tokenizer, vectors, texts, ids)
            yield Rated(seen, votes[inside], np.zeros(len(some), np.int64))


def _numbered(names: Sequence[str]) -> list[int]:
    """The same number for the same name."""
    known: dict[str, int] = {}
    return [known.setdefault(name, len(known)) for name in names]


def _joined(parts: Sequence[Rated]) -> Rated:
    """All of them, the groups of each after those of the one before."""
    shift, groups = 0, []
    for part in parts:
        _, fresh = np.unique(part.groups, return_inverse=True)
        groups.append(fresh + shift)
        shift += int(fresh.max()) + 1
    seen = Seen(
        [ids for part in parts for ids in part.seen.tokens], np.concatenate([part.seen.numbers for part in parts])
    )
    return Rated(seen, np.concatenate([part.standing for part in parts]), np.concatenate(groups).astype(np.int64))
