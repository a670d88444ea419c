"""Bare metal on the fabric: leaf interfaces named in the binding profile, overlay alone."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store, create, delete, update
from tests.unit.server.overlay_scene import attachments, fabric_store, hold_lease, vlans

from netwright.model.fabric import AttachmentReport, FabricReports
from netwright.model.resources import AccessPort, Port, VifType, VnicType
from netwright.model.states import AttachmentState, PortState
from netwright.model.wire import ReportStatus
from netwright.server.fabric_commands import ApplyFabricReports

METAL = VnicType.BAREMETAL


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    store = fabric_store(place)
    hold_lease(store)
    yield store
    store.close()


def at(*interfaces: str) -> dict[str, Any]:
    links = [
        {"switch_info": leaf, "switch_id": "aa:bb:cc:00:00:01", "port_id": name}
        for leaf, _, name in (each.partition("/") for each in interfaces)
    ]
    return {"local_link_information": links}


def access(*interfaces: str) -> tuple[AccessPort, ...]:
    pairs = (each.partition("/") for each in interfaces)
    return tuple(AccessPort(switch=leaf, interface=name) for leaf, _, name in pairs)


def machine(
    store: Store, port_id: str, *interfaces: str, host: str = "node1", network: str = "red"
) -> Port:
    (port,) = store.do(
        create(port_id, network, vnic_type=METAL, profile=at(*interfaces), host=host)
    )
    assert isinstance(port, Port)
    return port


def confirmed(store: Store, network: str, host: str, status: ReportStatus) -> None:
    generation = attachments(store)[network, host].generation
    one = AttachmentReport(network_id=network, host=host, generation=generation, status=status)
    reports = FabricReports(token=hold_lease(store), attachments=(one,))
    store.do(ApplyFabricReports(caller=ADMIN, reports=reports))


def state(store: Store, port_id: str) -> PortState:
    port = store.port(port_id)
    assert port is not None
    return port.state


def test_it_needs_the_overlay_alone_and_no_vlan(store: Store) -> None:
    port = machine(store, "a", "leaf1/swp9", "leaf2/swp9")
    assert (port.state, port.bindings[0].vif_type) == (PortState.WIRING, VifType.OTHER)
    attachment = attachments(store)["red", "node1"]
    assert attachment.access == access("leaf1/swp9", "leaf2/swp9")
    assert (attachment.vlan, vlans(store)) == (None, {})
    confirmed(store, "red", "node1", ReportStatus.UP)
    assert state(store, "a") is PortState.ACTIVE
    confirmed(store, "red", "node1", ReportStatus.DOWN)
    assert state(store, "a") is PortState.DEGRADED


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ({}, "binding:profile has no local_link_information: give it as"),
        ({"local_link_information": []}, "binding:profile has no local_link_information"),
        ({"local_link_information": [{"port_id": "x"}]}, "[0] of binding:profile names no leaf"),
        (at("leaf9/swp1"), "leaf9 is no switch of the inventory, and node1 would hang on its"),
        (
            at("leaf1/h1"),
            "interface h1 of leaf leaf1 has a link to h1/eth0 in the inventory",
        ),
        (
            at("leaf1/swp9"),
            "swp9 of leaf leaf1 is machine other's in network blue (port o), so that machine node1",
        ),
    ],
)
def test_what_it_cannot_hang_on_is_refused_and_both_are_named(
    store: Store, profile: dict[str, Any], said: str
) -> None:
    machine(store, "o", "leaf1/swp9", host="other", network="blue")
    (port,) = store.do(create("a", "red", vnic_type=METAL, profile=profile, host="node1"))
    assert (port.state, port.bindings[0].vif_type) == (PortState.ERROR, VifType.BINDING_FAILED)
    assert said in port.cause
    assert ("red", "node1") not in attachments(store)


def test_who_waits_for_an_interface_gets_it_when_it_is_free(store: Store) -> None:
    machine(store, "a", "leaf1/swp9")
    assert machine(store, "b", "leaf1/swp9", host="node2", network="blue").state is PortState.ERROR
    store.do(delete("a"))
    store.retry_refused()
    assert state(store, "b") is PortState.WIRING
    assert attachments(store)["red", "node1"].state is AttachmentState.WITHDRAWING
    assert attachments(store)["blue", "node2"].access == access("leaf1/swp9")
    confirmed(store, "red", "node1", ReportStatus.WITHDRAWN)
    assert attachments(store).keys() == {("blue", "node2")}


def test_it_moves_with_its_profile_and_goes_with_its_host(store: Store) -> None:
    machine(store, "a", "leaf1/swp9")
    confirmed(store, "red", "node1", ReportStatus.UP)
    (moved,) = store.do(update("a", host="node2", profile=at("leaf3/swp1")))
    assert moved.state is PortState.WIRING
    now = attachments(store)
    assert now["red", "node1"].state is AttachmentState.WITHDRAWING
    assert now["red", "node2"].access == access("leaf3/swp1")
    store.do(update("a", host=""))
    assert attachments(store)["red", "node2"].state is AttachmentState.WITHDRAWING
    assert store.rows("SELECT * FROM access_port") == []


def test_another_profile_alone_is_another_attachment_of_the_machine(store: Store) -> None:
    (port,) = store.do(create("a", "red", vnic_type=METAL, profile={}, host="node1"))
    assert port.state is PortState.ERROR
    (mended,) = store.do(update("a", profile=at("leaf1/swp9")))
    assert mended.state is PortState.WIRING
    confirmed(store, "red", "node1", ReportStatus.UP)
    before = attachments(store)["red", "node1"]
    (other,) = store.do(update("a", profile=at("leaf1/swp8")))
    after = attachments(store)["red", "node1"]
    assert after.access == access("leaf1/swp8")
    assert (after.state, after.generation) == (AttachmentState.WANTED, before.generation + 1)
    assert other.state is PortState.WIRING
    (same,) = store.do(update("a", profile=at("leaf1/swp8") | {"more": 1}))
    assert attachments(store)["red", "node1"] == after
    assert same.state is other.state


def test_two_ports_of_one_machine_are_one_attachment(store: Store) -> None:
    machine(store, "a", "leaf1/swp9")
    confirmed(store, "red", "node1", ReportStatus.UP)
    machine(store, "b", "leaf2/swp9")
    both = attachments(store)["red", "node1"]
    assert both.access == access("leaf1/swp9", "leaf2/swp9")
    assert both.state is AttachmentState.WANTED, "the second is not verified"
    assert state(store, "a") is PortState.ACTIVE, "the first is"
    store.do(delete("a"))
    assert attachments(store)["red", "node1"].access == access("leaf2/swp9")
