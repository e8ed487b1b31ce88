"""How good a model is on pictures that it was not trained on: `measure` one, take the `difference` of two.

What each figure means stands in `training.metrics.Metrics`. Two of them are sampled so that an evaluation takes minutes:
grounding and the answers look at no more than `GALLERY` pictures, drawn by seed, and grounding at no more than
`CAPTIONS` jokes of each and `PAIRS` pairs of joke and picture. Likelihood and funniness use every joke.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bokemodel.model import BokeModel
from store.text import normalise, text_hash
from training.held_out import Features, HeldOutPicture, Joke, NothingHeldOut
from training.metrics import (
    Estimate,
    Metrics,
    Sums,
    distinct_shares,
    estimate_median,
    estimate_ratios,
    ranks_of_own,
    recall_at,
    spearman,
)
from training.progress import Report, quiet

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Written = Callable[[str], bool]  # did somebody write this text?
# Vectors (N, dim), N texts and their ln p(text | picture) to N scores, higher for what should be funnier.
Scorer = Callable[[Features, Sequence[str], Floats], Floats]

GALLERY = 1000  # pictures
CAPTIONS = 5  # of a picture
PAIRS = 200_000
STARRED = 5  # jokes with stars that a picture needs before they are ranked
ANSWERED_AT_ONCE = 32  # pictures
_TOKENS_AT_ONCE = 32_768
_TEXTS_AT_ONCE = 2048  # each with a picture's vector
_WITHOUT_SPACES = ("ja", "zh", "th")


@dataclass(frozen=True)
class Evaluation:
    """A measured model, with what it takes to compare it to another.

    Attributes:
        estimates: by the names of `training.metrics.UNCERTAIN`, and `funny_by_likelihood` and `funny_by_length`: what
            `spearman_funny` would be if the score were ln p per character, or the length.
        digests: the pictures that were measured, sorted.
        gallery: pictures that captions were looked up among, and that were answered.
        captions: that were looked up.
        starred: pictures with enough stars for `spearman_funny`.
    """

    metrics: Metrics
    estimates: Mapping[str, Estimate | None]
    digests: tuple[str, ...]
    seed: int
    gallery: int
    captions: int
    starred: int


def evaluate_model(
    model: BokeModel,
    pictures: Sequence[HeldOutPicture],
    *,
    written: Written | None = None,
    scorer: Scorer | None = None,
    seed: int = 0,
) -> Metrics:
    """`measure`, the metrics alone."""
    return measure(model, pictures, written=written, scorer=scorer, seed=seed).metrics


def measure(
    model: BokeModel,
    pictures: Sequence[HeldOutPicture],
    *,
    written: Written | None = None,
    scorer: Scorer | None = None,
    seed: int = 0,
    report: Report = quiet,
) -> Evaluation:
    """Measure a model on pictures that it was not trained on.

    Args:
        pictures: in any order, each digest once, with vectors of the model's own encoder.
        written: for `novelty`: is a text one of the corpus? Left out, the corpus is these pictures' jokes.
        scorer: for `spearman_funny`; left out, it is the model's own sense of what is funny, or ln p per character where it
            has none.
        seed: of the samples, the answers and the bootstrap.

    Raises:
        NothingHeldOut: there are no pictures, or no jokes.
    """
    pictures = sorted(pictures, key=lambda picture: picture.digest)
    jokes = [joke for picture in pictures for joke in picture.jokes]
    if not jokes:
        raise NothingHeldOut("there are no pictures with jokes to measure the model on")
    texts = [joke.text for joke in jokes]
    owners = np.repeat(np.arange(len(pictures)), [len(picture.jokes) for picture in pictures])
    features = np.stack([picture.features for picture in pictures])
    rng = np.random.default_rng(seed)
    gallery = np.sort(rng.permutation(len(pictures))[:GALLERY])

    tokens = np.array([len(model.tokenizer.encode(text)) + 1 for text in texts])
    log_probs = _log_probs(model, features, owners, texts, tokens, report, "likelihood")
    characters = np.array([len(text) for text in texts])
    sums = {
        "nats_per_token": Sums(_total(-log_probs, owners, pictures), _total(tokens, owners, pictures)),
        "bits_per_char": Sums(
            _total(-log_probs / np.log(2), owners, pictures), _total(characters + 1, owners, pictures)
        ),
    }

    captions = _captions(owners, gallery, rng)
    before, level = _grounding(model, features, gallery, owners, captions, texts, tokens, report)
    asked = owners[captions]
    for k in (1, 5, 10):
        hits = recall_at(k, before, level)
        sums[f"r_at_{k}"] = Sums(_total(hits, asked, pictures), _total(np.ones(len(hits)), asked, pictures))

    hashes = {text_hash(text) for text in texts} if written is None else set()
    answers = _answers(model, features, gallery, pictures, seed, report)
    sums |= _variety(answers, model.bundle.manifest.language, written or (lambda text: text_hash(text) in hashes))

    per_character = log_probs / (characters + 1)
    if scorer is not None:
        scores = scorer(features[owners], texts, log_probs)
    else:
        scores = per_character if model.funny is None else _sense(model, features, owners, jokes)
    sums["spearman_funny"] = _funny(scores, jokes, owners, len(pictures))
    sums["funny_by_likelihood"] = _funny(per_character, jokes, owners, len(pictures))
    sums["funny_by_length"] = _funny(characters.astype(np.float64), jokes, owners, len(pictures))

    estimates = estimate_ratios(sums, seed)
    estimates["median_rank"] = estimate_median(before + level / 2 + 1, asked, len(pictures), seed)
    chance = min(10, len(gallery)) / len(gallery)
    return Evaluation(
        metrics=Metrics.of(len(pictures), len(jokes), chance, estimates),
        estimates=estimates,
        digests=tuple(picture.digest for picture in pictures),
        seed=seed,
        gallery=len(gallery),
        captions=len(captions),
        starred=int(sums["spearman_funny"].below.sum()),
    )


def difference(challenger: Evaluation, champion: Evaluation, name: str) -> Estimate | None:
    """By how much a figure of one model is above that of another on the same pictures, with a paired interval.

    None where either model has no such figure. Raises ValueError where the two were not measured alike.
    """
    if (challenger.digests, challenger.seed) != (champion.digests, champion.seed):
        raise ValueError("the two models were measured on different pictures, or with different seeds")
    new, old = challenger.estimates[name], champion.estimates[name]
    return None if new is None or old is None else new.minus(old)


def _total(values: NDArray[np.generic], owners: Ints, pictures: Sequence[HeldOutPicture]) -> Floats:
    """Sum of values (N,) over each picture: (pictures,)."""
    total: Floats = np.bincount(owners, values.astype(np.float64), minlength=len(pictures)).astype(np.float64)
    return total


def _log_probs(
    model: BokeModel,
    features: Features,
    which: Ints,
    texts: Sequence[str],
    tokens: Ints,
    report: Report,
    stage: str,
) -> Floats:
    """ln p of each text for the picture that `which` (N,) names, in batches of texts of like length: (N,)."""
    order = np.argsort(-tokens, kind="stable")
    found = np.empty(len(texts))
    start = 0
    while start < len(order):
        size = min(_TEXTS_AT_ONCE, max(1, _TOKENS_AT_ONCE // int(tokens[order[start]])))
        part = order[start : start + size]
        found[part] = model.log_prob_of_features(features[which[part]], [texts[i] for i in part])
        start += len(part)
        report(stage, start, len(order))
    return found


def _captions(owners: Ints, gallery: Ints, rng: np.random.Generator) -> Ints:
    """Which jokes are looked up: one of each picture of the gallery, then a second one of each, as far as `PAIRS` goes."""
    turns: list[tuple[int, float, int]] = []
    for picture in gallery:
        first, end = np.searchsorted(owners, [picture, picture + 1])
        for turn, joke in enumerate(rng.permutation(np.arange(first, end))[:CAPTIONS]):
            turns.append((turn, float(rng.random()), int(joke)))
    most = max(1, PAIRS // len(gallery))
    return np.array(sorted(joke for _, _, joke in sorted(turns)[:most]), dtype=np.int64)


def _grounding(
    model: BokeModel,
    features: Features,
    gallery: Ints,
    owners: Ints,
    captions: Ints,
    texts: Sequence[str],
    tokens: Ints,
    report: Report,
) -> tuple[Ints, Ints]:
    """How many pictures of the gallery stand before, and level with, each caption's own.

    The order is by ln p(text | picture) - ln p(text | mean picture). For one caption the second term is the same number
    whatever the picture, so it is not computed.
    """
    each = np.repeat(captions, len(gallery))
    which = np.tile(gallery, len(captions))
    scores = _log_probs(model, features, which, [texts[int(i)] for i in each], tokens[each], report, "grounding")
    own = np.searchsorted(gallery, owners[captions])
    return ranks_of_own(scores.reshape(len(captions), len(gallery)), own)


def _answers(
    model: BokeModel,
    features: Features,
    gallery: Ints,
    pictures: Sequence[HeldOutPicture],
    seed: int,
    report: Report,
) -> list[str | None]:
    """The model's first answer to each picture of the gallery, None for the others and where it has none: (pictures,).

    Each picture has a seed of its own, so that its answer does not depend on which other pictures are held out.
    """
    answers: list[str | None] = [None] * len(pictures)
    for start in range(0, len(gallery), ANSWERED_AT_ONCE):
        part = gallery[start : start + ANSWERED_AT_ONCE]
        seeds = [seed + zlib.crc32(pictures[i].digest.encode()) for i in part]
        for picture, found in zip(part, model.boke_of_features(features[part], 1, "boke", seeds), strict=True):
            answers[picture] = found[0].text if found else None
        report("answers", start + len(part), len(gallery))
    return answers


def _variety(answers: Sequence[str | None], language: str, written: Written) -> dict[str, Sums]:
    units = [[] if answer is None else n_gram_units(answer, language) for answer in answers]
    normal = [None if answer is None else normalise(answer) for answer in answers]
    times = Counter(normal)
    answered = np.array([answer is not None for answer in answers], np.float64)
    novel = np.array([answer is not None and not written(answer) for answer in answers], np.float64)
    repeated = np.array([answer is not None and times[answer] > 1 for answer in normal], np.float64)
    return {
        "distinct_1": distinct_shares(units, 1),
        "distinct_2": distinct_shares(units, 2),
        "novelty": Sums(novel, answered),
        "self_repeat": Sums(repeated, answered),
    }


def n_gram_units(text: str, language: str) -> list[str]:
    """What n-grams are made of: characters in languages that are written without spaces, elsewhere words.

    Never the tokenizer's units, so that models with different tokenizers can be compared.
    """
    if counts_characters(language):
        return [character for character in text.casefold() if not character.isspace()]
    return text.casefold().split()


def counts_characters(language: str) -> bool:
    """Are n-grams of this language made of characters?"""
    return language.split("-")[0] in _WITHOUT_SPACES


def _sense(model: BokeModel, features: Features, owners: Ints, jokes: Sequence[Joke]) -> Floats:
    """What the model's own sense of what is funny says of the jokes with stars, NaN for the others: (N,)."""
    scores = np.full(len(jokes), np.nan)
    starred = np.array([i for i, joke in enumerate(jokes) if joke.stars is not None], np.int64)
    for start in range(0, len(starred), _TEXTS_AT_ONCE):
        part = starred[start : start + _TEXTS_AT_ONCE]
        scores[part] = model.funny_of_features(features[owners[part]], [jokes[i].text for i in part])
    return scores


def _funny(scores: Floats, jokes: Sequence[Joke], owners: Ints, pictures: int) -> Sums:
    """Rank correlation of scores (N,) and stars within each picture that has `STARRED` jokes with stars, not all equal."""
    above, below = np.zeros(pictures), np.zeros(pictures)
    stars = np.array([np.nan if joke.stars is None else joke.stars for joke in jokes], np.float64)
    known = np.flatnonzero(np.isfinite(stars))
    for picture, group in zip(*_groups(owners[known], known), strict=True):
        found = spearman(scores[group], stars[group]) if len(group) >= STARRED else None
        if found is not None:
            above[picture], below[picture] = found, 1.0
    return Sums(above, below)


def _groups(owners: Ints, values: Ints) -> tuple[Ints, list[Ints]]:
    """Values (N,) by their sorted owners (N,)."""
    pictures, first = np.unique(owners, return_index=True)
    return pictures, np.split(values, first[1:]) if len(pictures) else []
