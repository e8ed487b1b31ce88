"""What Prometheus reads: answers of every platform, requests, the queue, workers, and how late the event loop is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bot.boke import Outcome
from bot.inference import Inference

LAG_EVERY_S = 0.5


class Metrics:
    """One registry for one running bot."""

    def __init__(self, inference: Inference) -> None:
        self.registry = CollectorRegistry()
        labels = ("platform", "mode", "outcome")
        self.answers = Counter("boke_answers", "Pictures that were answered or refused", labels, registry=self.registry)
        self.seconds = Histogram(
            "boke_answer_seconds",
            "From the picture's bytes to the answer",
            ("platform", "mode"),
            buckets=(0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 30.0),
            registry=self.registry,
        )
        self.requests = Counter(
            "boke_http_requests", "Answered requests", ("method", "route", "status"), registry=self.registry
        )
        self.lag = Histogram(
            "boke_event_loop_lag_seconds",
            "How much later than asked the event loop came back",
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0),
            registry=self.registry,
        )
        self.registry.register(_Workers(inference))
        ProcessCollector(registry=self.registry)
        self._watch: asyncio.Task[None] | None = None

    def observe(self, outcome: Outcome) -> None:
        """Count an answer, or a refusal."""
        self.answers.labels(outcome.platform, outcome.mode, outcome.code).inc()
        if outcome.code == "answered":
            self.seconds.labels(outcome.platform, outcome.mode).observe(outcome.seconds)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self.registry)

    async def start(self) -> None:
        self._watch = asyncio.create_task(self._watch_loop(), name="event-loop-lag")

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch

    async def _watch_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self.lag.observe(max(0.0, loop.time() - due))


class _Workers(Collector):
    """Read when asked, so that nobody has to keep it up to date."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("boke_queue_length", "Pictures that wait for a worker", self.inference.waiting)
        yield GaugeMetricFamily("boke_workers_up", "Worker processes with a model", len(self.inference.pids))
        restarts = CounterMetricFamily("boke_worker_restarts", "Workers that were lost and replaced")
        restarts.add_metric([], self.inference.restarts)
        yield restarts
