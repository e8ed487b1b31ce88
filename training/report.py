"""The report of `training.experiment`: a table and a plot for each corpus, from the runs that are there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

INTRODUCTION = """# What makes the decoder learn

The article of 2016 learned 300 jokes and gave up on 30,000. This report changes one thing at a time. All figures are of pictures
that were not trained on; a quarter of each corpus's pictures, by their digest, is held out. `bits a character` can be compared
between vocabularies: a closed one pays for each unknown word as a character unigram spells it. `nats a token` can not.

Made by `python -m training.experiment --data FOLDER`, which runs what is missing and writes this file anew. Runs with fewer
epochs than their recipe has are marked: they say less, and runs of different budgets cannot be compared. Weights (an epoch's,
or the average) are chosen on the held-out pictures, so the figures are a little too good. Runs that are not in the table have
not been run.
"""


def write_report(work: Path, out: Path) -> None:
    """Write the report from the finished runs in `work`; plots only where matplotlib is installed."""
    loaded = [json.loads(path.read_bytes()) for path in sorted(work.glob("*.json"))]
    parts = [INTRODUCTION]
    for corpus in sorted({str(found["corpus"]) for found in loaded}):
        here = [found for found in loaded if found["corpus"] == corpus]
        runs = [found for found in here if "name" in found]
        rows = [_row(runs, name) for name in dict.fromkeys(str(run["name"]) for run in _by_name(runs))]
        for found in here:
            for name, line in found.get("baselines", {}).items():
                rows.append(
                    f"| {name} | {line['jokes']:,} | {line['units']:,} | {line['nats_per_token']:.3f} "
                    f"| {line['bits_per_char']:.3f} | | |"
                )
        head = "| run | jokes | units | nats a token | bits a character | best epoch | budget |\n"
        parts.append(f"## {corpus}\n\n{head}| --- | --: | --: | --: | --: | --- | --- |\n" + "\n".join(rows) + "\n")
        if runs and _plot(corpus, _by_name(runs), out.with_suffix("")):
            parts.append(f"![Training and held-out loss by epoch]({out.stem}/{corpus}.png)\n")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(parts), encoding="utf-8")


def _by_name(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(runs, key=lambda run: (str(run["name"]), int(run["epochs"]), int(run["seed"])))


def _row(runs: Sequence[dict[str, Any]], name: str) -> str:
    """The runs of the largest budget, with the spread over their seeds."""
    same = [run for run in runs if run["name"] == name]
    most = max(run["epochs"] for run in same)
    same = [run for run in same if run["epochs"] == most]
    bits = np.array([run["bits_per_char"] for run in same])
    spread = f" ± {(bits.max() - bits.min()) / 2:.3f}" if len(bits) > 1 else ""
    nats = float(np.mean([run["nats_per_token"] for run in same]))
    best = 1 + int(np.argmin(same[0]["dev"]))
    full = same[0]["full_epochs"]
    budget = f"{most} epochs" + ("" if most == full else f" of {full}") + f", {len(same)} seed" + "s" * (len(same) > 1)
    return (
        f"| {name} | {same[0]['jokes']:,} | {same[0]['units']:,} | {nats:.3f} "
        f"| {bits.mean():.3f}{spread} | {best} | {budget} |"
    )


def _plot(corpus: str, runs: Sequence[dict[str, Any]], folder: Path) -> bool:
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return False
    figure, axes = pyplot.subplots(1, 2, figsize=(12, 5), sharey=True)
    for number, run in enumerate(run for run in runs if run["seed"] == 0):
        epochs = range(1, len(run["train"]) + 1)
        style = {"color": f"C{number % 10}", "linestyle": ("-", "--", ":")[number // 10 % 3], "label": run["name"]}
        axes[0].plot(epochs, run["train"], **style)
        axes[1].plot(epochs, run["dev"], **style)
    for axis, title in zip(axes, ("training", "held-out pictures"), strict=True):
        axis.set(title=title, xlabel="epoch", ylabel="nats a token")
    axes[1].legend(fontsize=7)
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{corpus}.png", dpi=100, metadata={"Software": None})
    pyplot.close(figure)
    return True
