"""The dask cluster as an Executor that both bot and training use. Imported only where `engine.kind` is `dask`.

Dask's peers speak pickle to each other: whoever reaches the scheduler runs code on every worker. The cluster is for machines of
one owner, and TLS keeps the others out.

Not dask's own executor (`Client.get_executor`): it forgets a call whose worker died with the result in its hands when the second
attempt fails, too, and whoever waits for that call waits for ever, also at the end of the program.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import dask
from distributed import Client, KilledWorker, Security
from distributed.comm import CommClosedError

from store.sections import Engine

log = logging.getLogger(__name__)
T = TypeVar("T")

CALLS = 64  # that wait for their result at a time, a thread each
dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"})  # a picture may be large, and travels once
EVICT_S = 10.0  # for the nanny of a silent worker to kill it; after that the scheduler forgets both
CLOSE_S = 2.0
ASK_S = 2.0  # for a worker to say what it is doing
LOOK_S = 15.0  # for the scheduler to say what all of them have to do
# A worker that died more often than the scheduler allows, a scheduler that went, a connection that broke. asyncio makes its own
# error of a CancelledError.
LOST = (CancelledError, asyncio.CancelledError, KilledWorker, CommClosedError)


class WorkerDied(BrokenExecutor):
    """The worker died that had this to do, more often than the scheduler allows; the connection holds."""


@dataclass(frozen=True)
class WorkerSeen:
    """What is known of a worker; calls by their keys. todo: given to it, anybody's; mine: those of them that are this executor's;
    doing: those that it works on, None where it does not say. heartbeat: its last one, by the scheduler's clock.
    """

    address: str
    heartbeat: float
    todo: frozenset[str]
    mine: frozenset[str]
    doing: frozenset[str] | None


@dataclass(frozen=True)
class ClusterSeen:
    """All workers, and whether calls of this executor's wait at the scheduler because all of them have enough to do."""

    workers: tuple[WorkerSeen, ...]
    queued: bool


class _Client(Client):
    """A client that is closed by whoever made it, also where it could not connect, and never by the garbage collector: that may
    come while a lock of dask's is held for which closing waits.
    """

    def start(self, **options: Any) -> None:
        try:
            super().start(**options)
        except BaseException:
            self.close(CLOSE_S)
            raise

    def __del__(self) -> None:
        pass


