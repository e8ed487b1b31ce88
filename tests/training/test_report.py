"""The report: what is in its tables, what was not run, and the plots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.changes import CHANGES, Study
from training.report import LINES, Section, _groups, write_report

STUDY = Study("x", "some corpus: a study", "x", 36, 2, CHANGES[:3], seeds=2)
BASELINE = {"name": "unigram", "jokes": 27, "units": 30, "nats_per_token": 3.0, "bits_per_char": 2.5}
OF_MORE = {**BASELINE, "name": "5-gram of more jokes", "jokes": 99}
RUN: dict[str, Any] = {"name": "article", "jokes": 27, "units": 30, "nats_per_token": 2.0, "bits_per_char": 1.5}
RUN |= {"train": [3.0, 2.0], "dev": [2.5, 2.6], "article_loss": [6.77, 0.2], "epochs": 2, "full_epochs": 30, "seed": 0}
RUN |= {"dev_pictures": 3, "seconds": 30.0}


def section(folder: Path, *runs: dict[str, Any]) -> Section:
    paths = [folder / f"{number}.json" for number in range(len(runs))]
    for path, run in zip(paths, runs, strict=True):
        path.write_text(json.dumps(run), encoding="utf-8")
    return Section(STUDY, [BASELINE, OF_MORE], [*paths, folder / "not-done.json"])


def test_the_report_names_the_budget_and_what_was_not_run(tmp_path: Path) -> None:
    out = tmp_path / "docs" / "learning.md"
    write_report([section(tmp_path, RUN, {**RUN, "seed": 1, "bits_per_char": 1.7})], out)
    text = out.read_text(encoding="utf-8")
    assert "| article | 27 | 30 | 2.000 | 1.600 ± 0.100 | 1 | 6.77 → 0.20 | 2 |" in text
    assert "| unigram | 27 | 30 | 3.000 | 2.500 | | | |" in text
    assert "5-gram of more jokes" not in text
    assert "Epochs: 2 of the recipe's 30. 3 pictures held out. Runs: 2, 1 minutes in all." in text
    assert "Not run: article, state never reset; article, raw picture vector." in text
    assert (out.parent / "learning" / "x-1.png").stat().st_size > 1000
    assert "(learning/x-1.png)" in text


def test_what_is_written_by_hand_is_taken_in(tmp_path: Path) -> None:
    out = tmp_path / "learning.md"
    (tmp_path / "learning").mkdir()
    (tmp_path / "learning" / "conclusions.md").write_text("## What follows\n", encoding="utf-8")
    (tmp_path / "learning" / "tried.md").write_text("## What was tried\n", encoding="utf-8")
    write_report([section(tmp_path, RUN)], out)
    text = out.read_text(encoding="utf-8")
    assert text.index("## What follows") < text.index("## some corpus") < text.index("## What was tried")


def test_few_lines_share_a_plot_and_each_stands_beside_what_it_changes() -> None:
    names = [change.name for change in CHANGES]
    groups = list(_groups(names))
    assert all(2 <= len(group) <= LINES for group in groups)
    assert all(group[0] == group[1].partition(",")[0] for group in groups)
    assert {name for group in groups for name in group} == set(names)
    assert list(_groups(names[:3])) == [names[:3]]
