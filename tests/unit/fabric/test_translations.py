"""What is said of floating IPs, by what borders say: the table of `translations`, row by row."""

from typing import Any

from msgspec.structs import replace

from netwright.fabric.config import Nat, SwitchConfig, VlanGateway
from netwright.fabric.drivers.base import Actual
from netwright.fabric.elements import ElementKey
from netwright.fabric.refusals import Refusal, RefusalCode
from netwright.fabric.translations import statements
from netwright.fabric.views import View
from netwright.model.fabric import SwitchStatus
from netwright.model.routing import FloatingIp, FloatingStatus
from netwright.model.wire import ReportStatus

LED = FloatingIp(
    id="f", project_id="p", floating_network_id="out", floating_ip_address="203.0.113.5",
    floating_port_id="h", port_id="vm", fixed_ip_address="10.0.0.7", router_id="r",
)  # fmt: skip
GATEWAY = VlanGateway(
    interface="up0.10", physical_network="physnet1", vlan=10, network_id="out",
    addresses=("203.0.113.5/32", "203.0.113.9/24"), vrf="vpc",
    nat=Nat(address="203.0.113.9", sources=True, floating=(("203.0.113.5", "10.0.0.7"),)),
)  # fmt: skip


def config(gateway: VlanGateway | None = GATEWAY) -> SwitchConfig:
    return SwitchConfig(gateways={} if gateway is None else {gateway.key: gateway})


def view(gateway: VlanGateway | None = GATEWAY, **more: Any) -> View:
    values = {"actual": Actual(config=config(gateway), links={}, boot_id="b")} | more
    return View(name="border1", status=SwitchStatus.IN_SYNC, **values)


def said(
    floating: FloatingIp, *views: View, wanted: SwitchConfig | None = None, **more: Any
) -> tuple[ReportStatus, str] | None:
    found = statements(
        {floating.id: floating},
        {"border1": config() if wanted is None else wanted},
        {each.name: each for each in views},
        more.get("refusals", ()),
    )
    return (found["f"].status, found["f"].cause) if found else None


def test_what_was_read_back_as_planned_is_up_and_said_once() -> None:
    assert said(LED, view()) == (ReportStatus.UP, "")
    assert said(replace(LED, status=FloatingStatus.ACTIVE), view()) is None
    assert said(replace(LED, port_id=None, fixed_ip_address=None), view()) is None


def test_what_a_border_lacks_is_down() -> None:
    without = replace(GATEWAY, nat=None)
    for seen, why in (
        ((), "border border1 does not answer"),
        ((view(actual=None),), "border border1 does not answer"),
        ((view(None),), "border border1 has no gateway up0.10@vpc yet"),
        ((view(without),), "no sources as"),
    ):
        told = said(LED, *seen)
        assert told is not None
        assert told[0] is ReportStatus.DOWN
        assert why in told[1]


def test_what_nobody_can_is_refused() -> None:
    key = ElementKey(VlanGateway, GATEWAY.key)
    assert said(LED, view(None, refusals={key: "no trunk"})) == (ReportStatus.REFUSED, "no trunk")
    nowhere = SwitchConfig()
    told = said(LED, view(), wanted=nowhere)
    assert told is not None
    assert told == (ReportStatus.REFUSED, "no border leads to its network, or none can")
    refusal = Refusal(code=RefusalCode.NO_WAY_OUT, words="no interface", router_id="r")
    told = said(LED, view(), wanted=nowhere, refusals=(refusal,))
    assert told == (ReportStatus.REFUSED, "no interface")
