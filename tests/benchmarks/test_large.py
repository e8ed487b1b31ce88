"""The benchmark of very large corpora on a small one: every part works on what the part before it left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.large import BUNDLE, PARTS, Own, Part, Size, digest_of, jokes_of, run_part, write_vectors
from bokemodel.bundle import load_bundle
from training.filters import Filters
from training.recipe import load_recipe
from training.selection import read_selection

JOKES, OF_EACH = 600, 5


def measured(folder: Path, size: Size) -> dict[str, Part]:
    """All parts, in this process."""
    write_vectors(folder, size.jokes // size.per_picture)
    return {name: part(folder, size) for name, part in PARTS.items()}


@pytest.mark.parametrize("most", [0, 120])
def test_each_part_says_how_many_jokes_its_time_was_for(tmp_path: Path, most: int) -> None:
    found = measured(tmp_path, Size(JOKES, OF_EACH, most, batches=3))
    filters = replace(load_recipe("default").filters, most=most or None)
    kept = list(Filters(filters).keep(jokes_of(JOKES, OF_EACH)))
    left, dev = len(kept), JOKES // OF_EACH // 10
    assert left > JOKES - 10 if not most else left - most <= dev * OF_EACH
    trained = 2 * load_recipe("default").train.batch_size  # from the first batch's end on
    expected = {"filter": JOKES, **dict.fromkeys(("select", "cut", "begin", "bundle", "load"), left), "train": trained}
    assert {name: part.jokes for name, part in found.items()} == expected
    assert all(part.seconds > 0 for part in found.values())
    selection = read_selection(tmp_path / "selection")
    assert selection is not None
    assert len(selection) == left
    assert int(selection.dev.sum()) == dev
    assert list(selection.texts) == [joke.text for joke in kept]
    listed = {selection.digest(int(number)) for number in np.flatnonzero(~selection.dev)}
    assert set(load_bundle(tmp_path / BUNDLE).manifest.training_pictures) == listed


def test_the_same_numbers_give_the_same_jokes() -> None:
    jokes = list(jokes_of(24, 6))
    assert jokes == list(jokes_of(24, 6))
    assert [joke.picture for joke in jokes] == [digest_of(number) for number in range(4) for _ in range(6)]
    assert [joke.picture for joke in jokes] == sorted(joke.picture for joke in jokes)
    assert {joke.split for joke in jokes[:6]} == {"dev"}
    assert {joke.split for joke in jokes[6:]} == {"train"}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is counted as Linux does")
def test_memory_is_that_of_the_part_alone(tmp_path: Path) -> None:
    own = Own()
    before = own.most
    held = bytearray(b"x" * (64 << 20))
    while own.most < before + 60:
        assert held
    in_this_process = own.most
    in_its_own = run_part("filter", tmp_path, Size(50, OF_EACH))
    assert in_its_own.jokes == 50
    assert 10 < in_its_own.own_mb < in_this_process
