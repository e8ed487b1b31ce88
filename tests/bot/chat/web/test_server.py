"""Starting and stopping, health, models swapped while it runs: each test with a process of its own."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest

from bot.chat.web.server import address_of
from tests.bot.chat.web.conftest import ADMIN_TOKEN, ask, error_of, photo
from tests.bot.running import RunningBot, run_bot, start_bot
from tests.bundles import tiny_bundle


def worker_of(bot: RunningBot) -> psutil.Process:
    """The process that holds the model."""
    return max(psutil.Process(bot.process.pid).children(), key=lambda child: child.memory_info().rss)


async def health(session: aiohttp.ClientSession) -> int:
    async with session.get("/healthz") as response:
        if response.status != 200:
            assert await error_of(response) == "down"
        return response.status


def test_one_line_says_where(tmp_path: Path, bundle: Path) -> None:
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(bundle)) as bot:
        port = urlsplit(bot.url).port
        assert bot.lines == [f"http://127.0.0.1:{port} で待っています (Ctrl-C で終わり)"]
        assert bot.stop(signal.SIGTERM) == 0
    assert len(bot.lines) == 1
    assert "Traceback" not in bot.log


def test_ctrl_c_ends_it_too(tmp_path: Path, bundle: Path) -> None:
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(bundle)) as bot:
        assert bot.stop(signal.SIGINT) == 0
    assert "Traceback" not in bot.log


def test_a_terminal_without_japanese(tmp_path: Path, bundle: Path) -> None:
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(bundle), PYTHONIOENCODING="ascii", PYTHONUTF8="0") as bot:
        assert bot.lines[0].endswith("で待っています (Ctrl-C で終わり)")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"BOKE__WEB__HOST": "192.0.2.1"}, "cannot listen on 192.0.2.1 port 0"),
        ({"BOKE__WEB__TRUSTED_PROXIES": "10.0.0.0/8,proxy"}, "web.trusted_proxies: 'proxy' should be an address"),
    ],
)
def test_what_cannot_be_served_is_one_line(tmp_path: Path, bundle: Path, variables: dict[str, str], said: str) -> None:
    process = start_bot(tmp_path, BOKE__MODEL__PATH=str(bundle), **variables)
    assert process.wait(60) == 1
    last = (tmp_path / "stderr").read_text(encoding="utf-8").splitlines()[-1]
    assert said in last
    assert "Traceback" not in (tmp_path / "stderr").read_text(encoding="utf-8")


def test_a_taken_port_is_one_line(tmp_path: Path, bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start_bot(tmp_path, BOKE__MODEL__PATH=str(bundle), BOKE__WEB__PORT=str(port))
        assert process.wait(60) == 1
    lines = (tmp_path / "stderr").read_text(encoding="utf-8").splitlines()
    assert f"cannot listen on 127.0.0.1 port {port}" in lines[-1]
    assert "PORT=9000 make run" in lines[-1]


async def test_a_dead_worker_is_unhealthy_and_replaced(tmp_path: Path, bundle: Path) -> None:
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(bundle)) as bot:
        async with aiohttp.ClientSession(bot.url) as session:
            assert await health(session) == 200
            first = worker_of(bot)
            first.kill()
            first.wait(10)
            assert await health(session) == 503
            async with asyncio.timeout(60):
                while await health(session) != 200:  # noqa: ASYNC110 nothing else tells when the new worker is up
                    await asyncio.sleep(0.1)
            assert worker_of(bot).pid != first.pid
            await ask(session, photo())


async def test_a_silent_worker_is_unhealthy(tmp_path: Path, bundle: Path) -> None:
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(bundle)) as bot:
        async with aiohttp.ClientSession(bot.url) as session:
            worker = worker_of(bot)
            worker.suspend()
            assert await health(session) == 503
            worker.resume()
            assert await health(session) == 200


async def test_another_model_takes_over_without_a_restart(tmp_path: Path, bundle: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "current").symlink_to(bundle)
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    with run_bot(tmp_path, BOKE_ADMIN_TOKEN=ADMIN_TOKEN) as bot:
        async with aiohttp.ClientSession(bot.url, headers=headers) as session:
            before = (await ask(session, photo()))["model"]
            (models / "next").symlink_to(tiny_bundle(tmp_path, seed=1))
            (models / "next").rename(models / "current")
            async with session.post("/api/model/reload") as response:
                assert response.status == 200
                after = (await response.json())["model"]
            assert after != before
            assert (await ask(session, photo()))["model"] == after
            async with session.get("/api/stats") as response:
                assert (await response.json())["model"] == after

            damaged = Path(shutil.copytree(bundle, tmp_path / "damaged"))
            (damaged / "decoder.npz").write_bytes(b"no weights")
            (models / "next").symlink_to(damaged)
            (models / "next").rename(models / "current")
            async with session.post("/api/model/reload") as response:
                assert (response.status, await error_of(response)) == (409, "model_rejected")
            assert (await ask(session, photo()))["model"] == after


async def test_pictures_are_gone_after_a_restart_and_answers_are_not(tmp_path: Path, bundle: Path) -> None:
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(bundle)) as bot:
        async with aiohttp.ClientSession(bot.url) as session:
            answer_id = (await ask(session, photo()))["id"]
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(bundle)) as bot:
        async with aiohttp.ClientSession(bot.url) as session:
            async with session.get(f"/api/boke/{answer_id}/card.png") as response:
                assert (response.status, await error_of(response)) == (404, "card_gone")
            async with session.post(f"/api/boke/{answer_id}/vote", json={"value": 1}) as response:
                assert (await response.json())["up"] == 1


def test_pictures_are_not_written_anywhere(tmp_path: Path, bundle: Path) -> None:
    async def post() -> None:
        async with aiohttp.ClientSession(bot.url) as session:
            await ask(session, photo())

    with run_bot(tmp_path, BOKE__MODEL__PATH=str(bundle), TMPDIR=str(tmp_path)) as bot:
        asyncio.run(post())
        needle = photo()[2000:2100]
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and needle in path.read_bytes()]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("boke.example", "http://boke.example:80"),
    ],
)
def test_addresses_to_type_into_a_browser(host: str, address: str) -> None:
    assert address_of(host, 80) == address
