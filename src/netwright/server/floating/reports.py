"""What the fabric controller says of floating IPs, applied."""

from collections.abc import Iterable

from msgspec.structs import replace

from netwright.model.fabric import FloatingReport
from netwright.model.routing import FloatingIp, FloatingStatus
from netwright.model.wire import ReportStatus
from netwright.server.world import World

_STATUS = {
    ReportStatus.UP: FloatingStatus.ACTIVE,
    ReportStatus.DOWN: FloatingStatus.DOWN,
    ReportStatus.REFUSED: FloatingStatus.ERROR,
}


def reported(world: World, reports: Iterable[FloatingReport]) -> None:
    """A report about another association than the one there is changes nothing (law 3)."""
    for report in reports:
        floating = world.of(FloatingIp).get(report.id)
        status = _STATUS.get(report.status)
        if floating is None or status is None:
            continue
        if (floating.port_id, floating.fixed_ip_address) == (
            report.port_id,
            report.fixed_ip_address,
        ):
            was_led = floating.was_led or report.status is ReportStatus.UP
            after = replace(floating, status=status, cause=report.cause, was_led=was_led)
            world.of(FloatingIp).put(floating.id, after)
