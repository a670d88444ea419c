"""The reference picture's data center, and instances to trace in it."""

from collections.abc import Mapping
from typing import Any

from tests.doubles import values

from netwright.model.resources import (
    FixedIp,
    Host,
    HostState,
    NetworkType,
    Nic,
    Segment,
    Subnet,
    VnicType,
)
from netwright.model.states import BindingState
from netwright.model.topology import End, Gateway, Link, Switch, SwitchKind, Topology
from netwright.model.trace import DeviceKind
from netwright.server.trace.hosts import HostWiring, Layer
from netwright.server.trace.station import Station

BRIDGES = (
    Layer(DeviceKind.BRIDGE, "{integration}"),
    Layer(DeviceKind.BRIDGE, "{physical}"),
)
BOND = Layer(DeviceKind.BOND, "bond0")
TAP = Layer(DeviceKind.TAP, "tap{port}")

REFERENCE = HostWiring(instance=(TAP,), shared=(*BRIDGES, BOND))
"""The reference picture's host: as ours, but its bond is a device of the kernel."""
CLASSIC = HostWiring(
    instance=(
        TAP,
        Layer(DeviceKind.BRIDGE, "qbr{port}"),
        Layer(DeviceKind.VETH, "qvb{port}"),
        Layer(DeviceKind.VETH, "qvo{port}"),
    ),
    shared=(*BRIDGES, BOND),
)
"""Classic OpenStack: a Linux bridge stands between each instance and br-int."""

VLANS = {"blue": 101, "green": 102}


def link(lower: str, upper: str, *, peer: bool = False) -> Link:
    """`tor1/up0` and `agg1/tor1` as a link."""
    (node, _, interface), (above, _, its) = lower.partition("/"), upper.partition("/")
    return Link(
        lower=End(node=node, interface=interface), upper=End(node=above, interface=its), peer=peer
    )


def gateway(network: str, switch: str = "core1") -> Gateway:
    vlan = VLANS[network]
    return Gateway(switch=switch, interface=f"vlan{vlan}", physical_network="physnet1", vlan=vlan)


TREE = Topology(
    switches=(
        Switch(name="tor1", kind=SwitchKind.TOR),
        Switch(name="tor2", kind=SwitchKind.TOR),
        Switch(name="agg1", kind=SwitchKind.AGGREGATION),
        Switch(name="agg2", kind=SwitchKind.AGGREGATION),
        Switch(name="core1", kind=SwitchKind.CORE),
    ),
    links=(
        *(link(f"{h}/eth{n}", f"tor{n + 1}/{h}") for h in ("host1", "host2") for n in (0, 1)),
        *(link(f"{t}/up{n}", f"agg{n + 1}/{t}") for t in ("tor1", "tor2") for n in (0, 1)),
        link("core1/up0", "agg1/core1"),
        link("core1/up1", "agg2/core1"),
        link("agg1/peer0", "agg2/agg1", peer=True),
        link("metal1/eth0", "tor2/metal1"),
    ),
    gateways=(gateway("blue"), gateway("green")),
)


def station(
    name: str,
    host: str | None,
    network: str = "blue",
    *,
    versions: tuple[int, ...] = (4, 6),
    nics: tuple[Nic, ...] = (),
    address: str | None = None,
    gateway_ip: str | None = "set",
    **port: Any,
) -> Station:
    """An instance's port, bound to `host` (None: not bound)."""
    subnets = _subnets(network, versions, gateway_ip)
    bindings = (
        ()
        if host is None
        else (values.binding(host, BindingState.UP, vif_details={"bridge_name": "br-int"}),)
    )
    segment = Segment(
        network_type=port.pop("network_type", NetworkType.VLAN),
        physical_network="physnet1",
        segmentation_id=VLANS[network],
    )
    return Station(
        port=values.port(
            f"{name}-0000-4000-8000-000000000000",
            *port.pop("bindings", bindings),
            name=name,
            device_id=name,
            mac_address=f"mac-of-{name}",
            network_id=network,
            fixed_ips=tuple(
                FixedIp(subnet_id=one.id, ip_address=f"{name}'s v{one.ip_version}")
                for one in subnets.values()
            ),
            vnic_type=port.pop("vnic_type", VnicType.NORMAL),
            **port,
        ),
        network=values.network(network, name=network, segment=segment),
        subnets=subnets,
        host=None if host is None or host == "metal1" else registered(host, nics=nics),
        address=address,
    )


def metal(network: str = "blue") -> Station:
    return station("metal", "metal1", network, vnic_type=VnicType.BAREMETAL)


def registered(name: str, **fields: Any) -> Host:
    defaults: dict[str, Any] = {
        "driver": "ovs",
        "state": HostState.UP,
        "physical_networks": {"physnet1": "br-bond"},
        "state_since": 0.0,
        "heard_at": 0.0,
    }
    return Host(name=name, **(defaults | fields))


def _subnets(
    network: str, versions: tuple[int, ...], gateway_ip: str | None
) -> Mapping[str, Subnet]:
    return {
        f"{network}-{version}": Subnet(
            id=f"{network}-{version}",
            network_id=network,
            project_id="p",
            cidr=f"{network}'s v{version}",
            ip_version=version,
            gateway_ip=gateway_ip,
            allocation_pools=(),
            created_at=0.0,
            updated_at=0.0,
        )
        for version in versions
    }
