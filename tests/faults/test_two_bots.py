"""Two bots, each a process with a data folder of its own as on a machine of its own, on one PostgreSQL database."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import psutil  # type: ignore[import-untyped]

from bokemodel.bundle import load_bundle
from store.database import Database, open_database
from store.runs import RunRecord, last_runs
from tests.bot.chat.discord.bots import post_picture
from tests.bot.conftest import photo
from tests.bot.running import RunningBot
from tests.bot.test_app import family, running
from tests.bundles import QUOTES
from tests.servers.discord_server import Channel, DiscordServer, Message, Permission, User
from tests.training.small import environment, finish, start, write_corpus, write_recipe
from training.publish import publish


async def both(stack: AsyncExitStack, *bots: Any) -> list[RunningBot]:
    """Start bots at the same moment."""
    return list(await asyncio.gather(*map(stack.enter_async_context, bots)))


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  other processes set no event
            await asyncio.sleep(0.05)


async def kill(bot: RunningBot) -> None:
    """The bot and all that it has started, at once: as if its machine were gone."""
    processes = [psutil.Process(bot.process.pid), *family(bot)]
    for process in processes:
        process.kill()
    await asyncio.to_thread(psutil.wait_procs, processes, 30)
    await asyncio.to_thread(bot.process.wait, 30)


# Discord


def answered(bot: RunningBot) -> int:
    return bot.log.count("discord: answered")


async def enable(server: DiscordServer, channel: Channel, owner: User) -> None:
    """Somebody who may do that switches the bot on with /boke-settings."""
    assert channel.guild is not None
    channel.guild.add_member(owner, Permission.MANAGE_CHANNELS)
    panel = await (await server.slash("boke-settings", owner, channel)).answer()
    await server.click(panel, "ここでボケる", owner)
    await server.until(lambda: "ここではボケない" in [button.label for button in panel.buttons])


async def quote_for(server: DiscordServer, post: Message) -> tuple[Message, str]:
    """The bot's answer to a post, and which quote it is."""
    answer = await server.wait_for_message(post.channel, lambda message: message.reply_to is post)
    (quote,) = [quote for quote in QUOTES if answer.content.startswith(quote)]
    return answer, quote


async def test_they_split_discords_shards_and_a_third_takes_over_from_one_that_is_killed(
    tmp_path: Path, tiny_model: Path, postgres_url: str
) -> None:
    async with DiscordServer(shards=2, identify_window_s=5.0, timeout_s=60) as server, AsyncExitStack() as stack:
        taro, hanako = server.add_user("たろう"), server.add_user("花子")
        guilds = [server.add_guild(f"{shard}", shard=shard, members=[taro, hanako]) for shard in (0, 1)]
        for guild in guilds:
            guild.members[server.bot.id].joined_at -= datetime.timedelta(days=30)
        channels = [guild.add_channel("しゃしん") for guild in guilds]

        def bot(name: str, shard: int) -> Any:
            variables = {
                "DISCORD_TOKEN": server.token,
                "BOKE__DISCORD__API_BASE": server.api_base,
                "BOKE__DISCORD__SHARD_COUNT": "2",
                "BOKE__DISCORD__SHARD_IDS": str(shard),
                "BOKE__PICTURES__ALLOWED_HOSTS": "127.0.0.1",
                "BOKE__CHAT__COOLDOWN_S": "0",
                "BOKE__MODEL__PATH": str(tiny_model),
                "BOKE__INFERENCE__MODE": "retrieve",  # the best of few quotes that was not told: the same every time
                "BOKE__DATABASE__URL": postgres_url,
            }
            return running(tmp_path / name, **variables)

        first, second = await both(stack, bot("first", 0), bot("second", 1))
        await server.ready()
        assert (server.gateway.identifies, server.gateway.too_soon) == (2, 0)
        for channel in channels:
            await enable(server, channel, hanako)
        posts = [await post_picture(server, channel, taro, photo()) for channel in channels]
        (_, _), (told, quote) = [await quote_for(server, post) for post in posts]
        await server.click(told, "👍", taro)
        await server.until(lambda: told.button("👍").label == "1")
        assert (answered(first), answered(second)) == (1, 1)

        await kill(second)
        (third,) = await both(stack, bot("third", 1))
        await server.ready()
        assert {session.shard for session in server.gateway.sessions.values() if session.connection} == {(0, 2), (1, 2)}
        await server.redeliver(posts[1])
        again, another = await quote_for(server, await post_picture(server, channels[1], taro, photo()))
        assert another != quote  # the channel is still enabled, and what was told about the picture is known
        await server.click(told, "👍", hanako)
        await server.until(lambda: told.button("👍").label == "2")
        await quote_for(server, await post_picture(server, channels[0], taro, photo("coffee")))
        await server.sync()
        assert [message for message in server.said(channels[1]) if message.reply_to] == [told, again]
        assert [len(server.said(channel)) for channel in channels] == [2, 2]
        assert (answered(first), answered(third)) == (2, 1)
        assert server.gateway.too_soon == 0
        for bot_ in (first, third):
            assert await asyncio.to_thread(bot_.stop) == 0
        assert not any("Traceback" in bot_.log for bot_ in (first, second, third))


