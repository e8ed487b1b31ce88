"""Which units follow which: a trigram model that is mixed into what the decoder says.

A decoder that has seen a few thousand texts knows what a picture is about, but not yet that "plat" goes on with "form": a
word that stands in the corpus ten times has moved its weights ten times. Counts know it from the first time on. The
probabilities of the two are added up, each with its share (Mikolov et al. 2011, "Empirical evaluation and combination of
advanced language modeling techniques").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.integer[Any]]
PREFIX = "ngram_"  # of the arrays' names
NOTHING = -1  # stands where the text has no second-last unit
DISCOUNTS = PREFIX + "discounts"
NAMES = (*(PREFIX + name for name in ("share", "contexts", "sizes", "units", "counts")), DISCOUNTS)


class Trigrams:
    """Interpolated Kneser-Ney smoothing (Kneser & Ney 1995) over the two units before, for many rows at once.

    A part of each count is taken off and given to what is known from the last unit alone, and there again to what is known
    from none. With one unit before or none it is counted after how many *different* units something stood, not how often:
    "Francisco" is frequent, but follows "San" only. Bundles without discounts are smoothed as they were made, as Witten &
    Bell (1991) do: with each context's kinds of followers for what is taken off.

    A context is one number: `second * (V + 1) + last`, where V stands for a second-last unit that does not count.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], vocabulary: int) -> None:
        """Take the arrays of `learn`."""
        share, contexts, sizes, units, counts = (np.asarray(arrays[name]) for name in NAMES[:5])
        self.share, self.vocabulary = float(share[0]), vocabulary
        self._contexts, self._units = contexts.astype(np.int64), units.astype(np.int64)
        self._sizes = sizes.astype(np.int64)
        self._starts = np.concatenate([[0], np.cumsum(self._sizes)[:-1]]).astype(np.int64)
        self._keys = np.repeat(np.arange(len(contexts)), self._sizes) * vocabulary + self._units
        totals = np.add.reduceat(counts.astype(np.int64), self._starts)
        last_only = self._contexts // (vocabulary + 1) == vocabulary
        here = np.repeat(last_only, self._sizes)
        if DISCOUNTS in arrays:
            none, one, two = (float(discount) for discount in arrays[DISCOUNTS])
            off = np.where(last_only, one, two)
            kept, taken = counts - np.repeat(off, self._sizes), off * self._sizes
            single = np.bincount(self._units[here], minlength=vocabulary)
            alone = (np.maximum(single - none, 0) + none * np.count_nonzero(single) / vocabulary) / single.sum()
        else:
            kept, taken, totals = counts, self._sizes, totals + self._sizes
            plain = np.bincount(self._units[here], counts[here], vocabulary)
            kinds = np.count_nonzero(plain)
            alone = (plain + kinds / vocabulary) / (plain.sum() + kinds)
        self._counts = kept.astype(np.float32)
        self._scale = (1 / totals).astype(np.float32)  # of a context's counts
        self._back = (taken / totals).astype(np.float32)  # of what is known without the second-last unit
        self._alone = alone.astype(np.float32)

    @staticmethod
    def learn(
        texts: Sequence[Sequence[int] | NDArray[Any]], vocabulary: int, bos: int, eos: int, share: float
    ) -> dict[str, NDArray[Any]]:
        """Count in token ids. Returns arrays for a bundle, beside the decoder's; none where there are no texts."""
        if not len(texts):
            return {}
        line = np.concatenate([part for text in texts for part in ([bos], np.asarray(text, np.int64), [eos])])
        unit, last = line[1:], line[:-1]
        second = np.concatenate([[eos], line[:-2]])
        triple, begins = (unit != bos) & (last != bos), last == bos
        three = _context(second[triple], last[triple], vocabulary) * vocabulary + unit[triple]
        triples, often = np.unique(three, return_counts=True)
        # Each kind of triple counts once for its last two units; nothing stands before a text's first that could vary.
        two = np.concatenate([triples % ((vocabulary + 1) * vocabulary), bos * vocabulary + unit[begins]])
        pairs, varied = np.unique(two, return_counts=True)
        preceded = np.unique(pairs % vocabulary, return_counts=True)[1]
        keys = np.concatenate([triples, vocabulary * (vocabulary + 1) * vocabulary + pairs])
        counts = np.concatenate([often, varied])
        found, sizes = np.unique(keys // vocabulary, return_counts=True)
        values = (
            np.array([share], np.float16),
            found,
            sizes.astype(np.int32),
            (keys % vocabulary).astype(np.int32),
            counts.astype(np.int32),
            np.array([_discount(level) for level in (preceded, varied, often)], np.float16),
        )
        return {name: np.asarray(value) for name, value in zip(NAMES, values, strict=True)}

    def mix(self, weights: Floats, total: Floats, second: Ints, last: Ints) -> Floats:
        """Add to a decoder's numbers what was counted, as much as is its share.

        weights: (rows, V) in proportion to what the decoder gives each unit, changed in place; total: (rows,) what they
        add up to; second, last: (rows,) the two units before. Returns what they add up to afterwards: (rows,).
        """
        total = total / np.float32(1 - self.share)
        weights += self.part(second, last) * total[:, None]
        return total

    def mixed_log_probs(
        self, log_probs: NDArray[np.float64], second: Ints, last: Ints, units: Ints
    ) -> NDArray[np.float64]:
        """A decoder's ln p of one unit for each row to that of the mixture: (rows,)."""
        found = self._alone[units]
        for context in (_context(self.vocabulary, last, self.vocabulary), _context(second, last, self.vocabulary)):
            places, known = self._places(context)
            at = np.minimum(np.searchsorted(self._keys, places * self.vocabulary + units), len(self._keys) - 1)
            count = np.where(self._keys[at] == places * self.vocabulary + units, self._counts[at], 0)
            found = np.where(known, found * self._back[places] + count * self._scale[places], found)
        return np.log((1 - self.share) * np.exp(log_probs) + self.share * found)

    def part(self, second: Ints, last: Ints) -> Floats:
        """`share` of each unit's probability after the two units before: (rows, V)."""
        pair, known = self._places(_context(second, last, self.vocabulary))
        weight = np.where(known, self._back[pair], np.float32(1)) * np.float32(self.share)  # of what `last` alone says
        single, seen = self._places(_context(self.vocabulary, last, self.vocabulary))
        found = (weight * np.where(seen, self._back[single], np.float32(1)))[:, None] * self._alone
        for places, rows, scale in (
            (single, np.flatnonzero(seen), weight * self._scale[single]),
            (pair, np.flatnonzero(known), np.float32(self.share) * self._scale[pair]),
        ):
            here = places[rows]
            sizes = self._sizes[here]
            entries = np.arange(sizes.sum()) + np.repeat(self._starts[here] - np.cumsum(sizes) + sizes, sizes)
            cells = np.repeat(rows * self.vocabulary, sizes) + self._units[entries]
            found.reshape(-1)[cells] += self._counts[entries] * np.repeat(scale[rows], sizes)
        return found

    def _places(self, contexts: Ints) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where contexts stand among those that are known, and which are."""
        places = np.minimum(np.searchsorted(self._contexts, contexts), len(self._contexts) - 1)
        return places, self._contexts[places] == contexts


def _context(second: Ints | int, last: Ints, vocabulary: int) -> Ints:
    return np.asarray(second, np.int64) * (vocabulary + 1) + last


def _discount(counts: Ints) -> float:
    """What is taken off each count (Ney, Essen & Kneser 1994); between 0 and 1 even where hardly anything was counted."""
    once, twice = np.count_nonzero(counts == 1), np.count_nonzero(counts == 2)
    return (once + 1) / (once + 2 * twice + 2)
