"""The clock jumps over the hour of the nightly run. To the schedule that is a run whose time lies elsewhere than it thought."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from store.config import Config
from store.runs import last_runs
from store.types import now
from tests.bot.test_schedule import House, house, until


def jump(made: House, by: timedelta) -> None:
    """As if the clock had been set: the run was due so long ago, or is that far away."""
    made.schedule._scheduler.get_job("retrain").modify(next_run_time=now() - by)


async def test_forward_by_less_than_an_hour_the_run_starts_at_once_and_once(
    make_config: Callable[..., Config], tmp_path: Path
) -> None:
    async with house(make_config, tmp_path) as made:
        jump(made, timedelta(minutes=59))
        await until(lambda: made.told)
        (run,) = last_runs(made.database, 5)
        assert run.trigger == "schedule"
        upcoming = made.schedule.next_run
        assert upcoming is not None
        assert upcoming > now()


async def test_forward_by_more_the_night_is_left_out_and_the_next_one_is_planned(
    make_config: Callable[..., Config], tmp_path: Path
) -> None:
    async with house(make_config, tmp_path) as made:
        jump(made, timedelta(hours=3))
        await until(lambda: made.schedule.next_run is not None and made.schedule.next_run > now())
        assert not made.schedule.running
        assert last_runs(made.database, 5) == ()


async def test_back_over_a_run_that_was_there_no_second_one_starts(
    make_config: Callable[..., Config], tmp_path: Path
) -> None:
    async with house(make_config, tmp_path) as made:
        jump(made, timedelta())
        await until(lambda: made.told)
        planned = made.schedule.next_run
        assert planned is not None
        made.schedule._scheduler.wakeup()  # the clock says an hour less now, and the run's time lies ahead as before
        assert made.schedule.next_run == planned > now() + timedelta(hours=1)
        assert len(last_runs(made.database, 5)) == 1
