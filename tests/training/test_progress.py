from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from training.progress import shown


def test_bars_on_a_terminal() -> None:
    screen = io.StringIO()
    with shown(Console(file=screen, force_terminal=True, width=100)) as report:
        report("import a.jsonl", 10, 40)
        report("features", 1, 2)
        report("import a.jsonl", 40, 40)
    assert "import a.jsonl" in screen.getvalue()
    assert "features" in screen.getvalue()
    assert "40/40" in screen.getvalue()


def test_log_lines_elsewhere_now_and_then_and_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with shown(Console(file=io.StringIO())) as report:
        for done in (*range(1, 2001), 2000):
            report("import a.jsonl", done, 2000)
    assert caplog.messages == ["import a.jsonl: 2,000 of 2,000"]
