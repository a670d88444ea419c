"""The devices of a way: the reference picture's counts, ours, and ways that end."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.doubles import values
from tests.unit.server.trace.pictures import (
    CLASSIC,
    REFERENCE,
    TREE,
    gateway,
    link,
    metal,
    registered,
    station,
)

from netwright.agent.cni import made
from netwright.model.resources import HostState, NetworkType, Nic, VifType
from netwright.model.states import BindingState
from netwright.model.topology import Topology
from netwright.model.trace import DeviceKind, Trace
from netwright.model.wire import CONTAINER_OWNER
from netwright.server.trace.hosts import OVS, WIRINGS, HostWiring
from netwright.server.trace.path import trace
from netwright.server.trace.station import Station

PAGE = Path(__file__).parents[4] / "docs" / "trace.md"

INST1 = station("inst1", "host1")
INST2 = station("inst2", "host1", "green")
TO_CORE = ["host1 br-bond", "host1 eth0", "tor1 tor1", "agg1 agg1"]


def shown(found: Trace) -> list[str]:
    assert found.count == len(found.devices)
    return [f"{one.node} {one.device}" for one in found.devices]


def complete(source: Station, target: Station, topology: Topology = TREE) -> list[str]:
    found = trace(source, target, topology)
    assert (found.complete, found.known, found.reason, found.next) == (True, True, "", "")
    return shown(found)


@pytest.mark.parametrize(
    ("heading", "wiring", "count"),
    [
        ("The reference picture", REFERENCE, 18),
        ("Classic OpenStack", CLASSIC, 24),
        ("Netwright", OVS, 16),
    ],
)
def test_the_page_lists_what_is_computed(heading: str, wiring: HostWiring, count: int) -> None:
    """Two instances of two networks on one host, through the core's gateways."""
    found = trace(INST1, INST2, TREE, {"ovs": wiring})
    assert found.complete
    assert found.count == count
    listed = re.findall(r"^\| \d+ \| (\S+) \| (\S+) \| (\S+) \|", section(heading), re.MULTILINE)
    assert listed == [(one.node, one.device, one.kind) for one in found.devices]


