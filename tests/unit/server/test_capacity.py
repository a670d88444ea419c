"""What leaves hold of what they can: counted for operators, and VNIs kept at every binding."""

from contextlib import closing
from typing import Any

from msgspec.structs import replace
from tests.doubles.places import Place
from tests.doubles.store import Store, create, ipv4_subnet, report, reports, update
from tests.unit.server.overlay_scene import (
    LEAVES,
    fabric_network,
    fabric_store,
    leaf,
    replaced,
    topology,
    vlans,
)

from netwright.model.resources import Port, VifType, VnicType
from netwright.model.routing import Router, RouterInterface
from netwright.model.states import PortState
from netwright.model.topology import Capacities, Irb
from netwright.model.wire import ReportStatus
from netwright.server.commands import AddressWish
from netwright.server.overlay.capacity import SwitchCapacity, Usage, Use, capacities
from netwright.server.overlay.inventory import Inventory
from netwright.server.store.fabric_reading import switches

SMALL = (leaf(1, capacities=Capacities(vnis=2, macs=1)), *LEAVES[1:])


def test_a_binding_that_would_exceed_a_leafs_vnis_fails_until_one_goes(place: Place) -> None:
    with closing(fabric_store(place, switches=SMALL)) as store:
        store.do(fabric_network("green", 5002))
        store.do(create("r", "red", host="h1"))
        store.do(create("b", "blue", host="h2"))
        (port,) = store.do(create("g", "green", fixed_ips=(), host="h1"))
        assert (port.state, port.bindings[0].vif_type) == (
            PortState.ERROR,
            VifType.BINDING_FAILED,
        )
        assert port.cause.startswith(
            "leaf leaf1 has room for 2 VNIs (capacities.vnis in the inventory), and that of "
            "network green would be one more"
        )
        assert ("leaf1", "green") not in vlans(store)
        (fits,) = store.do(create("r2", "red", host="h2"))
        assert fits.state is PortState.WIRING, "the leaf has it already"
        (elsewhere,) = store.do(create("g3", "green", fixed_ips=(), host="h3"))
        assert elsewhere.state is PortState.WIRING
        store.do(update("b", host=""))
        gone = store.port("b")
        assert isinstance(gone, Port)
        store.do(reports("h2", report(gone, "h2", ReportStatus.WITHDRAWN)))
        store.retry_refused()
        after = store.port("g")
        assert after is not None
        assert after.state is PortState.WIRING


def test_two_in_one_batch_do_not_exceed_it_together(place: Place) -> None:
    with closing(fabric_store(place, switches=SMALL)) as store:
        store.do(fabric_network("green", 5002))
        outcomes = store.batch(
            create("r", "red", host="h1"),
            create("b", "blue", host="h2"),
            create("g", "green", fixed_ips=(), host="h1"),
        )
        assert [port.state for (port,) in outcomes] == [
            PortState.WIRING,
            PortState.WIRING,
            PortState.ERROR,
        ]


FEW = (
    leaf(1, capacities=Capacities(macs=3)),
    leaf(2, capacities=Capacities(arp_entries=9)),
    *LEAVES[2:],
)
METAL = {"local_link_information": [{"switch_info": "leaf1", "port_id": "swp9"}]}


def bound(store: Store, name: str, network: str, host: str, **attributes: Any) -> Port:
    (port,) = store.do(create(name, network, host=host, **attributes))
    assert isinstance(port, Port)
    return port


def is_refused(port: Port | None, *words: str) -> bool:
    assert port is not None
    is_so = port.state is PortState.ERROR and port.bindings[0].vif_type is VifType.BINDING_FAILED
    assert not is_so or all(word in port.cause for word in words), port.cause
    return is_so


def test_a_port_that_a_leaf_has_no_room_for_is_refused_until_one_goes(place: Place) -> None:
    with closing(fabric_store(place, switches=FEW)) as store:
        for name in ("a", "b"):
            bound(store, name, "red", "h1")
        store.count_room()
        assert not is_refused(bound(store, "c", "red", "h2"))
        refused = bound(store, "d", "red", "h1")
        assert is_refused(refused)
        assert refused.cause.startswith(
            "leaf leaf1 has room for 3 MACs (capacities.macs in the inventory) and has 3, and "
            "network red on interface h1 would bring 1 more"
        )
        (moved,) = store.do(update("c", host="h1"))
        assert not is_refused(moved), "it is one of the three"
        assert not is_refused(bound(store, "e", "blue", "h3")), "leaf1 has not got that network"
        store.do(update("a", host=""))
        gone = store.port("a")
        assert gone is not None
        store.do(reports("h1", report(gone, "h1", ReportStatus.WITHDRAWN)))
        store.retry_refused()
        assert is_refused(store.port("d")), "nobody has counted anew"
        store.count_room()
        store.retry_refused()
        assert not is_refused(store.port("d"))


