"""The workers: a bounded queue in front, batches, replacement of what dies or hangs, models swapped between batches.

Each slot has an `Executor` of its own (`bot.executors`): a spawned process, or a place on a cluster, so that a crash costs one
slot's batch and no more. A batch whose worker was lost is tried once more, picture by picture, so that one bad picture cannot
take others with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from bot import worker
from bot.executors import WorkerExecutor, new_executor
from bot.worker import Answered, CardJob, Job, ModelFacts, ModelPlace, Refused, ThumbnailJob
from store.sections import Engine

log = logging.getLogger(__name__)
T = TypeVar("T")


class InferenceError(Exception):
    """Base of what keeps a picture from being answered here."""


class QueueFull(InferenceError):
    """As many pictures wait as may wait."""


class WorkerLost(InferenceError):
    """The worker died or hung on this picture, twice."""


class NoWorker(InferenceError):
    """No worker is up, or the bot is leaving."""


class ModelRejected(InferenceError):
    """The new model could not be loaded; the old one stays."""


@dataclass(frozen=True)
class EngineSettings:
    """How the workers are run; times in seconds."""

    workers: int = 1
    threads: int = 0  # for each worker; 0 shares the cores out evenly
    queue_size: int = 128
    batch_size: int = 8
    batch_wait: float = 0.005
    timeout: float = 30.0  # for one batch
    start_timeout: float = 120.0
    drain: float = 6.0  # at the end, for what waits
    log_level: str = "warning"
    log_format: str = "text"
    cluster: Engine | None = None  # where pictures are answered on a cluster; `workers` of them at a time

    @property
    def threads_each(self) -> int:
        """On a cluster 1: its machines have as many workers as cores."""
        if self.cluster is not None:
            return self.threads or 1
        return self.threads or max(1, (os.cpu_count() or 1) // max(1, self.workers))


@dataclass
class _Waiting:
    job: Job
    result: asyncio.Future[Answered | Refused]
    since: float = field(default_factory=time.perf_counter)


class _Slot:
    """One worker and its executor."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.executor: WorkerExecutor | None = None
        self.pid: int | None = None
        self.digest = ""

    async def start(self, place: ModelPlace) -> str:
        """Have a worker load the model; returns the model's digest. Raises BrokenExecutor where there is no worker."""
        patience = self.settings.start_timeout
        self.executor = await asyncio.to_thread(new_executor, self.settings, place.backend)
        try:
            try:
                self.pid = await self.call(worker.pid, timeout=patience)
            except TimeoutError:
                raise BrokenExecutor(f"no worker has answered in {patience:g} s") from None
            self.digest = await self.call(worker.load, place, timeout=patience)
        except BaseException:
            self.leave(hung=True)
            raise
        return self.digest

    async def call(self, function: Callable[..., T], *args: Any, timeout: float) -> T:  # noqa: ASYNC109
        """Run a function of `bot.worker` there. Raises BrokenExecutor, TimeoutError, or what the function raised."""
        if self.executor is None:
            raise BrokenExecutor("no worker")
        future = asyncio.get_running_loop().run_in_executor(cast(Executor, self.executor), function, *args)
        future.add_done_callback(_noticed)
        # Never cancelled: an executor that breaks stumbles over futures that were, and the rest would never hear of it.
        done, _ = await asyncio.wait({future}, timeout=timeout)
        if not done:
            raise TimeoutError(f"no answer in {timeout:g} s")
        return future.result()

    @property
    def up(self) -> bool:
        return self.executor is not None and bool(self.digest)

    def leave(self, *, hung: bool) -> None:
        """Let go of the worker, whatever it is doing; `hung` where that takes too long."""
        executor, pid = self.executor, self.pid
        self.executor, self.pid, self.digest = None, None, ""
        if executor is not None:
            executor.leave(pid, hung=hung)  # what was still to be done there ends in BrokenExecutor


def _named(batch: list[_Waiting]) -> str:
    return "pictures " + ", ".join(waiting.job.id or "?" for waiting in batch)


def _noticed(future: asyncio.Future[Any]) -> None:
    """Nobody may be waiting any more: an error is then no news."""
    if not future.cancelled():
        future.exception()


