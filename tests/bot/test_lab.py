"""The lab's process: two models on one picture, beside the workers and gone when it is idle."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bot import lab as module
from bot.inference import ModelRejected, QueueFull, WorkerLost
from bot.lab import Lab
from bot.worker import Job, ModelPlace, Refused
from tests.bundles import LINES, QUOTES, tiny_bundle

CAT = (Path(__file__).parents[1] / "data" / "cat.jpg").read_bytes()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelPlace, ModelPlace]:
    """A model that carries no jokes, and one that does."""
    folder = tmp_path_factory.mktemp("models")
    return ModelPlace(str(tiny_bundle(folder, 0))), ModelPlace(str(tiny_bundle(folder, 1, quotes=QUOTES)))


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    yield made
    made.close()


async def until_gone(pid: int) -> None:
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
        await asyncio.sleep(0.01)  # another process sets no event


async def test_two_models_and_where_their_jokes_come_from(lab: Lab, places: tuple[ModelPlace, ModelPlace]) -> None:
    told = await lab.look(places, Job(CAT, 3, seed=1))
    assert not isinstance(told, Refused)
    plain, quoting = told
    assert plain.model != quoting.model
    assert {said.text for said in (*plain.said, *quoting.said)} <= set(LINES)
    assert len(plain.said) == len(quoting.said) == 3
    assert (plain.quotes, plain.near, plain.said[0].origins) == (False, (), ())
    assert quoting.quotes
    assert sorted(joke for near in quoting.near for joke in near.jokes) == sorted(QUOTES)
    cosines = [near.similarity for near in quoting.near]
    assert cosines == sorted(cosines, reverse=True)
    assert {origin.text for said in quoting.said for origin in said.origins} <= set(QUOTES)
    pid = lab.pid
    again = await lab.look(places[::-1], Job(CAT, 3, seed=1))
    assert again == (quoting, plain)
    assert lab.pid == pid
    assert psutil.Process(pid).nice() > psutil.Process().nice()


async def test_what_cannot_be_looked_at(lab: Lab, places: tuple[ModelPlace, ModelPlace], tmp_path: Path) -> None:
    refused = await lab.look(places[:1], Job(b"just words"))
    assert isinstance(refused, Refused)
    assert refused.error == "NotAPicture"
    with pytest.raises(ModelRejected, match="no model at"):
        await lab.look([ModelPlace(str(tmp_path))], Job(CAT))
    assert isinstance(await lab.look(places[:1], Job(CAT)), tuple)


async def test_a_process_that_is_lost_is_replaced(lab: Lab, places: tuple[ModelPlace, ModelPlace]) -> None:
    await lab.look(places[:1], Job(CAT))
    assert lab.pid is not None
    os.kill(lab.pid, signal.SIGKILL)
    with pytest.raises(WorkerLost):
        await lab.look(places[:1], Job(CAT))
    assert isinstance(await lab.look(places[:1], Job(CAT)), tuple)


async def test_an_idle_process_gives_its_memory_back(places: tuple[ModelPlace, ModelPlace]) -> None:
    lab = Lab(idle_s=0.05)
    looking = asyncio.create_task(lab.look(places[:1], Job(CAT)))
    while lab.pid is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    pid = lab.pid
    assert isinstance(await looking, tuple)
    await until_gone(pid)
    assert lab.pid is None


async def test_only_so_many_wait(
    lab: Lab, places: tuple[ModelPlace, ModelPlace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", 2)
    both = [asyncio.create_task(lab.look(places[:1], Job(CAT))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await lab.look(places[:1], Job(CAT))
    assert all(isinstance(told, tuple) for told in await asyncio.gather(*both))
