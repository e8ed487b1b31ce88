"""The house itself: who may import whom, how long a file may be, what no file may name, and that ruff and mypy are content."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("bot", "bokemodel", "training", "store", "benchmarks")
ARROWS = {
    "bot": {"bokemodel", "store"},
    "training": {"bokemodel", "store"},
    "bokemodel": set(),
    "store": set(),
    "benchmarks": {"bot", "bokemodel", "training", "store"},
}
GENERATED = {"bokemodel/encoders/caffe_pb2.py"}


def python_files(room: str) -> Iterator[Path]:
    return (path for path in sorted((ROOT / room).rglob("*.py")) if "__pycache__" not in path.parts)


def imports(path: Path) -> set[str]:
    """Whole names of all modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("room", ROOMS)
def test_arrows(room: str) -> None:
    for path in python_files(room):
        others = {name.split(".")[0] for name in imports(path)} & set(ROOMS) - {room}
        assert others <= ARROWS[room], f"{path.relative_to(ROOT)} imports {others - ARROWS[room]}"


def test_only_the_compat_module_imports_chainer() -> None:
    for room in ROOMS:
        for path in python_files(room):
            if any(name.split(".")[0] in ("chainer", "chainerx") for name in imports(path)):
                assert path.relative_to(ROOT).as_posix() == "bokemodel/chainer_compat.py"


def test_the_bots_own_process_stays_free_of_the_networks() -> None:
    code = (
        "import bot.app, bot.boke, bot.fetch, sys\n"
        "print(*(name for name in ('chainer', 'onnxruntime', 'sentencepiece') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_only_download_reaches_the_network_in_bokemodel() -> None:
    for path in python_files("bokemodel"):
        if {name.split(".")[0] for name in imports(path)} & {"aiohttp", "requests", "urllib", "http", "socket"}:
            assert path.name == "download.py"


def test_files_stay_readable() -> None:
    for room in ROOMS:
        for path in python_files(room):
            name = path.relative_to(ROOT).as_posix()
            assert name in GENERATED or len(path.read_text(encoding="utf-8").splitlines()) <= 400, f"{name} is too long"


def test_every_module_says_what_it_is_for() -> None:
    for room in ROOMS:
        for path in python_files(room):
            text = path.read_text(encoding="utf-8")
            if text.strip() and path.relative_to(ROOT).as_posix() not in GENERATED:
                assert ast.get_docstring(ast.parse(text)), f"{path.relative_to(ROOT)} has no first line"


def test_no_file_names_a_registry_or_a_machine() -> None:
    registries = ["py" + "pi.org", "python" + "hosted.org", "registry.npm" + "js.org", "deb.deb" + "ian.org"]
    pattern = re.compile("|".join(map(re.escape, [*registries, "/wo" + "rk/", "/ro" + "ot/"])))
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = pattern.search(text)
        assert found is None, f"{path.relative_to(ROOT)} names {found.group()}"  # type: ignore[union-attr]


def test_locks_carry_hashes_and_no_addresses() -> None:
    for path in ROOT.glob("requirements*.lock"):
        text = path.read_text()
        assert "://" not in text
        for block in re.split(r"\n(?=\S)", text.strip()):
            if "==" in block:
                assert "--hash=sha256:" in block, block.splitlines()[0]


def test_ruff_and_mypy_are_content() -> None:
    for command in (["ruff", "format", "--check", "."], ["ruff", "check", "."], ["mypy"]):
        done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
