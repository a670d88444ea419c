"""What leaves hold of what they can: counted for operators, and VNIs kept at every binding."""

from contextlib import closing

from msgspec.structs import replace
from tests.doubles.places import Place
from tests.doubles.store import create, ipv4_subnet, report, reports, update
from tests.unit.server.overlay_scene import (
    LEAVES,
    fabric_network,
    fabric_store,
    leaf,
    topology,
    vlans,
)

from netwright.model.resources import Port, VifType
from netwright.model.routing import Router, RouterInterface
from netwright.model.states import PortState
from netwright.model.topology import Capacities, Irb
from netwright.model.wire import ReportStatus
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
