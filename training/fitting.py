"""From a dataset to a bundle: a start (the live model, or nothing), the training loop, and what the bundle says of itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bokemodel.bundle import Bundle, Manifest
from bokemodel.chainer_compat import chainer
from bokemodel.decoder import Decoder, DecoderConfig, config_to_json
from bokemodel.encoders.base import Encoder
from bokemodel.network import Network
from bokemodel.packing import Normalizer
from bokemodel.search import SearchSettings, rerank, sample
from bokemodel.tokenizer import Tokenizer
from bokemodel.trigrams import NAMES, Trigrams
from bokemodel.words import tokenizer_of
from store.runs import EpochRecord
from training.dataset import Chosen, Dataset, Ints, LeftOut
from training.recipe import Recipe
from training.selection import PackedTokens, StoredTexts, read_tokens, write_tokens
from training.snapshots import Snapshots, write_whole
from training.train import Epoch, Step, Texts, TrainConfig, Trained, train
from training.vocabulary import fits, language_of, train_tokenizer

log = logging.getLogger(__name__)

LOOKED_AT = 5000  # texts that tell the language, and whether a tokenizer fits
MOSTLY_NEW = (
    0.5  # share of jokes that the live model has not learned, from which on it is trained as long as from scratch
)
SHOWN = 4  # held-out pictures whose answers are kept after each epoch
LONGEST = 80  # tokens of an answer, however long the corpus's jokes are
COUNTED = 100_000  # jokes that the trigrams are counted in, at most
FREQUENT = 0.995  # share of the jokes that are no longer than the longest answer


class CannotTrain(Exception):
    """What keeps a decoder from being trained; the message is one line."""


@dataclass(frozen=True)
class Parent:
    """The model that training may go on from. `learned`: keys of the jokes that it knows, sorted; None: not known."""

    bundle: Bundle
    learned: NDArray[np.uint64] | None = None


@dataclass(frozen=True)
class Start:
    """Where training begins.

    Attributes:
        parent: the model whose weights it goes on from; None: from scratch.
        why: in words, for the table.
    """

    tokenizer: Tokenizer
    language: str
    parent: Parent | None
    why: str


@dataclass(frozen=True)
class Fitted:
    """A trained model, and how it went. `keys`: of the jokes it was trained on, sorted."""

    bundle: Bundle
    trained: Trained
    keys: NDArray[np.uint64]


def sample_texts(texts: StoredTexts, rows: Ints, count: int) -> list[str]:
    """At most so many of these texts, spread evenly."""
    return [texts[int(row)] for row in rows[:: max(1, -(-len(rows) // count))]]


def choose_start(
    dataset: Dataset, recipe: Recipe, encoder: Encoder, candidate: Parent | None, folder: Path, seed: int
) -> Start:
    """A tokenizer, and whether training goes on from the live model: only where its encoder and tokenizer fit.

    Held-out jokes are not looked at: units that are made from them, too, would suit them better than other unseen ones.

    folder: where the run's own tokenizer is kept, so that a continued run has the same. Raises: CannotTrain; OSError
    """
    if not len(dataset.train):
        raise CannotTrain("every joke is of a picture that is held out or cannot be read: nothing to train on")
    texts = dataset.selection.texts
    looked_at = sample_texts(texts, dataset.train, LOOKED_AT)
    language = recipe.language if recipe.language != "auto" else language_of(looked_at)
    kept = folder / "tokenizer.model"
    if kept.exists():
        own = tokenizer_of(recipe.tokenizer.kind, kept.read_bytes())
    else:
        own = train_tokenizer(sample_texts(texts, dataset.train, recipe.tokenizer.sample), recipe.tokenizer, seed)
        write_whole(kept, own.model)
    reason = _misfit(candidate, recipe, encoder, language, own, looked_at)
    if reason or candidate is None:
        return Start(own, language, None, f"from scratch: {reason}")
    return Start(candidate.bundle.tokenizer, language, candidate, "from the live model")


def _misfit(
    candidate: Parent | None, recipe: Recipe, encoder: Encoder, language: str, own: Tokenizer, texts: Sequence[str]
) -> str:
    """Why training cannot go on from a model; empty where it can."""
    if candidate is None:
        return "there is no model to go on from"
    manifest = candidate.bundle.manifest
    if not recipe.warm_start.enabled:
        return "the recipe says so"
    if (manifest.encoder, manifest.encoder_digest) != (encoder.name, encoder.weights_digest):
        return "the live model knows another encoder"
    if manifest.language != language:
        return f"the live model speaks {manifest.language}, the corpus {language}"
    wanted = Decoder(_decoder_config(recipe, len(candidate.bundle.tokenizer), encoder.dim)).arrays()
    if _shapes(wanted) != _shapes(decoder_arrays(candidate.bundle.arrays)):
        return "the live model's decoder has other sizes"
    if not fits(candidate.bundle.tokenizer, texts, own):
        return "the live model's units do not suit the corpus"
    return ""


def _shapes(arrays: Mapping[str, NDArray[Any]]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}


def load_tokens(folder: Path, texts: StoredTexts, tokenizer: Tokenizer, step: Callable[[int], None]) -> PackedTokens:
    """All texts in units, from the run's folder, where they are put the first time. Raises: OSError"""
    kept = folder / "tokens"
    found = read_tokens(kept, len(texts))
    if found is None:
        kept.mkdir(parents=True, exist_ok=True)
        for old in kept.iterdir():
            old.unlink()
        write_tokens((texts[i] for i in range(len(texts))), len(texts), tokenizer, kept, step)
        found = read_tokens(kept, len(texts))
        assert found is not None
    return found


