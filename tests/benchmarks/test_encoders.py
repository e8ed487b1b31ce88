"""The benchmark of the encoders runs, on a small network, and compares like with like."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.caffemodel_writer import small_caffenet, write_caffemodel
from benchmarks.encoders import Row, Timing, table_of, take_turns


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.encoders", "--seconds", "0", *arguments]
    environment = {**os.environ, "COLUMNS": "120", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_a_given_file(tmp_path: Path) -> None:
    write_caffemodel(tmp_path / "small.caffemodel", small_caffenet())
    done = run(tmp_path, "--encoder", "caffenet", "--caffemodel", str(tmp_path / "small.caffemodel"))
    assert done.returncode == 0, done.stderr
    rows = [line.split("│") for line in done.stdout.splitlines() if "caffenet" in line]
    assert [row[2].strip() for row in rows] == ["1", "8"]
    for row in rows:
        assert float(row[5]) > 0  # ratio
        assert float(row[6]) >= 0  # floor
        assert float(row[7]) < 1e-4  # difference


def test_errors_are_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "--encoder", "caffenet", "--caffemodel", str(tmp_path / "none"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    done = run(tmp_path, "--encoder", "resnet")
    assert done.returncode == 2
    assert "efficientnet-lite0, caffenet" in done.stderr
    assert "Traceback" not in done.stderr


def test_take_turns() -> None:
    """Each way is timed by itself."""
    calls: list[str] = []
    timings = take_turns([lambda: calls.append("a"), lambda: (calls.append("b"), time.sleep(0.02))], 0.0, turns=2)
    assert timings[0].best < timings[1].best
    assert timings[1].median >= 0.02
    assert calls == ["a", "b", "a", "a", "b", "b", "a", "b"]  # once before, then warm and timed, then warm


def test_table() -> None:
    row = Row("caffenet", 8, Timing(0.080, 0.1), Timing(0.040, 0.05), 1e-6, Timing(0.016, 0.02))
    assert row.ratio == 2
    cells = [next(iter(column.cells)) for column in table_of([row]).columns]
    assert cells == ["caffenet", "8", "10.0 (12.5)", "5.0 (6.2)", "2.00", "2.0", "1e-06"]
