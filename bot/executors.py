"""Where the worker's functions run: in a process of its own on this machine, or on a dask cluster.

`new_executor` is the one place that chooses; for everybody else it is an `Executor` that can be let go.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from bot import worker

if TYPE_CHECKING:
    from bot.inference import EngineSettings


class WorkerExecutor(Protocol):
    """An Executor for the functions of `bot.worker`."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]: ...

    def leave(self, pid: int | None, *, hung: bool) -> None:
        """Let go at once of whatever is being done; what waits ends in BrokenExecutor.

        Args:
            pid: what `worker.pid` said, if it did.
            hung: the worker is silent, so that it must be got rid of.
        """


class WorkerProcess(ProcessPoolExecutor):
    """One process: a crash costs what this one was doing and no more."""

    def __init__(self, settings: EngineSettings, backend: str) -> None:
        arguments = (settings.threads_each, backend, settings.log_level, settings.log_format)
        super().__init__(1, multiprocessing.get_context("spawn"), worker.initialize, arguments)

    def leave(self, pid: int | None, *, hung: bool) -> None:
        for process in [*(self._processes or {}).values()]:  # also one that hung before it could say its pid
            process.kill()
        self.shutdown(wait=False)


def new_executor(settings: EngineSettings, backend: str) -> WorkerExecutor:
    """What a slot runs its pictures on. Raises BrokenExecutor where the cluster cannot be reached; it may take a while."""
    if settings.cluster is None:
        return WorkerProcess(settings, backend)
    from bot.cluster import ModelCluster

    return ModelCluster(settings.cluster, settings.start_timeout)
