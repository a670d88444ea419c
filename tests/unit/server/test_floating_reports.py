"""What a floating IP is by what the fabric controller says of it."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store, create, ipv4_subnet
from tests.unit.server.overlay_scene import LEAVES, fabric_store, hold_lease, leaf

from netwright.ipam.addresses import from_key, to_text
from netwright.ipam.resting import REST_S
from netwright.model.fabric import FabricReports, FloatingReport
from netwright.model.routing import FloatingIp, FloatingStatus, Router
from netwright.model.topology import SwitchKind
from netwright.model.wire import ReportStatus
from netwright.server.commands import AddressWish, UpdateNetwork
from netwright.server.fabric_commands import ApplyFabricReports
from netwright.server.floating.decisions import NOT_YET
from netwright.server.routing_commands import (
    AddInterface,
    CreateFloatingIps,
    CreateRouters,
    DeleteFloatingIp,
    DeleteRouter,
    FloatingIpDraft,
    GatewayWish,
    RouterDraft,
    UpdateFloatingIp,
    UpdateRouter,
)

BORDER = leaf(9, kind=SwitchKind.BORDER, driver="frr", address="local:/nowhere")


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    """Floating IP `f` leads to port `vm`, over a fabric with a border."""
    store = fabric_store(place, l3vnis=((9000, 9001),), switches=(*LEAVES, BORDER))
    store.make_network("out", 10, ipv4_subnet("out", "203.0.113.0/24"))
    store.do(UpdateNetwork(caller=ADMIN, id="out", external=True))
    wish = GatewayWish(network_id="out", new_port_id="g")
    draft = RouterDraft(id="r", project_id="p", gateway=wish)
    store.do(CreateRouters(caller=ADMIN, drafts=(draft,)))
    store.do(AddInterface(caller=ADMIN, router_id="r", subnet_id="red-4", new_port_id="i"))
    for name in ("vm", "other"):
        store.do(create(name, "red"))
    floating = FloatingIpDraft(
        id="f", project_id="p", floating_network_id="out", port_id="vm", new_port_id="h"
    )
    store.do(CreateFloatingIps(caller=ADMIN, drafts=(floating,)))
    yield store
    store.close()


def floating(store: Store) -> FloatingIp:
    ((body,),) = store.rows("SELECT body FROM floatingip")
    return msgspec.json.decode(body, type=FloatingIp)


def report(store: Store, status: ReportStatus, cause: str = "", **other: Any) -> None:
    led = floating(store)
    values = {"port_id": led.port_id, "fixed_ip_address": led.fixed_ip_address} | other
    said = FloatingReport(id="f", status=status, cause=cause, **values)
    reports = FabricReports(token=hold_lease(store), floating=(said,))
    store.do(ApplyFabricReports(caller=ADMIN, reports=reports))


def standing(store: Store) -> tuple[FloatingStatus, str]:
    return floating(store).status, floating(store).cause


def test_it_is_active_when_a_border_was_read_back(store: Store) -> None:
    assert standing(store) == (FloatingStatus.DOWN, NOT_YET)
    revision = floating(store).revision_number
    report(store, ReportStatus.UP)
    assert standing(store) == (FloatingStatus.ACTIVE, "")
    assert floating(store).revision_number == revision
    report(store, ReportStatus.DOWN, "border9 does not answer")
    assert standing(store) == (FloatingStatus.DOWN, "border9 does not answer")
    report(store, ReportStatus.REFUSED, "no way")
    assert standing(store) == (FloatingStatus.ERROR, "no way")


def test_a_report_of_another_association_changes_nothing(store: Store) -> None:
    report(store, ReportStatus.UP)
    store.do(UpdateFloatingIp(caller=ADMIN, id="f", port_id="other"))
    assert standing(store) == (FloatingStatus.DOWN, NOT_YET)
    report(store, ReportStatus.UP, port_id="vm")
    report(store, ReportStatus.UP, fixed_ip_address="10.0.0.99")
    assert standing(store) == (FloatingStatus.DOWN, NOT_YET)
    store.do(UpdateFloatingIp(caller=ADMIN, id="f", port_id=None))
    report(store, ReportStatus.UP, port_id="other", fixed_ip_address="10.0.0.3")
    assert standing(store) == (FloatingStatus.DOWN, "")


def test_what_stays_as_it_is_stays_active(store: Store) -> None:
    report(store, ReportStatus.UP)
    store.do(UpdateFloatingIp(caller=ADMIN, id="f", port_id="vm", description="d"))
    assert standing(store) == (FloatingStatus.ACTIVE, "")


def resting(store: Store) -> dict[str, float]:
    """The outer addresses that rest, and for how long."""
    rows = store.rows(
        "SELECT address, rests_until FROM allocation WHERE subnet_id = 'out-4' "
        "AND rests_until IS NOT NULL"
    )
    return {to_text(from_key(key)): until - store.now for key, until in rows}


def test_an_address_that_a_border_may_have_had_rests(store: Store) -> None:
    """It is nobody's meanwhile but that of who names it, as administrators do."""
    address = floating(store).floating_ip_address
    unled = FloatingIpDraft(id="u", project_id="p", floating_network_id="out", new_port_id="n")
    store.do(CreateFloatingIps(caller=ADMIN, drafts=(unled,)))
    store.do(UpdateFloatingIp(caller=ADMIN, id="f", port_id=None))
    for id_ in ("f", "u"):
        store.do(DeleteFloatingIp(caller=ADMIN, id=id_))
    assert resting(store) == {address: REST_S}
    unnamed = replace(unled, id="v", new_port_id="n2")
    (another,) = store.do(CreateFloatingIps(caller=ADMIN, drafts=(unnamed,)))
    assert another.floating_ip_address != address
    named = replace(unled, id="f2", new_port_id="h2", floating_ip_address=address)
    store.do(CreateFloatingIps(caller=ADMIN, drafts=(named,)))
    assert resting(store) == {}
    store.do(DeleteFloatingIp(caller=ADMIN, id="f2"))
    assert resting(store) == {address: REST_S}, "what was taken while it rested rests on"


def test_a_gateways_addresses_rest_where_a_border_may_have_had_them(store: Store) -> None:
    store.do(DeleteFloatingIp(caller=ADMIN, id="f"))
    store.now += REST_S
    ((body,),) = store.rows("SELECT body FROM router")
    (first,) = (each.ip_address for each in msgspec.json.decode(body, type=Router).outer)
    for address in ("203.0.113.77", None):  # another, then none
        wish = (
            None
            if address is None
            else GatewayWish(
                network_id="out", new_port_id="g", fixed_ips=(AddressWish(ip_address=address),)
            )
        )
        store.do(UpdateRouter(caller=ADMIN, id="r", gateway=wish))
    assert {first, "203.0.113.77"} <= resting(store).keys()
    store.do(
        UpdateRouter(caller=ADMIN, id="r", gateway=GatewayWish(network_id="out", new_port_id="g2"))
    )
    wish = GatewayWish(network_id="out", new_port_id="g3")
    draft = RouterDraft(id="s", project_id="p", gateway=wish)  # it leads nowhere
    (router,) = store.do(CreateRouters(caller=ADMIN, drafts=(draft,)))
    store.do(DeleteRouter(caller=ADMIN, id="s"))
    (unused,) = (each.ip_address for each in router.outer)
    assert unused not in resting(store)
