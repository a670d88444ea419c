"""Fabric networks on a host: which VLAN of which bridge, or why none."""

from collections.abc import Iterable

import pytest
from tests.doubles.values import attachment, binding, fabric_network, network, port

from netwright.agent.desired import Desired, desired
from netwright.agent.placing import FabricUplink
from netwright.model.resources import (
    Attachment,
    Network,
    NetworkType,
    Port,
    Prepared,
    Segment,
    VifType,
    VnicType,
)
from netwright.model.states import AttachmentState, BindingState

FABRIC = FabricUplink(bridge="br-bond", physical_network="physnet1")
UP, PREPARING = BindingState.UP, BindingState.PREPARING


def wanted(
    ports: Iterable[Port],
    networks: Iterable[Network],
    attachments: Iterable[Attachment] = (),
    fabric: FabricUplink | None = FABRIC,
) -> Desired:
    return desired(
        "h1",
        ("physnet1",),
        {one.id: one for one in ports},
        {one.id: one for one in networks},
        attachments={one.network_id: one for one in attachments},
        fabric=fabric,
    )


def only(
    given: Attachment | None, fabric: FabricUplink | None = FABRIC, **of_port: object
) -> Desired:
    attachments = () if given is None else (given,)
    one = port("p", binding(), **of_port)
    return wanted([one], [fabric_network()], attachments, fabric)


def on_vlan(vlan: int, physical_network: str = "physnet1") -> Segment:
    return Segment(
        network_type=NetworkType.VLAN, physical_network=physical_network, segmentation_id=vlan
    )


def test_a_fabric_network_is_the_vlan_that_its_attachment_has() -> None:
    endpoint = only(attachment(2000)).endpoints["p"]
    assert endpoint.segment == on_vlan(2000)
    assert (endpoint.mtu, endpoint.admin_state_up) == (1450, True)


@pytest.mark.parametrize("state", AttachmentState)
def test_whether_the_fabric_is_ready_is_not_the_hosts_matter(state: AttachmentState) -> None:
    assert "p" in only(attachment(2000, state=state)).endpoints


def test_another_vlan_is_another_segment() -> None:
    before, after = only(attachment(2000)), only(attachment(2001, generation=1))
    assert before.endpoints["p"].segment == on_vlan(2000)
    assert after.endpoints["p"].segment == on_vlan(2001)


def test_without_a_vlan_a_port_is_unwired_and_says_so() -> None:
    found = only(attachment(None, cause="the pool of domain leaf1 is used up"))
    assert not found.endpoints
    assert not found.waiting  # sweeping goes on: what else stands may be withdrawn
    assert found.unplaced["p"] == (
        "the server has given fabric network net-1 no VLAN to host h1 yet "
        "(the pool of domain leaf1 is used up)"
    )
    assert found.later == found.unplaced


def test_without_its_attachment_too_little_is_known() -> None:
    found = only(None)
    assert "attachment of network net-1 to host h1" in found.waiting["p"]
    assert not found.unplaced


def test_a_host_that_names_no_bridge_to_its_leaves_refuses() -> None:
    refusal = only(attachment(2000), fabric=None).refusals["p"]
    assert "host h1 does not say which bridge leads to its leaves" in refusal
    assert "--fabric-bridge BRIDGE" in refusal


def test_the_vlan_of_the_hosts_own_management_is_refused() -> None:
    own = FabricUplink(bridge="br-bond", physical_network="physnet1", management_vlan=2000)
    refusal = only(attachment(2000), fabric=own).refusals["p"]
    assert "VLAN 2000" in refusal
    assert "the host's own for management on br-bond" in refusal
    assert "p" in only(attachment(2001), fabric=own).endpoints


def test_bare_metal_has_an_interface_of_a_leaf_and_no_vlan() -> None:
    found = only(attachment(None), vnic_type=VnicType.BAREMETAL)
    assert found.by_hand == {"p"}
    assert not found.later