def section(heading: str) -> str:
    found = re.search(rf"^## {heading}.*?(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"docs/trace.md has no section {heading}"
    return found[0]


def test_neighbours_meet_on_the_integration_bridge() -> None:
    assert complete(INST1, station("inst3", "host1")) == [
        "inst1 mac-of-inst1",
        "host1 tapinst1-0000-",
        "host1 br-int",
        "host1 tapinst3-0000-",
        "inst3 mac-of-inst3",
    ]


def test_a_container_has_a_veth_where_a_machine_has_a_tap() -> None:
    pod = station("pod1", "host1", device_owner=CONTAINER_OWNER)
    found = trace(INST1, pod, TREE)
    assert [(one.device, one.kind) for one in found.devices[3:]] == [
        (made.device_of(pod.port.id), DeviceKind.VETH),
        ("mac-of-pod1", DeviceKind.VNIC),
    ]
    assert complete(pod, INST1) == complete(INST1, pod)[::-1]


def test_hosts_under_one_switch_meet_there() -> None:
    found = trace(INST1, station("inst3", "host2"), TREE)
    assert shown(found)[3:8] == [
        "host1 br-bond",
        "host1 eth0",
        "tor1 tor1",
        "host2 eth0",
        "host2 br-bond",
    ]
    assert [f"{one.leaves} {one.enters}" for one in found.links] == [
        "host1/eth0 tor1/host1",
        "tor1/host2 host2/eth0",
    ]


def test_other_network_on_another_host_passes_the_core_once() -> None:
    found = complete(INST1, station("inst4", "host2", "green"))
    assert found[3:13] == [
        *TO_CORE,
        "core1 vlan101",
        "core1 vlan102",
        "agg1 agg1",
        "tor1 tor1",
        "host2 eth0",
        "host2 br-bond",
    ]


def test_the_way_back_is_the_way_there_reversed() -> None:
    for other in (INST2, station("inst3", "host2"), station("inst4", "host2", "green"), metal()):
        assert complete(other, INST1) == complete(INST1, other)[::-1]


def test_bare_metal_is_its_own_host() -> None:
    """Its vNIC is its NIC; from tor2 the way to tor1 leads over an aggregation switch."""
    assert complete(metal(), INST1)[:4] == ["metal1 eth0", "tor2 tor2", "agg1 agg1", "tor1 tor1"]
    assert complete(metal("green"), INST1)[3:5] == ["core1 vlan102", "core1 vlan101"]


def test_a_failed_nic_is_not_on_the_way() -> None:
    nics = (
        Nic(name="eth0", link_up=True, forwarding=False),
        Nic(name="eth1", link_up=True),
    )
    found = complete(station("inst1", "host1", nics=nics), station("inst3", "host2"))
    assert found[4:9] == ["host1 eth1", "tor2 tor2", "agg1 agg1", "tor1 tor1", "host2 eth0"]


def test_the_active_nic_is_on_the_way() -> None:
    nics = (Nic(name="eth0", link_up=True, active=False), Nic(name="eth1", link_up=True))
    found = complete(station("inst1", "host1", nics=nics), station("inst3", "host2"))
    assert found[4:6] == ["host1 eth1", "tor2 tor2"]


def test_peers_join_aggregation_switches() -> None:
    """tor2 prefers agg2 here, the core agg1."""
    links = [one for one in TREE.links if str(one.lower) != "tor2/up0"]
    topology = replace(TREE, links=tuple(links))
    found = complete(metal(), INST2, topology)
    assert found[1:6] == ["tor2 tor2", "agg2 agg2", "agg1 agg1", "core1 vlan101", "core1 vlan102"]


def test_subnets_of_one_network_meet_at_its_gateway() -> None:
    """Beyond a subnet the gateway routes, in and out by one interface."""
    here = station("inst1", "host1", versions=(4,))
    there = station("inst5", "host1", versions=(4,))
    other = replace(there.subnets["blue-4"], id="blue-4b")
    moved = replace(there.port, fixed_ips=(replace(there.port.fixed_ips[0], subnet_id="blue-4b"),))
    found = complete(here, replace(there, port=moved, subnets={"blue-4b": other}))
    assert found.count("core1 vlan101") == 1
    assert len(found) == 15


def test_ip_versions() -> None:
    """The address that was asked for decides; else one that both have."""
    without_v6_gateway = station("inst6", "host1", "green")
    subnets = dict(without_v6_gateway.subnets)
    subnets["green-6"] = replace(subnets["green-6"], gateway_ip=None)
    target = replace(without_v6_gateway, subnets=subnets)
    assert trace(INST1, target, TREE).complete
    asked = trace(INST1, replace(target, address="inst6's v6"), TREE)
    assert (
        "Subnet green's v6 of network green, VLAN 102 of physnet1, has no gateway" in asked.reason
    )
    assert complete(station("a", "host1", versions=(6,)), INST2) == complete(
        station("a", "host1"), INST2
    )


def fenced() -> Station:
    return replace(INST2, host=registered("host1", state=HostState.FENCED))


def failed() -> Station:
    binding = values.binding("h9", vif_type=VifType.BINDING_FAILED, cause="host h9 is silent")
    return station("inst7", "h9", "green", bindings=(binding,))


IN_FABRIC = station("fab", "host1", network_type=NetworkType.VXLAN)
DEAD = tuple(Nic(name=f"eth{n}", link_up=False) for n in (0, 1))

ENDS: Mapping[str, tuple[Station, Station, Topology, int, str, str]] = {
    "source not bound": (station("x", None), INST2, TREE, 0, "x.* is bound to no host", "port set"),
    "target not bound": (
        INST1, station("x", None, "green"), TREE, 9, "x.* is bound to no host", "--host HOST",
    ),
    "binding failed": (
        INST1, failed(), TREE, 9, "could not be bound to host h9: host h9 is silent", "explain",
    ),
    "port down": (
        INST1, station("x", "host1", admin_state_up=False), TREE, 3, "administratively down",
        "openstack port set --enable",
    ),
    "never registered": (
        INST1, replace(INST2, host=None), TREE, 9, "Host host1 .* never registered",
        "netwright agent --host host1",
    ),
    "fenced": (INST1, fenced(), TREE, 9, "Host host1 .* is fenced", "unfence host1"),
    "no bridge": (
        INST1, replace(INST2, host=registered("host1", physical_networks={})), TREE, 9,
        "Host host1 has no bridge to physnet1", "physical_networks",
    ),
    "no inventory": (
        INST1, station("x", "host2"), Topology(), 4, "no link of host1", "topology apply",
    ),
    "no gateway": (
        INST1, INST2, replace(TREE, gateways=(gateway("blue"),)), 3,
        "no gateway of network green, VLAN 102 of physnet1", "topology apply",
    ),
    "no way": (
        INST1, INST2, replace(TREE, links=(link("host1/eth0", "tor1/host1"),)), 5,
        "no way from host1 to core1", "topology show",
    ),
    "all NICs failed": (
        station("x", "host1", nics=DEAD), station("y", "host2"), TREE, 4,
        "host1 reports every NIC as failed",
        "host show host1",
    ),
    "no common IP version": (
        station("x", "host1", versions=(6,)), station("y", "host1", versions=(4,)), TREE, 0,
        "no addresses of one IP version", "address",
    ),
    "fabric port not bound": (IN_FABRIC, station("y", None), TREE, 0, "y.* is bound to no", "host"),
    "fabric port not wired": (
        station("x", "host1", bindings=(values.binding("host1", BindingState.PREPARING),)),
        IN_FABRIC, TREE, 0, "x.* is not wired on host host1", "explain",
    ),
}  # fmt: skip

UNKNOWN: Mapping[str, tuple[Station, Station, Topology, int, str, str]] = {
    "from a fabric network": (IN_FABRIC, INST1, TREE, 0, "blue is a fabric network", "explain f"),
    "to a fabric network": (INST2, IN_FABRIC, TREE, 0, "blue is a fabric network", "explain f"),
    "driver unknown": (
        INST1, replace(INST2, host=registered("host1", driver="magic")), TREE, 9,
        "driver magic of host host1", "driver ovs",
    ),
    "two cores": (
        INST1, INST2, replace(TREE, gateways=(gateway("blue"), gateway("green", "core2"))), 3,
        "No core has gateways of both network blue, .* and network green", "one core has both",
    ),
}  # fmt: skip


CASES = [
    (case, known) for known, cases in ((True, ENDS), (False, UNKNOWN)) for case in cases.values()
]


@pytest.mark.parametrize(("case", "known"), CASES, ids=[*ENDS, *UNKNOWN])
def test_a_way_that_ends_says_where_and_why(
    case: tuple[Station, Station, Topology, int, str, str], *, known: bool
) -> None:
    source, target, topology, count, reason, next_ = case
    found = trace(source, target, topology, WIRINGS)
    assert (found.complete, found.known) == (False, known)
    assert re.search(reason, found.reason), found.reason
    assert re.search(next_, found.next), found.next
    assert len(shown(found)) == count, shown(found)


@pytest.mark.parametrize("state", [BindingState.PREPARING, BindingState.DOWN])
def test_a_port_that_is_not_wired_has_its_way_but_nothing_arrives(state: BindingState) -> None:
    there = station("inst3", "host1")
    (wired,) = there.port.bindings
    waits = replace(there, port=replace(there.port, bindings=(replace(wired, state=state),)))
    for source, target in ((INST1, waits), (waits, INST1)):
        found = trace(source, target, TREE)
        assert not found.complete
        assert found.reason == (
            f"Port {waits.label} is not wired on host host1: its binding there is {state}."
        )
        assert len(found.devices) == 5


def test_what_is_not_heard_is_as_last_reported() -> None:
    there = station("inst3", "host2")
    assert there.host is not None
    silent = replace(there, host=replace(there.host, state=HostState.UNKNOWN))
    found = trace(INST1, silent, TREE)
    assert found.complete
    assert found.reason.startswith("As last reported: nothing is heard of host2")
