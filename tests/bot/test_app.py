"""The bot as a real process: how it starts, how it leaves, and what it leaves behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiohttp
import psutil  # type: ignore[import-untyped]
import pytest
from aiohttp import web

from tests.bot.chat.discord.bots import as_owner, joke_to, post_picture, town
from tests.bot.conftest import photo
from tests.bot.running import ROOT, RunningBot, run_bot, start_bot
from tests.bundles import LINES, tiny_bundle
from tests.servers.discord_server import DiscordServer, Upload

LEAVE_S = 10.0


def family(bot: RunningBot) -> list[psutil.Process]:
    """All processes that the bot has started."""
    children: list[psutil.Process] = psutil.Process(bot.process.pid).children(recursive=True)
    return children


def worker_of(bot: RunningBot) -> psutil.Process:
    """The process that holds the model."""
    return max(family(bot), key=lambda child: child.memory_info().rss)


def all_gone(processes: list[psutil.Process]) -> bool:
    _, left = psutil.wait_procs(processes, timeout=20)
    return not left


@asynccontextmanager
async def running(folder: Path, **variables: str) -> AsyncIterator[RunningBot]:
    """`run_bot`, where this process has to answer the bot while it starts."""
    starting = run_bot(folder, **variables)
    bot = await asyncio.to_thread(starting.__enter__)
    try:
        yield bot
    finally:
        await asyncio.to_thread(starting.__exit__, None, None, None)


async def post(session: aiohttp.ClientSession, picture: bytes) -> tuple[int, str]:
    form = aiohttp.FormData()
    form.add_field("image", picture, filename="photo.jpg")
    async with session.post("/api/boke", data=form) as response:
        content = await response.json()
        return response.status, content.get("boke") or content["message"]


async def waiting(session: aiohttp.ClientSession, count: int) -> None:
    """Until so many pictures wait for the worker."""
    async with asyncio.timeout(30):
        while True:
            async with session.get("/metrics") as response:
                found = re.search(r"^boke_queue_length (\S+)", await response.text(), re.MULTILINE)
            if found and float(found[1]) >= count:
                return


def ended(process: subprocess.Popen[str], folder: Path) -> tuple[int, list[str]]:
    """The exit code and what was said about it, of a bot that does not come up."""
    code = process.wait(60)
    lines = (folder / "stderr").read_text(encoding="utf-8").splitlines()
    assert not any("Traceback" in line for line in lines)
    return code, [line for line in lines if line.startswith("bot: ") or not re.match(r"\d\d:\d\d:\d\d ", line)]


# leaving


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_answers_what_it_has_and_leaves(tmp_path: Path, tiny_model: Path, number: int) -> None:
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(tiny_model), BOKE__WEB__POSTS_PER_MINUTE="0") as bot:
        children, worker = family(bot), worker_of(bot)
        async with aiohttp.ClientSession(bot.url) as session:
            worker.suspend()
            posts = [asyncio.create_task(post(session, photo())) for _ in range(24)]
            await waiting(session, 24 - 8)
            began = time.monotonic()
            bot.process.send_signal(number)
            worker.resume()
            answers = await asyncio.gather(*posts)
        assert await asyncio.to_thread(bot.process.wait, 30) == 0
        assert time.monotonic() - began < LEAVE_S
        assert {status for status, _ in answers} == {200}
        assert {joke for _, joke in answers} <= set(LINES)
        assert all_gone(children)
        assert "Traceback" not in bot.log


async def test_a_picture_that_is_still_being_fetched_is_answered(tmp_path: Path, tiny_model: Path) -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    async def slowly(request: web.Request, upload: Upload) -> web.Response:
        arrived.set()
        await go.wait()
        return web.Response(body=upload.data, content_type="image/jpeg")

    async with DiscordServer(timeout_s=60) as server:
        here = town(server)
        variables = as_owner(server, tiny_model, here.channel)
        async with running(tmp_path, **variables) as bot:
            await server.ready()
            taken = await post_picture(server, here.channel, here.taro, photo(), serving=slowly)
            await arrived.wait()
            bot.process.terminate()
            while "stopping" not in bot.log:  # noqa: ASYNC110 - it says so nowhere else
                await asyncio.sleep(0.01)
            await post_picture(server, here.channel, here.hanako, photo("coffee"))
            await server.sync()
            go.set()
            await joke_to(server, taken)
            assert await asyncio.to_thread(bot.process.wait, 30) == 0
            assert [message.reply_to for message in server.said(here.channel)] == [taken]
        assert "Traceback" not in bot.log


async def test_whatever_hangs_it_leaves_in_time(tmp_path: Path, tiny_model: Path) -> None:
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(tiny_model)) as bot:
        children = family(bot)
        async with aiohttp.ClientSession(bot.url) as session:
            assert (await post(session, photo()))[0] == 200
            with closing(sqlite3.connect(tmp_path / "data/boke.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")  # a thread waits for this
                stuck = asyncio.create_task(post(session, photo()))
                worker_of(bot).suspend()  # nobody answers these
                more = [asyncio.create_task(post(session, photo())) for _ in range(12)]
                await waiting(session, 2)
                began = time.monotonic()
                bot.process.terminate()
                assert await asyncio.to_thread(bot.process.wait, 30) == 0
                assert time.monotonic() - began < LEAVE_S
            await asyncio.gather(stuck, *more, return_exceptions=True)
        assert all_gone(children)
        assert "Traceback" not in bot.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("module", ["typer", "sqlalchemy", "bot.app", "alembic.command", "concurrent.futures.process"])
def test_told_to_leave_while_it_starts(tmp_path: Path, tiny_model: Path, number: int, module: str) -> None:
    process = start_bot(tmp_path, BOKE__MODEL__PATH=str(tiny_model), PYTHONPROFILEIMPORTTIME="1")
    log = tmp_path / "stderr"
    while not re.search(rf"\| +{module}\n", log.read_text(encoding="utf-8")):
        assert process.poll() is None
    process.send_signal(number)
    assert process.wait(LEAVE_S) == 0
    assert "Traceback" not in log.read_text(encoding="utf-8")


def test_killed_it_leaves_no_worker_behind(tmp_path: Path, tiny_model: Path) -> None:
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(tiny_model), BOKE__ENGINE__WORKERS="2") as bot:
        children = family(bot)
        bot.process.kill()
        bot.process.wait(10)
        assert len(children) >= 2
        assert all_gone(children)


def test_its_whole_group_told_to_leave_as_a_terminal_does(tmp_path: Path, tiny_model: Path) -> None:
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(tiny_model)) as bot:
        children = family(bot)
        for process in (*children, bot.process):
            process.send_signal(signal.SIGINT)
        assert bot.process.wait(LEAVE_S) == 0
        assert all_gone(children)
        assert "Traceback" not in bot.log


# starting


def test_a_taken_port(tmp_path: Path, tiny_model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start_bot(tmp_path, BOKE__MODEL__PATH=str(tiny_model), BOKE__WEB__PORT=str(port))
        code, (line,) = ended(process, tmp_path)
    assert code == 1
    assert line.startswith(f"bot: cannot listen on 127.0.0.1 port {port}: ")


def test_a_wrong_configuration_is_a_line_for_each_problem(tmp_path: Path) -> None:
    variables = {"BOKE__WEB__PORT": "http", "BOKE__CHAT__PROBABILITY": "2", "BOKE__NOSE__LONG": "1"}
    code, lines = ended(start_bot(tmp_path, **variables), tmp_path)
    assert code == 1
    assert len(lines) == 3
    assert [name for name in variables if any(name in line for line in lines)] == list(variables)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    code, (line,) = ended(start_bot(tmp_path, "--config", "none.toml"), tmp_path)
    assert (code, line) == (1, "bot: none.toml: there is no such file; config.example.toml shows what it may hold")


def test_a_database_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("shopping list" * 100)
    code, (line,) = ended(start_bot(tmp_path, BOKE__DATABASE__URL=f"sqlite:///{tmp_path / 'notes.db'}"), tmp_path)
    assert code == 1
    assert line.endswith("move the file away or restore a backup")


async def test_a_broken_model_gives_way_to_the_one_that_ships(tmp_path: Path) -> None:
    broken = tiny_bundle(tmp_path)
    (broken / "manifest.json").write_text("{")
    with run_bot(tmp_path / "bot", BOKE__MODEL__PATH=str(broken)) as bot:
        async with aiohttp.ClientSession(bot.url) as session:
            status, joke = await post(session, photo())
            async with session.get("/api/stats") as response:
                assert (await response.json())["recipe"] == "starter"
        assert status == 200
        assert joke not in LINES
        errors = [line for line in bot.log.splitlines() if " ERROR " in line]
        assert len(errors) == 1
        assert "taking the one that ships instead" in errors[0]
        assert "Traceback" not in bot.log


async def test_home_and_path_are_all_it_needs(tmp_path: Path, tiny_model: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    (tmp_path / "config.toml").write_text(f'[model]\npath = "{tiny_model}"\n[web]\nport = 0\n', encoding="utf-8")
    command = [
        sys.executable,
        "-c",
        f"import sys, runpy; sys.path.insert(0, {str(ROOT)!r}); runpy.run_module('bot', run_name='__main__')",
    ]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
    async with aiohttp.ClientSession(line.split()[0]) as session:
        assert (await post(session, photo()))[0] == 200
    process.terminate()
    _, log = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in log
