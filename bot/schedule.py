"""The nightly retrain as a child process of low priority, and what else the bot does by the clock.

The bot answers pictures all the while. It finds a new model by `models/current` itself, whoever published it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any

from apscheduler.events import EVENT_JOB_SUBMITTED, JobSubmissionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from bot import children
from bot.announcements import Announcements, describe_run
from bot.clock import ClockWatch
from bot.inference import Inference, ModelRejected
from bot.worker import ModelPlace
from store.answers import erase_older
from store.config import Config
from store.database import Database
from store.errors import StoreError
from store.events import mark_seen, prune_seen
from store.feed import FeedLimits, erase_old_pictures
from store.runs import RUN_KILLED, close_gone_runs, take_announcements

log = logging.getLogger(__name__)

MISFIRE_GRACE_S = 3600  # a bot that was asleep at the hour starts the run when it wakes, this much later at most
OVER_LIMIT_S = 60.0  # the child keeps the time limit itself; this much later it is stopped from outside
CLOCK_S = 30.0  # between two looks at whether the clock was set back
WIND_UP_S = 30.0  # for a run that its owner stops; a bot that leaves has not so much time


class AlreadyRunning(Exception):
    """This bot's run is still going on."""


class Every(IntervalTrigger):
    """An interval that leaves out what was missed, instead of counting through it: a clock that had stood at 1970 is set
    forward by hundreds of millions of such intervals, and the bot would answer nobody for half an hour.
    """

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        moment: datetime = now + self.interval
        return moment


def _until_left(work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], Coroutine[Any, Any, None]]:
    """Work for the scheduler, which takes it for a failure, traceback and all, when the bot leaves meanwhile."""

    @wraps(work)
    async def job() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await work()

    return job