class Inference:
    """Answers pictures with the model that is current; see the module's first lines."""

    def __init__(self, settings: EngineSettings, place: ModelPlace, fallback: ModelPlace | None = None) -> None:
        """`fallback` is loaded where `place` cannot be (the starter, where models/current is damaged)."""
        self.settings = settings
        self.place = replace(place, threads=settings.threads_each)
        self.fallback = replace(fallback, threads=settings.threads_each) if fallback else None
        self.digest = ""
        self.restarts = 0
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(settings.queue_size)
        self._slots = [_Slot(settings) for _ in range(max(1, settings.workers))]
        self._tasks: list[asyncio.Task[None]] = []
        self._swap = asyncio.Lock()
        self._closing = False

    async def start(self) -> None:
        """Start the workers. Raises ModelRejected where neither the model nor the fallback loads."""
        try:
            await self._start_slot(self._slots[0])
        except Exception as error:
            raise ModelRejected(f"no model could be loaded: {error}") from error
        self._tasks = [asyncio.create_task(self._serve(slot), name=f"slot-{i}") for i, slot in enumerate(self._slots)]

    @property
    def up(self) -> bool:
        """Does at least one worker hold a model?"""
        return any(slot.up for slot in self._slots) and not self._closing

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    @property
    def pids(self) -> list[int]:
        return [slot.pid for slot in self._slots if slot.pid is not None]

    async def answer(self, job: Job) -> Answered | Refused:
        """Answer one picture. Raises QueueFull, NoWorker, WorkerLost."""
        if self._closing:
            raise NoWorker("the bot is leaving")
        waiting = _Waiting(job, asyncio.get_running_loop().create_future())
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise QueueFull(f"{self.settings.queue_size} pictures are waiting") from None
        log.debug("queued, %d wait", self._queue.qsize(), extra={"picture": job.id})
        return await waiting.result

    async def draw(self, job: CardJob | ThumbnailJob) -> bytes | Refused:
        """Draw in a worker, between two batches. Raises NoWorker, WorkerLost."""
        slot = next((slot for slot in self._slots if slot.up), None)
        if slot is None or self._closing:
            raise NoWorker("no worker is up to draw a card")
        for _ in range(2):
            executor = slot.executor
            try:
                return await slot.call(worker.draw, job, timeout=self.settings.timeout)
            except (BrokenExecutor, TimeoutError) as error:
                self._lost(slot, executor, "a card", error)
            if self._closing:
                break
            try:
                await self._start_slot(slot)
            except Exception as error:
                log.error("a worker does not start: %s", error)
                raise NoWorker("no worker could be started") from None
        raise WorkerLost("the worker was lost on a card twice")

    async def reload(self, place: ModelPlace) -> str:
        """Load a model beside the current one in every worker, then swap between two batches; returns its digest.

        Raises ModelRejected; the old model then goes on serving.
        """
        place = replace(place, threads=self.settings.threads_each)
        async with self._swap:
            loaded = []
            try:
                for slot in self._slots:
                    if slot.up:
                        loaded.append(await slot.call(worker.load, place, timeout=self.settings.start_timeout))
            except Exception as error:
                raise ModelRejected(f"the new model could not be loaded, the old one stays: {error}") from error
            if not loaded:
                raise ModelRejected("no worker is up to load it")
            self.place, self.digest = place, loaded[0]
            for slot in self._slots:
                if slot.up:
                    slot.digest = self.digest
                    with contextlib.suppress(Exception):  # it will be replaced by its own loop if it is gone
                        await slot.call(worker.keep, self.digest, timeout=self.settings.start_timeout)
            log.info("model %s is live", self.digest[:12])
            return self.digest

    async def probe(self, seconds: float = 5.0) -> bool:
        """Does a worker answer right now? One that is found dead is replaced, though no picture waits."""
        for slot in self._slots:
            if self._closing or not slot.up:
                continue
            executor = slot.executor
            try:
                await slot.call(worker.pid, timeout=seconds)
                return True
            except BrokenExecutor as error:
                if self._lost(slot, executor, "nothing", error):
                    self._tasks.append(asyncio.create_task(self._revive(slot)))
            except TimeoutError:
                log.warning("worker %s is silent", slot.pid)
        return False

    async def facts(self) -> ModelFacts:
        """What the current model is. Raises NoWorker."""
        for slot in self._slots:
            if slot.up:
                with contextlib.suppress(BrokenExecutor, TimeoutError, KeyError):
                    return await slot.call(worker.facts, slot.digest, timeout=self.settings.timeout)
        raise NoWorker("no worker is up to say")

    async def stop(self, drain: float | None = None) -> None:
        """Take nothing more, finish what waits (within `drain` seconds, or the settings'), let the workers go."""
        self._closing = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._queue.join(), self.settings.drain if drain is None else drain)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while not self._queue.empty():
            self._fail(self._queue.get_nowait(), NoWorker("the bot is leaving"))
        for slot in self._slots:
            slot.leave(hung=False)

    async def _start_slot(self, slot: _Slot) -> None:
        async with self._swap:
            if slot.up:  # somebody else was faster
                return
            try:
                digest = await slot.start(self.place)
            except BrokenExecutor:
                raise
            except Exception as error:
                if self.fallback is None or self.fallback == self.place:
                    raise
                log.error("the model does not load, taking the one that ships instead: %s", error)
                digest = await slot.start(self.fallback)
            if self.digest and digest != self.digest:
                log.warning("a new worker holds model %s, the others %s", digest[:12], self.digest[:12])
            self.digest = self.digest or digest

    def _lost(self, slot: _Slot, executor: WorkerExecutor | None, on: str, error: Exception) -> bool:
        """Let go of a process that died or hangs. False: somebody noticed before and it was replaced meanwhile."""
        if executor is None or slot.executor is not executor:
            return False
        self.restarts += 1
        log.warning("worker %s lost on %s (%s); starting another", slot.pid, on, type(error).__name__)
        slot.leave(hung=isinstance(error, TimeoutError))
        return True

    async def _revive(self, slot: _Slot) -> None:
        try:
            await self._start_slot(slot)
        except Exception as error:  # the next picture tries again
            log.error("a worker does not start: %s", error)

    async def _serve(self, slot: _Slot) -> None:
        delay = 0.1
        while True:
            if not slot.up:
                try:
                    await self._start_slot(slot)
                    delay = 0.1
                except Exception as error:
                    log.error("a worker does not start, trying again in %.1f s: %s", delay, error)
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, 30.0)
                    continue
            batch: list[_Waiting] = []
            try:
                await self._fill(batch)
                await self._run(slot, [waiting for waiting in batch if not waiting.result.done()])
            except asyncio.CancelledError:
                for waiting in batch:
                    self._fail(waiting, NoWorker("the bot is leaving"))
                raise
            finally:
                for _ in batch:
                    self._queue.task_done()

    async def _fill(self, batch: list[_Waiting]) -> None:
        """The next picture, and those that come within `batch_wait` of its arrival."""
        batch.append(await self._queue.get())
        deadline = batch[0].since + self.settings.batch_wait
        while len(batch) < self.settings.batch_size:
            with contextlib.suppress(asyncio.QueueEmpty):
                batch.append(self._queue.get_nowait())
                continue
            left = deadline - time.perf_counter()
            if left <= 0:
                break
            try:
                batch.append(await asyncio.wait_for(self._queue.get(), left))
            except TimeoutError:
                break

    async def _run(self, slot: _Slot, batch: list[_Waiting]) -> None:
        for waiting in batch:
            log.debug("to worker %s", slot.pid, extra={"picture": waiting.job.id})
        if slot.up and await self._try(slot, batch):
            return
        for waiting in batch:
            if not slot.up:
                try:
                    await self._start_slot(slot)
                except Exception as error:
                    log.error("a worker does not start: %s", error)
                    for other in batch:
                        self._fail(other, NoWorker("no worker could be started"))
                    return
            if not await self._try(slot, [waiting]):
                self._fail(waiting, WorkerLost("the worker was lost on this picture twice"))

    async def _try(self, slot: _Slot, batch: list[_Waiting]) -> bool:
        """One attempt; False where the worker was lost."""
        if not batch:
            return True
        executor = slot.executor
        try:
            results = await slot.call(
                worker.answer, [waiting.job for waiting in batch], slot.digest, timeout=self.settings.timeout
            )
        except Exception as error:
            if not isinstance(
                error, BrokenExecutor | TimeoutError
            ):  # without memory, or a bug: another one may do better
                log.exception("the worker could not answer %s", _named(batch))
            self._lost(slot, executor, _named(batch), error)
            return False
        for waiting, result in zip(batch, results, strict=True):
            if not waiting.result.done():
                waiting.result.set_result(result)
        return True

    @staticmethod
    def _fail(waiting: _Waiting, error: InferenceError) -> None:
        if not waiting.result.done():
            waiting.result.set_exception(error)