def fit(
    dataset: Dataset,
    tokens: PackedTokens,
    recipe: Recipe,
    start: Start,
    encoder: Encoder,
    *,
    folder: Path,
    seed: int,
    vote_weight: float,
    device: str,
    created: str,
    on_epoch: Callable[[EpochRecord], None],
    on_step: Callable[[Step], None],
) -> Fitted:
    """Train a decoder; what was trained before a kill is taken up from `folder`.

    Raises: CannotTrain, TrainingDiverged; OSError where a snapshot cannot be written.
    """
    parent = start.parent
    normalizer = parent.bundle.normalizer if parent else dataset.normalizer()
    left_out = None
    if not parent and recipe.decoder.words:
        units = len(start.tokenizer)
        normalizer, left_out = dataset.word_layer(tokens, normalizer, units, recipe.decoder.words)
    sizes = _decoder_config(recipe, len(start.tokenizer), encoder.dim)
    decoder = Decoder(sizes, seed)
    if parent:
        decoder.load_arrays(decoder_arrays(parent.bundle.arrays))
    _to_device(decoder, device)
    keys = dataset.keys()[dataset.train]
    fresh = np.ones(len(keys), bool) if not parent or parent.learned is None else ~np.isin(keys, parent.learned)
    long = parent is None or bool(fresh.mean() >= MOSTLY_NEW)
    weights = dataset.weights(recipe.weights, vote_weight)
    jokes = _Jokes(dataset, tokens, normalizer, left_out, weights, fresh, None if long else recipe)
    shown = _Answers(dataset, start.tokenizer, normalizer, recipe, seed)

    def note(epoch: Epoch) -> None:
        record = EpochRecord(
            epoch.number,
            epoch.train_loss,
            epoch.dev_loss,
            epoch.learning_rate,
            epoch.seconds,
            epoch.tokens,
            samples=shown(decoder),
        )
        on_epoch(record)

    trained = train(
        decoder,
        _train_config(recipe, seed, long),
        jokes.epoch,
        bos=start.tokenizer.bos,
        eos=start.tokenizer.eos,
        dev=dataset.dev_texts(tokens, normalizer),
        on_epoch=note,
        on_step=on_step,
        snapshots=Snapshots(folder / "train"),
    )
    bundle = Bundle(
        Manifest(
            encoder=encoder.name,
            encoder_digest=encoder.weights_digest,
            feature_dim=encoder.dim,
            decoder=config_to_json(sizes),
            language=start.language,
            recipe=recipe.name,
            created=created,
            parent=parent.bundle.digest if parent else "",
            search=_search(recipe, tokens),
            training_pictures=dataset.training_pictures(),
            tokenizer=start.tokenizer.kind,
        ),
        start.tokenizer,
        normalizer,
        # As they are stored, so that what is measured is what is published.
        {name: array.astype(np.float16).astype(np.float32) for name, array in decoder.arrays().items()}
        | _trigrams(dataset, tokens, recipe, start.tokenizer),
    )
    return Fitted(bundle, trained, np.unique(keys))


