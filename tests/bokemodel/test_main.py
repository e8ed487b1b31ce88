"""`python -m bokemodel` as a real process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.bundles import quoted_at, tiny_bundle

ROOT = Path(__file__).resolve().parents[2]
CAT, COFFEE = "tests/data/cat.jpg", "tests/data/coffee.jpg"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bokemodel", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)


def test_a_line_per_picture() -> None:
    done = run(CAT, COFFEE, "--seed", "1")
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [path for path, _ in lines] == [CAT, COFFEE]
    assert all(text for _, text in lines)
    assert run(CAT, COFFEE, "--seed", "1").stdout == done.stdout


def test_what_is_no_picture_is_named_and_the_others_are_answered(tmp_path: Path) -> None:
    text = tmp_path / "note.txt"
    text.write_text("hello")
    done = run(text, CAT, tmp_path / "gone.jpg")
    assert done.returncode == 2
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [CAT]
    errors = done.stderr.splitlines()
    assert len(errors) == 2
    assert "note.txt" in errors[0]
    assert "gone.jpg" in errors[1]


def test_json_and_several_jokes() -> None:
    done = run(CAT, "-n", "3", "--json", "--mode", "boke")
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert found["image"] == CAT
    assert len({joke["text"] for joke in found["boke"]}) == 3


def test_wrong_model_and_wrong_mode_are_one_line(tmp_path: Path) -> None:
    for arguments in (("--model", tmp_path), ("--mode", "dance")):
        done = run(CAT, *arguments)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "Traceback" not in done.stderr


def test_a_quoted_joke_names_its_source(tmp_path: Path) -> None:
    model = tiny_bundle(tmp_path, quotes=["これは引用です", "これも引用です"])
    for mode in ("retrieve", "mismatch"):
        done = run(CAT, "--json", "--mode", mode, "--model", model)
        (joke,) = json.loads(done.stdout)["boke"]
        assert joke["text"] in ("これは引用です", "これも引用です")
        assert joke["source"] in (quoted_at(0), quoted_at(1))


def test_a_model_without_quotes_says_which_modes_it_has(tmp_path: Path) -> None:
    done = run(CAT, "--mode", "retrieve", "--model", tiny_bundle(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "there are boke, article" in done.stderr
