"""Looks into models for their owner, in a process of its own: started when it is asked for, gone when it is idle.

The workers that answer people never load a second model for this, and never wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from typing import TypeVar

from bot import lab_worker, worker
from bot.inference import ModelRejected, QueueFull, WorkerLost
from bot.lab_worker import Opinion
from bot.worker import Job, ModelPlace, Refused

log = logging.getLogger(__name__)
T = TypeVar("T")

IDLE_S = 120.0  # after that its memory is given back
TIMEOUT_S = 120.0  # for one picture, models loaded included
WAITING = 4  # questions at once


class Lab:
    """One process that holds as many models as are compared."""

    def __init__(self, idle_s: float = IDLE_S, timeout_s: float = TIMEOUT_S) -> None:
        self._idle_s, self._timeout_s = idle_s, timeout_s
        self._one_at_a_time = asyncio.Lock()
        self._asked = 0
        self._executor: ProcessPoolExecutor | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self.pid: int | None = None

    async def look(self, places: Sequence[ModelPlace], job: Job) -> tuple[Opinion, ...] | Refused:
        """What each model says of the picture. Raises QueueFull, ModelRejected, WorkerLost."""
        if self._asked >= WAITING:
            raise QueueFull(f"{WAITING} pictures are being compared")
        self._asked += 1
        try:
            async with self._one_at_a_time:
                return await self._look(tuple(places), job)
        finally:
            self._asked -= 1

    def close(self) -> None:
        """Let the process go."""
        executor, pid = self._executor, self.pid
        self._executor, self.pid = None, None
        self._stay()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if executor is not None:
            executor.shutdown(wait=False)

    async def _look(self, places: tuple[ModelPlace, ...], job: Job) -> tuple[Opinion, ...] | Refused:
        self._stay()
        try:
            if self._executor is None:
                await self._start(places[0])
            return await self._call(lab_worker.look, places, job)
        except (BrokenExecutor, TimeoutError, OSError) as error:
            self.close()
            raise WorkerLost(f"the lab's process was lost ({type(error).__name__})") from error
        except Exception as error:  # what a bundle or an encoder has against being loaded
            raise ModelRejected(str(error)) from error
        finally:
            if self._executor is not None:
                self._leaving = asyncio.get_running_loop().call_later(self._idle_s, self._leave)

    async def _start(self, place: ModelPlace) -> None:
        context = multiprocessing.get_context("spawn")
        self._executor = ProcessPoolExecutor(1, context, lab_worker.initialize, (1, place.backend))
        self.pid = await self._call(worker.pid)
        log.info("lab: started as process %s", self.pid)

    async def _call(self, function: Callable[..., T], *args: object) -> T:
        assert self._executor is not None
        future = asyncio.get_running_loop().run_in_executor(self._executor, function, *args)
        done, _ = await asyncio.wait({future}, timeout=self._timeout_s)  # never cancelled: that may break an executor
        if not done:
            raise TimeoutError(f"no answer in {self._timeout_s:g} s")
        return future.result()

    def _stay(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    def _leave(self) -> None:
        log.info("lab: process %s was idle", self.pid)
        self.close()
