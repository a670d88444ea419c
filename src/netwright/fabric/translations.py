"""Whether floating IPs are translated, by what borders say themselves. Pure.

planned on a border, and read back there as planned   ─▶ up
planned, and the border lacks it or does not answer   ─▶ down, which and why
planned nowhere, or refused by the border             ─▶ refused: the router's refusal, or no border
"""

from collections.abc import Iterable, Mapping

from netwright.fabric.config import SwitchConfig, VlanGateway
from netwright.fabric.elements import ElementKey
from netwright.fabric.refusals import Refusal
from netwright.fabric.views import View
from netwright.fabric.words import contrast
from netwright.model.fabric import FloatingReport
from netwright.model.routing import FloatingIp, FloatingStatus
from netwright.model.wire import ReportStatus

STATUS_OF: Mapping[ReportStatus, FloatingStatus] = {
    ReportStatus.UP: FloatingStatus.ACTIVE,
    ReportStatus.DOWN: FloatingStatus.DOWN,
    ReportStatus.REFUSED: FloatingStatus.ERROR,
}
"""What a floating IP is by a report of it."""


def statements(
    floating: Mapping[str, FloatingIp],
    wanted: Mapping[str, SwitchConfig],
    views: Mapping[str, View],
    refusals: Iterable[Refusal],
) -> Mapping[str, FloatingReport]:
    """What the server does not hold yet of those that lead to a port, by their ids."""
    led = {id_: each for id_, each in floating.items() if each.port_id and each.fixed_ip_address}
    if not led:
        return {}
    places = {
        (pair, gateway.network_id): (switch, gateway)
        for switch, config in wanted.items()
        for gateway in config.gateways.values()
        if gateway.nat is not None
        for pair in gateway.nat.floating
    }
    why = {each.router_id: each.words for each in refusals if each.router_id is not None}
    found = {}
    for id_, each in led.items():
        pair = (each.floating_ip_address, str(each.fixed_ip_address))
        place = places.get((pair, each.floating_network_id))
        if place is None:
            status = ReportStatus.REFUSED
            cause = why.get(str(each.router_id), "no border leads to its network, or none can")
        else:
            status, cause = _standing(*place, views)
        if (each.status, each.cause) != (STATUS_OF[status], cause):
            found[id_] = FloatingReport(
                id=id_,
                port_id=str(each.port_id),
                fixed_ip_address=str(each.fixed_ip_address),
                status=status,
                cause=cause,
            )
    return found


def _standing(
    switch: str, gateway: VlanGateway, views: Mapping[str, View]
) -> tuple[ReportStatus, str]:
    view = views.get(switch)
    if view is None or view.actual is None:
        return ReportStatus.DOWN, f"border {switch} does not answer"
    actual = view.actual.config.gateways.get(gateway.key)
    if actual == gateway:
        return ReportStatus.UP, ""
    if refusal := view.refusals.get(ElementKey(VlanGateway, gateway.key)):
        return ReportStatus.REFUSED, refusal
    if actual is None:
        return ReportStatus.DOWN, f"border {switch} has no gateway {gateway.key} yet"
    return ReportStatus.DOWN, f"border {switch}, {gateway.key}: {contrast(actual, gateway)}"