def test_a_leaf_learns_what_is_bound_anywhere_and_a_network_comes_whole(place: Place) -> None:
    with closing(fabric_store(place, switches=FEW)) as store:
        for number in range(3):
            bound(store, f"far{number}", "blue", "h3")
        bound(store, "near", "red", "h1")
        store.count_room()
        assert is_refused(
            bound(store, "b", "blue", "h1"), "leaf leaf1", "interface h1", "network blue", "4 more"
        )
        metal = bound(store, "m", "blue", "m1", vnic_type=VnicType.BAREMETAL, profile=METAL)
        assert is_refused(metal, "leaf leaf1", "interface swp9", "network blue")
        for number in range(2):
            assert not is_refused(bound(store, f"r{number}", "red", "h4"))
        assert is_refused(bound(store, "r2", "red", "h4"), "leaf leaf1", "network red")


def test_addresses_are_counted_as_well(place: Place) -> None:
    with closing(fabric_store(place, switches=(LEAVES[0], *FEW[1:]))) as store:
        store.count_room()
        wishes = [AddressWish(subnet_id="red-4")] * 4
        for number in range(2):
            assert not is_refused(bound(store, f"p{number}", "red", "h2", fixed_ips=wishes))
        many = bound(store, "p2", "red", "h2", fixed_ips=wishes)
        assert is_refused(many, "leaf leaf2", "9 ARP entries", "capacities.arp_entries", "has 8")
        assert not is_refused(bound(store, "p3", "red", "h2"))


def test_what_a_batch_takes_counts_within_it_and_after_it(place: Place) -> None:
    with closing(fabric_store(place, switches=FEW)) as store:
        store.count_room()
        outcomes = store.batch(*(create(f"p{n}", "red", host="h1") for n in range(5)))
        assert [is_refused(port) for (port,) in outcomes] == [False] * 3 + [True] * 2
        assert is_refused(bound(store, "p5", "red", "h2"))
        more = (leaf(1, capacities=Capacities(macs=6)), *FEW[1:])
        store.do(replaced(topology(switches=more)))
        store.count_room()
        store.retry_refused()
        assert [is_refused(store.port(f"p{n}")) for n in range(6)] == [False] * 6
        assert is_refused(bound(store, "p6", "red", "h2"), "room for 6 MACs")


def test_what_leaves_hold_is_counted_where_it_is_stored(place: Place) -> None:
    with closing(fabric_store(place, switches=SMALL)) as store:
        store.make_network("core", 10, ipv4_subnet("core", "10.9.0.0/24"))
        for n, (network, host) in enumerate(
            [("red", "h1"), ("red", "h3"), ("blue", "h1"), ("core", "h1")]
        ):
            store.do(create(f"p{n}", network, host=host))
        found = store.place.run(switches(store.place.tx))
        held = {each.switch: each for each in capacities(Inventory(found.topology), found.usage)}
        assert held["leaf1"] == SwitchCapacity(
            switch="leaf1",
            kind=LEAVES[0].kind,
            macs=Use(used=3, capacity=1),
            vnis=Use(used=2, capacity=2),
            vrfs=Use(used=0),
            arp_entries=Use(used=3),
        )
        assert held["leaf1"].exceeded() == {
            "MACs exceeded": "switch leaf1 has 3 MACs and room for 1"
        }
        assert (held["leaf3"].macs.used, held["leaf3"].vnis.used) == (2, 1), "red's, both"
        assert held["leaf3"].exceeded() == {}


def test_a_vpcs_networks_are_on_all_its_leaves_unless_it_has_a_transit_vni() -> None:
    interfaces = tuple(
        RouterInterface(
            port_id=name, network_id=name, subnet_id=name, ip_address="10.0.0.1", cidr="10.0.0.0/24"
        )
        for name in ("red", "blue", "core")
    )
    usage = Usage(
        attached=(("red", "h1"), ("blue", "h3")),
        access=(("green", "leaf1"),),
        ports={"red": 5, "blue": 7, "green": 1, "core": 100},
        addresses={},
        routers=(Router(id="r", project_id="p", interfaces=interfaces, vni=9000),),
    )
    whole = topology()
    (first, *_) = capacities(Inventory(whole), usage)
    assert (first.vnis.used, first.vrfs.used, first.macs.used) == (4, 1, 13)
    symmetric = replace(whole, fabric=replace(whole.fabric, irb=Irb.SYMMETRIC))
    (first, *_) = capacities(Inventory(symmetric), usage)
    assert (first.vnis.used, first.vrfs.used, first.macs.used) == (3, 1, 6)
