"""N-gram models of units: what can be said of a text without its picture and without a network."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence


class NGrams:
    """Interpolated Witten-Bell smoothing (Witten & Bell 1991) over tokens, down to a uniform distribution."""

    def __init__(self, texts: Iterable[Sequence[int]], order: int, units: int, bos: int, eos: int) -> None:
        """order: 1 is a unigram model, 5 looks at the four tokens before."""
        self._order, self._units, self._bos, self._eos = order, units, bos, eos
        self._counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for text in texts:
            for before, token in self._steps(text):
                for length in range(len(before) + 1):
                    self._counts[before[len(before) - length :]][token] += 1
        self._totals = {context: counts.total() for context, counts in self._counts.items()}

    def _steps(self, text: Sequence[int]) -> Iterable[tuple[tuple[int, ...], int]]:
        tokens = [self._bos, *map(int, text), self._eos]
        for place in range(1, len(tokens)):
            yield tuple(tokens[max(0, place - self._order + 1) : place]), tokens[place]

    def probability(self, before: tuple[int, ...], token: int) -> float:
        """Of a token after those before it."""
        found = 1 / self._units
        for length in range(len(before) + 1):
            counts = self._counts.get(before[len(before) - length :])
            if counts is None:
                break
            kinds, total = len(counts), self._totals[before[len(before) - length :]]
            found = (counts[token] + kinds * found) / (total + kinds)
        return found

    def log_prob(self, text: Sequence[int]) -> float:
        """ln p of a text, its end included."""
        return sum(math.log(self.probability(before, token)) for before, token in self._steps(text))
