"""Dockerfile and systemd unit: what can be seen of them without an engine and without a service manager."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path

import aiohttp
import pytest

from tests.bot.conftest import photo
from tests.bot.running import run_bot

ROOT = Path(__file__).resolve().parents[1]
LINES = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE).replace(
    "\\\n", " "
)
STEPS = [tuple(line.split(maxsplit=1)) for line in LINES.splitlines() if line.strip()]


def steps(kind: str) -> list[str]:
    return [text for found, text in STEPS if found == kind]


def copied() -> list[tuple[list[str], str]]:
    """What is copied from this folder: sources, and where to."""
    parts = [shlex.split(text) for text in steps("COPY") if not text.startswith("--from")]
    return [(sources, target) for *sources, target in parts]


def variables() -> dict[str, str]:
    return dict(part.split("=", 1) for text in steps("ENV") for part in shlex.split(text))


def sent_to_the_engine(path: str) -> bool:
    """Does .dockerignore let a path through? The last line that fits decides."""
    whole = [path, *(str(parent) for parent in Path(path).parents)]
    sent = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.lstrip("!")
        anywhere = pattern.startswith("**/")
        named = Path(path).parts if anywhere else whole
        if line and not line.startswith("#") and fnmatch.filter(named, pattern.removeprefix("**/")):
            sent = line.startswith("!")
    return sent


# Dockerfile


def test_everything_that_is_copied_is_there_and_not_ignored() -> None:
    sources = [source for several, _ in copied() for source in several]
    assert {"requirements.lock", "requirements-uv.lock", "build-constraints.txt", "bot", "training"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert sent_to_the_engine(source), source
    for path in (".git", "data", "config.toml", ".env", "tests", "bot/__pycache__"):
        assert not sent_to_the_engine(path), path


def test_dependencies_are_installed_as_make_installs_them() -> None:
    installing = steps("RUN")[0]
    for option in ("--require-hashes", "--build-constraints build-constraints.txt", "requirements.lock"):
        assert option in installing
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "pip sync --quiet --require-hashes --build-constraints build-constraints.txt" in makefile
    (version,) = {re.split("[:-]", image)[1] for image in steps("FROM")}
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert tuple(map(int, version.split("."))) >= tuple(map(int, oldest.removeprefix(">=").split(".")))


def test_nobody_is_root_when_it_runs() -> None:
    kinds = [kind for kind, _ in STEPS]
    assert steps("USER") == ["boke"]
    assert "--uid 10001" in " ".join(steps("RUN"))
    assert kinds.index("USER") < kinds.index("ENTRYPOINT")
    assert not {"RUN", "COPY"} & set(kinds[kinds.index("USER") :])


def test_all_that_is_written_is_in_a_volume() -> None:
    volumes = json.loads(steps("VOLUME")[0])
    assert volumes == ["/data", "/models"]
    assert steps("WORKDIR")[-1] == "/data"
    written = [variables()[name] for name in ("HOME", "XDG_CACHE_HOME", "BOKE__DATA__DIR", "BOKE__MODELS__DIR")]
    assert all(any(f"{path}/".startswith(f"{volume}/") for volume in volumes) for path in written)
    for text in steps("RUN"):
        if "install --directory" in text:  # else a new volume would be root's
            assert "--owner boke --group boke /data /models" in text


def test_the_image_has_all_the_bot_needs_and_its_health_check_tells_the_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "image"
    for sources, target in copied():
        if target.startswith("/app/"):
            shutil.copytree(
                ROOT / sources[0], image / target.lstrip("/"), ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
            )
    settings = {
        name: value.replace("/app", f"{image}/app").replace("/data", f"{tmp_path}/bot/data")
        for name, value in variables().items()
        if name not in ("PATH", "BOKE__WEB__HOST", "BOKE__WEB__PORT", "BOKE__MODELS__DIR")
    }
    command = json.loads(steps("HEALTHCHECK")[0].split("CMD ", 1)[1])
    assert command[0] == "python"

    def health() -> int:
        done = subprocess.run([sys.executable, *command[1:]], env=os.environ, capture_output=True, check=False)
        return done.returncode

    with run_bot(tmp_path / "bot", **settings) as bot:
        monkeypatch.setenv("BOKE__WEB__PORT", bot.url.rsplit(":", 1)[1])
        assert health() == 0
        written = {path.relative_to(tmp_path / "bot").parts[0] for path in (tmp_path / "bot").rglob("*")}
        assert written == {"data", "stderr"}
    assert health() != 0
    assert "Traceback" not in bot.log
    assert json.loads(steps("ENTRYPOINT")[0]) == ["python", "-m", "bot"]


AS_IN_THE_CONTAINER = """
set -e
mount --bind "$BOKE__DATA__DIR" "$BOKE__DATA__DIR"
mount --bind "$BOKE__MODELS__DIR" "$BOKE__MODELS__DIR"
mount -t tmpfs tmpfs "$TMPDIR"
for place in $(cut -d" " -f5 /proc/self/mountinfo); do
    case "$place" in
        "$BOKE__DATA__DIR" | "$BOKE__MODELS__DIR" | "$TMPDIR" | /proc* | /dev* | /sys*) ;;
        *) mount -o remount,bind,ro "$place" ;;
    esac
