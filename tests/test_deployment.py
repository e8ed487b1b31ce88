"""What the Dockerfile and the unit name is there; no container engine is needed to see that."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_dockerfile_copies_what_there_is_and_only_that_is_sent() -> None:
    text = (ROOT / "Dockerfile").read_text()
    sources = [name for line in re.findall(r"^COPY (.+)$", text, re.M) for name in line.split()[:-1]]
    assert {"bot", "bokemodel", "store", "training", "requirements.lock"} <= set(sources)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for name in sources:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, name


def test_the_container_runs_without_root_and_checks_hashes() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert text.index("USER boke") < text.index("CMD [")
    assert text.count("--require-hashes") == 2
    assert "/healthz" in text


def test_the_unit_starts_the_bot_hardened() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "deploy" / "bokebot.service")
    service = unit["Service"]
    assert service["ExecStart"].endswith("-m bot")
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert int(service["TimeoutStopSec"]) > 10  # the bot itself leaves within ten seconds
