"""The machine's clock is set while the bot runs: over the hour of the nightly run, back over it, and back by a year."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from apscheduler.executors import base as executors  # type: ignore[import-untyped]
from apscheduler.schedulers import base as schedulers  # type: ignore[import-untyped]
from apscheduler.triggers import interval  # type: ignore[import-untyped]

from bokemodel.bundle import load_bundle
from bot import schedule as module
from bot.clock import ClockWatch
from bot.limits import Limit, RateLimits
from store.config import Config
from store.runs import last_runs
from tests.bot.test_schedule import House, house, until
from tests.bundles import tiny_bundle
from training.publish import publish

YEAR = timedelta(days=365)
Make = Callable[..., Config]


class Clock:
    """What the bot and its scheduler read in the place of the machine's clock; nobody may set that one in a test."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self._time = time.time

    def time(self) -> float:
        return self._time() + self.ahead.total_seconds()

    def now(self, zone: tzinfo | None = UTC) -> datetime:
        return datetime.fromtimestamp(self.time(), zone)

    def set_to(self, moment: datetime) -> None:
        self.ahead = moment - datetime.fromtimestamp(self._time(), UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return made.now(tz)

    monkeypatch.setattr(time, "time", made.time)
    monkeypatch.setattr(module, "CLOCK_S", 0.02)
    for place in (schedulers, executors, interval, module):
        monkeypatch.setattr(place, "datetime", Shifted)
    return made


def due(made: House) -> datetime:
    moment = made.schedule.next_run
    assert moment is not None
    return moment


async def test_forward_by_less_than_an_hour_the_run_starts_at_once_and_once(
    make_config: Make, tmp_path: Path, clock: Clock
) -> None:
    async with house(make_config, tmp_path) as made:
        hour = due(made)
        clock.set_to(hour + timedelta(minutes=59))
        await until(lambda: made.told)
        (run,) = last_runs(made.database, 5)
        assert run.trigger == "schedule"
        assert due(made) > hour


async def test_forward_by_more_the_night_is_left_out_and_the_next_one_is_planned(
    make_config: Make, tmp_path: Path, clock: Clock
) -> None:
    async with house(make_config, tmp_path) as made:
        hour = due(made)
        clock.set_to(hour + timedelta(hours=3))
        await until(lambda: due(made) > hour)
        assert not made.schedule.running
        assert last_runs(made.database, 5) == ()


async def test_back_over_a_run_that_was_there_no_second_one_starts(
    make_config: Make, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with house(make_config, tmp_path) as made:
        hour = due(made)
        clock.set_to(hour + timedelta(seconds=1))
        await until(lambda: made.told and not made.schedule.running)
        clock.set_to(hour - timedelta(hours=1))
        await until(lambda: due(made) == hour)  # it lies ahead once more
        clock.set_to(hour + timedelta(seconds=1))
        await until(lambda: "has taken this night's run" in caplog.text)
        assert len(last_runs(made.database, 5)) == 1


async def test_back_by_a_year_it_goes_on_at_once(
    make_config: Make, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A machine that woke with a wrong clock, until the network told it the time."""
    clock.ahead = 2 * YEAR
    async with house(make_config, tmp_path) as made:
        before = made.inference.digest
        clock.ahead = timedelta()
        await until(lambda: "the clock was set back by" in caplog.text)
        assert clock.now() < due(made) < clock.now() + YEAR + timedelta(days=1)
        bundle = load_bundle(tiny_bundle(tmp_path / "made", 1))
        publish(made.config.models.dir, bundle, "20240102-000000-00000000", 5)
        await until(lambda: made.inference.digest != before)  # it still looks for new models
        clock.set_to(due(made))
        await until(lambda: made.told)
        assert len(last_runs(made.database, 5)) == 1


def test_back_by_a_year_nobody_waits_a_year_for_an_answer(clock: Clock) -> None:
    limits, limit = RateLimits(), Limit("user", "taro", 2)
    assert [limits.take(limit) for _ in range(2)] == [0, 0]
    clock.ahead = -YEAR
    assert [limits.take(limit) for _ in range(2)] == [0, 0]
    assert 0 < limits.take(limit) <= 60
    clock.ahead = YEAR
    assert limits.take(limit) == 0


def test_a_clock_that_is_not_set_back_is_left_alone(clock: Clock) -> None:
    watch = ClockWatch()
    clock.ahead = YEAR
    assert watch.set_back() == 0
    clock.ahead = YEAR - timedelta(seconds=0.5)  # as time servers do it
    assert watch.set_back() == 0
    clock.ahead = timedelta()
    assert watch.set_back() == pytest.approx((YEAR - timedelta(seconds=0.5)).total_seconds(), abs=1)
    assert watch.set_back() == 0