done
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
"""


async def use_all(url: str) -> None:
    """An answer that is kept, with a card and a small copy for the feed."""
    form = aiohttp.FormData({"consent": "true"})
    form.add_field("image", photo(), filename="photo.jpg")
    async with aiohttp.ClientSession(url) as session:
        async with session.post("/api/boke", data=form) as response:
            answer = await response.json()
            assert answer["shown"], answer
        for path in (f"/api/boke/{answer['id']}/card.png", "/readyz"):
            async with session.get(path) as response:
                assert response.status == 200, path


def test_it_needs_no_powers_and_no_disk_but_its_volumes(tmp_path: Path) -> None:
    """As `docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges` has it, without an engine."""
    within = ["unshare", "--mount", "--propagation", "private", "sh", "-c", AS_IN_THE_CONTAINER, "sh"]
    places = {
        name: str(tmp_path / folder)
        for name, folder in (("BOKE__DATA__DIR", "data"), ("BOKE__MODELS__DIR", "models"), ("TMPDIR", "tmp"))
    }
    for place in places.values():
        Path(place).mkdir()
    if subprocess.run([*within, "true"], env={**os.environ, **places}, capture_output=True, check=False).returncode:
        pytest.skip("only root may make a file system read-only")
    with run_bot(tmp_path / "bot", within=within, **places, HOME=places["BOKE__DATA__DIR"]) as bot:
        held = Path(f"/proc/{bot.process.pid}/status").read_text(encoding="utf-8")
        assert re.search(r"^CapEff:\s+0+$", held, re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\s+1$", held, re.MULTILINE)
        mounts = Path(f"/proc/{bot.process.pid}/mountinfo").read_text(encoding="utf-8").splitlines()
        assert {line.split()[5].split(",")[0] for line in mounts if line.split()[4] == "/"} == {"ro"}
        asyncio.run(use_all(bot.url))
        assert bot.stop() == 0
        assert not re.search("Traceback|Read-only|ERROR", bot.log), bot.log


# systemd


def unit(python: str = "/opt/bokebot/.venv/bin/python") -> str:
    text = (ROOT / "deploy/bokebot.service").read_text(encoding="utf-8")
    return text.replace("/opt/bokebot/.venv/bin/python", python)


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    file = tmp_path / "bokebot.service"
    file.write_text(unit("/bin/sh"), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    file.write_text(unit("/bin/sh").replace("ProtectSystem=strict", "ProtectSystem=stricter"), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
    assert "Failed to parse protect system value" in done.stderr  # it does look


def test_the_service_is_held_tight_and_told_to_leave_as_the_bot_expects() -> None:
    read = ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read_string(unit())
    service = read["Service"]
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectory"] == "bokebot"
    assert service["WorkingDirectory"] == "/var/lib/bokebot"
    assert service["KillMode"] == "mixed"  # the workers answer what they have until the bot lets them go
    assert int(service["TimeoutStopSec"]) > 10
    assert service["ExecStart"].endswith(" -m bot")
    assert service["ExecReload"] == "kill -HUP $MAINPID"
