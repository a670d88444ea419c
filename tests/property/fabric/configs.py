"""Any configuration that a switch may have, of few values, so that two of them clash often."""

from collections.abc import Callable, Mapping

from hypothesis import strategies as st

from netwright.fabric.changes import in_order
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

_VNIS = (1, 2, 3, 4, 11, 12)
_VTEPS = ((), ("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.3"))
_FENCED = tuple(
    Fenced(port_id=port, mac_address="02:00:00:00:00:01", addresses=addresses)
    for port in ("p1", "p2")
    for addresses in ((), ("10.0.0.9",))
)


@st.composite
def configs(draw: st.DrawFn) -> SwitchConfig:
    """A consistent configuration."""
    transit = list(draw(st.permutations([11, 12, None, None])))
    vrfs = {
        name: Vrf(
            name=name,
            router_id=draw(st.sampled_from(["r1", "r2"])),
            l3vni=(l3vni := transit.pop()),
            rd="10.0.0.1:9",
            route_targets=draw(_targets),
            vteps=() if l3vni is None else draw(st.sampled_from(_VTEPS)),
        )
        for name in draw(st.sets(st.sampled_from(["vpc-a", "vpc-b", "vpc-c"])))
    }
    within = st.sampled_from([None, *sorted(vrfs)])
    taken = {vrf.l3vni for vrf in vrfs.values()}
    vlans = list(draw(st.permutations([10, 11, 12, None, None, None])))
    segments = {
        vni: _segment(draw, vni, vlans.pop(), draw(within))
        for vni in sorted(draw(st.sets(st.sampled_from(_VNIS))) - taken)
    }
    gateways = [
        VlanGateway(
            interface=f"up0.{vlan}",
            physical_network="physnet1",
            vlan=draw(st.sampled_from([vlan, None])),
            network_id=f"provider-{vlan}",
            addresses=(draw(st.sampled_from(["192.0.2.1/24", "192.0.2.2/24"])),),
            vrf=draw(within),
            nat=draw(st.sampled_from([None, None, *NATS])),
        )
        for vlan in draw(st.sets(st.sampled_from([100, 200])))
    ]
    routes = st.builds(
        Route,
        destination=st.sampled_from(["0.0.0.0/0", "10.0.0.0/24"]),
        nexthop=st.sampled_from(["192.0.2.1", "192.0.2.2"]),
        vrf=within,
    )
    interfaces = [_interface(draw, name, segments) for name in ("i1", "i2", "i3")]
    return SwitchConfig(
        vrfs=vrfs,
        segments=segments,
        interfaces={each.name: each for each in interfaces if each != Interface(name=each.name)},
        gateways={each.key: each for each in gateways},
        routes=frozenset(draw(st.sets(routes, max_size=3))),
    )


NATS = (
    Nat(address="192.0.2.1", sources=True, inside=("10.0.0.0/24",)),
    Nat(address="192.0.2.1", sources=False, floating=(("192.0.2.5", "10.0.0.5"),)),
)


def steady(before: SwitchConfig, after: SwitchConfig) -> Callable[[SwitchConfig], None]:
    """An observer that fails when a state on the way lacks what both ends have."""
    kept = {
        vni: segment
        for vni, segment in before.segments.items()
        if (other := after.segments.get(vni))
        and (other.network_id, other.vlan) == (segment.network_id, segment.vlan)
    }
    vrfs = {name for name, vrf in before.vrfs.items() if after.vrfs.get(name) == vrf}

    def observe(state: SwitchConfig) -> None:
        for name in vrfs:
            assert state.vrfs[name] == before.vrfs[name], f"VRF {name} was touched"
        for vni, segment in kept.items():
            assert state.segments[vni].vlan == segment.vlan, f"VNI {vni} lost its VLAN"
            if segment == after.segments[vni] and segment.vrf in {None, *vrfs}:
                assert state.segments[vni] == segment, f"VNI {vni} was touched"
        for name in before.interfaces.keys() | after.interfaces.keys():
            idle = Interface(name=name)
            old, now, new = (each.interfaces.get(name, idle) for each in (before, state, after))
            _keeps_what_both_have(old, now, new, kept)
            _drops_before_it_joins(old, now, new)

    return observe


def _keeps_what_both_have(
    old: Interface, now: Interface, new: Interface, kept: Mapping[int, Segment]
) -> None:
    for vlan, vni in old.tagged.items() & new.tagged.items():
        if vni in kept and kept[vni].vlan == vlan:
            assert now.tagged.get(vlan) == vni, f"{now.name} lost VLAN {vlan}"
    if old.untagged == new.untagged and old.untagged in kept:
        assert now.untagged == old.untagged, f"{now.name} lost its untagged VNI"
    assert set(now.fenced) >= set(old.fenced) & set(new.fenced)
    assert now.is_down or not (old.is_down and new.is_down)


def _drops_before_it_joins(old: Interface, now: Interface, new: Interface) -> None:
    if now.tagged.items() - old.tagged.items() or now.untagged not in {None, old.untagged}:
        assert set(now.fenced) >= set(new.fenced), f"{now.name} joined before its drops"
        assert now.is_down or not new.is_down, f"{now.name} joined before it was held down"


_targets = st.sampled_from(
    [RouteTargets(imports=(f"65000:{n}",), exports=(f"65000:{n}",)) for n in (1, 2)]
)


def _segment(draw: st.DrawFn, vni: int, vlan: int | None, vrf: str | None) -> Segment:
    gateway = AnycastGateway(addresses=("10.0.0.1/24",), mac_address="02:00:00:00:00:02")
    return Segment(
        vni=vni,
        network_id=f"{draw(st.sampled_from(['n', 'm']))}{vni}",
        vlan=vlan,
        vrf=vrf,
        gateway=gateway if vrf else None,
        rd=f"10.0.0.1:{vni}",
        route_targets=draw(_targets),
    )


def _interface(draw: st.DrawFn, name: str, segments: dict[int, Segment]) -> Interface:
    tagged = [(each.vlan, vni) for vni, each in segments.items() if each.vlan is not None]
    return Interface(
        name=name,
        tagged=dict(draw(st.sets(st.sampled_from(tagged)))) if tagged else {},
        untagged=draw(st.sampled_from([None, *segments])),
        fenced=in_order(draw(st.sets(st.sampled_from(_FENCED)))),
        is_down=draw(st.booleans()),
    )
