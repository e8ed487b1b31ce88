"""What an answer costs the database: what is read and written for it, on SQLite or PostgreSQL.

    python -m benchmarks.answers [--answers N] [--threads N] [--database postgresql://...]

For each answer the store's functions run as the bot calls them for a picture in a chat: the channel's rules (three times), the
opt-out, the claim, what was told before and is somebody's joke, the answer, the message that carries it; and one vote. Printed
are the milliseconds of each on the clock and of this process's processor, how many such answers a second the threads get
through, and how much the database has grown by each.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from store import answers, crawled, events, settings, votes
from store.answers import NewAnswer, StoredCandidate
from store.database import Database, open_database

CHANNELS = 1000
TOLD = "締切の前の晩、猫が一番いい椅子に着任する"


def one(database: Database, number: int, timed: Callable[..., Any]) -> None:
    """All that one picture's answer asks of the database."""
    platform, channel, user = "discord", str(10**18 + number % CHANNELS), f"{number % 5000:032x}"
    key = f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}"
    texts = [f"{TOLD}{number}-{index}" for index in range(5)]
    for _ in range(3):
        timed("rules", settings.get_channel, database, platform, channel)
    timed("opt-out", settings.is_opted_out, database, platform, user)
    timed("claim", events.mark_seen, database, platform, channel, str(number))
    timed("told before", answers.recent_texts, database, platform, channel, key)
    timed("somebody's joke", crawled.find_known, database, texts)
    answer = NewAnswer(
        platform=platform,
        guild_id=str(2 * 10**18 + number % CHANNELS),
        channel_id=channel,
        message_id=str(3 * 10**18 + number),
        user=user,
        picture_key=key,
        picture_url=None,
        text=texts[0],
        score=-1.5,
        candidates=tuple(StoredCandidate(each, -1.5) for each in texts),
        mode="boke",
        model="0" * 64,
        encoder="efficientnet-lite0",
        elapsed_ms=50.0,
    )
    kept = timed("answer", answers.add_answer, database, answer)
    timed("message", answers.attach_reply, database, kept.public_id, str(4 * 10**18 + number))
    timed("vote", votes.vote, database, kept.public_id, user, 1)


def measure(database: Database, count: int, threads: int) -> tuple[dict[str, list[float]], float, float]:
    """Seconds of each step, on the clock and of the processor for all of an answer; and answers a second."""
    seconds: dict[str, list[float]] = defaultdict(list)
    lock = threading.Lock()

    def timed(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        began = time.perf_counter()
        result = function(*arguments)
        spent = time.perf_counter() - began
        with lock:
            seconds[name].append(spent)
        return result

    one(database, -1, lambda _, function, *arguments: function(*arguments))  # connects
    computed, began = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda number: one(database, number, timed), range(count)))
    return seconds, (time.process_time() - computed) / count, count / (time.perf_counter() - began)


def size(database: Database) -> int:
    """Bytes on the disk."""
    with database.engine.connect() as connection:
        if database.dialect == "postgresql":
            return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
        pages, page = (int(connection.scalar(text(f"PRAGMA page_{what}")) or 0) for what in ("count", "size"))
        return pages * page


def main(
    count: Annotated[int, typer.Option("--answers", min=1)] = 5000,
    threads: Annotated[int, typer.Option(min=1, help="At a time; the bot has four.")] = 4,
    database: Annotated[str, typer.Option(help="An empty database; left out: SQLite in a temporary folder.")] = "",
) -> None:
    """Measure."""
    with tempfile.TemporaryDirectory(prefix="boke-answers-") as folder:
        opened = open_database(database or f"sqlite:///{Path(folder) / 'boke.db'}")
        before = size(opened)
        seconds, computed, rate = measure(opened, count, threads)
        grown = (size(opened) - before) / count
        table = Table(f"{count:,} answers, {opened.dialect}, {threads} threads", "median ms", box=None)
        table.columns[1].justify = "right"
        for name, spent in seconds.items():
            each = len(spent) // count
            table.add_row(f"{name} ({each} times)" if each > 1 else name, f"{1000 * median(spent):.2f}")
        table.add_row("an answer, this process's processor", f"{1000 * computed:.2f}")
        opened.close()
    Console().print(table)
    print(f"{rate:.0f} answers a second; {grown:.0f} bytes each in the database")


if __name__ == "__main__":
    typer.run(main)
