"""VNIs beside those of networks: VPCs', and those that rest until all switches are clear."""

from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest
from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store, create, ipv4_subnet
from tests.unit.server.overlay_scene import (
    fabric_store,
    hold_lease,
    replaced,
    topology,
)

from netwright.model.errors import TunnelIdInUse
from netwright.model.fabric import FabricReports
from netwright.model.resources import NetworkType, Segment
from netwright.model.routing import Router
from netwright.model.segments import SegmentRules, VniRange
from netwright.model.topology import Irb
from netwright.server.commands import CreateNetworks, DeleteNetwork, NetworkDraft, UpdateNetwork
from netwright.server.fabric_commands import ApplyFabricReports
from netwright.server.overlay.transit import NoTransitVni
from netwright.server.routing_commands import (
    AddInterface,
    CreateRouters,
    DeleteRouter,
    GatewayWish,
    RemoveInterface,
    RouterDraft,
    UpdateRouter,
)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    store = fabric_store(place, l3vnis=((9000, 9001),))
    store.make_network("core", 10, ipv4_subnet("core", "10.9.0.0/24"))
    for name in ("r1", "r2", "r3"):
        draft = RouterDraft(id=name, project_id="p")
        store.do(CreateRouters(caller=ADMIN, drafts=(draft,)))
    yield store
    store.close()


def enter(store: Store, router: str, network: str) -> None:
    port_id = f"{router}-{network}"
    store.do(
        AddInterface(caller=ADMIN, router_id=router, subnet_id=f"{network}-4", new_port_id=port_id)
    )


def of(store: Store, router: str) -> Router:
    ((body,),) = store.rows("SELECT body FROM router WHERE id = $1", router)
    return msgspec.json.decode(body, type=Router)


def network(store: Store, vni: int) -> None:
    segment = Segment(network_type=NetworkType.VXLAN, segmentation_id=vni)
    draft = NetworkDraft(id=f"vni-{vni}", project_id="p", segment=segment)
    store.do(CreateNetworks(caller=ADMIN, drafts=(draft,)))


def gateway(store: Store, router: str, *, snat: bool) -> None:
    store.do(UpdateNetwork(caller=ADMIN, id="core", external=True))
    wish = GatewayWish(network_id="core", enable_snat=snat, new_port_id=f"{router}-gateway")
    store.do(UpdateRouter(caller=ADMIN, id=router, gateway=wish))


@pytest.mark.parametrize("snat", [True, False])
def test_a_gateway_beside_the_fabric_needs_a_vni(store: Store, snat: bool) -> None:  # noqa: FBT001
    enter(store, "r1", "red")
    assert of(store, "r1").vni is None
    gateway(store, "r1", snat=snat)
    assert of(store, "r1").vni in {9000, 9001}
    gateway(store, "r2", snat=snat)
    assert of(store, "r2").vni is None
    enter(store, "r2", "blue")
    assert of(store, "r2").vni in {9000, 9001}


def test_an_interface_tells_its_mac(store: Store) -> None:
    enter(store, "r1", "red")
    (interface,) = of(store, "r1").interfaces
    port = store.port("r1-red")
    assert port is not None
    assert interface.mac_address == port.mac_address


def test_a_vpc_gets_a_vni_when_it_is_in_the_fabric_and_beside_it(store: Store) -> None:
    enter(store, "r1", "red")
    assert of(store, "r1").vni is None, "asymmetric routing needs none"
    enter(store, "r1", "core")
    vni = of(store, "r1").vni
    assert vni in {9000, 9001}
    leave = RemoveInterface(caller=ADMIN, router_id="r1", subnet_id="core-4")
    store.do(leave)
    enter(store, "r1", "core")
    assert of(store, "r1").vni == vni, "it stays the router's"
    add_core_port(store, "r2")
    assert of(store, "r2").vni is None, "no fabric network"


def test_another_inventory_may_make_all_vpcs_need_one(store: Store) -> None:
    enter(store, "r1", "red")
    store.do(replaced(topology(l3vnis=((9000, 9001),), irb=Irb.SYMMETRIC)))
    assert of(store, "r1").vni in {9000, 9001}
    enter(store, "r2", "blue")
    assert {of(store, "r1").vni, of(store, "r2").vni} == {9000, 9001}