def decoder_arrays(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """A bundle's arrays as the decoder has them, without those of the trigrams."""
    return {name: array.astype(np.float32) for name, array in arrays.items() if name not in NAMES}


def _trigrams(dataset: Dataset, tokens: PackedTokens, recipe: Recipe, tokenizer: Tokenizer) -> dict[str, NDArray[Any]]:
    if not recipe.trigrams:
        return {}
    texts = Chosen(tokens, dataset.train[:: -(-len(dataset.train) // COUNTED)])
    return Trigrams.learn(texts, len(tokenizer), tokenizer.bos, tokenizer.eos, recipe.trigrams)


class _Jokes:
    """Which jokes an epoch shows: all, or the new ones with some of those that the live model knows."""

    def __init__(
        self,
        dataset: Dataset,
        tokens: PackedTokens,
        normalizer: Normalizer,
        left_out: LeftOut | None,
        weights: NDArray[np.float32],
        fresh: NDArray[np.bool_],
        replay: Recipe | None,
    ) -> None:
        self._texts = lambda jokes: dataset.texts(jokes, tokens, normalizer, weights, left_out)
        self._new, self._old = dataset.train[fresh], dataset.train[~fresh]
        self._all = dataset.train
        self._replay = replay

    def epoch(self, _number: int, rng: np.random.Generator) -> Texts:
        if self._replay is None:
            return self._texts(self._all)
        warm = self._replay.warm_start
        wanted = max(round(warm.replay * len(self._new)), warm.least - len(self._new))
        again = rng.permutation(len(self._old))[:wanted]
        return self._texts(np.sort(np.concatenate([self._new, self._old[again]])))


class _Answers:
    """What the decoder says of the same few held-out pictures after each epoch."""

    def __init__(
        self, dataset: Dataset, tokenizer: Tokenizer, normalizer: Normalizer, recipe: Recipe, seed: int
    ) -> None:
        pictures = np.unique(dataset.selection.picture[dataset.dev])[:SHOWN].astype(np.int64)
        self._digests = [dataset.selection.digest(int(picture)) for picture in pictures]
        self._pictures = normalizer(dataset.vectors[pictures]) if len(pictures) else np.empty((0, 0), np.float32)
        self._tokenizer, self._seed = tokenizer, seed
        self._settings = SearchSettings(**{"max_tokens": 30, **recipe.search, "candidates": 8})

    def __call__(self, decoder: Decoder) -> tuple[dict[str, Any], ...]:
        if not self._digests:
            return ()
        network = Network(decoder.arrays())
        seeds = [self._seed] * len(self._digests)
        found = sample(network, self._tokenizer, self._pictures, self._settings, seeds)
        best = rerank(found, self._settings)
        return tuple(
            {"picture": digest, "text": ranked[0][0].text.strip()}
            for digest, ranked in zip(self._digests, best, strict=True)
            if ranked
        )


def _decoder_config(recipe: Recipe, vocabulary: int, dim: int) -> DecoderConfig:
    sizes = asdict(recipe.decoder)
    return DecoderConfig(vocabulary, sizes.pop("words") or dim, **sizes)


def _train_config(recipe: Recipe, seed: int, long: bool) -> TrainConfig:
    return replace(recipe.train if long else recipe.going_on(), seed=seed)


def _search(recipe: Recipe, tokens: PackedTokens) -> dict[str, Any]:
    frequent = int(np.quantile(tokens.lengths, FREQUENT)) if len(tokens) else 1
    return {"max_tokens": max(8, min(LONGEST, frequent)), **recipe.search}


def _to_device(decoder: Decoder, device: str) -> None:
    if device == "cpu":
        return
    if not chainer.cuda.available:
        raise CannotTrain(f"{device} was asked for, but CuPy finds no GPU here; install cupy, or use --device cpu")
    decoder.to_device("@cupy:" + (device.partition(":")[2] or "0"))
