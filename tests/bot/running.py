"""The bot as a real process, as an owner starts it: `python -m bot`, configured by its environment alone."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
START_S = 120


@dataclass
class RunningBot:
    """A started bot. `lines` are what it printed so far, `log` what it wrote to standard error."""

    process: subprocess.Popen[str]
    folder: Path
    url: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def log(self) -> str:
        return (self.folder / "stderr").read_text(encoding="utf-8")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def run_bot(folder: Path, *arguments: str, within: Sequence[str] = (), **variables: str) -> Iterator[RunningBot]:
    """Start the bot with its data in `folder` on a free port, and wait until it says that it is ready.

    within: a command that ends in starting the one that is given to it.
    variables: for the bot's environment, such as BOKE__WEB__POSTS_PER_MINUTE="3". Fails the test with the bot's log where it
    ends before it is ready. Afterwards the bot is stopped, if the test did not do that.
    """
    process = start_bot(folder, *arguments, within=within, **variables)
    bot = RunningBot(process, folder)
    printed: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            bot.lines.append(line.rstrip("\n"))
            printed.put(line)
        printed.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        first = printed.get(timeout=START_S)
        if first is None:
            pytest.fail(f"the bot ended with {process.wait(10)}: {bot.log}")
        bot.url = first.split()[0]
        yield bot
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reader.join(10)


def start_bot(folder: Path, *arguments: str, within: Sequence[str] = (), **variables: str) -> subprocess.Popen[str]:
    """Start the bot and return at once; its standard error goes to `folder/stderr`."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        name: os.environ[name] for name in ("HOME", "PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ
    }
    environment |= {
        "BOKE__DATA__DIR": str(folder / "data"),
        "BOKE__MODELS__DIR": str(folder / "models"),
        "BOKE__WEB__PORT": "0",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": tempfile.gettempdir(),
        **variables,
    }
    with (folder / "stderr").open("w", encoding="utf-8") as log:
        return subprocess.Popen(
            [*within, sys.executable, "-m", "bot", *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # without a terminal, as a service manager starts it
        )
