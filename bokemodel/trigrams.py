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
DENSE = 32  # a unit that more than one in so many of all units follow has a row of its own, with all of them
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
        self._own_share, self._others_share = np.float32(self.share), np.float32(1 - self.share)
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
        self._given = (kept / np.repeat(totals, self._sizes)).astype(np.float32)  # to each unit by its context alone
        self._back = np.append(taken / totals, 1).astype(np.float32)  # of what is known without the second-last unit
        self._alone = alone.astype(np.float32)
        # and what is not known: nothing follows it, and all of it is what is known otherwise
        self._contexts = np.append(self._contexts, np.iinfo(np.int64).max)
        self._sizes, self._starts = np.append(self._sizes, 0), np.append(self._starts, 0)
        self._after_one()

    def _after_one(self) -> None:
        """Prepare what `mix` looks up by the last unit alone: most of a frequent one's followers are frequent themselves."""
        places = self._places(_context(self.vocabulary, np.arange(self.vocabulary), self.vocabulary))
        dense = np.flatnonzero(self._sizes[places] * DENSE > self.vocabulary)
        self._rows = np.zeros(self.vocabulary, np.int64)  # of `_dense`, for each last unit
        self._rows[dense] = np.arange(len(dense)) + 1
        self._dense = np.empty((len(dense) + 1, self.vocabulary), np.float32)
        self._dense[0] = self._alone
        for row, place in enumerate(places[dense], 1):
            entries = slice(self._starts[place], self._starts[place] + self._sizes[place])
            self._dense[row] = self._back[place] * self._alone
            self._dense[row, self._units[entries]] += self._given[entries]
        places[dense] = len(self._contexts) - 1  # nothing is to be added
        self._single, self._single_back = places, self._back[places]

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
        pair = self._places(_context(second, last, self.vocabulary))
        total = total / self._others_share
        by_pair = total * self._own_share
        by_single = by_pair * self._back[pair]
        dense = self._dense[self._rows[last]]
        dense *= (by_single * self._single_back[last])[:, None]
        weights += dense
        places, amount = np.concatenate((self._single[last], pair)), np.concatenate((by_single, by_pair))
        sizes = self._sizes[places]
        ends = sizes.cumsum()
        which = np.arange(len(sizes)).repeat(sizes)
        entries = np.arange(ends[-1]) + (self._starts[places] + sizes - ends)[which]
        cells = self._units[entries] + (np.arange(len(sizes)) % len(last) * self.vocabulary)[which]
        np.add.at(weights.reshape(-1), cells, self._given[entries] * amount[which])
        return total

    def mixed_log_probs(
        self, log_probs: NDArray[np.float64], second: Ints, last: Ints, units: Ints
    ) -> NDArray[np.float64]:
        """A decoder's ln p of one unit for each row to that of the mixture: (rows,)."""
        found = self._alone[units]
        for context in (_context(self.vocabulary, last, self.vocabulary), _context(second, last, self.vocabulary)):
            places = self._places(context)
            at = np.minimum(np.searchsorted(self._keys, places * self.vocabulary + units), len(self._keys) - 1)
            given = np.where(self._keys[at] == places * self.vocabulary + units, self._given[at], 0)
            found = found * self._back[places] + given
        return np.log((1 - self.share) * np.exp(log_probs) + self.share * found)

    def _places(self, contexts: Ints) -> NDArray[np.int64]:
        """Where contexts stand among those that are known; the last place is for all others."""
        places = self._contexts.searchsorted(contexts)
        return np.where(self._contexts[places] == contexts, places, len(self._contexts) - 1)


def _context(second: Ints | int, last: Ints, vocabulary: int) -> Ints:
    return np.asarray(second, np.int64) * (vocabulary + 1) + last


def _discount(counts: Ints) -> float:
    """What is taken off each count (Ney, Essen & Kneser 1994); between 0 and 1 even where hardly anything was counted."""
    once, twice = np.count_nonzero(counts == 1), np.count_nonzero(counts == 2)
    return (once + 1) / (once + 2 * twice + 2)
