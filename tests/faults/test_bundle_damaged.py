"""The live model's files change under the bot's feet."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.inference import EngineSettings, Inference
from bot.worker import Answered, Job, ModelPlace
from tests.bot.conftest import photo
from tests.bundles import LINES, tiny_bundle


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def overwrite(file: Path) -> None:
    """In place, so that whoever has the file mapped sees it, too."""
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 3)
        opened.write(b"\xff" * 200)


@pytest.mark.parametrize(("name", "damage"), [("decoder.npz", cut), ("decoder.npz", overwrite), ("manifest.json", cut)])
async def test_it_goes_on_answering_and_a_new_worker_takes_the_model_that_ships(
    tmp_path: Path, name: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    live = tiny_bundle(tmp_path)
    spare = shutil.copytree(tiny_bundle(tmp_path, 1), tmp_path / "spare")
    inference = Inference(EngineSettings(threads=1, timeout=60), ModelPlace(str(live)), ModelPlace(str(spare)))
    await inference.start()
    try:
        before = await inference.answer(Job(photo(), seed=1))
        damage(live / name)
        after = await inference.answer(Job(photo(), seed=1))
        assert isinstance(before, Answered)
        assert isinstance(after, Answered)
        assert after.candidates == before.candidates
        os.kill(inference.pids[0], signal.SIGKILL)
        last = await inference.answer(Job(photo()))
        assert isinstance(last, Answered)
        assert last.model != before.model
        assert last.candidates[0][0] in LINES
        assert "taking the one that ships instead" in caplog.text
    finally:
        await inference.stop()
