"""At most so many jokes of a corpus are learned from: the best ones, spread over its pictures, and some others to compare with.

A picture's jokes come in threes: the two best ones and any other, since from the best alone a model learns what is written, but
hardly what is funny (docs/scaling.md). First comes a three of every picture, then every picture's second, and so on until
there are enough; of those that come at the same time, the ones whose best joke has the most stars. Which of equal ones come, and
which other, is decided by a hash of picture and text: the same corpus gives the same jokes, and what is new takes the place of
as much.

Held-out pictures are not learned from. They keep all their jokes, so that a model is measured on the same ones with the limit
and without it; where there are very many, the first pictures do: digests are random numbers.
"""

from __future__ import annotations

import json
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import fields
from hashlib import blake2b
from itertools import cycle
from operator import attrgetter
from pathlib import Path

import numpy as np

from training.corpus import Joke

AT_ONCE = 3  # of a picture's jokes; the last of them is any
HELD_OUT = 60_000  # jokes; `training.dataset` measures on 30,000 of them

# In the order in which jokes are taken: which three of the picture's, then minus stars and hash of the best of these.
Place = tuple[int, float, int]
_NAMES = tuple(field.name for field in fields(Joke))
_values = attrgetter(*_NAMES)


def liking(joke: Joke) -> tuple[float, int, int]:
    """How well people liked it; a higher one is better."""
    return joke.stars if joke.stars is not None else float("-inf"), joke.ratings or 0, joke.up - joke.down


class Most:
    """Takes at most `count` jokes to learn from out of a stream. One object is for one stream.

    It remembers the places of twice as many jokes, 24 bytes each, and keeps the jokes themselves in a file until the end:
    those that were among the best so far when they came.

    Attributes:
        dropped: how many were not taken.
    """

    def __init__(self, count: int, folder: Path | None = None) -> None:
        """folder: of that file; None: where temporary files go."""
        self.dropped = 0
        self._count, self._folder, self._held_out = count, folder, 0

    def keep(self, pictures: Iterable[list[Joke]]) -> Iterator[Joke]:
        """The jokes that are taken, in their order. Each list holds a picture's jokes. Raises: OSError"""
        best, read, kept = _Lowest(self._count), 0, 0
        with tempfile.TemporaryFile("w+", encoding="ascii", dir=self._folder) as file:
            for jokes in pictures:
                read += len(jokes)
                for joke, place in self._placed(jokes):
                    if place is None or best.add(place):
                        file.write(json.dumps((place, _values(joke))) + "\n")
            file.seek(0)
            limit, room = best.highest()
            for line in file:
                place, values = json.loads(line)
                if place == limit:
                    if not room:
                        continue
                    room -= 1  # of a three that is cut the first ones
                elif place is not None and place > limit:
                    continue
                kept += 1
                yield Joke(**dict(zip(_NAMES, values, strict=True)))
        self.dropped = read - kept

    def _placed(self, jokes: list[Joke]) -> Iterator[tuple[Joke, Place | None]]:
        """A picture's jokes with their places; without one those that are held out, which are taken anyhow."""
        if not jokes:
            return
        if jokes[0].split == "dev":
            if self._held_out < HELD_OUT:
                self._held_out += len(jokes)
                yield from ((joke, None) for joke in jokes)
            return
        hashes = [_hash(joke) for joke in jokes]
        order = _order([liking(joke) for joke in jokes], hashes)
        places: dict[int, Place] = {}
        for start in range(0, len(order), AT_ONCE):
            best = order[start]
            place = (start // AT_ONCE, -liking(jokes[best])[0], hashes[best])
            places |= dict.fromkeys(order[start : start + AT_ONCE], place)
        yield from ((joke, places[number]) for number, joke in enumerate(jokes))


def _order(likings: list[tuple[float, int, int]], hashes: list[int]) -> list[int]:
    """A picture's jokes, by number, in the order in which they are taken."""
    numbers = range(len(hashes))
    best = iter(sorted(numbers, key=lambda number: (likings[number], -hashes[number]), reverse=True))
    other = iter(sorted(numbers, key=hashes.__getitem__))
    sources = cycle((*[best] * (AT_ONCE - 1), other))
    order: dict[int, None] = {}
    while len(order) < len(hashes):
        order[next(number for number in next(sources) if number not in order)] = None
    return list(order)


class _Lowest:
    """The lowest places of many, of which at most twice as many are held."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._rounds, self._stars, self._hashes = array("q"), array("d"), array("Q")
        self._limit: Place | None = None  # there are as many as are wanted that are no higher

    def add(self, place: Place) -> bool:
        """False: it is not among them, whatever else comes."""
        if self._limit is not None and place > self._limit:
            return False
        self._rounds.append(place[0])
        self._stars.append(place[1])
        self._hashes.append(place[2])
        if len(self._hashes) == 2 * self._count:
            self._forget()
        return True

    def highest(self) -> tuple[list[float], int]:
        """The highest of the lowest, and how many there are of it; [] and 0 where there are none."""
        self._forget()
        if not self._hashes:
            return [], 0
        columns = self._rounds, self._stars, self._hashes
        same = np.logical_and.reduce([np.array(column) == column[-1] for column in columns])
        return [column[-1] for column in columns], int(same.sum())

    def _forget(self) -> None:
        rounds, stars, hashes = np.array(self._rounds), np.array(self._stars), np.array(self._hashes)
        order = np.lexsort((hashes, stars, rounds))[: self._count]
        self._rounds = array("q", rounds[order].tobytes())
        self._stars = array("d", stars[order].tobytes())
        self._hashes = array("Q", hashes[order].tobytes())
        if len(order) == self._count:
            self._limit = self._rounds[-1], self._stars[-1], self._hashes[-1]


def _hash(joke: Joke) -> int:
    key = f"{joke.picture} {joke.text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big")
