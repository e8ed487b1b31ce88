"""The clock of the bot: a real run as its child, a new model taken up while pictures are answered, lines for the owner."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import aiohttp
import psutil
import pytest
from sqlalchemy import update

from bokemodel.bundle import load_bundle
from bot import children
from bot import schedule as module
from bot.announcements import Announcements, describe_run
from bot.app import model_place
from bot.inference import EngineSettings, Inference
from bot.schedule import AlreadyRunning, Schedule
from bot.worker import Answered, Job, ModelPlace
from store.answers import NewAnswer, add_answer, get_answer
from store.config import Config
from store.database import Database, open_database
from store.events import mark_seen
from store.feed import FeedLimits, add_picture, get_picture
from store.runs import RUN_KILLED, RunRecord, last_runs, start_run, update_run
from store.tables import FeedPicture
from store.types import now
from tests.bot.running import run_bot
from tests.bundles import tiny_bundle
from tests.training.small import finish, start, write_corpus, write_recipe
from training.publish import publish

CAT = (Path(__file__).parents[1] / "data" / "cat.jpg").read_bytes()
Make = Callable[..., Config]


@dataclass
class House:
    """A schedule with all that it works with."""

    config: Config
    database: Database
    inference: Inference
    schedule: Schedule
    told: list[tuple[str, str]] = field(default_factory=list)


@asynccontextmanager
async def house(make_config: Make, folder: Path, **sections: dict[str, object]) -> AsyncIterator[House]:
    """A started schedule beside a started worker; the live model is the tiny one of seed 0."""
    sections["retrain"] = {"min_jokes": 20, "cron": "30 3 1 1 *", **sections.get("retrain", {})}
    sections["chat"] = {"admin_channel": "slack:C1", **sections.get("chat", {})}
    sections["inference"] = {"reload_check_s": 0.05}
    config = make_config(**sections)
    publish(config.models.dir, load_bundle(tiny_bundle(folder / "made", 0)), "20240101-000000-00000000", 5)
    database = open_database(config.database.url)
    inference = Inference(EngineSettings(threads=1, timeout=60), model_place(config))
    announcements = Announcements(config.chat.admin_channel)
    schedule = Schedule(config, database, inference, announcements, lambda: model_place(config), toml(folder, config))
    made = House(config, database, inference, schedule)

    async def send(channel: str, text: str) -> None:
        made.told.append((channel, text))

    announcements.register("slack", send)
    await inference.start()
    await schedule.start()
    try:
        yield made
    finally:
        await schedule.stop()
        await inference.stop()
        database.close()


def toml(folder: Path, config: Config) -> Path:
    """The configuration as the child reads it."""
    path = folder / "config.toml"
    retrain = config.retrain
    path.write_text(
        f"[data]\ndir = {json.dumps(str(config.data.dir))}\n[models]\ndir = {json.dumps(str(config.models.dir))}\n"
        f"[retrain]\nmin_jokes = {retrain.min_jokes}\ntime_limit_s = {retrain.time_limit_s}\nnice = 12\n"
    )
    return path


def arguments(folder: Path, epochs: int = 4) -> tuple[str, ...]:
    recipe = write_recipe(folder, epochs=epochs)
    return ("--no-crawl", "--import", str(write_corpus(folder)), "--recipe", str(recipe), "--force-publish")


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110  other processes set no event
        await asyncio.sleep(0.01)


def child(made: House) -> psutil.Process | None:
    process = made.schedule._process
    return psutil.Process(process.pid) if process is not None else None


async def test_a_run_is_a_child_and_its_model_goes_live_between_two_pictures(make_config: Make, tmp_path: Path) -> None:
    async with house(make_config, tmp_path) as made:
        before, models = made.inference.digest, set[str]()

        async def post() -> None:
            while made.inference.digest == before or len(models) < 2:
                answer = await made.inference.answer(Job(CAT, seed=1))
                assert isinstance(answer, Answered)
                models.add(answer.model)

        posting = asyncio.create_task(post())
        assert await made.schedule.retrain("page", *arguments(tmp_path)) == 0
        await posting
        live = load_bundle(made.config.models.dir / "current").digest
        assert models == {before, live}
        (run,) = last_runs(made.database, 5)
        assert (run.state, run.trigger, run.bundle_digest) == ("published", "page", live)
        await until(lambda: made.told)
        ((channel, text),) = made.told
        assert channel == "C1"
        assert text.startswith("新しいモデルに切り替えました")


async def test_the_child_is_polite_and_knows_no_secrets(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "not-for-children")
    async with house(make_config, tmp_path) as made:
        made.schedule.begin("page", *arguments(tmp_path, epochs=100_000))
        with pytest.raises(AlreadyRunning):
            made.schedule.begin()
        await until(lambda: child(made))
        process = child(made)
        assert process is not None
        await until(
            lambda: process.nice() == min(19, os.nice(0) + 12)
        )  # the tests may run at a low priority themselves
        environment = process.environ()
        assert "DISCORD_TOKEN" not in environment
        assert "PATH" in environment
        assert os.getpgid(process.pid) == process.pid


async def test_a_bot_that_leaves_takes_the_run_with_it(make_config: Make, tmp_path: Path) -> None:
    async with house(make_config, tmp_path) as made:
        made.schedule.begin("page", *arguments(tmp_path, epochs=100_000))
        await until(lambda: last_runs(made.database, 1) and len(last_runs(made.database, 1)[0].stages) == 5)
        process = child(made)
        assert process is not None
        await made.schedule.stop()
        assert not process.is_running()
        (run,) = last_runs(made.database, 5)
        assert run.state == "stopped"


async def test_a_run_that_is_killed_is_told_of(make_config: Make, tmp_path: Path) -> None:
    async with house(make_config, tmp_path) as made:
        made.schedule.begin("page", *arguments(tmp_path, epochs=100_000))
        await until(lambda: last_runs(made.database, 1))
        process = child(made)
        assert process is not None
        process.kill()
        await until(lambda: made.told)
        assert "止まりました" in made.told[0][1]
        (run,) = last_runs(made.database, 5)
        assert (run.state, run.message) == ("stopped", "the run was killed")
        await until(lambda: not made.schedule.running)


async def test_a_run_by_hand_that_is_killed_is_told_of(make_config: Make, tmp_path: Path) -> None:
    async with house(make_config, tmp_path) as made:
        process = start(tmp_path, *arguments(tmp_path, epochs=100_000)[1:])
        await until(lambda: last_runs(made.database, 1))
        await made.schedule.look_around()
        assert not made.told
        process.kill()
        await asyncio.to_thread(finish, process)
        await until(lambda: made.told)
        assert "止まりました" in made.told[0][1]
        (run,) = last_runs(made.database, 5)
        assert (run.state, run.message) == ("stopped", RUN_KILLED)


async def test_a_run_that_hangs_is_killed_at_its_limit(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OVER_LIMIT_S", 0.5)
    monkeypatch.setattr(children, "STOP_S", 0.5)
    async with house(make_config, tmp_path, retrain={"time_limit_s": 3600.0}) as made:
        running = asyncio.create_task(made.schedule.retrain("page", *arguments(tmp_path, epochs=100_000)))
        await until(lambda: last_runs(made.database, 1))
        process = child(made)
        assert process is not None
        process.suspend()  # answers nothing any more
        waiting = made.schedule._process
        assert waiting is not None
        await children.end(waiting, 0.5)
        assert await running == -signal.SIGKILL
        (run,) = last_runs(made.database, 5)
        assert run.state == "stopped"


async def test_the_limit_ends_a_run_from_outside(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OVER_LIMIT_S", -0.9)  # before the child itself would
    async with house(make_config, tmp_path, retrain={"time_limit_s": 1.0}) as made:
        code = await made.schedule.retrain("page", *arguments(tmp_path, epochs=100_000))
        assert code in (1, -signal.SIGTERM)
        assert not made.schedule.running


async def test_the_clock_starts_a_run(make_config: Make, tmp_path: Path) -> None:
    async with house(make_config, tmp_path) as made:
        upcoming = made.schedule.next_run
        assert upcoming is not None
        assert (upcoming.month, upcoming.hour, upcoming.minute) == (1, 3, 30)
        assert upcoming.utcoffset() == timedelta(hours=9)
        made.schedule._scheduler.get_job("retrain").modify(next_run_time=now())
        await until(lambda: made.told)
        (run,) = last_runs(made.database, 5)
        assert (run.trigger, run.state, run.reason) == ("schedule", "kept", "too_few")
        assert "まだ足りません" in made.told[0][1]


async def test_of_two_bots_on_one_database_one_runs_for_an_hour_that_the_clock_names(
    make_config: Make,
    tmp_path: Path,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("BOKE__DATABASE__URL", postgres_url)  # for the runs
    caplog.set_level(logging.INFO)

    def on_its_machine(name: str) -> AbstractAsyncContextManager[House]:
        folder = tmp_path / name
        folders = {"data": {"dir": folder / "data"}, "models": {"dir": folder / "models"}}
        return house(make_config, folder, database={"url": postgres_url}, **folders)

    async with on_its_machine("one") as one, on_its_machine("other") as other:
        hour = now()
        for made in (one, other, one):
            await until(lambda: not one.schedule.running)  # it looks around once more after a run has ended
            made.schedule._scheduler.get_job("retrain").modify(next_run_time=hour)
            await until(lambda: caplog.text.count("retrain: ended") + caplog.text.count("another bot has taken") == 1)
            caplog.clear()
            assert [run.trigger for run in last_runs(one.database, 5)] == ["schedule"]
        other.schedule._scheduler.get_job("retrain").modify(next_run_time=hour + timedelta(seconds=1))
        await until(lambda: "retrain: ended" in caplog.text)
        assert len(last_runs(one.database, 5)) == 2


async def test_a_bot_that_leaves_in_the_middle_of_its_work_by_the_clock_does_so_quietly(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The scheduler calls whatever it runs off, and would write that down as a failure with its traceback."""
    begun, go_on = threading.Event(), threading.Event()

    def look(*_: object) -> int:
        begun.set()
        go_on.wait(30)
        return 0

    monkeypatch.setattr(module, "close_gone_runs", look)
    async with house(make_config, tmp_path):
        assert await asyncio.to_thread(begun.wait, 30)
    go_on.set()
    await asyncio.sleep(0.1)  # for what is left of the job
    assert not [record for record in caplog.records if record.exc_info or "raised" in record.message]