def test_no_two_have_one_vni_and_none_is_said(store: Store) -> None:
    network(store, 9001)
    enter(store, "r1", "red")
    enter(store, "r1", "core")
    assert of(store, "r1").vni == 9000
    with pytest.raises(TunnelIdInUse, match=r"9000 is in use by router r1"):
        network(store, 9000)
    enter(store, "r2", "blue")
    with pytest.raises(NoTransitVni, match=r"Router r2 .*none left to give \(fabric.l3vnis\)"):
        add_core_port(store, "r2")
    store.do(DeleteNetwork(caller=ADMIN, id="vni-9001"))
    add_core_port(store, "r2")
    assert of(store, "r2").vni == 9001


def add_core_port(store: Store, router: str) -> None:
    """By a port, since the gateway's address is the first router's."""
    if store.port(f"{router}-port") is None:
        store.do(create(f"{router}-port", "core"))
    store.do(AddInterface(caller=ADMIN, router_id=router, port_id=f"{router}-port"))


def test_without_a_fabric_nobody_needs_one(place: Place) -> None:
    with closing(fabric_store(place, switches=(), links=())) as store:
        store.make_network("core", 10, ipv4_subnet("core", "10.9.0.0/24"))
        draft = RouterDraft(id="r", project_id="p")
        store.do(CreateRouters(caller=ADMIN, drafts=(draft,)))
        enter(store, "r", "red")
        enter(store, "r", "core")
        assert of(store, "r").vni is None


def test_vnis_return_at_once_where_no_controller_ever_was(store: Store) -> None:
    network(store, 7000)
    store.do(DeleteNetwork(caller=ADMIN, id="vni-7000"))
    network(store, 7000)
    assert store.rows("SELECT * FROM held_vni") == []


def test_vnis_rest_until_every_switch_is_clear_of_what_went(store: Store) -> None:
    token = hold_lease(store)
    network(store, 7000)
    enter(store, "r1", "red")
    enter(store, "r1", "core")
    before = store.cursor()
    store.do(DeleteNetwork(caller=ADMIN, id="vni-7000"))
    with pytest.raises(TunnelIdInUse, match=r"7000 is in use by what is gone, until the fabric"):
        network(store, 7000)
    for clear_at in (before, "another-9999", None):
        clear(store, token, clear_at)
        with pytest.raises(TunnelIdInUse):
            network(store, 7000)
    clear(store, token, store.cursor())
    network(store, 7000)
    assert [router for _, _, router, _ in store.rows("SELECT * FROM held_vni")] == ["r1"]
    for name in ("red", "core"):
        store.do(RemoveInterface(caller=ADMIN, router_id="r1", subnet_id=f"{name}-4"))
    vni = of(store, "r1").vni
    assert vni is not None
    store.do(DeleteRouter(caller=ADMIN, id="r1"))
    with pytest.raises(TunnelIdInUse):
        network(store, vni)
    clear(store, token, store.cursor())
    network(store, vni)


def clear(store: Store, token: int, clear_at: str | None) -> None:
    reports = FabricReports(token=token, clear_at=clear_at)
    store.do(ApplyFabricReports(caller=ADMIN, reports=reports))


def test_a_vni_that_is_held_is_not_chosen(place: Place) -> None:
    rules = SegmentRules(vni_ranges=(VniRange(first=1, last=3),), tenant_types=(NetworkType.VXLAN,))
    with closing(Store(place, segment_rules=rules)) as store:
        hold_lease(store)
        for n in range(3):
            draft = NetworkDraft(id=f"n{n}", project_id="p")
            store.do(CreateNetworks(caller=ADMIN, drafts=(draft,)))
        store.do(DeleteNetwork(caller=ADMIN, id="n0"))
        store.do(DeleteNetwork(caller=ADMIN, id="n1"))
        ((gone,),) = store.rows("SELECT min(gone_seq) FROM held_vni")
        clear(store, hold_lease(store), f"e-{gone}")
        draft = NetworkDraft(id="n3", project_id="p")
        (made,) = store.do(CreateNetworks(caller=ADMIN, drafts=(draft,)))
        ((resting,),) = store.rows("SELECT vni FROM held_vni")
        ((other,),) = store.rows("SELECT segmentation_id FROM network WHERE id = 'n2'")
        assert {made.segment.segmentation_id, resting, other} == {1, 2, 3}