def test_a_standby_is_prepared_silently_on_the_vlan() -> None:
    standby = binding("h1", generation=2, active=False, prepared=Prepared())
    one = port("p", binding("h2"), standby)
    found = wanted([one], [fabric_network()], [attachment(2000)])
    endpoint = found.endpoints["p"]
    assert (endpoint.segment, endpoint.admin_state_up) == (on_vlan(2000), False)


# One VLAN, two networks

PROVIDER = network("provider", segment=on_vlan(2000))
IN_FABRIC = fabric_network("in-fabric")


def both(of_provider: BindingState, of_fabric: BindingState) -> Desired:
    ports = [
        port("a", binding(state=of_provider), network_id="provider"),
        port("b", binding(state=of_fabric), network_id="in-fabric"),
    ]
    return wanted(ports, [PROVIDER, IN_FABRIC], [attachment(2000, "in-fabric")])


@pytest.mark.parametrize(
    ("of_provider", "of_fabric", "stays"),
    [
        (PREPARING, PREPARING, "a"),
        (UP, PREPARING, "a"),
        (PREPARING, UP, "b"),
        (UP, UP, "a"),
        (BindingState.REFUSED, UP, "b"),
        (BindingState.DOWN, BindingState.REFUSED, "a"),
    ],
)
def test_two_networks_never_share_a_vlan(
    of_provider: BindingState, of_fabric: BindingState, stays: str
) -> None:
    found = both(of_provider, of_fabric)
    assert found.endpoints.keys() == {stays}
    (refused,) = found.refusals
    why = found.refusals[refused]
    assert "fabric network in-fabric" in why
    assert "provider network provider" in why
    assert "the same VLAN 2000 of physical network physnet1 on host h1" in why


def test_a_vlan_is_free_only_when_what_used_it_is_withdrawn() -> None:
    found = both(BindingState.WITHDRAWING, PREPARING)
    assert found.refusals.keys() == {"b"}
    assert both(BindingState.WITHDRAWING, UP).endpoints.keys() == {"b"}


@pytest.mark.parametrize(
    "spent",
    [
        binding("h2"),
        binding(state=BindingState.FENCED),
        binding(vif_type=VifType.BINDING_FAILED),
    ],
)
def test_who_wires_nothing_here_claims_nothing(spent: object) -> None:
    ports = [
        port("a", spent, network_id="provider"),  # type: ignore[arg-type]
        port("b", binding(), network_id="in-fabric"),
    ]
    found = wanted(ports, [PROVIDER, IN_FABRIC], [attachment(2000, "in-fabric")])
    assert found.endpoints.keys() == {"b"}


def test_a_network_that_is_known_and_has_no_port_here_claims_nothing() -> None:
    one = port("b", binding(), network_id="in-fabric")
    found = wanted([one], [PROVIDER, IN_FABRIC], [attachment(2000, "in-fabric")])
    assert found.endpoints.keys() == {"b"}


def test_the_same_vlan_of_another_bridge_is_no_matter() -> None:
    elsewhere = FabricUplink(bridge="br-fab", physical_network="fabric")
    ports = [
        port("a", binding(), network_id="provider"),
        port("b", binding(), network_id="in-fabric"),
    ]
    networks, attachments = [PROVIDER, IN_FABRIC], [attachment(2000, "in-fabric")]
    found = wanted(ports, networks, attachments, elsewhere)
    assert found.endpoints["a"].segment == on_vlan(2000)
    assert found.endpoints["b"].segment == on_vlan(2000, "fabric")


def test_two_fabric_networks_never_share_a_vlan_either() -> None:
    ports = [
        port("a", binding(state=UP), network_id="one"),
        port("b", binding(), network_id="another"),
    ]
    networks = [fabric_network("one", 1), fabric_network("another", 2)]
    attachments = [attachment(2000, "one"), attachment(2000, "another")]
    found = wanted(ports, networks, attachments)
    assert found.endpoints.keys() == {"a"}
    assert found.refusals.keys() == {"b"}
