"""The benchmark of the goals on a small model: every goal is measured, and one that is missed is said to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.goals.__main__ import REPLY_MS, speed, start_of_the_bot, table_of
from bot.inference import EngineSettings
from bot.worker import ModelPlace
from tests.bot.conftest import photo, tiny_model

__all__ = ["tiny_model"]


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="memory is counted as Linux does")
async def test_a_worker_is_measured_against_every_goal(tiny_model: Path) -> None:
    found = await speed(ModelPlace(str(tiny_model), "efficientnet-lite0"), EngineSettings(threads=1), [photo()], 1)
    goals = {goal.name: goal for goal in found}
    assert len(goals) == len(found)
    assert all(goal.measured > 0 for goal in found)
    bare, whole = goals["bare encoder, median"], goals["whole reply, median"]
    assert whole.most == bare.measured + REPLY_MS
    assert whole.measured > bare.measured
    assert goals["of it its own (USS)"].measured < goals["memory of the worker, PSS"].measured

    missed = replace(whole, measured=whole.most + 1)
    *_, said = table_of("a model", [replace(whole, measured=whole.most), missed]).columns
    assert list(said.cells) == ["", "missed"]


def test_the_bot_is_measured_until_its_first_answer(tmp_path: Path, tiny_model: Path) -> None:
    spent = start_of_the_bot(tmp_path, ModelPlace(str(tiny_model), "efficientnet-lite0"), photo())
    assert spent > 0
    assert (tmp_path / "data" / "boke.db").exists()