async def test_where_it_is_off_the_clock_starts_nothing(make_config: Make, tmp_path: Path) -> None:
    async with house(make_config, tmp_path, retrain={"enabled": False}) as made:
        assert made.schedule.next_run is None


async def test_a_model_that_does_not_load_is_refused_once_and_the_next_is_taken(
    make_config: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(make_config, tmp_path) as made:
        before = made.inference.digest
        bad = publish(
            made.config.models.dir, load_bundle(tiny_bundle(tmp_path / "made", 1)), "20240102-000000-00000000", 5
        )
        (bad / "decoder.npz").write_bytes(b"damaged")
        await until(lambda: "could not be loaded" in caplog.text)
        for _ in range(5):
            await made.schedule.look_around()
        assert caplog.text.count("could not be loaded") == 1
        assert made.inference.digest == before
        assert isinstance(await made.inference.answer(Job(CAT)), Answered)
        publish(made.config.models.dir, load_bundle(tiny_bundle(tmp_path / "made", 2)), "20240103-000000-00000000", 5)
        await until(lambda: made.inference.digest != before)
        assert made.inference.digest == load_bundle(made.config.models.dir / "current").digest


async def test_old_answers_and_events_are_erased(make_config: Make, tmp_path: Path) -> None:
    async with house(make_config, tmp_path) as made:
        fields = {"platform": "web", "channel_id": "1", "picture_key": "k", "text": "t", "score": 0.0, "mode": "boke"}
        old = add_answer(
            made.database,
            NewAnswer(**fields, model="m", encoder="e", created=now() - timedelta(days=91)),  # type: ignore[arg-type]
        )
        new = add_answer(made.database, NewAnswer(**fields, model="m", encoder="e", consent=True))  # type: ignore[arg-type]
        add_picture(made.database, new.public_id, b"jpeg", FeedLimits(days=30, pictures=1))
        mark_seen(made.database, "slack", "C1", "1")
        await made.schedule.clean()
        assert get_picture(made.database, new.public_id) == b"jpeg"
        with made.database.session() as session:
            session.execute(update(FeedPicture).values(created=now() - timedelta(days=31)))
        await made.schedule.clean()
        assert get_picture(made.database, new.public_id) is None
        assert get_answer(made.database, old.public_id) is None
        assert get_answer(made.database, new.public_id) is not None
        assert not mark_seen(made.database, "slack", "C1", "1")  # a week has not passed


async def test_a_run_by_hand_is_told_of_once(make_config: Make, tmp_path: Path) -> None:
    async with house(make_config, tmp_path) as made:
        run = start_run(made.database, "hand", "default")
        update_run(made.database, run, state="failed", message="the disk is full", ended=now())
        old = start_run(made.database, "hand", "default")
        update_run(made.database, old, state="failed", message="long ago", ended=now() - timedelta(days=2))
        await until(lambda: made.told)
        await made.schedule.look_around()
        ((_, text),) = made.told
        assert "the disk is full" in text


def test_lines_about_runs() -> None:
    begun = now()
    stages = ({"name": "corpus", "reason": "nothing_new"},)
    kept = RunRecord(1, "hand", "kept", "r", "m", stages, {}, {}, None, None, begun, begun + timedelta(minutes=3))
    assert describe_run(kept, "ja") == "今のモデルのまま続けます。前回から新しいボケが増えていません。所要 3 分。"
    assert describe_run(kept, "en") == "The model stays as it is. nothing new to learn from. 3 min."
    figures = ({"bits_per_char": 1.4567}, {"bits_per_char": 1.5})
    new = RunRecord(1, "hand", "published", "r", "m", (), *figures, None, None, begun, begun + timedelta(minutes=40))
    assert describe_run(new, "ja") == "新しいモデルに切り替えました。1文字 1.457 ビット、今までは 1.500。所要 40 分。"


async def test_announcements_go_to_one_platform_only() -> None:
    told: list[tuple[str, str]] = []

    async def send(channel: str, text: str) -> None:
        told.append((channel, text))

    async def broken(channel: str, text: str) -> None:
        raise OSError("no network")

    nobody = Announcements("")
    nobody.register("discord", send)
    assert not await nobody.announce("x")
    owner = Announcements("discord:12")
    assert not await owner.announce("x")
    owner.register("slack", send)
    assert not owner.ready
    owner.register("discord", send)
    assert await owner.announce("x")
    assert told == [("12", "x")]
    owner.register("discord", broken)
    assert not await owner.announce("x")


async def test_the_whole_bot_swaps_without_a_restart(tmp_path: Path) -> None:
    publish(tmp_path / "models", load_bundle(tiny_bundle(tmp_path / "made", 0)), "20240101-000000-00000000", 5)
    corpus, recipe = write_corpus(tmp_path), write_recipe(tmp_path)
    with run_bot(tmp_path, BOKE__INFERENCE__RELOAD_CHECK_S="0.1", BOKE__RETRAIN__MIN_JOKES="20") as bot:
        async with aiohttp.ClientSession() as client:

            async def model() -> str:
                form = aiohttp.FormData()
                form.add_field("image", CAT, filename="cat.jpg")
                async with client.post(f"{bot.url}/api/boke", data=form) as answer:
                    assert answer.status == 200, await answer.text()
                    return str((await answer.json())["model"])

            before = await model()
            process = start(tmp_path, "--import", str(corpus), "--recipe", str(recipe), "--force-publish")
            code, _, err = await asyncio.to_thread(finish, process)
            assert code == 0, err
            live = load_bundle(tmp_path / "models" / "current").digest
            assert live != before
            while await model() == before:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            assert await model() == live
        assert bot.stop() == 0


def test_a_place_without_a_published_model_is_the_starter(make_config: Make) -> None:
    assert model_place(make_config()) == ModelPlace(encoder="efficientnet-lite0")