# the page, and the night


class Page:
    """A bot's API, as one visitor after another calls it."""

    def __init__(self, session: aiohttp.ClientSession, bot: RunningBot) -> None:
        self._session, self.bot = session, bot

    async def ask(self, mode: str, visitor: str = "192.0.2.1") -> dict[str, Any]:
        form = aiohttp.FormData({"mode": mode})
        form.add_field("image", photo(), filename="cat.jpg")
        return await self._call("/api/boke", 200, data=form, headers={"X-Forwarded-For": visitor})

    async def vote(self, answer: str, value: int, visitor: str) -> dict[str, Any]:
        headers = {"X-Forwarded-For": visitor}
        return await self._call(f"/api/boke/{answer}/vote", 200, json={"value": value}, headers=headers)

    async def take_up(self, model: str) -> None:
        """Wait until it answers with that model."""
        async with asyncio.timeout(60):
            while True:
                if (await self.ask("boke"))["model"] == model:
                    return
                await asyncio.sleep(0.1)

    async def retrain(self) -> bool:
        """Press the button; False: a run is going on."""
        headers = {"Authorization": "Bearer secret"}
        async with self._session.post(f"{self.bot.url}/api/retrain", headers=headers) as response:
            assert response.status in (202, 409)
            return response.status == 202

    async def _call(self, path: str, status: int, **options: Any) -> dict[str, Any]:
        async with self._session.post(f"{self.bot.url}{path}", **options) as response:
            assert response.status == status, await response.text()
            found: dict[str, Any] = await response.json()
            return found


def trains(bot: RunningBot) -> bool:
    """Does a run of this bot go on?"""

    def is_run(child: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
            return "training.retrain" in child.cmdline()
        return False

    return any(map(is_run, family(bot)))


def runs(database: Database) -> dict[str, RunRecord]:
    """The runs so far by their state, of which there is one each."""
    found = last_runs(database, 9)
    by_state = {run.state: run for run in found}
    assert len(by_state) == len(found), found
    return by_state


async def test_they_share_votes_and_history_and_one_night_which_both_take_up(
    tmp_path: Path, tiny_model: Path, postgres_url: str
) -> None:
    models = tmp_path / "models"
    publish(models, load_bundle(tiny_model), "20240101-000000-00000000", 5)
    corpus, recipe = write_corpus(tmp_path), write_recipe(tmp_path, epochs=100_000)
    shared = {"BOKE__DATABASE__URL": postgres_url, "BOKE__MODELS__DIR": str(models)}
    folders = tmp_path / "first", tmp_path / "second"
    command = [sys.executable, "-m", "training.corpus", "import", str(corpus)]
    variables = environment(folders[0], **shared)
    await asyncio.to_thread(subprocess.run, command, env=variables, check=True, capture_output=True)
    shutil.copytree(folders[0], folders[1])  # the pictures' files, as on a disk that both reach

    def bot(folder: Path) -> Any:
        variables = {
            "BOKE_ADMIN_TOKEN": "secret",
            "BOKE__INFERENCE__RELOAD_CHECK_S": "0.1",
            "BOKE__RETRAIN__RECIPE": str(recipe),
            "BOKE__RETRAIN__MIN_JOKES": "20",
            "BOKE__WEB__TRUSTED_PROXIES": "127.0.0.1",
        }
        return running(folder, **shared, **variables)

    database = open_database(postgres_url)
    try:
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            pages = [Page(session, started) for started in await both(stack, *map(bot, folders))]
            one, other = pages
            told = [await page.ask("retrieve") for page in (one, other, one)]
            assert {answer["boke"] for answer in told} == set(QUOTES)
            assert (await one.vote(told[0]["id"], 1, "192.0.2.1"))["up"] == 1
            assert (await other.vote(told[0]["id"], 1, "192.0.2.2"))["up"] == 2
            assert (await other.vote(told[0]["id"], -1, "192.0.2.1"))["up"] == 1

            begun = await asyncio.gather(*(page.retrain() for page in pages))
            assert any(begun)
            refused = begun.count(False)
            await until(lambda: refused + sum("already going on" in page.bot.log for page in pages) == 1)
            await until(lambda: "running" in runs(database) and len(runs(database)["running"].stages) >= 4)
            await until(lambda: sorted(trains(page.bot) for page in pages) == [False, True])  # the other's has ended
            survivor, gone = sorted(pages, key=lambda page: trains(page.bot))

            await kill(gone.bot)
            quick = write_recipe(tmp_path / "quick")
            process = start(
                survivor.bot.folder, "--recipe", str(quick), "--force-publish", "--trigger", "schedule", **shared
            )
            (back,) = await both(stack, bot(gone.bot.folder))
            code, _, err = await asyncio.to_thread(finish, process)
            assert code == 0, err
            assert set(runs(database)) == {"stopped", "published"}
            live = load_bundle(models / "current").digest
            for page in (survivor, Page(session, back)):
                await page.take_up(live)
                assert await asyncio.to_thread(page.bot.stop) == 0
                assert "Traceback" not in page.bot.log
    finally:
        database.close()
