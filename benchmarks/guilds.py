"""What many servers cost the bot's own process: memory for each, and processor time for each event.

    python -m benchmarks.guilds [--guilds N]... [--messages N] [--pictures N] [--shards N]

The real bot runs as a process of its own against the local Discord of the tests, which runs here. Each guild has 30 channels
and 20 roles. Counted is the processor time of the bot's own process (the worker's apart), from before the events until the bot
has dealt with all of them: messages without a picture, a tenth of them of 2,000 characters; reactions of people to each other;
reactions with 👍, which are looked up in the database; and pictures that are answered.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from tests.servers.discord.model import Role
from tests.servers.discord.protocol import EVERYONE
from tests.servers.discord_server import Channel, DiscordServer, Limit, Message, User

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = ROOT / "tests" / "data"
CHANNELS, ROLES = 30, 20
PATIENCE_S = 120.0
MEBI = 2**20


@dataclass(frozen=True)
class Cost:
    """Of the bot's own process: memory in bytes (RSS), and seconds of processor time: to start, and for each event."""

    guilds: int
    memory: int
    start: float
    ready: float  # seconds on the clock until all shards had all guilds
    message: float
    reaction: float
    vote: float
    picture: float
    worker_picture: float
    requests: float  # to Discord's API, for each answered picture


async def cost(guilds: int, shards: int, messages: int, pictures: int, folder: Path) -> Cost:
    """Start the bot in so many guilds and see what events cost it."""
    async with DiscordServer(shards=shards, timeout_s=PATIENCE_S, limit=Limit(10_000, 1.0)) as server:
        people, channels = _populate(server, guilds)
        began = time.perf_counter()
        bot = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", cwd=ROOT, env=_environment(server, folder), stdout=asyncio.subprocess.PIPE
        )
        try:
            assert bot.stdout is not None
            await bot.stdout.readline()
            process = psutil.Process(bot.pid)
            (worker,) = [child for child in process.children() if child.memory_info().rss > 64 * MEBI]
            before = _computed(process)
            await server.ready()
            await _calm(server, process)
            ready, start = time.perf_counter() - began, _computed(process) - before
            posts: list[Message] = []
            places = [channels[number * 7 % len(channels)] for number in range(messages)]

            async def talk() -> None:
                for number, place in enumerate(places):
                    text = "そうだね。" * (400 if number % 10 == 0 else 8)
                    posts.append(await server.post(place, people[number % len(people)], text))

            async def react(emoji: str) -> None:
                for number, post in enumerate(posts):
                    await server.react(post, emoji, people[(number + 1) % len(people)])

            async def show() -> None:
                photos = [path.read_bytes() for path in sorted(PHOTOS.glob("*.jpg"))]
                for number in range(pictures):
                    place = channels[number * 11 % len(channels)]
                    upload = server.upload("photo.jpg", photos[number % len(photos)])
                    await server.post(place, people[number % len(people)], attachments=[upload])
                    await server.wait_for_message(place)

            async def spent(what: Coroutine[Any, Any, None], count: int) -> float:
                before = _computed(process)
                await what
                await _calm(server, process)
                return (_computed(process) - before) / count

            message, reaction = await spent(talk(), messages), await spent(react("🍣"), messages)
            vote, in_worker = await spent(react("👍"), messages), _computed(worker)
            asked = len(server.requests_to("POST", ""))
            picture = await spent(show(), pictures)
            requests = (len(server.requests_to("POST", "")) - asked) / pictures
            in_worker = (_computed(worker) - in_worker) / pictures
            memory = process.memory_info().rss
            return Cost(guilds, memory, start, ready, message, reaction, vote, picture, in_worker, requests)
        finally:
            if bot.returncode is None:
                bot.terminate()
                await bot.wait()


def _populate(server: DiscordServer, guilds: int) -> tuple[list[User], list[Channel]]:
    people = [server.add_user(f"user{number}") for number in range(50)]
    channels = []
    for number in range(guilds):
        guild = server.add_guild(f"guild number {number}", members=people[:2])
        for index in range(ROLES):
            role = Role(server.world.ids.next(), f"role number {index}", EVERYONE, position=index + 1)
            guild.roles[role.id] = role
        channels += [guild.add_channel(f"channel-number-{index}") for index in range(CHANNELS)]
    return people, channels


def _environment(server: DiscordServer, folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DISCORD_TOKEN": server.token,
        "BOKE__DISCORD__API_BASE": server.api_base,
        "BOKE__PICTURES__ALLOWED_HOSTS": "127.0.0.1",
        "BOKE__CHAT__ENABLED_CHANNELS": '["*"]',
        "BOKE__CHAT__COOLDOWN_S": "0",
        "BOKE__WEB__PORT": "0",
        "BOKE__LOG__LEVEL": "warning",
        "BOKE__DATA__DIR": str(folder / "data"),
        "BOKE__MODELS__DIR": str(folder / "models"),
    }


async def _calm(server: DiscordServer, process: psutil.Process) -> None:
    """Wait until the bot has read all events and has nothing left to do."""
    await server.sync()
    while True:
        before = _computed(process)
        await asyncio.sleep(0.3)
        if _computed(process) - before < 0.02:
            return


def _computed(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)


def table_of(costs: list[Cost]) -> Table:
    """As people read it."""
    table = Table("guilds", *(f"{cost.guilds:,}" for cost in costs), box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("memory of the bot, MB", *(f"{cost.memory / MEBI:.0f}" for cost in costs))
    table.add_row("until all guilds are there, s", *(f"{cost.ready:.1f}" for cost in costs))
    table.add_row("of it the bot computes, s", *(f"{cost.start:.2f}" for cost in costs))
    for name, take in (
        ("a message without a picture, ms", lambda cost: cost.message),
        ("a reaction, ms", lambda cost: cost.reaction),
        ("a 👍 to somebody's message, ms", lambda cost: cost.vote),
        ("an answered picture, ms", lambda cost: cost.picture),
        ("the same in the worker, ms", lambda cost: cost.worker_picture),
    ):
        table.add_row(name, *(f"{1000 * take(cost):.2f}" for cost in costs))
    table.add_row("requests to Discord's API for it", *(f"{cost.requests:.1f}" for cost in costs))
    return table


def main(
    guilds: Annotated[list[int] | None, typer.Option(help="How many; more than once: to compare.")] = None,
    messages: Annotated[int, typer.Option(min=1, help="And as many reactions of each kind.")] = 2000,
    pictures: Annotated[int, typer.Option(min=1)] = 40,
    shards: Annotated[int, typer.Option(min=1)] = 1,
) -> None:
    """Measure."""
    costs = []
    for count in guilds or [10, 500, 2000]:
        with tempfile.TemporaryDirectory(prefix="boke-guilds-") as folder:
            costs.append(asyncio.run(cost(count, shards, messages, pictures, Path(folder))))
    Console().print(table_of(costs))


if __name__ == "__main__":
    typer.run(main)
