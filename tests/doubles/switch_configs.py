"""Configurations of switches, for tests of drivers."""

from netwright.fabric.changes import Change, Verb
from netwright.fabric.config import (
    AnycastGateway,
    Fenced,
    Interface,
    Nat,
    Route,
    RouteTargets,
    Segment,
    SwitchConfig,
    VlanGateway,
    Vrf,
)

LOOPBACK = "10.255.0.3"
NONE = RouteTargets(imports=(), exports=())


def targets(number: int) -> RouteTargets:
    return RouteTargets(imports=(f"65000:{number}",), exports=(f"65000:{number}",))


def adding(*elements: object) -> list[Change]:
    return [Change(verb=Verb.ADD, after=each) for each in elements]  # type: ignore[arg-type]


def removing(config: SwitchConfig) -> list[Change]:
    """All of it, in the order of the plan: routes, interfaces, gateways, segments, VRFs."""
    parts = (
        config.routes,
        config.interfaces.values(),
        config.gateways.values(),
        config.segments.values(),
        config.vrfs.values(),
    )
    return [Change(verb=Verb.REMOVE, before=each) for part in parts for each in part]


def segment(vni: int, vlan: int | None, vrf: str | None = None, net: int = 0) -> Segment:
    """With a gateway when it is in a VRF."""
    addresses = (f"10.{net}.0.1/24", f"fd00:{net}::1/64")
    return Segment(
        vni=vni,
        network_id=f"network-{vni}",
        vlan=vlan,
        vrf=vrf,
        gateway=AnycastGateway(addresses=addresses, mac_address="02:00:5e:00:00:01")
        if vrf
        else None,
        rd=f"{LOOPBACK}:{vni}",
        route_targets=targets(vni),
    )


def border() -> SwitchConfig:
    """A border leaf with everything: two VPCs, one of them with a way out; hosts and bare metal."""
    return SwitchConfig(
        vrfs={
            "vpc-a": Vrf(name="vpc-a", router_id="router-a", rd="", route_targets=NONE),
            "vpc-b": Vrf(
                name="vpc-b",
                router_id="router-b",
                l3vni=9001,
                rd=f"{LOOPBACK}:9001",
                route_targets=targets(9001),
                vteps=(LOOPBACK, "10.255.0.4"),
            ),
        },
        segments={
            5001: segment(5001, 1001, "vpc-a", 1),
            5002: segment(5002, 1002, "vpc-b", 1),
            5003: segment(5003, None),
        },
        interfaces={
            "swp1": Interface(name="swp1", tagged={1001: 5001, 1002: 5002}),
            "swp2": Interface(
                name="swp2",
                untagged=5003,
                fenced=(
                    Fenced(
                        port_id="port-1",
                        mac_address="fa:16:3e:00:00:01",
                        addresses=("10.1.0.7", "fd00:1::7"),
                    ),
                ),
                is_down=True,
            ),
        },
        gateways={
            "core1.101@vpc-b": VlanGateway(
                interface="core1.101",
                physical_network="physnet1",
                vlan=101,
                network_id="network-out",
                addresses=("10.101.0.9/24",),
                mac_address="fa:16:3e:00:00:65",
                vrf="vpc-b",
                nat=Nat(
                    address="10.101.0.9",
                    sources=True,
                    floating=(("10.101.0.77", "10.1.0.7"),),
                    inside=("10.1.0.0/24",),
                ),
            )
        },
        routes=frozenset(
            {Route(destination="0.0.0.0/0", nexthop="10.101.0.1", vrf="vpc-b")},
        ),
    )
