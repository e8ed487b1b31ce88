"""`python -m training.experiment`: why the article's training failed on many jokes, one change at a time.

Every run changes one thing of the article's recipe, or of the default one. A run that is done is kept under `--work` and not
done again, so the command can be stopped and started at will; each time it writes the report anew from what is there, with
the budget that each figure was measured with.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
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
from bokemodel.trigrams import Trigrams
from training.changes import ARTICLE, DEFAULT, STUDIES, Change, Study, changed
from training.ngrams import NGrams
from training.recipe import Recipe, load_recipe
from training.report import Section, write_report
from training.snapshots import Snapshots, write_whole
from training.train import Texts, train
from training.vocabulary import train_tokenizer
from training.weights import joke_weights
from training.word_layer import fit_word_layer

Floats = NDArray[np.float32]
DEV_SHARE = 0.25  # of the pictures


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
    for name, all_jokes in by_picture.items():  # of best-first lists not the best alone
        by_picture[name] = all_jokes[:: max(1, len(all_jokes) // each)][:each]
    kept = work / f"{path.parent.name}-{encoder_name}.npz"
    if not kept.exists():
        encoder = load_encoder(encoder_name)
        vectors = [
            encoder.encode([open_file(path.parent / digests[d], short_side=encoder.input_size)])[0] for d in ordered
        ]
        np.savez(kept, vectors=np.stack(vectors))
    with np.load(kept) as archive:
        vectors_of = archive["vectors"]
    jokes = [(row, joke) for row, d in enumerate(ordered) for joke in by_picture[digests[d]]]
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


def run_change(jokes: Jokes, change: Change, recipe: Recipe, snapshots: Snapshots | None = None) -> dict[str, Any]:
    """Train and measure: curves by epoch, nats a token and bits a character on the held-out pictures."""
    train_rows, dev_rows = _split(jokes, change.pictures, change.per_picture)
    tokenizer = train_tokenizer([jokes.texts[i] for i in train_rows], recipe.tokenizer, 0)
    ids = {int(i): tokenizer.encode(jokes.texts[i]) for i in np.concatenate([train_rows, dev_rows])}
    fitted = np.unique(jokes.owners[train_rows])
    normalizer = Normalizer.fit(jokes.vectors[fitted])
    seen = jokes.vectors if change.raw else normalizer(jokes.vectors)
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
    if change.chainer_weights:
        decoder.load_arrays(_chainer_weights(decoder.arrays(), recipe.train.seed))
    no_votes = np.zeros(len(train_rows), np.float32)
    owners = jokes.owners[train_rows]
    stars, ratings = jokes.stars[train_rows], jokes.ratings[train_rows]
    weights = joke_weights(owners, stars, ratings, no_votes, recipe.weights, 0.0)
    texts = Texts(seen[owners], [ids[int(i)] for i in train_rows], weights)
    dev = Texts(seen[jokes.owners[dev_rows]], [ids[int(i)] for i in dev_rows])
    trained = train(
        decoder,
        recipe.train,
        lambda *_: texts,
        bos=tokenizer.bos,
        eos=tokenizer.eos,
        dev=dev,
        snapshots=snapshots,
    )
    arrays: dict[str, NDArray[Any]] = {**decoder.arrays()}
    if recipe.trigrams:
        arrays |= Trigrams.learn(texts.tokens, len(tokenizer), tokenizer.bos, tokenizer.eos, recipe.trigrams)
    nats = -_log_probs(Network(arrays), dev, tokenizer)
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
        "train": [epoch.train_loss for epoch in trained.epochs],
        "dev": [epoch.dev_loss for epoch in trained.epochs],
        "article_loss": [epoch.article_loss for epoch in trained.epochs],
        "epochs": recipe.train.epochs,
        "full_epochs": load_recipe(change.base).train.epochs,
        "seed": recipe.train.seed,
        "seconds": round(sum(epoch.seconds for epoch in trained.epochs), 1),
    }


def _baselines(jokes: Jokes, work: Path) -> list[dict[str, Any]]:
    """Found once for each corpus, and kept."""
    kept = work / f"{jokes.name}-{len(jokes.texts)}-baselines.json"
    if not kept.exists():
        write_whole(kept, json.dumps(baselines(jokes)).encode())
    found: list[dict[str, Any]] = json.loads(kept.read_bytes())
    return found


def baselines(jokes: Jokes) -> list[dict[str, Any]]:
    """Unigram and 5-gram models over the default recipe's units, and a unigram over the article's words."""
    train_rows, dev_rows = _split(jokes)
    texts = [jokes.texts[i] for i in train_rows]
    characters = sum(len(jokes.texts[i]) + 1 for i in dev_rows)
    found = []
    for name, recipe, order in (("unigram", DEFAULT, 1), ("5-gram", DEFAULT, 5), ("unigram of words", ARTICLE, 1)):
        tokenizer = train_tokenizer(texts, load_recipe(recipe).tokenizer, 0)
        learned = [tokenizer.encode(text) for text in texts]
        held_out = [tokenizer.encode(jokes.texts[i]) for i in dev_rows]
        model = NGrams(learned, order, len(tokenizer), tokenizer.bos, tokenizer.eos)
        nats = -sum(model.log_prob(text) for text in held_out)
        owed = _unknown_nats(jokes, train_rows, dev_rows, tokenizer)
        found.append(
            {
                "name": name,
                "nats_per_token": nats / sum(len(text) + 1 for text in held_out),
                "bits_per_char": (nats + owed) / math.log(2) / characters,
                "units": len(tokenizer),
                "jokes": len(learned),
            }
        )
    return found


def _split(
    jokes: Jokes, pictures: int | None = None, per_picture: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the jokes that are learned from and of those that are held out."""
    held_out = jokes.dev[jokes.owners]
    learned = np.flatnonzero(~held_out)
    if pictures is not None:
        learned = learned[np.isin(jokes.owners[learned], np.flatnonzero(~jokes.dev)[:pictures])]
    if per_picture is not None:
        owners = jokes.owners[learned]
        place = np.arange(len(owners)) - np.searchsorted(owners, owners)
        learned = learned[place < per_picture]
    return learned, np.flatnonzero(held_out)


