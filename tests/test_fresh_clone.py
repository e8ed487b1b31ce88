"""The newcomer's way: a clone in an empty folder, an almost empty environment, `make run`, a posted photo, a Japanese answer."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-鿿]")
KEPT = ("HOME", "PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    if os.environ.get("CI") != "true":
        pytest.skip("installs everything once more; CI=true make test ARGS=tests/test_fresh_clone.py runs it")
    if shutil.which("make") is None or not (ROOT / ".git").exists():
        pytest.fail("make and a git checkout are needed")
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tmp_path / "bokebot")], check=True)
    return tmp_path / "bokebot"


@pytest.fixture
def page(clone: Path) -> Iterator[str]:
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    # the clone's own Python is asked for, not this one's: PATH without the virtual environment that runs the tests
    environment["PATH"] = os.pathsep.join(p for p in environment["PATH"].split(os.pathsep) if ".venv" not in p)
    bot = subprocess.Popen(
        ["make", "run", "PORT=0"], cwd=clone, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert bot.stdout is not None
    try:
        for line in bot.stdout:
            found = re.search(r"http://\S+:\d+", line)
            if found:
                yield found.group()
                break
        else:
            pytest.fail("make run ended without an address")
        os.killpg(bot.pid, signal.SIGTERM)
        assert bot.wait(timeout=30) in (0, -signal.SIGTERM, 2)  # make itself may report the signal
    finally:
        if bot.poll() is None:
            os.killpg(bot.pid, signal.SIGKILL)
            bot.wait()


@pytest.mark.timeout(600)
def test_make_run_answers_a_posted_photo(page: str) -> None:
    photo = (ROOT / "tests" / "data" / "cat.jpg").read_bytes()
    head = (
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="cat.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    request = urllib.request.Request(
        f"{page}/api/boke", head + photo + b"\r\n--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.load(response)
    assert response.status == 200
    assert JAPANESE.search(answer["boke"])
    assert answer["encoder"] == "efficientnet-lite0"
