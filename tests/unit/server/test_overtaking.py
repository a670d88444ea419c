"""Which events of other processes concern what a batch was decided on."""

import pytest
from msgspec import json
from msgspec.structs import replace
from tests.doubles.values import binding, network, port

from netwright.ipam.ledger import Ledger
from netwright.model.resources import Attachment, Host, HostState, Subnet
from netwright.model.states import AttachmentState
from netwright.model.wire import Kind
from netwright.server.needs import Needs
from netwright.server.overtaking import is_outdated, may_leave_macs
from netwright.server.store.event_rows import EventRow
from netwright.server.world import World

NETWORK = network("net")
SUBNET = Subnet(
    id="sub",
    project_id="p",
    network_id="net",
    cidr="10.0.0.0/24",
    ip_version=4,
    allocation_pools=(),
    gateway_ip="10.0.0.1",
    created_at=0.0,
    updated_at=0.0,
)
PORT = port("a", network_id="net")
HOST = Host(name="h1", driver="ovs", state=HostState.UP, epoch="e", state_since=0.0, heard_at=0.0)


@pytest.fixture
def world() -> World:
    """A port on h1 was read, with all that belongs to it; h1 has two ports of the network."""
    world = World(0.0, Ledger("test"))
    world.networks.load("net", NETWORK)
    world.subnets.load("sub", SUBNET)
    world.ports.load("a", PORT)
    world.hosts.load("h1", HOST)
    attachment = Attachment(network_id="net", host="h1", state=AttachmentState.UP, since=0.0)
    world.attachments.load(("net", "h1"), attachment)
    world.binding_counts.load(("net", "h1"), 2)
    return world


def event(kind: Kind, id_: str, value: object = None, hosts: str = "", left: str = "") -> EventRow:
    body = None if value is None else json.encode(value)
    return EventRow(1, kind, id_, frozenset(hosts.split()), frozenset(left.split()), body)


def outdated(world: World, event: EventRow, **needs: set[str]) -> bool:
    return is_outdated(world, Needs(**needs), [event])  # type: ignore[arg-type]


def test_what_was_read_and_changed_concerns(world: World) -> None:
    assert outdated(world, event(Kind.NETWORK, "net", replace(NETWORK, name="new")))
    assert outdated(world, event(Kind.NETWORK, "net"))
    assert outdated(world, event(Kind.SUBNET, "sub", replace(SUBNET, gateway_ip="10.0.0.9")))
    assert outdated(world, event(Kind.SUBNET, "sub"))
    assert outdated(world, event(Kind.HOST, "h1", replace(HOST, epoch="new")))
    assert outdated(world, event(Kind.PORT, "a", replace(PORT, name="new")))
    assert outdated(world, event(Kind.PORT, "a"))
    assert outdated(world, event(Kind.ATTACHMENT, "net@h1"))


def test_what_is_told_again_as_it_was_does_not(world: World) -> None:
    """A host that is new to a network is told of it, which is an event of the network."""
    assert not outdated(world, event(Kind.NETWORK, "net", NETWORK, hosts="h2"))
    assert not outdated(world, event(Kind.SUBNET, "sub", SUBNET, hosts="h2"))
    assert not outdated(world, event(Kind.ATTACHMENT, "net@h2", NETWORK))


def test_what_was_not_read_does_not(world: World) -> None:
    assert not outdated(world, event(Kind.PORT, "b", PORT, hosts="h1"))
    assert not outdated(world, event(Kind.PORT, "b", left="h1"))
    assert not outdated(world, event(Kind.NETWORK, "other", NETWORK))
    assert not outdated(world, event(Kind.SUBNET, "other", replace(SUBNET, network_id="other")))
    assert not outdated(world, event(Kind.HOST, "h2", HOST))


def test_what_was_missed_and_has_come_concerns(world: World) -> None:
    assert outdated(world, event(Kind.NETWORK, "new", NETWORK), networks={"new"})
    assert outdated(world, event(Kind.HOST, "h2", HOST), hosts={"h2"})
    assert outdated(world, event(Kind.PORT, "b", PORT), ports={"b"})
    assert outdated(world, event(Kind.SUBNET, "second", SUBNET))  # one more of the network


def test_a_binding_more_or_less_concerns_who_takes_one_away(world: World) -> None:
    world.binding_counts.put(("net", "h1"), 1)
    assert outdated(world, event(Kind.PORT, "b", PORT, hosts="h1"))
    assert outdated(world, event(Kind.PORT, "b", PORT, left="h1"))
    assert outdated(world, event(Kind.PORT, "b", left="h1"))
    assert not outdated(world, event(Kind.PORT, "b", PORT, hosts="h2"))


def test_a_port_more_concerns_who_counts_those_of_the_network(world: World) -> None:
    world.port_counts.load("net", 0)
    assert outdated(world, event(Kind.PORT, "b", PORT))
    assert not outdated(world, event(Kind.PORT, "b", replace(PORT, network_id="other")))


def test_a_port_more_on_a_host_concerns_who_looked_for_all_of_its_ports(world: World) -> None:
    placed = event(Kind.PORT, "b", PORT, hosts="h9")
    assert outdated(world, placed, ports_on={"h9"})
    assert outdated(world, placed, refused_on={"h9"})
    assert not outdated(world, placed, ports_on={"h8"})


def test_only_a_port_that_changed_or_went_may_leave_a_mac() -> None:
    made = replace(PORT, revision_number=1)
    bound = replace(made, bindings=(binding(),))
    assert not may_leave_macs([event(Kind.PORT, "a", made), event(Kind.NETWORK, "net", NETWORK)])
    for changed in (replace(made, revision_number=2), bound, None):
        assert may_leave_macs([event(Kind.PORT, "b", made), event(Kind.PORT, "a", changed)])
