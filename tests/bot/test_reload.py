"""SIGHUP to a running bot, and whether it says that it is ready."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from store.config import Config
from store.reloading import TAKEN, take_over, takes
from tests.bot.conftest import photo
from tests.bot.running import ROOT, RunningBot, run_bot
from tests.bot.test_app import post, worker_of
from tests.bundles import LINES, tiny_bundle


def write(folder: Path, **sections: dict[str, Any]) -> Path:
    """A configuration file of these sections."""
    file = folder / "config.toml"
    text = "".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        for name, keys in sections.items()
    )
    file.write_text(text, encoding="utf-8")
    return file


def reloaded(bot: RunningBot, *, until: str = "reload: ") -> list[str]:
    """The lines that a SIGHUP leads to."""
    before = len(bot.log.splitlines())
    bot.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 60
    while until not in "\n".join(bot.log.splitlines()[before:]):
        assert time.monotonic() < deadline, bot.log
        assert bot.process.poll() is None, bot.log
        time.sleep(0.02)
    return [line for line in bot.log.splitlines()[before:] if "reload" in line]


async def test_words_limits_model_and_log_level_are_taken_over(tmp_path: Path) -> None:
    first, second = (tiny_bundle(tmp_path / "made", seed) for seed in (0, 1))
    file = write(tmp_path, model={"path": str(first)}, web={"posts_per_minute": 0})
    with run_bot(tmp_path / "bot", "--config", str(file)) as bot:
        async with aiohttp.ClientSession(bot.url) as session:

            async def stats() -> dict[str, Any]:
                async with session.get("/api/stats") as response:
                    found: dict[str, Any] = await response.json()
                    return found

            before = (await stats())["model"]
            assert (await post(session, photo()))[0] == 200
            write(
                tmp_path,
                model={"path": str(second)},
                web={"posts_per_minute": 2},
                inference={"queue_size": 64},
                filter={"words": ["猫", "犬", "部長", "人", "自分", "鳩", "卵", "からあげ", "先生", "月曜日"]},
                log={"level": "warning"},
            )
            lines = await asyncio.to_thread(reloaded, bot, until="restart: ")
            assert lines == [lines[0]]
            assert lines[0].endswith("reload: needs a restart: inference.queue_size")
            async with asyncio.timeout(120):
                while (await stats())["model"] == before:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            told = [await post(session, photo()) for _ in range(4)]
            assert {status for status, _ in told} == {503, 429}  # every line holds an unwanted word; then the limit
            assert all(text not in LINES for _, text in told)
            assert bot.log.count("answered in") <= 1
            assert bot.stop() == 0


async def test_a_wrong_file_or_a_broken_model_leaves_everything_as_it_was(tmp_path: Path) -> None:
    good, broken = tiny_bundle(tmp_path / "made", 0), tiny_bundle(tmp_path / "made", 1)
    (broken / "decoder.npz").write_bytes(b"PK" + bytes(100))
    file = write(tmp_path, model={"path": str(good)}, chat={"cooldown_s": 3.0})
    with run_bot(tmp_path / "bot", "--config", str(file)) as bot:
        for text, said in (
            ("[chat]\ncooldown_s = 'long'\n[web]\nnose = 1\n", "chat.cooldown_s"),
            ("[chat\n", "is not TOML"),
            ('[filter]\nwords_file = "/nowhere/words.txt"\n', "words_file"),
            ('[inference]\nmode = "haiku"\n', "haiku"),
        ):
            file.write_text(text, encoding="utf-8")
            (line,) = reloaded(bot)
            assert " ERROR " in line
            assert "the configuration stays as it is" in line
            assert said in line
        write(tmp_path, model={"path": str(broken)})
        (line,) = reloaded(bot)
        assert "the old one stays" in line
        async with aiohttp.ClientSession(bot.url) as session:
            status, joke = await post(session, photo())
        assert status == 200
        assert joke in LINES
        write(tmp_path, model={"path": str(good)})
        (line,) = reloaded(bot)
        assert "reload: taken over: model.path" in line
        assert bot.stop() == 0
        assert "Traceback" not in bot.log


def test_of_a_terminal_that_is_closed_it_takes_leave(tmp_path: Path, tiny_model: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:  # with a terminal of its own, as a person starts it
        os.environ |= {"BOKE__WEB__PORT": "0", "BOKE__MODEL__PATH": str(tiny_model), "PYTHONPATH": str(ROOT)}
        os.environ.pop("PYTHONUNBUFFERED", None)  # so that what can no longer be said stays in a buffer
        os.chdir(tmp_path)
        os.execv(sys.executable, [sys.executable, "-m", "bot"])
    said = b""
    while b"\n" not in said.partition(b"http://")[2]:
        said += os.read(terminal, 4096)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


# which keys


def test_every_key_that_is_named_exists() -> None:
    for section, left in TAKEN.items():
        assert left <= set(type(getattr(Config(), section)).model_fields)


def test_what_can_be_is_taken_and_the_rest_is_named(tmp_path: Path, make_config: Callable[..., Config]) -> None:
    config = make_config()
    held, chat = config, config.chat
    fresh = make_config(chat={"cooldown_s": 9, "admin_channel": "slack:C1"}, data={"dir": tmp_path / "other"})
    assert take_over(config, fresh) == (("chat.cooldown_s",), ("data.dir", "database.url", "chat.admin_channel"))
    assert held.chat.cooldown_s == 9
    assert held.chat.admin_channel == ""
    assert chat.cooldown_s == 5.0  # whoever is at work with the old section is not disturbed
    assert held.data == make_config().data
    assert not takes("secrets", "discord_token")
    assert take_over(config, config) == ((), ())


# ready


async def ready(session: aiohttp.ClientSession) -> tuple[int, int]:
    """What /readyz and /healthz say."""
    async with session.get("/readyz") as one, session.get("/healthz") as other:
        return one.status, other.status


async def until_ready(session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(120):
        while await ready(session) != (200, 200):  # noqa: ASYNC110 - nobody tells this process
            await asyncio.sleep(0.02)


async def test_ready_only_with_worker_and_database(tmp_path: Path, tiny_model: Path) -> None:
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(tiny_model)) as bot:
        async with aiohttp.ClientSession(bot.url) as session:
            await until_ready(session)  # the page comes up a moment before the rest
            worker_of(bot).kill()
            assert (await ready(session))[0] == 503
            await until_ready(session)
            data = tmp_path / "data"
            for file in data.glob("boke.db*"):
                file.rename(file.with_name(f"away-{file.name}"))
            (data / "boke.db").write_bytes(b"not a database" * 1000)
            assert await ready(session) == (503, 200)
            assert "the database does not answer" in bot.log
            for file in data.glob("away-*"):
                file.rename(file.with_name(file.name.removeprefix("away-")))
            assert await ready(session) == (200, 200)
