"""What a host wires, refuses, waits for and leaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.doubles.values import attachment, binding, fabric_network, network, port

from netwright.agent.desired import Before, desired
from netwright.agent.groups import KnownGroups
from netwright.agent.placing import FabricUplink
from netwright.model.resources import (
    AddressPair,
    Network,
    NetworkType,
    Port,
    Prepared,
    Segment,
    VnicType,
)
from netwright.model.security import SecurityGroup
from netwright.model.states import BindingState

PHYSICAL = ("physnet1",)


def wanted(one: Port, *networks: Network) -> str:
    known = {each.id: each for each in networks or (network(),)}
    result = desired("h1", PHYSICAL, {one.id: one}, known)
    places = {
        "wired": result.endpoints,
        "refused": result.refusals,
        "waiting": result.waiting,
        "moving": result.moving,
        "by hand": dict.fromkeys(result.by_hand),
    }
    found = [name for name, place in places.items() if one.id in place]
    assert len(found) < 2
    return found[0] if found else "left"


@pytest.mark.parametrize("state", BindingState)
def test_only_live_bindings_are_wired(state: BindingState) -> None:
    live = {BindingState.PREPARING, BindingState.UP, BindingState.DOWN, BindingState.REFUSED}
    assert wanted(port("p", binding(state=state))) == ("wired" if state in live else "left")


def test_a_binding_elsewhere_is_left() -> None:
    assert wanted(port("p", binding("h2"))) == "left"


def test_an_inactive_binding_that_is_prepared_ahead_is_wired() -> None:
    moving = port("p", binding("h2"), binding("h1", generation=2, active=False))
    assert wanted(moving) == "wired"


def test_a_port_waits_until_the_host_that_it_leaves_has_withdrawn_it() -> None:
    leaving = binding("h2", state=BindingState.WITHDRAWING, active=False)
    assert wanted(port("p", leaving, binding("h1", generation=2))) == "moving"
    assert wanted(port("p", binding("h1", generation=2))) == "wired"


def test_of_ports_that_wait_those_of_fabric_networks_are_announced_ahead() -> None:
    """A switch of the VLAN stage learns a MAC at once: it would only be led astray."""
    leaving = binding("h2", state=BindingState.WITHDRAWING, active=False)
    one = port("p", leaving, binding("h1", generation=2))
    by_vlan = desired("h1", PHYSICAL, {"p": one}, {"net-1": network()})
    assert by_vlan.moving.keys() == {"p"}
    assert not by_vlan.arriving
    uplink = FabricUplink(bridge="br-bond", physical_network="fabric")
    by_fabric = desired(
        "h1",
        PHYSICAL,
        {"p": one},
        {"net-1": fabric_network()},
        attachments={"net-1": attachment(2000)},
        fabric=uplink,
    )
    assert by_fabric.moving.keys() == {"p"}
    assert by_fabric.arriving["p"].segment.segmentation_id == 2000


def test_a_port_waits_for_its_network() -> None:
    assert wanted(port("p", binding(), network_id="unheard-of")) == "waiting"


def test_an_unknown_physical_network_is_refused_with_what_to_do() -> None:
    segment = Segment(network_type=NetworkType.FLAT, physical_network="physnet9")
    other = network(segment=segment)
    one = port("p", binding())
    result = desired("h1", PHYSICAL, {"p": one}, {other.id: other})
    assert "no physical network physnet9 (it has: physnet1)" in result.refusals["p"]
    assert "--physical-network physnet9=BRIDGE" in result.refusals["p"]


def test_bare_metal_on_a_vlan_is_nobodys_to_wire() -> None:
    assert wanted(port("p", binding(), vnic_type=VnicType.BAREMETAL)) == "by hand"


def test_an_endpoint_carries_what_wiring_needs() -> None:
    pair = AddressPair(ip_address="10.0.0.200", mac_address="fa:16:3e:00:00:09")
    one = port("p", binding(), allowed_address_pairs=(pair,), port_security_enabled=False)
    endpoint = desired("h1", PHYSICAL, {"p": one}, {network().id: network(mtu=9000)}).endpoints["p"]
    assert endpoint.addresses == ("10.0.0.5",)
    assert endpoint.allowed_address_pairs == (pair,)
    assert endpoint.segment.segmentation_id == 100
    assert (endpoint.mtu, endpoint.port_security_enabled) == (9000, False)


@pytest.mark.parametrize(("of_port", "of_network"), [(False, True), (True, False)])
def test_admin_state_is_that_of_port_and_network(*, of_port: bool, of_network: bool) -> None:
    one, net = port("p", binding(), admin_state_up=of_port), network(admin_state_up=of_network)
    assert not desired("h1", PHYSICAL, {"p": one}, {net.id: net}).endpoints["p"].admin_state_up


def test_a_new_generation_changes_no_endpoint() -> None:
    first, second = port("p", binding(generation=1)), port("p", binding(generation=2))
    nets = {network().id: network()}
    ends = [desired("h1", PHYSICAL, {"p": one}, nets).endpoints for one in (first, second)]
    assert ends[0] == ends[1]


def test_a_standby_is_wired_silently_and_waits_for_nobody() -> None:
    """Whoever answers for the port now, or withdraws: nothing passes through it."""
    standby = binding("h1", generation=2, active=False, prepared=Prepared())
    leaving = binding("h2", state=BindingState.WITHDRAWING, active=False)
    for other in (binding("h2"), leaving):
        one = port("p", other, standby)
        assert wanted(one) == "wired"
        endpoints = desired("h1", PHYSICAL, {"p": one}, {network().id: network()}).endpoints
        assert not endpoints["p"].admin_state_up


def test_a_standbys_own_vnic_type_says_whether_it_is_wired() -> None:
    prepared = Prepared(vnic_type=VnicType.BAREMETAL)
    standby = binding("h1", generation=2, active=False, prepared=prepared)
    assert wanted(port("p", binding("h2"), standby)) == "by hand"


def test_what_withdraws_is_left_though_it_is_asked_for_again() -> None:
    state = BindingState.WITHDRAWING
    leaving = binding("h1", state=state, active=False, prepared=Prepared())
    assert wanted(port("p", leaving, binding("h2", generation=2))) == "left"


@given(data=st.data())
def test_what_was_found_before_changes_nothing_of_what_is_found(data: st.DataObject) -> None:
    """From any ports to any others: with what was desired of the first as without."""
    networks = {
        "net-1": network(),
        "net-2": network("net-2"),  # of the same VLAN: one of the two is refused
        "far": network("far", segment=replace(network().segment, physical_network="other")),
    }
    states = st.sampled_from([*BindingState])
    hosts = st.sampled_from(["h1", "h2"])
    ports = st.builds(
        lambda id_, host, state, of, groups: port(
            id_, binding(host, state=state), network_id=of, security_groups=groups
        ),
        st.sampled_from(["p1", "p2", "p3"]),
        hosts,
        states,
        st.sampled_from([*networks, "unknown"]),
        st.sampled_from([None, ("g1",), ("g2",)]),
    )
    known = KnownGroups(
        groups={"g1": SecurityGroup(id="g1", project_id="p")}, synced=frozenset({"g1"})
    )
    first = {one.id: one for one in data.draw(st.lists(ports, max_size=3))}
    second = first | {one.id: one for one in data.draw(st.lists(ports, max_size=2))}
    for gone in data.draw(st.sets(st.sampled_from([*second] or ["p1"]))):
        second.pop(gone, None)
    before = Before(ports=first, desired=desired("h1", PHYSICAL, first, networks, known))
    found = desired("h1", PHYSICAL, second, networks, known, before=before)
    assert found == desired("h1", PHYSICAL, second, networks, known)
    kept = [id_ for id_ in found.endpoints if first.get(id_) is second[id_]]
    same = [id_ for id_ in kept if before.desired.endpoints.get(id_) == found.endpoints[id_]]
    assert all(before.desired.endpoints[id_] is found.endpoints[id_] for id_ in same)
