"""Segments: bridge, vxlan, gateway, and the VNI in bgpd. Pure.

The bridge bears what the segment is, so it comes first and goes last: whatever stands between, the
segment is seen as ours and broken.
"""

from netwright.fabric.config import Segment
from netwright.fabric.drivers.frr import names, tunnels
from netwright.fabric.drivers.frr.operations import (
    AcceptArp,
    AddBridge,
    AddVxlan,
    ChangeAddress,
    Configure,
    DeleteLink,
    Set,
    SetSender,
    SetTunnelPort,
    Silence,
)
from netwright.fabric.drivers.frr.plan_bgp import instance_lines
from netwright.fabric.drivers.frr.planned import Plan, PlanError
from netwright.fabric.drivers.frr.shows import Instance
from netwright.fabric.drivers.linux import marks
from netwright.linux.links import Link


def ensure(plan: Plan, segment: Segment) -> None:
    space = segment.vrf or ""
    if space not in plan.observed.spaces:
        raise PlanError(f"VRF {space} of VNI {segment.vni} is not on it")
    _tell_bgp(plan, segment)
    old_bridges = _others(plan, segment.vni, "bridge", space)
    for place, link in _others(plan, segment.vni, "vxlan", space):
        plan.add(DeleteLink(place, link.name))
    _ensure_bridge(plan, segment, space)
    _ensure_vxlan(plan, segment, space)
    for place, link in old_bridges:
        _move_members(plan, place, link, segment, space)
        plan.add(DeleteLink(place, link.name))


def remove(plan: Plan, segment: Segment) -> None:
    """The tunnel first, so that bgpd withdraws what it told under the segment's own targets."""
    links = plan.with_number("vni", segment.vni)
    for space, link in links:
        if link.kind == "vxlan":
            plan.add(DeleteLink(space, link.name))
    if segment.vni in plan.observed.bgp.vnis:
        head = (f"router bgp {plan.asn}", "address-family l2vpn evpn")
        plan.add(Configure("bgpd", (*head, f"no vni {segment.vni}")))
        plan.projection.bgp_vni(segment.vni, None)
    for space, link in links:
        if link.kind != "bridge":
            continue
        for member in plan.members(space, link):
            if member.kind == "veth" and marks.read(member.alias):
                plan.add(DeleteLink(space, member.name))
        plan.add(DeleteLink(space, link.name))


def _tell_bgp(plan: Plan, segment: Segment) -> None:
    """Not of a broken one, which stands in a plan only between what it is and shall be."""
    if not segment.rd:
        return
    now = plan.observed.bgp.vnis.get(segment.vni)
    lines = instance_lines(now, segment.rd, segment.route_targets)
    if lines:
        head = (f"router bgp {plan.asn}", "address-family l2vpn evpn", f"vni {segment.vni}")
        plan.add(Configure("bgpd", (*head, *lines)))
        told = Instance(rd=segment.rd, targets=segment.route_targets)
        plan.projection.bgp_vni(segment.vni, told)


def _others(plan: Plan, vni: int, kind: str, space: str) -> list[tuple[str, Link]]:
    """Of this VNI, but elsewhere than where it shall be."""
    name = names.bridge(vni) if kind == "bridge" else names.vxlan(vni)
    return [
        (place, link)
        for place, link in plan.with_number("vni", vni)
        if link.kind == kind and (place != space or link.name != name)
    ]


def _ensure_bridge(plan: Plan, segment: Segment, space: str) -> None:
    name, gateway = names.bridge(segment.vni), segment.gateway
    alias = marks.write(vni=segment.vni, network=segment.network_id, vlan=segment.vlan)
    mac = gateway.mac_address if gateway else None
    link = plan.find(space, name)
    if link is None:
        plan.add(AddBridge(space, name, alias, mac, segment.mtu))
    else:
        change = Set(
            space,
            name,
            alias=alias if link.alias != alias else None,
            mac_address=mac if mac and link.mac_address != mac else None,
            mtu=segment.mtu if link.mtu != segment.mtu else None,
        )
        if change != Set(space, name):
            plan.add(change)
        if change.mtu is not None:
            _resize_members(plan, space, link, segment.mtu)
    link = plan.find(space, name)
    assert link is not None
    held = set(plan.observed.spaces[space].addresses.get(link.index, ()))
    wanted = set(gateway.addresses) if gateway else set()
    plan.add(*(ChangeAddress(space, name, each, add=False) for each in sorted(held - wanted)))
    if wanted and not link.accepts_arp:
        plan.add(AcceptArp(space, name))
    plan.add(*(ChangeAddress(space, name, each, add=True) for each in sorted(wanted - held)))
    if not wanted and not link.is_up:
        plan.add(Silence(space, name))
    if not link.is_up:
        plan.add(Set(space, name, up=True))


def _ensure_vxlan(plan: Plan, segment: Segment, space: str) -> None:
    name, bridge = names.vxlan(segment.vni), plan.find(space, names.bridge(segment.vni))
    assert bridge is not None
    link = plan.find(space, name)
    if link is not None and (link.vni, link.local) != (segment.vni, plan.loopback):
        plan.add(DeleteLink(space, name))
        link = None
    if link is None:
        alias = marks.write(vni=segment.vni)
        plan.add(AddVxlan(space, name, alias, segment.vni, segment.mtu), Silence(space, name))
        link = plan.find(space, name)
        assert link is not None
    if link.mtu != segment.mtu:
        plan.add(Set(space, name, mtu=segment.mtu))
    if link.master != bridge.index:
        plan.add(Set(space, name, master=bridge.name))
    sender = tunnels.sender_filter(segment.gateway, plan.loopback)
    if plan.observed.spaces[space].sender_filter(link.index) != sender:
        plan.add(SetSender(space, name, sender))
    if not (link.learns and link.learns_ends and link.suppresses):
        plan.add(SetTunnelPort(space, name, learning=True))
    if not link.is_up:
        plan.add(Set(space, name, up=True))


def _resize_members(plan: Plan, space: str, bridge: Link, mtu: int) -> None:
    for member in plan.members(space, bridge):
        if member.kind == "veth" and marks.read(member.alias) is not None:
            plan.add(Set(space, member.name, mtu=mtu))
            outer = plan.observed.own.links.get(member.peer)
            if outer is not None and outer.alias == member.alias:
                plan.add(Set("", outer.name, mtu=mtu))


def _move_members(plan: Plan, place: str, old: Link, segment: Segment, space: str) -> None:
    """Ends of VLANs' veths go along with their segment into another VRF."""
    for member in plan.members(place, old):
        if member.kind != "veth" or marks.read(member.alias) is None:
            continue
        if place != space:
            plan.add(Set(place, member.name, move=space))
        plan.add(Set(space, member.name, master=names.bridge(segment.vni), up=True))