def _chainer_weights(arrays: dict[str, Floats], seed: int) -> dict[str, Floats]:
    """As `L.EmbedID`, `L.Linear` and `L.LSTM` start: normal numbers, for all but the embedding over the root of the inputs."""
    rng = np.random.default_rng(seed)
    started = {
        name: rng.normal(0, 1 if name == "embed" else array.shape[-1] ** -0.5, array.shape).astype(np.float32)
        if array.ndim == 2
        else np.zeros_like(array)
        for name, array in arrays.items()
    }
    hidden = len(started["lstm_b"]) // 4
    started["lstm_b"][hidden : 2 * hidden] = 1.0  # the forget gate's
    return started


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


def runs(study: Study, jokes: Jokes, work: Path) -> Iterator[tuple[Change, Recipe, Path]]:
    """A study's runs, the first seed of each before the second of any, and the file that each is kept in when it is done."""
    for seed in range(study.seeds):
        for change in study.changes:
            if seed and change.name in study.once:
                continue
            recipe = changed(change, study.epochs, seed)
            sections = [asdict(part) for part in (recipe.tokenizer, recipe.decoder, recipe.train, recipe.weights)]
            decides = [asdict(change), sections, recipe.trigrams, len(jokes.texts)]
            key = hashlib.sha256(json.dumps(decides).encode()).hexdigest()
            yield change, recipe, work / f"{study.name}-{key[:16]}.json"


def main(
    data: Annotated[Path, typer.Option(help="A folder with flickr8k/corpus.jsonl and newyorker/corpus.jsonl.")],
    study: Annotated[list[str] | None, typer.Option(help="Only the runs of this study.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only runs of this name.")] = None,
    work: Annotated[Path, typer.Option(help="Where finished runs are kept.")] = Path("data/experiment"),
    out: Annotated[Path, typer.Option(help="The report; its plots go into a folder of its name.")] = Path(
        "docs/learning.md"
    ),
    encoder: Annotated[str, typer.Option()] = "efficientnet-lite0",
) -> None:
    """Run what has not been run yet, and write the report."""
    work.mkdir(parents=True, exist_ok=True)
    sections: list[Section] = []
    missing = []
    for each in STUDIES:
        jokes = load_jokes(data / each.corpus / "corpus.jsonl", work, encoder, each.jokes)
        kept = list(runs(each, jokes, work))
        sections.append(Section(each, _baselines(jokes, work), [path for _, _, path in kept]))
        if not study or each.name in study:
            missing += [(each, jokes, *run) for run in kept if not only or run[0].name in only]
    for each, jokes, change, recipe, path in missing:
        if path.exists():
            continue
        snapshots = Snapshots(path.with_suffix(""))
        found = run_change(jokes, change, recipe, snapshots)
        write_whole(path, json.dumps({"name": change.name, **found}).encode())
        snapshots.clear()
        print(f"{each.name}: {change.name}: {found['bits_per_char']:.3f} bits a character", flush=True)
        write_report(sections, out)
    write_report(sections, out)
    print(out)


if __name__ == "__main__":
    typer.run(main)
