"""The report of `training.experiment`: a table and plots for each study, from the runs that are there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.changes import Study

INTRODUCTION = """# What makes the decoder learn

The article of 2016 learned 300 jokes and gave up on 30,000. This report changes one thing at a time. All figures are of pictures
that were not trained on; a quarter of each corpus's pictures, by their digest, is held out. `bits a character` can be compared
between vocabularies: a closed one pays for each unknown word as a character unigram spells it. `nats a token`, which the plots
show, can be compared where the units are the same.

Made by `python -m training.experiment --data FOLDER`, which runs what is missing and writes this file anew, with what stands in
`{folder}/*.md`. Within a table every run had the same budget; figures of different tables cannot be compared. Weights (an
epoch's, or the average of the last) are chosen on the held-out pictures, so the figures are a little too good. ± is half of the
range over the seeds. The curves are the LSTM's alone, the tables include the recipe's trigrams.

`printed` is the training loss of the first and of the last epoch as the article's loop prints a loss: each batch's mean nats a
text, summed over the batches, over the number of texts. So it is nats a *text* over the size of the batches, which are smaller
where few texts have the same length.
"""
BEFORE, AFTER = ("conclusions.md",), ("tried.md",)  # written by hand, beside the plots
LINES = 5  # in one plot, at most


@dataclass(frozen=True)
class Section:
    """A study with its baselines, and the files of its runs, as far as they are done."""

    study: Study
    baselines: list[dict[str, Any]]
    runs: list[Path] = field(default_factory=list)


def write_report(sections: Sequence[Section], out: Path) -> None:
    """Write the report from the runs that are done; plots only where matplotlib is installed."""
    folder = out.with_suffix("")
    parts = [INTRODUCTION.format(folder=folder.name)]
    parts += [(folder / name).read_text(encoding="utf-8") for name in BEFORE if (folder / name).exists()]
    for section in sections:
        done = [json.loads(path.read_bytes()) for path in section.runs if path.exists()]
        if done:
            parts += _section(section, done, folder)
    parts += [(folder / name).read_text(encoding="utf-8") for name in AFTER if (folder / name).exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(parts), encoding="utf-8")


def _section(section: Section, done: Sequence[dict[str, Any]], folder: Path) -> Iterator[str]:
    study = section.study
    names = [change.name for change in study.changes]
    by_name = {name: same for name in names if (same := [run for run in done if run["name"] == name])}
    rows = [_row(name, same) for name, same in by_name.items()]
    rows += [
        f"| {one['name']} | {one['jokes']:,} | {one['units']:,} | {one['nats_per_token']:.3f} "
        f"| {one['bits_per_char']:.3f} | | | |"
        for one in section.baselines
        if one["jokes"] == max(run["jokes"] for run in done)  # of as many jokes as the runs learned from
    ]
    head = "| run | jokes | units | nats a token | bits a character | best epoch | printed | seeds |\n"
    budget = sorted({f"{run['epochs']} of the recipe's {run['full_epochs']}" for run in done})
    seconds = sum(run["seconds"] for run in done)
    missing = [name for name in names if name not in by_name]
    yield (
        f"## {study.title}\n\n"
        f"Epochs: {' or '.join(budget)}. {done[0]['dev_pictures']:,} pictures held out. "
        f"Runs: {len(done)}, {seconds / 60:,.0f} minutes in all.\n"
    )
    if missing:
        yield f"Not run: {'; '.join(missing)}.\n"
    yield f"{head}| --- | --: | --: | --: | --: | --: | --- | --: |\n" + "\n".join(rows) + "\n"
    for number, names_of in enumerate(_groups(list(by_name)), 1):
        path = folder / f"{study.name}-{number}.png"
        if _plot(path, [by_name[name][0] for name in names_of]):
            yield f"![Loss by epoch: {'; '.join(names_of)}]({folder.name}/{path.name})\n"


def _groups(names: Sequence[str]) -> Iterator[list[str]]:
    """Names that share a plot: few, each beside the run that it is a change of, which is the first of its family."""
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(name.partition(",")[0], []).append(name)
    if len(names) <= LINES:
        families = {"": list(names)}
    for first, *others in families.values():
        for start in range(0, max(len(others), 1), LINES - 1):
            yield [first, *others[start : start + LINES - 1]]


def _row(name: str, same: Sequence[dict[str, Any]]) -> str:
    """The mean over the seeds, with half of their range."""
    bits = np.array([run["bits_per_char"] for run in same])
    spread = f" ± {(bits.max() - bits.min()) / 2:.3f}" if len(bits) > 1 else ""
    nats = float(np.mean([run["nats_per_token"] for run in same]))
    first = same[0]
    printed = first["article_loss"]
    return (
        f"| {name} | {first['jokes']:,} | {first['units']:,} | {nats:.3f} | {bits.mean():.3f}{spread} "
        f"| {1 + int(np.argmin(first['dev']))} | {printed[0]:.2f} → {printed[-1]:.2f} | {len(same)} |"
    )


def _plot(path: Path, runs: Sequence[dict[str, Any]]) -> bool:
    """Training dashed, held-out pictures solid."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return False
    figure, axis = pyplot.subplots(figsize=(9, 4))
    for number, run in enumerate(runs):
        epochs = range(1, len(run["train"]) + 1)
        axis.plot(epochs, run["dev"], color=f"C{number}", label=run["name"])
        axis.plot(epochs, run["train"], color=f"C{number}", linestyle="--", linewidth=1)
    axis.set(xlabel="epoch", ylabel="nats a token", title="held-out pictures (solid), training (dashed)")
    axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8)
    axis.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90, bbox_inches="tight", metadata={"Software": None})
    pyplot.close(figure)
    return True
