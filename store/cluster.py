"""The dask cluster as an Executor that both bot and training use. Imported only where `engine.kind` is `dask`.

Dask's peers speak pickle to each other: whoever reaches the scheduler runs code on every worker. The cluster is for machines of
one owner, and TLS keeps the others out.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
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
# A worker that died more often than the scheduler allows, a scheduler that went, a connection that broke.
LOST = (CancelledError, KilledWorker, CommClosedError)


class WorkerDied(BrokenExecutor):
    """The worker died that had this to do, more often than the scheduler allows; the connection holds."""


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
        self._cluster = self._client.get_executor(pure=False)  # pure: equal pictures would get equal jokes

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a function of a module that the workers have, too; arguments and result are pickled."""
        return self._threads.submit(self._run, function, *args, **kwargs)

    def _run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run it and wait for it, in a thread of this executor."""
        try:
            result: T = self._cluster.submit(function, *args, priority=self._priority, **kwargs).result()
            return result
        except KilledWorker as error:
            raise WorkerDied(f"its worker died: {error}") from None
        except LOST as error:
            raise BrokenExecutor(f"lost on the cluster: {type(error).__name__}: {error}") from None
        except RuntimeError as error:
            if self._client.status in ("closing", "closed"):
                raise BrokenExecutor("the connection to the cluster is closed") from None
            raise error

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
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close(CLOSE_S)

    def evict(self) -> list[str]:
        """Have the workers that have something of this executor's to do killed by their nannies, which start them again.

        Returns their addresses, none where nobody has anything. What they had ends in BrokenExecutor, or begins again elsewhere.
        """
        try:
            mine = set(self._client.futures)
            silent = [worker for worker, keys in self._client.processing().items() if mine & set(keys)]
            if silent:
                log.warning("replacing silent workers of the cluster: %s", ", ".join(silent))
                self._client.restart_workers(silent, timeout=EVICT_S, raise_for_error=False)
            return silent
        except Exception as error:  # the scheduler is gone, too: there is nobody to be told
            log.warning("a silent worker of the cluster is not replaced: %s", error)
            return []

    def has_workers(self) -> bool:
        """Is there a worker, busy or not? Asks the scheduler; one that does not answer has none."""
        try:
            return bool(self._client.nthreads())
        except Exception as error:  # whatever a broken connection raises
            log.warning("the scheduler does not say who its workers are: %s", error)
            return False

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Disconnect; with `wait`, first wait for what is under way."""
        self._threads.shutdown(wait=wait, cancel_futures=cancel_futures)
        self._client.close(CLOSE_S)


def _security(engine: Engine) -> Security | None:
    if not (engine.tls_ca or engine.tls_cert or engine.tls_key):
        return None
    ca, cert, key = (str(path) if path else None for path in (engine.tls_ca, engine.tls_cert, engine.tls_key))
    return Security(tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key, require_encryption=True)
