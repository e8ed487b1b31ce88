"""Whose turn it is to identify, among all processes that share a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import delete

from bot.boke import BokeService
from bot.chat.discord.identifying import Turns
from bot.inference import Inference
from store.config import Config
from store.database import Database
from store.tables import Lock
from tests.bot.chat.discord.conftest import StartBot
from tests.faults.test_database_away import away
from tests.servers.discord_server import DiscordServer

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOT = 591


@asynccontextmanager
async def two_processes(
    make_config: Callable[..., Config], worker: Inference, database: Database, groups: int
) -> AsyncIterator[list[Turns]]:
    """Two that share a database; a turn lasts until the test is over, or until `over`."""
    services = [BokeService(make_config(), worker, database) for _ in range(2)]
    made = [Turns(service, 600.0) for service in services]
    for turns in made:
        turns.groups = groups
    yield made
    for service in services:
        service.close()


def over(database: Database) -> None:
    """As if the time of all turns had run out."""
    with database.session() as session:
        session.execute(delete(Lock))


async def test_one_shard_of_a_group_at_a_time_whichever_process_holds_it(
    make_config: Callable[..., Config], worker: Inference, any_database: Database
) -> None:
    async with two_processes(make_config, worker, any_database, groups=2) as (one, other):
        await one.wait(BOT, 0, first=True)
        await other.wait(BOT, 1, first=True)
        waiting = {asyncio.create_task(turns.wait(BOT, 2, first=False)) for turns in (one, other)}
        await other.wait(BOT + 1, 2, first=True)  # another bot's
        assert (await asyncio.wait(waiting, timeout=0.3))[0] == set()
        for left in (1, 0):
            over(any_database)
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert len(waiting) == left


async def test_where_the_database_is_away_nobody_waits_for_it(
    make_config: Callable[..., Config], worker: Inference, any_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with two_processes(make_config, worker, any_database, groups=1) as (one, other):
        await one.wait(BOT, 0, first=True)
        with away(any_database):
            await other.wait(BOT, 1, first=True)
        assert "shard 1 identifies without a turn" in caplog.text


async def test_who_comes_too_soon_is_sent_away_and_comes_back(start_bot: StartBot) -> None:
    async with DiscordServer(shards=2, identify_window_s=0.2) as discord:
        async with start_bot(discord):  # which waits for no turn
            await discord.ready()
        assert discord.gateway.too_soon >= 1
        assert discord.gateway.identifies == 2 + discord.gateway.too_soon


async def test_shards_of_several_groups_do_not_wait_for_each_other(start_bot: StartBot) -> None:
    async with DiscordServer(shards=4, max_concurrency=4, identify_window_s=60.0) as discord:
        async with start_bot(discord) as bot:
            assert bot.client._turns.groups == 4
        assert (discord.gateway.identifies, discord.gateway.too_soon) == (4, 0)
