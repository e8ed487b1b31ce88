"""A busy evening: pictures posted in many Discord channels at once, to the real bot as a process of its own.

`python -m benchmarks.load [--pictures 200] [--channels 50] [--seconds 60] [--model DIR] [--explain]` starts the bot against the
local Discord of the tests, which runs here and so costs the bot nothing, posts photos at random moments, and prints how many
answers were lost, the latency from post to reply, the memory of the bot and its worker, and the event loop's longest stall.
`--explain` says where the loop was in its longest stalls.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer
from rich.console import Console
from rich.table import Table

from tests.servers.discord_server import DiscordServer

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = ROOT / "tests" / "data"
PATIENCE_S = 60.0  # after which an answer counts as lost


async def evening(
    pictures: int, channels: int, seconds: float, folder: Path, model: Path | None = None
) -> tuple[Table, list[dict[str, Any]]]:
    """Post everything, wait for every answer, and look at the bot; returns the figures and the loop's longest stalls."""
    photos = [path.read_bytes() for path in sorted(PHOTOS.glob("*.jpg"))]
    chance = random.Random(0)
    async with DiscordServer(timeout_s=PATIENCE_S) as server:
        people = [server.add_user(f"user{n}") for n in range(channels)]
        guild = server.add_guild("load", members=people)
        places = [guild.add_channel(f"channel-{n}") for n in range(channels)]
        environment = {
            **os.environ,
            "DISCORD_TOKEN": server.token,
            "BOKE__DISCORD__API_BASE": server.api_base,
            "BOKE__PICTURES__ALLOWED_HOSTS": "127.0.0.1",
            "BOKE__CHAT__ENABLED_CHANNELS": '["*"]',
            "BOKE__CHAT__COOLDOWN_S": "0",
            "BOKE__INFERENCE__QUEUE_SIZE": str(max(128, pictures)),
            "BOKE__WEB__PORT": "0",
            "BOKE__DATA__DIR": str(folder / "data"),
            "BOKE__MODELS__DIR": str(folder / "models"),
            **({"BOKE__MODEL__PATH": str(model)} if model else {}),
        }
        pipe = asyncio.subprocess.PIPE
        bot = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.watched_bot", cwd=ROOT, env=environment, stdout=pipe, stderr=pipe
        )
        try:
            assert bot.stdout is not None
            assert (await bot.stdout.readline()).startswith(b"http"), (await bot.communicate())[1].decode()
            await server.ready()
            bot.send_signal(signal.SIGUSR1)

            async def one(number: int) -> float | None:
                await asyncio.sleep(chance.random() * seconds)
                place, person = places[number % channels], people[number % channels]
                started = time.perf_counter()
                upload = server.upload("photo.jpg", photos[number % len(photos)])
                post = await server.post(place, person, attachments=[upload])
                try:
                    await server.wait_for_message(
                        place, lambda message: message.reply_to is not None and message.reply_to.id == post.id
                    )
                except Exception as error:  # the server's own time-out: nothing came
                    print(f"picture {number}: {error}", file=sys.stderr)
                    return None
                return time.perf_counter() - started

            spent = await asyncio.gather(*(one(number) for number in range(pictures)))
            answered = np.array([value for value in spent if value is not None]) * 1000
            process = psutil.Process(bot.pid)
            workers = [child.memory_info().rss for child in process.children(recursive=True)]
            table = Table(f"{pictures} pictures from {channels} channels in {seconds:g} s", "measured")
            table.add_row("answers lost", str(pictures - len(answered)))
            for name, share in (("median", 50), ("95th percentile", 95), ("99th percentile", 99)):
                table.add_row(f"latency, {name}", f"{np.percentile(answered, share):.0f} ms")
            table.add_row("memory of the bot", f"{process.memory_info().rss / 2**20:.0f} MB")
            table.add_row("memory of the worker", f"{max(workers) / 2**20:.0f} MB")
            bot.send_signal(signal.SIGUSR2)
            bot.terminate()
            stalls = json.loads((await bot.communicate())[1].splitlines()[-1])
            longest = stalls[0] if stalls else {"seconds": 0.0, "busy": 0.0}
            own = f"{1000 * longest['busy']:.0f} ms of it computing"
            table.add_row("event loop's longest stall", f"{1000 * longest['seconds']:.0f} ms, {own}")
            return table, stalls
        finally:
            if bot.returncode is None:
                bot.kill()
                await bot.wait()


def main(
    pictures: Annotated[int, typer.Option(min=1)] = 200,
    channels: Annotated[int, typer.Option(min=1)] = 50,
    seconds: Annotated[float, typer.Option(min=0, help="Over how long they are posted.")] = 60.0,
    model: Annotated[Path | None, typer.Option(help="A bundle's folder; the starter where none is named.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Where the event loop was in its longest stalls.")] = False,
) -> None:
    """Measure the bot under load."""
    with tempfile.TemporaryDirectory() as folder:
        table, stalls = asyncio.run(evening(pictures, channels, seconds, Path(folder), model))
    Console().print(table)
    for stall in stalls if explain else []:
        print(f"{1000 * stall['seconds']:.0f} ms, {1000 * stall['busy']:.0f} ms of it computing:")
        print("".join(f"    {line}\n" for line in stall["stack"]), end="")


if __name__ == "__main__":
    typer.run(main)
