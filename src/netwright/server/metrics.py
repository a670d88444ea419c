"""What the server counts, for Prometheus at `/metrics`."""

import os
from collections.abc import Callable
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class Metrics:
    """The server's instruments. One registry a process; tests make their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "netwright_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._latency = Histogram(
            "netwright_http_request_seconds",
            "From the first byte of a request's header to its reply (a watch: to its start).",
            ("method", "route"),
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._batch = Histogram(
            "netwright_commit_batch_commands",
            "Commands in one commit.",
            buckets=_BATCH_BUCKETS,
            registry=self.registry,
        )
        self._commit = Histogram(
            "netwright_commit_seconds",
            "Duration of one commit.",
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        Gauge(
            "netwright_process",
            "The process that answers: each of several workers counts for itself alone.",
            ("pid",),
            registry=self.registry,
        ).labels(os.getpid()).set(1)
        self.watchers = Gauge(
            "netwright_watchers", "Open watches at this process.", registry=self.registry
        )
        self.watchers_cut_off = Counter(
            "netwright_watchers_cut_off",
            "Watches that were ended because their lines were not read in time.",
            registry=self.registry,
        )
        # Finding a labelled child costs as much as all the rest: each is found once.
        self._request_observer = lru_cache(maxsize=1024)(self._make_request_observer)

    def observe_request(self, method: str, route: str, status: int, duration_s: float) -> None:
        self._request_observer(method, route, status)(duration_s)

    def observe_commit(self, commands: int, duration_s: float) -> None:
        """One commit of this many commands; the committer calls it after each."""
        self._batch.observe(commands)
        self._commit.observe(duration_s)

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format 0.0.4."""
        return generate_latest(self.registry)

    def _make_request_observer(
        self, method: str, route: str, status: int
    ) -> Callable[[float], None]:
        counter = self._requests.labels(method, route, str(status))
        histogram = self._latency.labels(method, route)

        def observe(duration_s: float) -> None:
            counter.inc()
            histogram.observe(duration_s)

        return observe
