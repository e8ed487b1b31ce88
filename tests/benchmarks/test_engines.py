"""The benchmark of the engines over a few pictures: both answer, and what travels is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.engines import compare, table_of
from bot.worker import ModelPlace
from tests.bot.conftest import photo, tiny_model

__all__ = ["tiny_model"]


def test_both_engines_answer_and_the_bytes_are_those_of_picture_and_model(tmp_path: Path, tiny_model: Path) -> None:
    running = compare([photo()], tmp_path, ModelPlace(str(tiny_model)), rounds=1, pictures=8, workers=1)
    found = asyncio.run(running)
    for times in (found.process, found.cluster):
        assert (len(times.alone), len(times.eight), len(times.many), len(times.features)) == (8, 1, 1, 1)
        assert min(times.alone) > 0
    model = sum(path.stat().st_size for path in tiny_model.iterdir())
    assert found.picture_file == len(photo())
    assert found.picture_file < found.picture_bytes < found.picture_file + 50_000
    assert model < found.bundle_bytes < model + 50_000
    rows = [list(column.cells) for column in table_of(found, model, 8, 1).columns]
    assert rows[0][-1] == f"the model of {model / 1000:.0f} kB, once"
