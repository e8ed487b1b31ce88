"""How well the starter model fits photos that it never saw, and how much of what it says is its own.

`python -m benchmarks.starter [--model DIR] [--data DIR] [--show N]` prints, for `stamps` and `flickr8k`:

- fit: the share of photos whose answer is of a fitting subject (`benchmarks.fit_map`), beside what the classifier's top-1
  class alone would allow, and beside chance;
- where the answers come from: jokes of the corpus word for word, pairs of setup and punchline that training showed, pairs
  that it never showed, and sentences of neither kind;
- self_repeat over 155 photos (the 145 stamps and 10 photos of flickr8k).

A new sentence belongs to the subject whose jokes are likeliest beside it: naive Bayes over runs of one to three characters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.fit_map import Classifier, Fit, chance, flickr8k, share, stamps, top1_subject
from bokemodel.encoders import load_encoder
from bokemodel.encoders.base import Features
from bokemodel.model import BokeModel
from bokemodel.pictures import open_file
from training.starter.jokes import Subject, load_subjects

KINDS = ("corpus", "shown pair", "unshown pair", "new sentence")


class Origin:
    """Where a text comes from, and which subject it belongs to."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self.known: dict[str, tuple[str, str]] = {}
        for subject in subjects:
            groups = zip(KINDS, (subject.jokes, subject.crossed, subject.held_out), strict=False)
            self.known |= {text: (kind, subject.id) for kind, texts in groups for text in texts}
        self.ids = [subject.id for subject in subjects]
        counts = [Counter(g for text in _texts(subject) for g in runs(text)) for subject in subjects]
        vocabulary = {gram: index for index, gram in enumerate(sorted(set().union(*counts)))}
        table = np.full((len(subjects), len(vocabulary)), 0.01)
        for row, count in enumerate(counts):
            for gram, number in count.items():
                table[row, vocabulary[gram]] += number
        self.vocabulary, self.log_likelihood = vocabulary, np.log(table / table.sum(axis=1, keepdims=True))

    def of(self, text: str) -> tuple[str, str]:
        """(kind, subject's id)."""
        if text in self.known:
            return self.known[text]
        columns = [self.vocabulary[gram] for gram in runs(text) if gram in self.vocabulary]
        return KINDS[3], self.ids[int(self.log_likelihood[:, columns].sum(axis=1).argmax())]


def runs(text: str) -> list[str]:
    """All runs of one to three characters."""
    return [text[i : i + n] for n in (1, 2, 3) for i in range(len(text) - n + 1)]


def _texts(subject: Subject) -> tuple[str, ...]:
    return (*subject.jokes, *subject.setups, *subject.punchlines)


@dataclass(frozen=True)
class Photos:
    """A data set's photos as vectors, and what fits them."""

    name: str
    fits: list[Fit]
    features: Features


def load_photos(data: Path, encoder: Classifier) -> list[Photos]:
    found = []
    for name, fits in (("stamps", stamps(data / "stamps")), ("flickr8k", flickr8k(data / "flickr8k"))):
        pictures = (open_file(data / name / fit.image, short_side=encoder.input_size) for fit in fits)
        found.append(Photos(name, fits, np.concatenate([encoder.encode([picture]) for picture in pictures])))
    return found


def self_repeat(texts: Sequence[str]) -> float:
    """Share of answers that another picture got before."""
    return 1 - len(set(texts)) / len(texts)


def main(
    model: Annotated[Path | None, typer.Option(help="A bundle's folder; the starter where none is named.")] = None,
    data: Annotated[Path, typer.Option(help="Folder with stamps and flickr8k.")] = Path("../shared/data"),
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions; shares are means over them.")] = 3,
    mode: Annotated[str, typer.Option(help="The way of answering.")] = "boke",
    show: Annotated[int, typer.Option(help="Print so many answers.")] = 0,
) -> None:
    """Measure the starter model."""
    boke_model = BokeModel.load(model)
    encoder = cast(Classifier, load_encoder("efficientnet-lite0"))
    origin = Origin(load_subjects())
    table = Table("photos", "fit", "top-1 allows", "of that", "chance", *KINDS, "self_repeat")
    everything = load_photos(data, encoder)
    told: dict[str, list[str]] = {}
    for photos in everything:
        allowed = share(top1_subject(encoder, photos.features), photos.fits).share
        fitting, kinds, repeats = [], Counter[str](), []
        for seed in range(seeds):
            numbers = [seed * 100_003 + row for row in range(len(photos.features))]
            texts = [jokes[0].text for jokes in boke_model.boke_of_features(photos.features, 1, mode, seed=numbers)]
            found = [origin.of(text) for text in texts]
            fitting.append(share([subject for _, subject in found], photos.fits).share)
            kinds.update(kind for kind, _ in found)
            repeats.append(self_repeat(texts))
            told.setdefault(photos.name, texts)
        shares = [f"{kinds[kind] / kinds.total():.0%}" for kind in KINDS]
        fit = float(np.mean(fitting))
        table.add_row(
            f"{len(photos.fits)} {photos.name}",
            f"{fit:.1%}",
            f"{allowed:.1%}",
            f"{fit / allowed:.0%}",
            f"{chance(photos.fits):.1%}",
            *shares,
            f"{np.mean(repeats):.3f}",
        )
        for text, (kind, subject), picture in list(zip(texts, found, photos.fits, strict=True))[:show]:
            print(f"{Path(picture.image).stem[:24]:24}  {subject:14} {'' if kind == KINDS[0] else kind:12}  {text}")
    Console(width=150).print(table)
    both = told["stamps"] + told["flickr8k"][:10]
    print(f"self_repeat over {len(both)} different photos: {self_repeat(both):.3f}")


if __name__ == "__main__":
    typer.run(main)
