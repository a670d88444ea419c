"""What the server counts, for Prometheus at `/metrics`."""

import math
import os
import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from netwright.server.census import COUNTED_EVERY_S, Census
from netwright.server.request_metrics import LATENCY_BUCKETS_S, RequestMetrics

_BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class Metrics:
    """The server's instruments. One registry a process; tests make their own."""

    def __init__(self) -> None:
        # No series for each counter's birth: nobody asks for them. The library leaves it untyped.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._requests = RequestMetrics()
        self.registry.register(self._requests)
        self._batch = Histogram(
            "netwright_commit_batch_commands",
            "Commands in one commit.",
            buckets=_BATCH_BUCKETS,
            registry=self.registry,
        )
        self._commit = Histogram(
            "netwright_commit_seconds",
            "Duration of one commit.",
            buckets=LATENCY_BUCKETS_S,
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
        self._hosts = self._counted("netwright_hosts", "Hosts.", "state")
        self._ports = self._counted("netwright_ports", "Ports.", "state")
        self._conditions = self._counted(
            "netwright_host_conditions", "Hosts that have a condition of this name.", "condition"
        )
        self._addresses = self._counted(
            "netwright_addresses", "Addresses: held by ports, or resting after them.", "state"
        )
        self._notices = Gauge(
            "netwright_notices_pending",
            "Notices that Nova has not acknowledged yet. Counted in the database.",
            registry=self.registry,
        )
        self._notice_age = Gauge(
            "netwright_notices_oldest_seconds",
            "How long the oldest of them has waited.",
            registry=self.registry,
        )
        self._told = Counter(
            "netwright_notices",
            "Notices that this process has sent: acknowledged, to be retried, or dropped.",
            ("outcome",),
            registry=self.registry,
        )

    def observe_request(self, method: str, route: str, status: int, duration_s: float) -> None:
        self._requests.observe(method, route, str(status), duration_s)

    def observe_commit(self, commands: int, duration_s: float) -> None:
        """One commit of this many commands; the committer calls it after each."""
        self._batch.observe(commands)
        self._commit.observe(duration_s)

    def observe_told(self, outcome: str, count: int) -> None:
        """So many notices of one request to Nova had this outcome."""
        self._told.labels(outcome).inc(count)

    def show(self, census: Census | None) -> None:
        """What is there, as all processes of one database count it; None: nobody knows now."""
        addresses = {}
        if census is not None:
            addresses = {"held": census.addresses_held, "resting": census.addresses_resting}
        for gauge, counts in (
            (self._hosts, census.hosts if census else {}),
            (self._ports, census.ports if census else {}),
            (self._conditions, census.host_conditions if census else {}),
            (self._addresses, addresses),
        ):
            gauge.clear()
            for label, number in counts.items():
                gauge.labels(label).set(number)
        oldest_at = census.notices_oldest_at if census else None
        age_s = 0.0 if oldest_at is None else max(time.time() - oldest_at, 0.0)
        self._notices.set(census.notices_pending if census else math.nan)
        self._notice_age.set(age_s if census else math.nan)

    def _counted(self, name: str, what: str, label: str) -> Gauge:
        each = f"{what} Counted in the database, at most every {COUNTED_EVERY_S:g} s."
        return Gauge(name, each, (label,), registry=self.registry)

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format 0.0.4."""
        return generate_latest(self.registry)
