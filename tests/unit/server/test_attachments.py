"""Attachments of fabric networks: made by bindings, with a VLAN of the host's VLAN domain."""

from collections.abc import Iterator

import pytest
from tests.doubles.places import Place
from tests.doubles.store import ADMIN, Store, create, delete, report, reports, update
from tests.unit.server.overlay_scene import (
    attachments,
    bonded,
    fabric_network,
    fabric_store,
    hold_lease,
    replaced,
    topology,
    vlans,
)

from netwright.model.resources import Port, VifType
from netwright.model.states import AttachmentState, BindingState, PortState
from netwright.model.wire import Kind, ReportStatus
from netwright.server.commands import CreatePorts, PortDraft, Tick


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    store = fabric_store(place)
    yield store
    store.close()


def bound(store: Store, port_id: str, network: str = "red", host: str = "h1") -> Port:
    (port,) = store.do(create(port_id, network, host=host))
    assert isinstance(port, Port)
    return port


def test_a_networks_vlan_is_one_in_a_domain_and_no_others(store: Store) -> None:
    for n, (network, host) in enumerate(
        (n, h) for n in ("red", "blue") for h in ("h1", "h2", "h3")
    ):
        port = bound(store, f"p{n}", network, host)
        assert (port.state, port.bindings[0].vif_type) == (PortState.WIRING, VifType.OVS)
    given = vlans(store)
    assert given.keys() == {(d, n) for d in ("leaf1", "leaf3") for n in ("red", "blue")}
    assert given["leaf1", "red"] != given["leaf1", "blue"]
    assert all(100 <= vlan <= 199 for vlan in given.values())
    for (network, host), attachment in attachments(store).items():
        domain = "leaf3" if host == "h3" else "leaf1"
        assert attachment.state is AttachmentState.WANTED
        assert attachment.vlan == given[domain, network]
        assert attachment.access == ()


def test_five_hundred_ports_are_one_attachment_and_one_event(store: Store) -> None:
    drafts = [
        PortDraft(id=f"p{n}", project_id="p", network_id="red", host="h1") for n in range(500)
    ]
    store.do(CreatePorts(caller=ADMIN, drafts=tuple(drafts)))
    assert attachments(store).keys() == {("red", "h1")}
    told = [event for event in store.events if event.kind is Kind.ATTACHMENT]
    assert [event.id for event in told] == ["red@h1"]


def test_without_a_controller_the_last_binding_ends_it_and_frees_the_vlan(store: Store) -> None:
    first, second = bound(store, "a"), bound(store, "b", host="h2")
    store.do(delete("a"))
    assert attachments(store).keys() == {("red", "h1"), ("red", "h2")}, "h1 may answer yet"
    store.do(reports("h1", report(first, "h1", ReportStatus.WITHDRAWN)))
    assert attachments(store).keys() == {("red", "h2")}
    assert ("leaf1", "red") in vlans(store), "h2 has it still"
    store.do(delete("b"))
    store.do(reports("h2", report(second, "h2", ReportStatus.WITHDRAWN)))
    assert (attachments(store), vlans(store)) == ({}, {})


def test_a_host_that_the_inventory_does_not_know_fails_until_it_does(store: Store) -> None:
    store.do(replaced(topology(links=bonded("h1", 1, 2))))
    port = bound(store, "a", host="h3")
    (binding,) = port.bindings
    assert (port.state, binding.vif_type) == (PortState.ERROR, VifType.BINDING_FAILED)
    assert port.cause == (
        "the inventory knows no link of host h3 to a leaf, which network red would come over: "
        "add its links (netwright topology apply)"
    )
    assert not attachments(store)
    store.do(replaced(topology()))
    store.retry_refused()
    after = store.port("a")
    assert after is not None
    assert (after.state, after.bindings[0].state) == (PortState.WIRING, BindingState.PREPARING)
    assert attachments(store)["red", "h3"].vlan == vlans(store)["leaf3", "red"]


def test_an_empty_pool_fails_the_binding_until_a_vlan_is_free(place: Place) -> None:
    store = fabric_store(place, vlans=((100, 101),))
    store.do(fabric_network("green", 5002))
    bound(store, "r")
    bound(store, "b", "blue")
    (port,) = store.do(create("g", "green", fixed_ips=(), host="h1"))
    assert (port.state, port.bindings[0].vif_type) == (PortState.ERROR, VifType.BINDING_FAILED)
    assert "all VLANs of VLAN domain leaf1 (leaves leaf1, leaf2; pool 100-101) are" in port.cause
    assert "network green" in port.cause
    (elsewhere,) = store.do(create("g3", "green", fixed_ips=(), host="h3"))
    assert elsewhere.state is PortState.WIRING, "the other domain has its own"
    store.retry_refused()
    assert store.port("g") == port, "nothing has changed"
    store.do(update("b", host=""))
    gone = store.port("b")
    assert gone is not None
    store.do(reports("h1", report(gone, "h1", ReportStatus.WITHDRAWN)))
    store.retry_refused()
    after = store.port("g")
    assert after is not None
    assert after.state is PortState.WIRING
    store.close()


def test_all_vlans_of_a_pool_are_given_before_it_is_empty(place: Place) -> None:
    store = fabric_store(place, vlans=((100, 119),))
    for n in range(20):
        store.do(fabric_network(f"n{n}", 6000 + n))
        (port,) = store.do(create(f"p{n}", f"n{n}", fixed_ips=(), host="h1"))
        assert port.state is PortState.WIRING
    assert sorted(vlans(store).values()) == list(range(100, 120))
    store.close()


def test_a_failed_command_leaves_no_vlan(store: Store) -> None:
    drafts = (
        PortDraft(id="a", project_id="p", network_id="red", host="h1"),
        PortDraft(id="b", project_id="p", network_id="none", host="h1"),
    )
    (outcome,) = store.batch(CreatePorts(caller=ADMIN, drafts=drafts))
    assert isinstance(outcome, Exception)
    assert (vlans(store), attachments(store)) == ({}, {})


def test_a_refused_binding_beside_what_withdraws_comes_and_goes(place: Place) -> None:
    store = fabric_store(place)
    hold_lease(store)
    first = bound(store, "a")
    store.do(delete("a"))
    store.do(reports("h1", report(first, "h1", ReportStatus.WITHDRAWN)))
    before = attachments(store)
    assert before["red", "h1"].state is AttachmentState.WITHDRAWING
    store.do(Tick(caller=ADMIN, silent_hosts=("h1",)))
    assert bound(store, "b").state is PortState.ERROR
    store.do(delete("b"))
    assert store.ports() == []
    assert attachments(store) == before
    store.close()
