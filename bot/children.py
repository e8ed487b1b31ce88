"""Programs of `training` as children of the bot: training never runs in the bot's own process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

from bot.worker import THREAD_VARIABLES
from store.config import SECRETS

LINE_BYTES = 1 << 20
STOP_S = 4.0  # until a child that was told to stop is killed


async def start_module(module: str, *arguments: str) -> asyncio.subprocess.Process:
    """`python -m MODULE` in a process group of its own, without secrets; what it prints is one stream. Raises OSError."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        limit=LINE_BYTES,
        env=_environment(),
    )


def tell(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to a child and all that it started, if it is still there."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


async def end(process: asyncio.subprocess.Process, patience_s: float = STOP_S) -> None:
    """Let a child and all that it started go: first asked, then killed."""
    for number, patience in ((signal.SIGTERM, patience_s), (signal.SIGKILL, STOP_S)):
        if process.returncode is not None:
            return
        tell(process, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience)


def _environment() -> dict[str, str]:
    """Without secrets, and with half of the cores: two threads of a matrix product that wait for each other while the
    workers have the cores are several times slower than one.
    """
    half = str(max(1, (os.cpu_count() or 1) // 2))
    kept = {name: value for name, value in os.environ.items() if name not in SECRETS.values()}
    return {**dict.fromkeys(THREAD_VARIABLES, half), **kept}
