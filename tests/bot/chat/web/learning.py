"""A bot that can learn: a corpus of eight photos, a recipe for it, and two published models."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bokemodel.bundle import load_bundle
from store.database import Database, open_database
from tests.bot.chat.web.conftest import ADMIN_TOKEN
from tests.bot.running import RunningBot, run_bot
from tests.bundles import QUOTES, tiny_bundle
from tests.training.small import write_corpus, write_recipe
from training.importers import import_files
from training.publish import publish

OLD, NEW = "20240101-000000-00000000", "20240102-000000-00000000"
OWNER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
ENDLESS = 100_000  # epochs


@contextmanager
def run_learner(folder: Path, **variables: str) -> Iterator[RunningBot]:
    """Of its models the new one is live, and quotes. A run that it starts learns until it is stopped."""
    for name, seed, quotes in ((OLD, 0, ()), (NEW, 1, QUOTES)):
        publish(folder / "models", load_bundle(tiny_bundle(folder / "made", seed, quotes=quotes)), name, 5)
    database = open_database(f"sqlite:///{folder / 'data' / 'boke.db'}")
    import_files(database, folder / "data", [write_corpus(folder / "corpus")])
    database.close()
    with run_bot(
        folder,
        BOKE__RETRAIN__RECIPE=str(write_recipe(folder, epochs=ENDLESS, rate=0.01)),
        BOKE__RETRAIN__MIN_JOKES="20",
        BOKE__RETRAIN__NICE="0",
        BOKE__WEB__TRUSTED_PROXIES="127.0.0.1",
        BOKE_ADMIN_TOKEN=ADMIN_TOKEN,
        OPENBLAS_NUM_THREADS="1",
        **variables,
    ) as running:
        yield running
        assert "Traceback" not in running.log


def database_of(bot: RunningBot) -> Database:
    """The bot's database."""
    return open_database(f"sqlite:///{bot.folder / 'data' / 'boke.db'}", migrate=False)


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    """What a stream of server-sent events tells, until it ends."""
    kind = ""
    async for raw in response.content:
        field, _, value = raw.decode().rstrip("\n").partition(": ")
        if field == "event":
            kind = value
        elif field == "data":
            yield kind, json.loads(value)


class Listener:
    """What somebody who listens to a stream knows of the newest run."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._stream = events(response)
        self.state: dict[str, Any] = {}
        self.run: dict[str, Any] = {}
        self.epochs: list[dict[str, Any]] = []

    async def until(self, condition: Callable[[Listener], Any]) -> None:
        """Go on listening until it holds."""
        while not condition(self):
            kind, told = await anext(self._stream)
            if kind == "state":
                self.state = told
            elif kind == "run":
                self.run = told or {}
                self.epochs = self.run.get("epochs", self.epochs)
            else:
                assert (kind, told["run"]) == ("epochs", self.run["id"])
                self.epochs = [*self.epochs, *told["epochs"]]


async def post(http: aiohttp.ClientSession, path: str, content: Any = None) -> tuple[int, dict[str, Any]]:
    """As the owner: status and answer."""
    async with http.post(path, json=content, headers=OWNER) as response:
        return response.status, await response.json()
