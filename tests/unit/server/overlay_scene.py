"""A fabric of four leaves, its hosts and networks, in a store of the server's."""

from collections.abc import Iterable
from typing import Any

import msgspec
from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store, ipv4_subnet, register
from tests.unit.server.trace.pictures import link

from netwright.model.fabric import LEASE
from netwright.model.resources import Attachment, NetworkType, Segment
from netwright.model.topology import (
    FabricSettings,
    Link,
    Switch,
    SwitchKind,
    Topology,
    VlanInterval,
    VniInterval,
)
from netwright.server.commands import (
    CreateNetworks,
    CreateSubnets,
    NetworkDraft,
    ReplaceTopology,
)
from netwright.server.store import leases


def leaf(number: int, **fields: Any) -> Switch:
    values: dict[str, Any] = {
        "kind": SwitchKind.LEAF,
        "asn": 65000 + number,
        "loopback": f"10.255.0.{number}",
    }
    return Switch(name=f"leaf{number}", **(values | fields))


def bonded(host: str, one: int, other: int) -> tuple[Link, Link]:
    """A host's links to two leaves."""
    return (link(f"{host}/eth0", f"leaf{one}/{host}"), link(f"{host}/eth1", f"leaf{other}/{host}"))


LEAVES = (leaf(1), leaf(2), leaf(3), leaf(4))
HOSTS = (*bonded("h1", 1, 2), *bonded("h2", 1, 2), *bonded("h3", 3, 4), *bonded("h4", 3, 4))


def topology(
    vlans: Iterable[tuple[int, int]] = ((100, 199),),
    links: tuple[Link, ...] = HOSTS,
    switches: tuple[Switch, ...] = LEAVES,
    l3vnis: Iterable[tuple[int, int]] = (),
    **settings: Any,
) -> Topology:
    """Hosts h1 and h2 on leaves 1 and 2, h3 and h4 on leaves 3 and 4: two VLAN domains."""
    fabric = FabricSettings(
        vlans=tuple(VlanInterval(first=first, last=last) for first, last in vlans),
        l3vnis=tuple(VniInterval(first=first, last=last) for first, last in l3vnis),
        **settings,
    )
    return Topology(switches=switches, links=links, fabric=fabric)


def replaced(wanted: Topology) -> ReplaceTopology:
    return ReplaceTopology(caller=ADMIN, topology=wanted)


def fabric_network(name: str, vni: int) -> CreateNetworks:
    segment = Segment(network_type=NetworkType.VXLAN, segmentation_id=vni)
    draft = NetworkDraft(id=name, project_id="p", segment=segment)
    return CreateNetworks(caller=ADMIN, drafts=(draft,))


def fabric_store(place: Place | None = None, **of_topology: Any) -> Store:
    """With the networks `red` and `blue`, and the hosts registered."""
    store = Store(place)
    store.do(replaced(topology(**of_topology)))
    for number, name in enumerate(("red", "blue")):
        store.do(fabric_network(name, 5000 + number))
        subnet = ipv4_subnet(name, f"10.{number}.0.0/22")
        store.do(CreateSubnets(caller=ADMIN, drafts=(subnet,)))
    for host in ("h1", "h2", "h3", "h4"):
        store.do(register(host))
    return store


def attachments(store: Store) -> dict[tuple[str, str], Attachment]:
    rows = store.rows("SELECT body FROM attachment")
    found = [msgspec.json.decode(body, type=Attachment) for (body,) in rows]
    return {(each.network_id, each.host): each for each in found}


def vlans(store: Store) -> dict[tuple[str, str], int]:
    rows = store.rows("SELECT domain, network_id, vlan FROM domain_vlan")
    return {(domain, network): vlan for domain, network, vlan in rows}


def hold_lease(store: Store, holder: str = "one") -> int:
    """A controller takes the lease; its token."""
    taking = leases.take(store.place.tx, LEASE, holder, 10.0, store.now)
    return store.place.run(taking)