class ClusterExecutor(Executor):
    """Runs functions on the cluster's workers. What is lost on the way ends in BrokenExecutor; then another one is needed."""

    def __init__(self, engine: Engine, connect_s: float = 30.0, *, calls: int = CALLS, priority: int = 0) -> None:
        """Connect.

        Args:
            calls: that are under way at a time; others wait here.
            priority: which of the calls that wait for a worker comes first, the higher one.

        Raises BrokenExecutor where no scheduler answers within `connect_s`, or TLS does not come about.
        """
        # Threads come first: after an error here nothing has to be closed.
        self._threads = ThreadPoolExecutor(calls, thread_name_prefix="cluster")
        self._priority = priority
        try:
            self._client = _Client(engine.address, security=_security(engine), timeout=connect_s, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:  # what is wrong with certificates comes as any of these
            raise BrokenExecutor(f"the cluster at {engine.address} cannot be reached: {error}") from None
        self._waited_for: set[Future[Any]] = set()
        self._left = False
        self._lock = threading.Lock()

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a function of a module that the workers have, too; arguments and result are pickled."""
        return self._threads.submit(self._run, function, *args, **kwargs)

    def _run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run it and wait for it, in a thread of this executor."""
        try:
            # pure: equal pictures would get equal jokes
            call = self._client.submit(function, *args, pure=False, priority=self._priority, **kwargs)
            return self._outcome(call)
        except KilledWorker as error:
            raise WorkerDied(f"its worker died: {error}") from None
        except LOST as error:
            raise BrokenExecutor(f"lost on the cluster: {type(error).__name__}: {error}") from None
        except (RuntimeError, AttributeError) as error:  # what dask says where it has been closed meanwhile
            if self._client.status in ("closing", "closed"):
                raise BrokenExecutor("the connection to the cluster is closed") from None
            raise error

    def _outcome(self, call: Any) -> Any:
        """Wait for a call. Whoever disconnects ends that, whatever dask still makes of it."""

        async def gathered() -> Any:
            return await self._client.gather(call, asynchronous=True)

        with self._lock:
            if self._left:
                raise CancelledError("disconnected")
            outcome = asyncio.run_coroutine_threadsafe(gathered(), self._client.loop.asyncio_loop)
            self._waited_for.add(outcome)
        try:
            return outcome.result()
        finally:
            with self._lock:
                self._waited_for.discard(outcome)

    def run_on(self, worker: str, function: Callable[..., T], *args: Any) -> T:
        """Run it on this worker at once, beside its tasks; waits for it. Raises BrokenExecutor where the worker is gone."""
        try:
            result: T = self._client.run(function, *args, workers=[worker])[worker]
            return result
        except (*LOST, KeyError, ValueError) as error:
            raise BrokenExecutor(f"{worker} is gone: {error}") from None

    def leave(self, *, hung: bool = False) -> None:
        """Disconnect without waiting; what is under way ends in BrokenExecutor.

        hung: whatever is under way is so for too long: the workers that have it are killed by their nannies and come back.
        """
        threading.Thread(target=self._leave, args=(hung,), name="leaving the cluster", daemon=True).start()

    def _leave(self, hung: bool) -> None:
        if hung:
            self.evict()
        self.shutdown(wait=False, cancel_futures=True)

    def look(self) -> ClusterSeen | None:
        """What the workers have to do and what they are doing. Asks the scheduler and them; None where it does not answer."""
        try:
            return self._client.sync(self._look, callback_timeout=LOOK_S)
        except Exception as error:  # whatever a broken connection raises
            log.warning("the scheduler does not say what its workers do: %s", error)
            return None

    async def _look(self) -> ClusterSeen:
        scheduler, own = self._client.scheduler, set(self._client.futures)
        about = (await scheduler.identity())["workers"]
        given = {worker: set(keys) for worker, keys in (await scheduler.processing()).items() if worker in about}
        states = await scheduler.get_task_status(keys=list(own))
        busy = [worker for worker, keys in given.items() if keys & own]
        doing = dict(zip(busy, await asyncio.gather(*(self._doing(w, given[w]) for w in busy)), strict=True))
        workers = (
            WorkerSeen(w, about[w]["last_seen"], frozenset(keys), frozenset(keys & own), doing.get(w))
            for w, keys in given.items()
        )
        return ClusterSeen(tuple(workers), "queued" in states.values())

    async def _doing(self, worker: str, keys: set[str]) -> frozenset[str] | None:
        """Which of these calls a worker works on. None where it is silent, or has got on with them meanwhile."""
        try:
            stacks = await asyncio.wait_for(self._client.scheduler.call_stack(keys=list(keys)), ASK_S)
        except Exception:  # a call that is done is a KeyError, on the scheduler; a silent worker a TimeoutError
            return None
        return frozenset(stacks.get(worker, ()))

    def evict(self, silent: Sequence[str] | None = None) -> list[str]:
        """Have workers killed by their nannies, which start them again.

        silent: those; None: all that have something of this executor's to do.

        Returns their addresses, none where nobody has anything. What they had ends in BrokenExecutor, or begins again elsewhere.
        """
        try:
            if silent is None:
                mine = set(self._client.futures)
                silent = [worker for worker, keys in self._client.processing().items() if mine & set(keys)]
            if silent:
                log.warning("replacing silent workers of the cluster: %s", ", ".join(silent))
                self._client.restart_workers(list(silent), timeout=EVICT_S, raise_for_error=False)
            return list(silent)
        except Exception as error:  # the scheduler is gone, too: there is nobody to be told
            log.warning("a silent worker of the cluster is not replaced: %s", error)
            return []

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Disconnect; with `wait`, first wait for what is under way."""
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        self._client.close(CLOSE_S)
        with self._lock:
            self._left = True
            forgotten = list(self._waited_for)
        for outcome in forgotten:
            outcome.cancel()


def _security(engine: Engine) -> Security | None:
    if not (engine.tls_ca or engine.tls_cert or engine.tls_key):
        return None
    ca, cert, key = (str(path) if path else None for path in (engine.tls_ca, engine.tls_cert, engine.tls_key))
    return Security(tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key, require_encryption=True)
