"""`python -m training.evaluate`: how good a model is on the pictures of a corpus that it was not trained on.

What each figure means stands in `training.metrics.Metrics`, what is sampled in `training.measure`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bokemodel.errors import BokeModelError
from bokemodel.model import BokeModel
from store.text import text_hash
from training.held_out import EvaluationError, HeldOut, NothingHeldOut, held_out, read_jokes
from training.measure import (
    CAPTIONS,
    PAIRS,
    STARRED,
    Evaluation,
    counts_characters,
    difference,
    evaluate_model,
    measure,
)
from training.progress import shown

__all__ = ["Evaluation", "difference", "evaluate_model", "measure"]


def print_table(console: Console, evaluation: Evaluation, language: str, judge: str) -> None:
    """All figures with their intervals, and beside them what there is to compare them to.

    judge: what the score of `spearman_funny` is.
    """
    metrics, gallery = evaluation.metrics, evaluation.gallery
    units = "characters" if counts_characters(language) else "words"
    table = Table(title=f"{metrics.pictures:,} held-out pictures with {metrics.jokes:,} jokes", title_justify="left")
    for name in ("figure", "value", "95% interval", "beside it"):
        table.add_column(name, justify="right" if name in ("value", "95% interval") else "left")

    def row(label: str, name: str, beside: str = "", digits: int = 3) -> None:
        found = evaluation.estimates[name]
        if found is None:
            table.add_row(label, "-", "", beside)
        else:
            low, high = found.ci95
            table.add_row(label, f"{found.value:.{digits}f}", f"{low:.{digits}f} to {high:.{digits}f}", beside)

    row("nats per token", "nats_per_token")
    row("bits per character", "bits_per_char")
    for k in (1, 5, 10):
        row(f"R@{k}", f"r_at_{k}", f"chance {min(k, gallery) / gallery:.3f}")
    row("median rank", "median_rank", f"chance {(gallery + 1) / 2:.1f} of {gallery}", digits=1)
    row("distinct-1", "distinct_1", f"of {units}")
    row("distinct-2", "distinct_2", f"of pairs of {units}")
    row("novelty", "novelty")
    row("self-repeat", "self_repeat")
    row("funny: Spearman", "spearman_funny", judge)
    row("  by likelihood", "funny_by_likelihood", "ln p per character alone")
    row("  by length", "funny_by_length", "characters alone")
    console.print(table)
    console.print(
        f"Grounding: {evaluation.captions:,} captions looked up among {gallery:,} pictures (at most {CAPTIONS} a picture and "
        f"{PAIRS:,} pairs, drawn by seed). Answers: one for each of these pictures. Funny: mean over {evaluation.starred:,} "
        f"pictures with {STARRED} or more starred jokes. Intervals: bootstrap over pictures.",
        style="dim",
        highlight=False,
    )


def main(
    corpus: Annotated[Path, typer.Option(metavar="FILE.jsonl", help="Jokes with their pictures.", show_default=False)],
    model: Annotated[Path, typer.Option(metavar="DIR", help="The model's folder.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of the table.")] = False,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The encoder's weights, such as a .caffemodel.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of samples, answers and intervals.")] = 0,
) -> None:
    """Measure a model on the pictures of a corpus that it was not trained on."""
    try:
        boke_model = BokeModel.load(model, path=weights) if weights else BokeModel.load(model)
        file = read_jokes(corpus)
        hashes = {text_hash(joke.text) for jokes in file.jokes.values() for joke in jokes}
        with shown() as report:
            trained = frozenset(boke_model.bundle.manifest.training_pictures)
            found = held_out(file.jokes, corpus.parent, trained, boke_model.encoder, report)
            if not found.pictures:
                raise NothingHeldOut(_why_nothing(corpus, found))
            evaluation = measure(
                boke_model, found.pictures, written=lambda text: text_hash(text) in hashes, seed=seed, report=report
            )
    except (BokeModelError, EvaluationError) as error:
        _complain(str(error))
        raise typer.Exit(1) from None
    for problem in (*file.bad, *(f"{unread.path}: {unread.reason}" for unread in found.unreadable)):
        _complain(problem)
    if file.bad_count or found.unreadable:
        _complain(
            f"not measured: {len(found.unreadable):,} unreadable pictures, {file.bad_count:,} lines that are no jokes"
        )
    if as_json:
        print(json.dumps(evaluation.metrics.to_json(), allow_nan=False))
        return
    judge = (
        "ln p per character: the model has no sense of its own" if boke_model.funny is None else "the model's own sense"
    )
    print_table(Console(), evaluation, boke_model.bundle.manifest.language, judge)
    if found.trained:
        print(f"Left out, because the model was trained on them: {found.trained:,} of the corpus's pictures.")


def _why_nothing(corpus: Path, found: HeldOut) -> str:
    if not found.trained and not found.unreadable:
        return f"{corpus} holds no jokes"
    unread = f", {len(found.unreadable):,} could not be read" if found.unreadable else ""
    first = f" (the first: {found.unreadable[0].path}: {found.unreadable[0].reason})" if found.unreadable else ""
    return f"no picture of {corpus} is left to measure: the model was trained on {found.trained:,}{unread}{first}"


def _complain(message: str) -> None:
    print(f"evaluate: {message}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
