"""What `training.experiment` compares: single changes of a recipe, and the studies whose runs have one budget."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from training.recipe import Recipe, load_recipe


@dataclass(frozen=True)
class Change:
    """One run: a recipe, what is changed of it, and which jokes it sees.

    Attributes:
        tokenizer, decoder, train, weights: fields of the recipe's sections. trigrams: instead of the recipe's.
        pictures: learn from at most so many pictures; None: all. per_picture: and at most so many jokes of each.
        picture: false: the decoder sees the mean picture always.
        raw: the picture's vector as the encoder gives it, neither centred nor scaled, as the article's decoder saw it.
        chainer_weights: start from the weights that Chainer's own links start from, as the article's decoder did.
    """

    name: str
    base: str
    tokenizer: dict[str, Any] = field(default_factory=dict)
    decoder: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    trigrams: float | None = None
    pictures: int | None = None
    per_picture: int | None = None
    picture: bool = True
    raw: bool = False
    chainer_weights: bool = False


@dataclass(frozen=True)
class Study:
    """Runs that may be compared with each other: one corpus, one budget.

    Attributes:
        corpus: a folder of the data. jokes: of it, at most, as many of each picture.
        epochs: of every run, or the most of each recipe where it has fewer; None: the recipes' own.
        seeds: each run is made with so many; those whose name stands in `once` with one.
    """

    name: str
    title: str
    corpus: str
    jokes: int
    epochs: int | None
    changes: tuple[Change, ...]
    seeds: int = 1
    once: tuple[str, ...] = ()


SMALL, ARTICLE, DEFAULT = "article-small", "article-large", "default"
NEVER_RESET = {"carry_state": True}
PUBLISHED: dict[str, Any] = {"train": NEVER_RESET, "raw": True, "chainer_weights": True}
CHANGES = (
    Change("article", ARTICLE),
    Change("article, state never reset", ARTICLE, train=NEVER_RESET),
    Change("article, raw picture vector", ARTICLE, raw=True),
    Change("article, Chainer's first weights", ARTICLE, chainer_weights=True),
    Change("article, all three: as published", ARTICLE, **PUBLISHED),
    Change("article, without the picture", ARTICLE, picture=False),
    Change("article, shuffled", ARTICLE, train={"shuffle": True}),
    Change("article, like lengths for equal ones", ARTICLE, train={"shuffle": True, "equal_lengths": False}),
    Change("article, one joke per picture", ARTICLE, per_picture=1),
    Change(
        "article, sentencepiece units", ARTICLE, tokenizer={"kind": "sentencepiece", "method": "unigram", "units": 2000}
    ),
    Change("article, dropout", ARTICLE, decoder={"dropout": 0.35}),
    Change("article, 256 for 100", ARTICLE, decoder={"embed": 256, "hidden": 256}),
    Change("article, falling learning rate", ARTICLE, train={"final_rate": 0.05, "warm_up": 0.02}),
    Change("article, picture at every step", ARTICLE, decoder={"every": True}),
    Change("article, stars as weights", ARTICLE, weights={"strength": 0.3}),
    Change("default", DEFAULT),
    Change("default, without the picture", DEFAULT, picture=False),
    Change("default, without the word layer", DEFAULT, decoder={"words": 0}),
    Change("default, picture at the first step only", DEFAULT, decoder={"start": False, "output": False}),
    Change("default, without trigrams", DEFAULT, trigrams=0.0),
    Change("default, tied embeddings that start small", DEFAULT, decoder={"tied": True, "embed_gain": 1.0}),
    Change("default, with label smoothing", DEFAULT, train={"smoothing": 0.1}),
    Change("default, without weight decay", DEFAULT, train={"weight_decay": 0.0}),
    Change("default, units by unigram", DEFAULT, tokenizer={"method": "unigram"}),
    Change("default, without dropout", DEFAULT, decoder={"dropout": 0.0}),
    Change("default, stars do not count", DEFAULT, weights={"strength": 0.0}),
)
STARS = ("article, stars as weights", "default, stars do not count")  # flickr8k has none
FEW = (
    Change("article-small", SMALL, pictures=300, per_picture=1),
    Change("article-small, state never reset", SMALL, train=NEVER_RESET, pictures=300, per_picture=1),
    Change("article-small, as published", SMALL, pictures=300, per_picture=1, **PUBLISHED),
)
SHAPES = (
    Change("600 pictures, one joke each", ARTICLE, per_picture=1),
    Change("120 pictures, five jokes each", ARTICLE, pictures=120),
    Change("600 pictures, one joke each, never reset", ARTICLE, train=NEVER_RESET, per_picture=1),
    Change("120 pictures, five jokes each, never reset", ARTICLE, train=NEVER_RESET, pictures=120),
)
_NAMED = {change.name: change for change in CHANGES}
LARGE = tuple(
    _NAMED[name] for name in ("article", "article, all three: as published", "default", "article, state never reset")
)
FLICKR8K = tuple(change for change in CHANGES if change.name not in STARS)
STUDIES = (
    Study("flickr8k", "flickr8k: five descriptions of each photo", "flickr8k", 5000, 8, FLICKR8K, seeds=2),
    Study(
        "few",
        "flickr8k: one description of each of 300 photos, the article's first experiment",
        "flickr8k",
        5000,
        None,
        FEW,
        seeds=2,
    ),
    Study("newyorker", "newyorker: 32 jokes of each cartoon", "newyorker", 5000, 4, CHANGES),
    Study(
        "large", "newyorker: 200 jokes of each cartoon, the article's second experiment", "newyorker", 30400, 3, LARGE
    ),
    Study("shapes", "flickr8k: 600 descriptions, of many photos or of few", "flickr8k", 5000, 30, SHAPES, seeds=2),
)


def changed(change: Change, epochs: int | None, seed: int) -> Recipe:
    """The recipe of a run."""
    base = load_recipe(change.base)
    more: dict[str, Any] = {} if epochs is None else {"epochs": min(epochs, base.train.epochs)}
    return replace(
        base,
        tokenizer=replace(base.tokenizer, **change.tokenizer),
        decoder=replace(base.decoder, **change.decoder),
        train=replace(base.train, **{"patience": 0, **change.train, **more, "seed": seed}),
        weights=replace(base.weights, **change.weights),
        trigrams=base.trigrams if change.trigrams is None else change.trigrams,
    )
