"""`python -m training.experiment`: why the article's training failed on many jokes, one change at a time.

Every run changes one thing of the article's recipe, or of the default one. A run that is done is kept under `--work` and not
done again, so the command can be stopped and started at will; each time it writes the report anew from what is there, with
the budget that each figure was measured with.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from bokemodel.decoder import Decoder, DecoderConfig
from bokemodel.encoders import load_encoder
from bokemodel.network import Network
from bokemodel.packing import Normalizer, pack
from bokemodel.pictures import open_file
from bokemodel.tokenizer import UNK, Tokenizer
from training.ngrams import NGrams
from training.recipe import Recipe, load_recipe
from training.report import write_report
from training.snapshots import write_whole
from training.train import Epoch, Texts, train
from training.vocabulary import train_tokenizer
from training.weights import joke_weights
from training.word_layer import fit_word_layer

Floats = NDArray[np.float32]
DEV_SHARE = 0.25  # of the pictures


@dataclass(frozen=True)
class Change:
    """One run: a recipe, what is changed of it, and which jokes it sees.

    Attributes:
        tokenizer, decoder, train, weights: fields of the recipe's sections.
        per_picture: at most so many jokes of a picture; None: all.
        picture: false: the decoder sees the mean picture always.
    """

    name: str
    base: str
    tokenizer: dict[str, Any] = field(default_factory=dict)
    decoder: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    per_picture: int | None = None
    picture: bool = True


ARTICLE, DEFAULT = "article-large", "default"
CHANGES = (
    Change("article", ARTICLE),
    Change("article, state never reset", ARTICLE, train={"carry_state": True}),
    Change("article, shuffled", ARTICLE, train={"shuffle": True}),
    Change("article, like lengths for equal ones", ARTICLE, train={"shuffle": True, "equal_lengths": False}),
    Change("article, one joke per picture", ARTICLE, per_picture=1),
    Change("article, sentencepiece units", ARTICLE, tokenizer={"kind": "sentencepiece", "units": 2000}),
    Change("article, dropout", ARTICLE, decoder={"dropout": 0.35}),
    Change("article, 256 for 100", ARTICLE, decoder={"embed": 256, "hidden": 256}),
    Change("article, falling learning rate", ARTICLE, train={"final_rate": 0.05, "warm_up": 0.02}),
    Change("article, picture at every step", ARTICLE, decoder={"every": True}),
    Change("article, stars as weights", ARTICLE, weights={"strength": 0.3}),
    Change("default", DEFAULT),
    Change("default, without the picture", DEFAULT, picture=False),
    Change("default, without the word layer", DEFAULT, decoder={"words": 0}),
    Change("default, picture at the first step only", DEFAULT, decoder={"start": False, "output": False}),
    Change("default, without label smoothing", DEFAULT, train={"smoothing": 0.0}),
    Change("default, without dropout", DEFAULT, decoder={"dropout": 0.0}),
    Change("default, stars do not count", DEFAULT, weights={"strength": 0.0}),
)


@dataclass(frozen=True)
class Jokes:
    """A corpus: vectors (P, dim), N texts with the rows of their pictures, rising, and which pictures are held out."""

    name: str
    vectors: Floats
    texts: list[str]
    owners: NDArray[np.int64]
    stars: Floats
    ratings: Floats
    dev: NDArray[np.bool_]


def load_jokes(path: Path, work: Path, encoder_name: str, most: int) -> Jokes:
    """A corpus file with its pictures' vectors, which are kept under `work`. most: jokes, the same number of each picture."""
    by_picture: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        joke = json.loads(line)
        by_picture.setdefault(joke["image"], []).append(joke)
    digests = {hashlib.sha256((path.parent / name).read_bytes()).hexdigest(): name for name in by_picture}
    ordered = sorted(digests)
    each = max(1, most // len(ordered))
    kept = work / f"{path.parent.name}-{encoder_name}.npz"
    if not kept.exists():
        encoder = load_encoder(encoder_name)
        vectors = [
            encoder.encode([open_file(path.parent / digests[d], short_side=encoder.input_size)])[0] for d in ordered
        ]
        np.savez(kept, vectors=np.stack(vectors))
    with np.load(kept) as archive:
        vectors_of = archive["vectors"]
    jokes = [(row, joke) for row, d in enumerate(ordered) for joke in by_picture[digests[d]][:each]]
    nan = float("nan")
    return Jokes(
        path.parent.name,
        vectors_of,
        [joke["text"] for _, joke in jokes],
        np.array([row for row, _ in jokes]),
        np.array([joke.get("stars", nan) for _, joke in jokes], np.float32),
        np.array([joke.get("ratings", nan) for _, joke in jokes], np.float32),
        np.arange(len(ordered)) < round(DEV_SHARE * len(ordered)),  # digests are random: the first are a sample
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
    )


def run_change(jokes: Jokes, change: Change, recipe: Recipe) -> dict[str, Any]:
    """Train and measure: curves by epoch, nats a token and bits a character on the held-out pictures."""
    began = time.perf_counter()
    train_rows, dev_rows = _split(jokes, change.per_picture)
    tokenizer = train_tokenizer([jokes.texts[i] for i in train_rows], recipe.tokenizer, 0)
    ids = {int(i): tokenizer.encode(jokes.texts[i]) for i in np.concatenate([train_rows, dev_rows])}
    fitted = np.unique(jokes.owners[train_rows])
    normalizer = Normalizer.fit(jokes.vectors[fitted])
    seen = normalizer(jokes.vectors)
    size = recipe.decoder.words
    if size:
        places = np.searchsorted(fitted, jokes.owners[train_rows])
        layer = fit_word_layer(seen[fitted], [ids[int(i)] for i in train_rows], places, len(tokenizer), size)
        seen = seen @ layer.weights
        seen[fitted] = layer.unseen
    if not change.picture:
        seen = np.zeros_like(seen)
    sizes = {name: value for name, value in asdict(recipe.decoder).items() if name != "words"}
    decoder = Decoder(DecoderConfig(len(tokenizer), seen.shape[1], **sizes), recipe.train.seed)
    no_votes = np.zeros(len(train_rows), np.float32)
    owners = jokes.owners[train_rows]
    stars, ratings = jokes.stars[train_rows], jokes.ratings[train_rows]
    weights = joke_weights(owners, stars, ratings, no_votes, recipe.weights, 0.0)
    texts = Texts(seen[owners], [ids[int(i)] for i in train_rows], weights)
    dev = Texts(seen[jokes.owners[dev_rows]], [ids[int(i)] for i in dev_rows])
    epochs: list[Epoch] = []
    trained = train(
        decoder,
        recipe.train,
        lambda *_: texts,
        bos=tokenizer.bos,
        eos=tokenizer.eos,
        dev=dev,
        on_epoch=epochs.append,
    )
    nats = -_log_probs(Network(decoder.arrays()), dev, tokenizer)
    tokens = sum(len(ids[int(i)]) + 1 for i in dev_rows)
    characters = sum(len(jokes.texts[i]) + 1 for i in dev_rows)
    unknown = _unknown_nats(jokes, train_rows, dev_rows, tokenizer)
    return {
        "nats_per_token": nats / tokens,
        "bits_per_char": (nats + unknown) / math.log(2) / characters,
        "units": len(tokenizer),
        "jokes": len(train_rows),
        "pictures": len(fitted),
        "dev_pictures": int(jokes.dev.sum()),
        "chosen": trained.chosen,
        "train": [epoch.train_loss for epoch in epochs],
        "dev": [epoch.dev_loss for epoch in epochs],
        "epochs": recipe.train.epochs,
        "full_epochs": load_recipe(change.base).train.epochs,
        "seed": recipe.train.seed,
        "seconds": round(time.perf_counter() - began, 1),
    }


def baselines(jokes: Jokes) -> dict[str, dict[str, Any]]:
    """Unigram and 5-gram models over the default recipe's units."""
    train_rows, dev_rows = _split(jokes, None)
    tokenizer = train_tokenizer([jokes.texts[i] for i in train_rows], load_recipe(DEFAULT).tokenizer, 0)
    learned = [tokenizer.encode(jokes.texts[i]) for i in train_rows]
    held_out = [tokenizer.encode(jokes.texts[i]) for i in dev_rows]
    characters = sum(len(jokes.texts[i]) + 1 for i in dev_rows)
    found = {}
    for name, order in (("unigram", 1), ("5-gram", 5)):
        model = NGrams(learned, order, len(tokenizer), tokenizer.bos, tokenizer.eos)
        nats = -sum(model.log_prob(text) for text in held_out)
        found[name] = {
            "nats_per_token": nats / sum(len(text) + 1 for text in held_out),
            "bits_per_char": nats / math.log(2) / characters,
            "units": len(tokenizer),
            "jokes": len(learned),
        }
    return found


def _split(jokes: Jokes, per_picture: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the jokes that are learned from and of those that are held out."""
    held_out = jokes.dev[jokes.owners]
    learned = np.flatnonzero(~held_out)
    if per_picture is not None:
        owners = jokes.owners[learned]
        place = np.arange(len(owners)) - np.searchsorted(owners, owners)
        learned = learned[place < per_picture]
    return learned, np.flatnonzero(held_out)


def _log_probs(network: Network, dev: Texts, tokenizer: Tokenizer) -> float:
    tokens: Sequence[Any] = dev.tokens
    total = 0.0
    for start in range(0, len(tokens), 500):
        some = np.arange(start, min(start + 500, len(tokens)))
        batch = pack([tokens[int(i)] for i in some], tokenizer.bos, tokenizer.eos)
        total += float(network.log_probs(dev.pictures[some], batch, tokenizer.bos).sum())
    return total


def _unknown_nats(
    jokes: Jokes, train_rows: Sequence[int] | NDArray[Any], dev_rows: Sequence[int] | NDArray[Any], tokenizer: Tokenizer
) -> float:
    """What a closed vocabulary owes for its unknown words: each spelled by a character unigram, with an end."""
    if tokenizer.kind != "words":
        return 0.0
    end = "\n"
    counts = Counter(c for i in train_rows for word in jokes.texts[i].split() for c in word + end)
    total, kinds = counts.total(), len(counts) + 1
    nats = 0.0
    for i in dev_rows:
        words = jokes.texts[i].split()
        for word, number in zip(words, tokenizer.encode(jokes.texts[i]), strict=False):
            if number == UNK:
                nats -= sum(math.log((counts[c] + 1) / (total + kinds)) for c in word + end)
    return nats


def main(
    data: Annotated[Path, typer.Option(help="A folder with flickr8k/corpus.jsonl and newyorker/corpus.jsonl.")],
    corpus: Annotated[list[str] | None, typer.Option(help="Only this folder of it.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only runs of this name.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most; the recipes' own where it is not named.")] = None,
    jokes: Annotated[int, typer.Option(help="Of each corpus, at most.")] = 5000,
    seeds: Annotated[int, typer.Option(min=1)] = 2,
    work: Annotated[Path, typer.Option(help="Where finished runs are kept.")] = Path("data/experiment"),
    out: Annotated[Path, typer.Option(help="The report; its plots go into a folder of its name.")] = Path(
        "docs/learning.md"
    ),
    encoder: Annotated[str, typer.Option()] = "efficientnet-lite0",
) -> None:
    """Run what has not been run yet, and write the report."""
    work.mkdir(parents=True, exist_ok=True)
    for name in corpus or ("flickr8k", "newyorker"):
        loaded = load_jokes(data / name / "corpus.jsonl", work, encoder, jokes)
        kept = work / f"{name}-{len(loaded.texts)}-baselines.json"
        if not kept.exists():
            write_whole(kept, json.dumps({"corpus": name, "baselines": baselines(loaded)}).encode())
        for seed in range(seeds):
            for change in CHANGES:
                if only and change.name not in only:
                    continue
                recipe = changed(change, epochs, seed)
                key = hashlib.sha256(json.dumps([asdict(change), recipe.digest, len(loaded.texts)]).encode())
                kept = work / f"{name}-{key.hexdigest()[:16]}.json"
                if kept.exists():
                    continue
                found = run_change(loaded, change, recipe)
                write_whole(kept, json.dumps({"corpus": name, "name": change.name, **found}).encode())
                print(f"{name}: {change.name}: {found['bits_per_char']:.3f} bits a character", flush=True)
                write_report(work, out)
    write_report(work, out)
    print(out)


if __name__ == "__main__":
    typer.run(main)
