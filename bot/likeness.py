"""How alike two jokes read: the Dice coefficient of the pairs of neighbouring characters in their normal forms."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from store.text import normalise


def closest(texts: Sequence[str], among: Iterable[str], count: int) -> list[list[tuple[float, int]]]:
    """For each text the most alike of others, as (likeness, place among them), best first; none that shares nothing.

    A likeness is from 0 to 1; 1 is the same joke, whatever its spaces and marks.
    """
    wanted = [_pairs(text) for text in texts]
    found: list[list[tuple[float, int]]] = [[] for _ in texts]
    for place, other in enumerate(among):
        pairs = _pairs(other)
        for best, own in zip(found, wanted, strict=True):
            shared = len(own & pairs)
            if shared:
                entry = (2 * shared / (len(own) + len(pairs)), -place)
                (heapq.heappush if len(best) < count else heapq.heappushpop)(best, entry)
    return [[(likeness, -place) for likeness, place in sorted(best, reverse=True)] for best in found]


def _pairs(text: str) -> frozenset[str]:
    normal = f"^{normalise(text)}$"  # the first and the last character count, and a text of one character has pairs
    return frozenset(normal[i : i + 2] for i in range(len(normal) - 1))
