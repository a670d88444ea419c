"""What a fabric controller tells Prometheus, if `[fabric] metrics` says where."""

from collections import Counter
from collections.abc import Callable, Iterator

import structlog
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from netwright.fabric.tenure import Tenure
from netwright.fabric.told import Told
from netwright.model.fabric import SwitchStatus
from netwright.model.resources import Value
from netwright.model.settings import InvalidConfiguration
from netwright.model.states import AttachmentState

log = structlog.get_logger(__name__)


class Standing(Value, frozen=True, kw_only=True):
    """How a controller stands. `steps`: what was noted in histories, by event, since it began."""

    tenure: Tenure | None
    told: Told
    refusals: int
    steps: Counter[str]
    sees_routes: bool | None


class Standings(Collector):
    """Asked at each scrape, from a thread of the listener's: what is read must be whole values."""

    def __init__(self, standing: Callable[[], Standing]) -> None:
        self._standing = standing

    def collect(self) -> Iterator[Metric]:
        now = self._standing()
        tenure = now.tenure
        yield _gauge("active", "Whether this controller holds the lease.", tenure is not None)
        yield _gauge("plan", "The newest plan's number, as this process counts.", now.told.number)
        yield _gauge("plan_refusals", "What the newest plan has no place for.", now.refusals)
        if now.sees_routes is not None:
            yield _gauge("observer_up", "Whether the observer tells of routes.", now.sees_routes)
        yield self._attachments(now.told)
        if tenure is not None:
            yield self._switches(tenure)
        steps = CounterMetricFamily(
            "netwright_fabric_steps", "Steps noted in histories.", labels=["event"]
        )
        for event, count in sorted(now.steps.copy().items()):
            steps.add_metric([event], count)
        yield steps

    def _attachments(self, told: Told) -> Metric:
        counts = Counter(one.state for one in list(told.intent.attachments.values()))
        family = GaugeMetricFamily(
            "netwright_fabric_attachments", "Networks on hosts, by state.", labels=["state"]
        )
        for state in AttachmentState:
            family.add_metric([state], counts[state])
        return family

    def _switches(self, tenure: Tenure) -> Metric:
        views = [keeper.view for keeper in list(tenure.keepers.values())]
        counts = Counter("not_read" if view is None else str(view.status) for view in views)
        family = GaugeMetricFamily(
            "netwright_fabric_switches",
            "Switches by how they stand to their plan; of who is active alone.",
            labels=["status"],
        )
        for status in (*SwitchStatus, "not_read"):
            family.add_metric([status], counts[status])
        return family


def serve(address: str, standing: Callable[[], Standing]) -> Callable[[], None]:
    """Answer at `http://ADDRESS/metrics`; what is returned ends it. Raises InvalidConfiguration."""
    registry = CollectorRegistry()
    registry.register(Standings(standing))
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry)
    except OSError as error:
        raise InvalidConfiguration(
            f"The fabric controller cannot listen at {address} for its metrics: {error.strerror}.",
            next="Name another by metrics in [fabric], or none.",
        ) from error
    log.info("metrics", listen=address)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"netwright_fabric_{name}", text, value=value)
