"""Does the model know what is funny? Rank correlation of its scorer with the crowd's stars, on cartoons it never saw.

`python -m benchmarks.funny --data DIR [--model DIR]...` takes the folder of a corpus (shared data's newyorker) and bundles that
were trained on some of its pictures; without any, it trains small ones itself, each on all but a quarter of the pictures. For
each it learns the scorer from the pictures that the decoder was trained on, and measures on the others; all that were ever held
out are one sample. It prints Spearman's correlation within a picture, mean over pictures, with a 95% interval from a bootstrap
over pictures: of the scorer, of parts of it, of likelihood alone and of length alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.small_decoder import folds, train_small
from bokemodel.bundle import Bundle, load_bundle
from bokemodel.encoders import load_encoder
from bokemodel.funny import SURFACE, Seen, read
from bokemodel.network import Network
from training.funny import Rated, learn
from training.held_out import HeldOutPicture, held_out, read_jokes
from training.metrics import Estimate, Sums, estimate_ratios, spearman
from training.weights import standings

Floats = NDArray[np.float64]
PARTS = {
    "scorer": "units, likelihood and length, state",
    "units": "which words, nothing else",
    "surface": "likelihood and length, nothing else",
    "state": "the decoder's state, nothing else",
    "likelihood": "ln p per character alone",
    "length": "characters alone",
}


@dataclass(frozen=True)
class Texts:
    """Jokes with stars, by picture: `groups` (N,) says which."""

    seen: Seen
    stars: Floats
    standing: Floats
    characters: Floats
    log_probs: Floats
    groups: NDArray[np.int64]

    def part(self, name: str) -> Seen:
        """What a scorer of that name may look at."""
        numbers = self.seen.numbers
        nothing: list[list[int]] = [[]] * len(self.stars)
        if name == "units":
            return Seen(self.seen.tokens, np.zeros_like(numbers))
        if name in ("surface", "state"):
            kept = (np.arange(numbers.shape[1]) < SURFACE) == (name == "surface")
            return Seen(nothing, numbers * kept)
        return self.seen


def look_at(bundle: Bundle, pictures: list[HeldOutPicture]) -> Texts:
    """Everything about the starred jokes of some pictures, as a decoder sees it."""
    network = Network(bundle.arrays)
    jokes = [(number, joke) for number, p in enumerate(pictures) for joke in p.jokes if joke.stars is not None]
    groups = np.array([number for number, _ in jokes], np.int64)
    texts = [joke.text for _, joke in jokes]
    ids = [bundle.tokenizer.encode(text) for text in texts]
    vectors = bundle.normalizer(np.stack([picture.features for picture in pictures]))[groups]
    seen = read(network, bundle.tokenizer, vectors, texts, ids)
    stars = np.array([joke.stars for _, joke in jokes], np.float32)
    steps = np.array([len(text) + 1 for text in ids])
    unknown = np.full(len(stars), np.nan, np.float32)
    return Texts(
        seen,
        stars.astype(np.float64),
        standings(groups, stars, unknown),
        np.array([len(text) for text in texts], np.float64),
        seen.numbers[:, 0] * steps,
        groups,
    )


def scores(train: Texts, test: Texts, vocabulary: int, note: Callable[[str], None]) -> dict[str, Floats]:
    """What each scorer of `PARTS` says of the jokes of `test`."""
    found = {"likelihood": test.log_probs / (test.characters + 1), "length": test.characters}
    for name in ("scorer", "units", "surface", "state"):
        learned = learn(Rated(train.part(name), train.standing, train.groups), vocabulary)
        found[name] = learned.funny(test.part(name)) if learned else np.zeros(len(test.stars))
        if learned and name == "scorer":
            note(f"penalty {learned.penalty:g}, {learned.correlation:.3f} in cross-validation on training pictures")
    return found


def estimates(tests: list[tuple[Texts, dict[str, Floats]]]) -> dict[str, Estimate | None]:
    """Mean over all held-out pictures."""
    values: dict[str, list[float]] = {name: [] for name in PARTS}
    for test, said in tests:
        for group in np.unique(test.groups):
            own = test.groups == group
            for name in PARTS:
                values[name].append(spearman(said[name][own], test.stars[own]) or 0.0)
    return estimate_ratios({n: Sums(np.array(v), np.ones(len(v))) for n, v in values.items()}, seed=0)


def main(
    data: Annotated[Path, typer.Option(metavar="DIR", help="Folder with corpus.jsonl.", show_default=False)],
    model: Annotated[list[Path] | None, typer.Option(metavar="DIR", help="Trained on part of it.")] = None,
    count: Annotated[int, typer.Option("--folds", min=2, help="Small decoders to train where no model is given.")] = 4,
    epochs: Annotated[int, typer.Option(min=1, help="Of each small decoder.")] = 5,
    only: Annotated[int, typer.Option(min=0, help="So many folds; 0: all.")] = 0,
) -> None:
    """Measure the funniness scorer on held-out pictures."""
    console = Console()
    encoder = load_encoder("efficientnet-lite0")
    pictures = list(held_out(read_jokes(data / "corpus.jsonl").jokes, data, frozenset(), encoder).pictures)
    if model:
        bundles = [load_bundle(folder) for folder in model]
    else:
        parts = folds(len(pictures), count)[: only or count]
        bundles = [train_small(encoder, pictures, held, epochs=epochs, log=console.print) for held in parts]
    tests = []
    for bundle in bundles:
        trained = set(bundle.manifest.training_pictures)
        train = look_at(bundle, [picture for picture in pictures if picture.digest in trained])
        test = look_at(bundle, [picture for picture in pictures if picture.digest not in trained])
        tests.append((test, scores(train, test, len(bundle.tokenizer), console.print)))
    total = sum(len(np.unique(test.groups)) for test, _ in tests)
    table = Table("what ranks the jokes", "Spearman", "95% interval", "", title=f"{total} held-out pictures")
    for name, found in estimates(tests).items():
        if found is not None:
            low, high = found.ci95
            table.add_row(name, f"{found.value:.3f}", f"{low:.3f} to {high:.3f}", PARTS[name])
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
