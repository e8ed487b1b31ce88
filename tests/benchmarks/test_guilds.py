"""The benchmark of many servers on two: a real bot, a few events of each kind, and what the table says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import guilds
from benchmarks.guilds import CHANNELS, MEBI, ROLES, Cost, cost, table_of
from tests.servers.discord_server import DiscordServer


async def test_what_a_few_events_cost_the_bot_and_its_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    servers: list[DiscordServer] = []

    class Seen(DiscordServer):
        async def __aenter__(self) -> DiscordServer:
            servers.append(self)
            return await super().__aenter__()

    monkeypatch.setattr(guilds, "DiscordServer", Seen)
    found = await cost(2, 1, 40, 3, tmp_path)
    assert found.guilds == 2
    assert 20 * MEBI < found.memory < 2000 * MEBI
    assert min(found.start, found.ready, found.picture, found.worker_picture) > 0
    assert min(found.message, found.reaction, found.vote) >= 0, "an event may cost less than the clock counts"
    assert found.requests == 2, "typing, and the answer"

    (server,) = servers
    posts = [post for channel in server.world.channels.values() for post in channel.messages.values()]
    assert sum(post.author.bot for post in posts) == 2 + 3, "a greeting in each guild, and the answers"
    assert sum(bool(post.attachments) for post in posts if not post.author.bot) == 3
    assert sum(not post.attachments for post in posts if not post.author.bot) == 40
    assert (tmp_path / "data" / "boke.db").exists()


async def test_a_guild_is_as_large_as_the_help_says() -> None:
    async with DiscordServer() as server:
        before = len(server.world.guilds)
        people, channels = guilds._populate(server, 3)
        assert len(channels) == 3 * CHANNELS
        assert len(people) == 50
        made = list(server.world.guilds.values())[before:]
        named = [sum(role.name.startswith("role number") for role in guild.roles.values()) for guild in made]
        assert named == [ROLES] * 3


def test_the_table_has_a_column_for_each_number_of_guilds() -> None:
    few = Cost(10, 134 * MEBI, 0.5, 3.0, 0.0001, 0.00006, 0.0015, 0.027, 0.06, 2.0)
    table = table_of([few, replace(few, guilds=2000, memory=206 * MEBI)])
    assert [str(column.header) for column in table.columns] == ["guilds", "10", "2,000"]
    names, ten, many = (list(column.cells) for column in table.columns)
    assert ten == ["134", "3.0", "0.50", "0.10", "0.06", "1.50", "27.00", "60.00", "2.0"]
    assert many == ["206", *ten[1:]]
    assert names[6:] == ["an answered picture, ms", "the same in the worker, ms", "requests to Discord's API for it"]