class Schedule:
    """Everything the bot does by the clock."""

    def __init__(
        self,
        config: Config,
        database: Database,
        inference: Inference,
        announcements: Announcements,
        place: Callable[[], ModelPlace],
        config_file: Path | None = None,
    ) -> None:
        """`place` says which model should be live now; `config_file` is handed to the child."""
        self.config, self.database = config, database
        self._inference, self._announcements, self._place = inference, announcements, place
        self._config_file = config_file
        self._scheduler = AsyncIOScheduler(timezone=config.retrain.timezone)
        self._due = datetime.now(self._scheduler.timezone)  # the hour for which the last nightly run was started
        self._process: asyncio.subprocess.Process | None = None
        self._starting = False
        self._told_to_stop = False
        self._refused: ModelPlace | None = None  # a model that did not load is not tried again
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Start the clock."""
        once = {"coalesce": True, "max_instances": 1}
        retrain = self.config.retrain
        if retrain.enabled:
            trigger = CronTrigger.from_crontab(retrain.cron, timezone=retrain.timezone)
            grace = MISFIRE_GRACE_S
            self._scheduler.add_job(_until_left(self._nightly), trigger, id="retrain", misfire_grace_time=grace, **once)
            self._scheduler.add_listener(self._note_due, EVENT_JOB_SUBMITTED)
        zone = self._scheduler.timezone
        often, daily = Every(seconds=self.config.inference.reload_check_s, timezone=zone), Every(days=1, timezone=zone)
        self._scheduler.add_job(_until_left(self.look_around), often, id="look", misfire_grace_time=None, **once)
        soon = datetime.now(zone) + timedelta(minutes=1)
        self._scheduler.add_job(
            _until_left(self.clean), daily, id="clean", misfire_grace_time=None, next_run_time=soon, **once
        )
        self._scheduler.start()
        self._keep(self._watch_clock(ClockWatch()))

    async def stop(self) -> None:
        """Stop the clock, and the run with it; what the run had done by then is continued by the next."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        if self._process is not None:
            await children.end(self._process)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def running(self) -> bool:
        """Is a run of this bot going on?"""
        return self._starting or self._process is not None

    @property
    def stopping(self) -> bool:
        """Was the run that is going on told to end?"""
        return self._told_to_stop

    @property
    def next_run(self) -> datetime | None:
        """When the clock starts the next run; None: never."""
        job = self._scheduler.get_job("retrain")
        return job.next_run_time if job else None

    def begin(self, trigger: str = "page", *arguments: str) -> None:
        """Start a run now, beside the schedule, and do not wait for its end. Raises AlreadyRunning."""
        if self.running:
            raise AlreadyRunning("a run is going on")
        self._starting = True
        self._keep(self.retrain(trigger, *arguments))

    def end_run(self) -> bool:
        """Tell this bot's run to end, and do not wait for it. It notes where it stopped, and the next goes on from there.

        False: none is going on, or it is another process's. Told again, a run that is ending is left in peace.
        """
        if not self.running:
            return False
        if not self._told_to_stop:
            self._told_to_stop = True
            if self._process is not None:
                self._keep(children.end(self._process, WIND_UP_S))
        return True

    async def _watch_clock(self, clock: ClockWatch) -> None:
        """The scheduler waits for times of the clock. One that is set back leaves them far away, by a year perhaps."""
        while True:
            await asyncio.sleep(CLOCK_S)
            back = clock.set_back()
            if back:
                log.warning("the clock was set back by %.0f s: everything is planned anew", back)
                moment = datetime.now(self._scheduler.timezone)
                for job in self._scheduler.get_jobs():
                    nightly = job.id == "retrain"  # its hour may come once more: it was claimed, then
                    job.modify(next_run_time=job.trigger.get_next_fire_time(None, moment) if nightly else moment)

    def _keep(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def retrain(self, trigger: str, *arguments: str) -> int:
        """Run `python -m training.retrain` as a child and wait for it; returns its exit code (negative: a signal)."""
        self._starting = True
        try:
            command = ["--trigger", trigger, *arguments]
            if self._config_file is not None:
                command += ["--config", str(self._config_file)]
            process = await children.start_module("training.retrain", *command)
            self._process = process
        finally:
            self._starting = False
            self._told_to_stop = self._told_to_stop and self._process is not None
        log.info("retrain: started as process %s", process.pid)
        try:
            if self._told_to_stop:
                self._keep(children.end(process, WIND_UP_S))
            return await self._follow(process)
        finally:
            await children.end(process)
            self._process, self._told_to_stop = None, False

    async def _follow(self, process: asyncio.subprocess.Process) -> int:
        limit = self.config.retrain.time_limit_s
        reading = asyncio.create_task(_log_lines(process))
        try:
            code = await asyncio.wait_for(process.wait(), limit + OVER_LIMIT_S if limit else None)
        except TimeoutError:
            log.error("retrain: over its time limit of %.0f s", limit)
            await children.end(process)
            code = await process.wait()
        finally:
            await asyncio.wait({reading}, timeout=children.STOP_S)
            reading.cancel()
        log.info("retrain: ended with %s", code)
        with contextlib.suppress(StoreError):  # the next run finds it as well
            message = RUN_KILLED if code < 0 else f"the run ended with {code}"
            await asyncio.to_thread(close_gone_runs, self.database, message)
        await self.look_around()
        return code

    def _note_due(self, event: JobSubmissionEvent) -> None:
        if event.job_id == "retrain":
            self._due = event.scheduled_run_times[-1]

    async def _nightly(self) -> None:
        if self.running:
            log.warning("retrain: the run before is still going on")
            return
        if not await self._elected():
            log.info("retrain: another bot has taken this night's run")
            return
        try:
            await self.retrain("schedule")
        except OSError as error:
            log.error("retrain: cannot be started: %s", error)

    async def _elected(self) -> bool:
        """Of all bots on one database, one runs for each hour that the clock names.

        The run's own lock would not do: a night without news is over in a second, and a bot that is a second late had
        crawled and told its owner once more.
        """
        hour = self._due.astimezone(UTC).isoformat(timespec="seconds")
        try:
            return await asyncio.to_thread(mark_seen, self.database, "clock", "retrain", hour)
        except StoreError as error:
            log.warning("retrain: the night's run cannot be claimed, so the lock decides: %s", error)
            return True

    async def look_around(self) -> None:
        """Take up a new model, and tell the owner of runs that ended, be they killed."""
        await self._take_up()
        try:
            await asyncio.to_thread(close_gone_runs, self.database, RUN_KILLED)
            if not self._announcements.ready:
                return
            for run in await asyncio.to_thread(take_announcements, self.database):
                await self._announcements.announce(describe_run(run, self.config.chat.language))
        except StoreError as error:
            log.warning("runs that ended cannot be read: %s", error)

    async def _take_up(self) -> None:
        place = self._place()
        if place.folder == self._inference.place.folder or place == self._refused:
            return
        try:
            await self._inference.reload(place)
            self._refused = None
        except ModelRejected as error:
            self._refused = place
            log.error("%s", error)

    async def clean(self) -> None:
        """Erase what is older than it may be."""
        began = time.monotonic()
        try:
            events = await asyncio.to_thread(prune_seen, self.database)
            answers = await asyncio.to_thread(erase_older, self.database, self.config.privacy.retention_days)
            web = self.config.web
            limits = FeedLimits(web.feed_days, web.feed_pictures if web.feed_consent else 0)
            pictures = await asyncio.to_thread(erase_old_pictures, self.database, limits)
        except StoreError as error:
            log.warning("old answers are not erased: %s", error)
            return
        if events or answers or pictures:
            spent = time.monotonic() - began
            log.info("erased %d answers, %d pictures and %d events in %.1f s", answers, pictures, events, spent)


async def _log_lines(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    while True:
        try:
            line = await process.stdout.readline()
        except ValueError:  # a line without end
            continue
        if not line:
            return
        if text := line.decode(errors="replace").rstrip():
            log.info("retrain: %s", text)
