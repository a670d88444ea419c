"""What is counted of requests is what Prometheus' own instruments would say."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from netwright.server.request_metrics import LATENCY_BUCKETS_S, RequestMetrics

_LABELS = ("method", "route", "status", "le")


def _samples(metrics: RequestMetrics) -> dict[tuple[str, ...], float]:
    registry = CollectorRegistry()
    registry.register(metrics)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, *(sample.labels[label] for label in _LABELS if label in sample.labels)): (
            sample.value
        )
        for family in families
        for sample in family.samples
    }


def test_requests_are_counted_by_method_route_and_status() -> None:
    metrics = RequestMetrics()
    for status in ("201", "201", "409"):
        metrics.observe("POST", "/v2.0/ports", status, 0.002)
    metrics.observe("GET", "/v2.0/ports/{id}", "200", 0.002)
    samples = _samples(metrics)
    name = "netwright_http_requests_total"
    assert samples[name, "POST", "/v2.0/ports", "201"] == 2
    assert samples[name, "POST", "/v2.0/ports", "409"] == 1
    assert samples[name, "GET", "/v2.0/ports/{id}", "200"] == 1


def test_a_latency_is_in_all_buckets_from_its_own_on() -> None:
    metrics = RequestMetrics()
    for took_s in (0.0, 0.001, 0.0011, 11.0):  # a bucket's bound is in it
        metrics.observe("GET", "/", "200", took_s)
    samples = _samples(metrics)
    name = "netwright_http_request_seconds"
    of_bucket = {
        bound: samples[f"{name}_bucket", "GET", "/", bound]
        for bound in (*map(str, LATENCY_BUCKETS_S), "+Inf")
    }
    assert of_bucket.pop("0.001") == 2
    assert of_bucket.pop("+Inf") == 4
    assert set(of_bucket.values()) == {3}
    assert samples[f"{name}_count", "GET", "/"] == 4
    assert samples[f"{name}_sum", "GET", "/"] == 11.0021
