"""kill -9 of a real crawl at many moments: the next one goes on, loses nothing and fetches nothing twice."""

from __future__ import annotations

import asyncio
import random
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from urllib.parse import urlsplit

from store.database import open_database
from tests.servers.bokete_server import BoketeSite
from tests.training.crawl.conftest import corpus_of, done_urls
from tests.training.crawl.crawl_process import config_for
from training.crawl import crawl

ROOT = Path(__file__).resolve().parents[3]


async def start(site: BoketeSite, folder: Path) -> Process:
    command = [sys.executable, "-m", "tests.training.crawl.crawl_process", site.url, str(folder)]
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE)


async def run_and_kill(site: BoketeSite, folder: Path, at: int, after_s: float) -> bool:
    """Run until its `at`-th request came in, then so many seconds more. False: it was done before."""
    process = await start(site, folder)
    arrived = asyncio.Event()

    async def count(number: int, path: str) -> None:
        if number == at:
            arrived.set()

    site.on_request = count
    ended = asyncio.create_task(process.wait())
    reached = asyncio.create_task(arrived.wait())
    await asyncio.wait({ended, reached}, return_when=asyncio.FIRST_COMPLETED)
    if not ended.done():
        await asyncio.wait(
            {ended}, timeout=after_s
        )  # the moment itself is what is tested: anywhere between two requests
    killed = not ended.done()
    if killed:
        process.kill()
    _, errors = await process.communicate()
    reached.cancel()
    site.on_request = None
    assert killed or process.returncode == 0, errors.decode()
    return killed


async def test_killed_again_and_again(tmp_path: Path) -> None:
    rng = random.Random(5)
    async with BoketeSite(odai=40) as site:
        whole = config_for(site.url, tmp_path / "whole")
        unbroken = open_database(whole.database.url)
        await crawl(whole, unbroken, scheduled=False)

        folder = tmp_path / "broken"
        config = config_for(site.url, folder)
        stored: set[str] = set()  # paths of what was in the database when the last process died
        kills, killed = 0, True
        while killed:
            site.forget_counts()
            killed = await run_and_kill(site, folder, rng.randrange(2, 45), rng.choice((0, 0.001, 0.004, 0.01)))
            kills += killed
            asked = {request.path for request in site.seen} - {"/robots.txt"}
            assert not asked & stored
            broken = open_database(config.database.url)
            done = {urlsplit(url).path if url.startswith("http") else url for url in done_urls(broken)}
            assert stored <= done
            # At most the one request that was on its way was in vain.
            missed = {row.path for row in site.seen if site.served[row.path]} - {"/robots.txt"} - done
            assert len(missed) <= killed
            stored = done
            broken.close()
        assert kills >= 5
        broken = open_database(config.database.url)
        assert corpus_of(broken) == corpus_of(unbroken)
        files = {path.name for path in (folder / "pictures").rglob("*.*") if not path.name.startswith(".")}
        assert files == {path.name for path in (tmp_path / "whole" / "pictures").rglob("*.*")}
        broken.close()
        unbroken.close()
