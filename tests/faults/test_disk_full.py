"""A disk without a byte left under the bot's data: it answers, says so in its log, and goes on once there is room."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.bot.conftest import photo
from tests.bot.running import RunningBot, run_bot
from tests.bundles import LINES

SIZE = 6 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with little room."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


async def ids(bot: RunningBot, *names: str) -> list[str]:
    """Post pictures that are all answered; returns the answers' ids, "" of those that were not kept."""
    found = []
    async with aiohttp.ClientSession(bot.url) as session:
        for name in names:
            form = aiohttp.FormData()
            form.add_field("image", photo(name), filename="photo.jpg")
            async with session.post("/api/boke", data=form) as response:
                answer = await response.json()
                assert response.status == 200, answer
                assert answer["boke"] in LINES
                found.append(answer["id"])
        async with session.get("/") as page:
            assert page.status == 200
    return found


async def fill_and_free(bot: RunningBot, fill: Callable[[], None], free: Callable[[], None], said: str) -> None:
    assert all(await ids(bot, "cat"))
    fill()
    while (kept := await ids(bot, "coffee"))[0]:  # what SQLite has room for within its file is still kept
        assert kept
    assert await ids(bot, "temple", "cat") == ["", ""]
    assert said in bot.log
    free()
    assert all(await ids(bot, "cat", "coffee"))
    assert bot.stop() == 0
    assert "Traceback" not in bot.log


async def test_a_full_disk(small_disk: Path, tmp_path: Path, tiny_model: Path) -> None:
    filler = small_disk / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                return

    variables = {"BOKE__DATA__DIR": str(small_disk / "data"), "BOKE__WEB__POSTS_PER_MINUTE": "0"}
    with run_bot(tmp_path / "bot", BOKE__MODEL__PATH=str(tiny_model), **variables) as bot:
        await fill_and_free(bot, fill, filler.unlink, "the disk is full; make room and try again")


async def test_a_quota_of_its_files(tmp_path: Path, tiny_model: Path) -> None:
    with run_bot(tmp_path, BOKE__MODEL__PATH=str(tiny_model), BOKE__WEB__POSTS_PER_MINUTE="0") as bot:
        pid = bot.process.pid
        unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        database = tmp_path / "data" / "boke.db-wal"

        def fill() -> None:
            # The log goes to a file, too, and has to stay below that.
            size = max(database.stat().st_size, (tmp_path / "stderr").stat().st_size + 2**16)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        def free() -> None:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)

        await fill_and_free(bot, fill, free, "an answer could not be kept: sqlite:///")
