"""Jokes that a model carries to quote (`bokemodel.examples`): the best ones of the pictures that it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bokemodel.examples import Example, ExamplePicture, Examples
from training.dataset import Dataset
from training.weights import standings

MOST = 10_000  # pictures: those with the best-starred jokes
OF_EACH = 3  # jokes

# Digests of pictures to where their jokes stand, by digest and text.
Addresses = Callable[[Sequence[str]], Mapping[tuple[str, str], str]]


def find_examples(dataset: Dataset, addresses: Addresses) -> Examples | None:
    """The best-starred jokes of the training pictures; None where there are none. Answers from chat are not among them."""
    chosen = dataset.selection
    own = len(chosen.digests) - len(chosen.vectors)
    jokes = dataset.train[chosen.picture[dataset.train] < own]
    if not len(jokes):
        return None
    pictures = chosen.picture[jokes].astype(np.int64)
    stars = chosen.stars[jokes]
    standing = np.where(np.isfinite(stars), standings(pictures, stars, chosen.ratings[jokes]), -np.inf)
    jokes = jokes[np.lexsort((-standing, pictures))]  # the pictures' order stays
    numbers, starts = np.unique(pictures, return_index=True)
    best = np.nan_to_num(chosen.stars[jokes[starts]], nan=-np.inf)
    kept = np.sort(np.argsort(-best, kind="stable")[:MOST])
    digests = [chosen.digest(int(number)) for number in numbers[kept]]
    where = addresses(digests)
    ends = np.append(starts, len(jokes))

    def joke(digest: str, number: int) -> Example:
        text, known = chosen.texts[number], float(chosen.stars[number])
        return Example(text, known if np.isfinite(known) else None, where.get((digest, text)))

    found = [
        ExamplePicture(
            digest, tuple(joke(digest, int(n)) for n in jokes[ends[k] : min(ends[k] + OF_EACH, ends[k + 1])])
        )
        for digest, k in zip(digests, kept, strict=True)
    ]
    return Examples.of(dataset.vectors[numbers[kept]], found)
