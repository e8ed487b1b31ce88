from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import typer

from bokemodel.bundle import load_bundle, save_bundle
from tests.bundles import LINES, tiny_bundle
from training.evaluate import main
from training.metrics import UNCERTAIN

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ROOT / "tests/data"
NAMES = sorted(path.name for path in PHOTOS.glob("*.jpg"))
KEYS = {"pictures", "jokes", "chance_r_at_10", *UNCERTAIN, *(f"{name}_ci95" for name in UNCERTAIN)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained on the first two photos, and a corpus of all of them."""
    folder = tmp_path_factory.mktemp("evaluate")
    bundle = load_bundle(tiny_bundle(folder))
    trained = [sha256((PHOTOS / name).read_bytes()).hexdigest() for name in NAMES[:2]]
    save_bundle(replace(bundle, manifest=replace(bundle.manifest, training_pictures=trained)), folder / "model-0")
    (folder / "images").mkdir()
    jokes = []
    for number, name in enumerate(NAMES):
        (folder / "images" / name).write_bytes((PHOTOS / name).read_bytes())
        for turn in range(6):
            text = LINES[(7 * number + 11 * turn) % len(LINES)]
            jokes.append({"image": f"images/{name}", "text": text, "stars": (5 * turn + number) % 6})
    jokes += [{"image": f"images/{NAMES[0]}", "text": text} for text in LINES]
    jokes.append({"image": "images/gone.jpg", "text": LINES[0]})
    (folder / "corpus.jsonl").write_text("nonsense\n" + "".join(f"{json.dumps(joke)}\n" for joke in jokes))
    return folder


def run(*arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training.evaluate", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_json(folder: Path) -> None:
    done = run("--model", folder / "model-0", "--corpus", folder / "corpus.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == KEYS
    assert (found["pictures"], found["jokes"]) == (len(NAMES) - 2, 6 * (len(NAMES) - 2))
    for name in UNCERTAIN:
        low, high = found[f"{name}_ci95"]
        assert low <= found[name] <= high, name
    assert 0 < found["r_at_1"] <= found["r_at_5"] <= found["r_at_10"] == found["chance_r_at_10"] == 1.0
    assert found["novelty"] == 0.0  # all that it can say stands beside a training picture
    assert "images/gone.jpg: No such file" in done.stderr
    assert "line 1: " in done.stderr
    assert "1 unreadable pictures, 1 lines that are no jokes" in done.stderr


def test_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(corpus=folder / "corpus.jsonl", model=folder / "model-0")
    out = capsys.readouterr().out
    for words in (
        f"{len(NAMES) - 2} held-out pictures with {6 * (len(NAMES) - 2)} jokes",
        "bits per character",
        "by length",
    ):
        assert words in out
    assert "R@1 " in out
    assert "trained on them: 2 of" in out


def told(capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    """What main says when it ends with exit code 1: one line, nothing on stdout."""
    with pytest.raises(typer.Exit) as caught:
        main(**options)
    assert caught.value.exit_code == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


def test_errors_are_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, corpus = folder / "model-0", folder / "corpus.jsonl"
    assert told(capsys, model=tmp_path, corpus=corpus).count("\n") == 1
    assert told(capsys, model=model, corpus=tmp_path / "none").count("\n") == 1
    (tmp_path / "bad.jsonl").write_text("nonsense\n")
    assert "line 1" in told(capsys, model=model, corpus=tmp_path / "bad.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    assert "no jokes" in told(capsys, model=model, corpus=tmp_path / "empty.jsonl")
    assert told(capsys, model=model, corpus=corpus, weights=tmp_path / "no.weights").count("\n") == 1


def test_a_corpus_of_training_pictures_only(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in (folder / "corpus.jsonl").read_text().splitlines() if NAMES[0] in line]
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / NAMES[0]).write_bytes((PHOTOS / NAMES[0]).read_bytes())
    (tmp_path / "trained.jsonl").write_text("\n".join(lines))
    said = told(capsys, model=folder / "model-0", corpus=tmp_path / "trained.jsonl")
    assert "trained on 1" in said
    assert said.count("\n") == 1


def test_a_wrong_command_line_ends_without_a_traceback() -> None:
    done = run("--json")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
