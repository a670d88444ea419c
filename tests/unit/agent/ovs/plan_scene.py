"""Hosts to be wired, what may happen there, and a switch that is not ours alone: for the plan."""

import msgspec
from hypothesis import strategies as st
from tests.unit.agent.ovs.simswitch import SimSwitch

from netwright.agent.members import NO_MEMBERSHIPS, Members, Memberships
from netwright.agent.ovs.changes import (
    DEAD_VLAN,
)
from netwright.agent.ovs.flows import COOKIE_MARK, Flow, Normal, match_on
from netwright.agent.ovs.wiring import (
    AddressPair,
    Bond,
    Desired,
    Endpoint,
    Heard,
    HostWiring,
    NetworkSegment,
    Nic,
    Permit,
    PhysicalBridge,
    PortFilter,
)
from netwright.model.security import GroupMember

BOND = PhysicalBridge("br-bond", "physnet1", Bond(("nic0", "nic1")))
OTHER = PhysicalBridge("br-ex", "physnet2", Nic("nic2"))
WIRING = HostWiring((BOND, OTHER), datapath_type="netdev")
RED = NetworkSegment("physnet1", 101)
BLUE = NetworkSegment("physnet1", 102)
FLAT = NetworkSegment("physnet2")
PORTS = [f"p{number}" for number in range(6)]


def endpoint(port_id: str = "p0", segment: NetworkSegment = RED, **changes: object) -> Endpoint:
    number = int(port_id[1:])
    made = Endpoint(port_id, segment, f"fa:16:3e:00:00:0{number}", (f"10.0.0.{number + 1}",))
    return msgspec.structs.replace(made, **changes)


def desired(
    *endpoints: Endpoint,
    in_sync: bool = True,
    wiring: HostWiring = WIRING,
    memberships: Memberships = NO_MEMBERSHIPS,
) -> Desired:
    return Desired(wiring, endpoints, in_sync, memberships)


def members(**groups: tuple[str, ...]) -> Memberships:
    made = Members()
    made.change(
        {
            f"{address}@{group}": GroupMember(group_id=group, port_id=address, addresses=(address,))
            for group, addresses in groups.items()
            for address in addresses
        }
    )
    return made.memberships


VRRP = AddressPair("10.0.0.100", "00:00:5e:00:01:07")
WEB = PortFilter(
    (
        Permit(ingress=False, ip_version=4, stateful=True),
        Permit(
            ingress=True, ip_version=4, stateful=True, fields=(("ip_proto", 6), ("tcp_dst", 80))
        ),
        Permit(ingress=True, ip_version=4, stateful=False, fields=(("ip_proto", 1),)),
    )
)
FRIENDS = PortFilter(
    (
        Permit(ingress=False, ip_version=4, stateful=True, remote_group="red"),
        Permit(ingress=False, ip_version=6, stateful=True),
        Permit(ingress=True, ip_version=4, stateful=True, remote_group="red"),
        Permit(ingress=True, ip_version=4, stateful=True, remote_group="blue"),
        Permit(
            ingress=True,
            ip_version=4,
            stateful=False,
            fields=(("ip_proto", 17),),
            remote_group="blue",
        ),
        Permit(ingress=True, ip_version=6, stateful=True),
    )
)
OPEN = PortFilter(
    tuple(
        Permit(ingress=ingress, ip_version=version, stateful=True)
        for ingress in (False, True)
        for version in (4, 6)
    )
)
filters = st.sampled_from([None, PortFilter(), WEB, FRIENDS, OPEN])


endpoints = st.builds(
    endpoint,
    st.sampled_from(PORTS),
    st.sampled_from([RED, BLUE, FLAT, NetworkSegment("physnet2", 101), NetworkSegment("nowhere")]),
    port_security=st.booleans(),
    admin_up=st.booleans(),
    mtu=st.sampled_from([None, 1500, 9000]),
    addresses=st.sampled_from([("10.0.0.1",), ("10.0.0.2", "2001:db8::2"), ()]),
    allowed_pairs=st.sampled_from([(), (VRRP,)]),
    filter=filters,
    heard=st.sampled_from([frozenset[Heard](), frozenset(Heard)]),
)
memberships = st.sampled_from(
    [
        NO_MEMBERSHIPS,
        members(red=("10.0.0.1", "10.0.0.2", "2001:db8::2"), blue=("10.0.0.2", "10.8.0.0/16")),
        members(red=("10.0.0.2", "10.0.0.7"), green=("10.0.0.1",)),
        members(blue=("0.0.0.0/0",)),
    ]
)
wants = st.lists(endpoints, unique_by=lambda e: e.port_id, max_size=5)
wirings = st.sampled_from(
    [
        WIRING,
        HostWiring((BOND,), datapath_type="netdev"),
        HostWiring((msgspec.structs.replace(BOND, management_vlan=7), OTHER), mtu=9000),
    ]
)
# An event happens to a device by its number, or to the whole switch.
events = st.lists(
    st.tuples(
        st.sampled_from(
            ["plug", "unplug", "plug_twin", "retag", "restart", "lose_flow", "add_flow"]
        ),
        st.integers(0, 5),
        st.sampled_from([None, 0, 1, 2, DEAD_VLAN]),
    ),
    max_size=8,
)


def happen(switch: SimSwitch, event: tuple[str, int, int | None]) -> None:
    what, number, tag = event
    present = {port.name for port in switch.ports.values()}
    name = f"tap{number}"
    if what == "plug" and name not in present:
        switch.plug("br-int", name, f"p{number}", tag)
    elif what == "plug_twin" and f"twin{number}" not in present:
        switch.plug("br-int", f"twin{number}", f"p{number}", tag)
    elif what == "unplug" and name in present:
        switch.unplug(name)
    elif what == "retag" and name in present:
        port = switch.port(name)
        switch.ports[port.uuid] = msgspec.structs.replace(port, tag=tag)
    elif what == "restart":
        switch.restart_vswitchd()
    elif what == "lose_flow":
        for bridge in switch.flows:
            for flow in sorted(switch.ours(bridge), key=str)[number::6]:
                del switch.flows[bridge][flow.key]
    elif what == "add_flow":
        stale = Flow(0, 100, match_on(in_port=number), (Normal(),), COOKIE_MARK | number)
        switch.add_flow("br-int", stale)


def started() -> SimSwitch:
    """A switch on which somebody else has things of their own."""
    switch = SimSwitch()
    switch.converge(desired())
    switch.plug("br-int", "stranger", tag=3)
    switch.plug("br-bond", "storage", tag=44)
    return switch


def plugged(switch: SimSwitch) -> dict[str, str]:
    """Port id → the device that counts, by the order of names."""
    devices: dict[str, str] = {}
    for interface in sorted(switch.interfaces.values(), key=lambda row: row.name):
        if (port_id := interface.external_ids.get("iface-id")) is not None:
            devices.setdefault(port_id, interface.name)
    return devices
