"""VRFs: namespace, BGP instance, transit VNI (RFC 9135 symmetric routing). Pure."""

import msgspec

from netwright.fabric.config import Vrf
from netwright.fabric.drivers.frr import names
from netwright.fabric.drivers.frr.operations import (
    AddBridge,
    AddEnd,
    AddNamespace,
    AddVxlan,
    Configure,
    DeleteLink,
    HandOver,
    Lead,
    RemoveEnd,
    RemoveNamespace,
    Set,
    SetTunnelPort,
    Silence,
)
from netwright.fabric.drivers.frr.plan_bgp import instance_lines
from netwright.fabric.drivers.frr.planned import Plan, PlanError
from netwright.fabric.drivers.frr.reading import BROKEN_VNI, L3VNI_LINES
from netwright.fabric.drivers.frr.shows import Instance
from netwright.fabric.drivers.linux import marks
from netwright.linux import tunnel_ends
from netwright.linux.links import Link

_L3VNI_MTU = 1500


def ensure(plan: Plan, vrf: Vrf) -> None:
    """A broken transit VNI, which may stand in what is in between, is none."""
    if vrf.l3vni == BROKEN_VNI:
        vrf = msgspec.structs.replace(vrf, l3vni=None)
    alias = marks.write(router=vrf.router_id)
    space = plan.observed.spaces.get(vrf.name)
    if space is None:
        plan.add(AddNamespace(vrf.name, alias))
    else:
        loopback = space.find("lo")
        mark = marks.read(loopback.alias) if loopback else None
        if mark is None or "router" not in mark:
            raise PlanError(f"a namespace {vrf.name} is not ours: rename or remove it")
        if loopback and (loopback.alias != alias or not loopback.is_up):
            plan.add(Set(vrf.name, "lo", alias=alias, up=True))
    _leave_other_l3vnis(plan, vrf)
    _tell_bgp(plan, vrf)
    if vrf.l3vni is not None:
        _ensure_l3vni(plan, vrf, vrf.l3vni)


def remove(plan: Plan, vrf: Vrf) -> None:
    """Everything of ours in it goes with it. Raises PlanError when something else is in it."""
    space = plan.observed.spaces.get(vrf.name)
    if space is not None:
        for link in space.links.values():
            is_ours = marks.read(link.alias) is not None or names.is_made(link.name)
            if link.name != "lo" and link.kind and not is_ours:
                raise PlanError(f"its interface {link.name} is not ours: remove it first")
    _leave_other_l3vnis(plan, vrf, everything=True)
    if vrf.name in plan.observed.bgp.vrfs:
        plan.add(Configure("bgpd", (f"no router bgp {plan.asn} vrf {vrf.name}",), patient=True))
        plan.projection.bgp_vrf(vrf.name, None)
    if space is None:
        return
    for link in list(plan.observed.spaces[vrf.name].links.values()):
        if link.name != "lo" and link.kind:
            plan.add(DeleteLink(vrf.name, link.name))
    plan.add(RemoveNamespace(vrf.name))


def sweep(plan: Plan) -> None:
    """Tunnel ends that no transit VNI leads to any more."""
    used = {
        end
        for space in plan.observed.spaces.values()
        for known in space.leading.values()
        for end in known.values()
    }
    plan.add(*(RemoveEnd(end) for end in sorted(plan.observed.ends - used)))


def _leave_other_l3vnis(plan: Plan, vrf: Vrf, *, everything: bool = False) -> None:
    wanted = None if everything else vrf.l3vni
    shown = plan.observed.l3vnis.get(vrf.name)
    if shown is not None and shown != wanted:
        plan.add(Configure("zebra", (f"vrf {vrf.name}", f"no vni {shown}")))
        plan.projection.l3vni(vrf.name, None)
    space = plan.observed.spaces.get(vrf.name)
    for link in list(space.links.values()) if space else ():
        l3vni = marks.read_number(marks.read(link.alias), "l3vni")
        if l3vni is not None and l3vni != wanted:
            plan.add(DeleteLink(vrf.name, link.name))


def _tell_bgp(plan: Plan, vrf: Vrf) -> None:
    """Without a transit VNI nothing of the VRF itself is told by BGP."""
    now = plan.observed.bgp.vrfs.get(vrf.name)
    head = f"router bgp {plan.asn} vrf {vrf.name}"
    if vrf.l3vni is None and not vrf.rd and vrf.route_targets == Instance().targets:
        if now is not None:
            plan.add(Configure("bgpd", (f"no {head}",), patient=True))
            plan.projection.bgp_vrf(vrf.name, None)
        return
    lines = [] if now else [head, f"bgp router-id {plan.loopback}"]
    missing = L3VNI_LINES - (now.lines if now else frozenset()) if vrf.l3vni else frozenset()
    own = instance_lines(now, vrf.rd, vrf.route_targets)
    for family in ("ipv4 unicast", "ipv6 unicast", "l2vpn evpn"):
        each = [
            line
            for place, _, line in (entry.partition(": ") for entry in sorted(missing))
            if place == family
        ]
        each += own if family == "l2vpn evpn" else []
        if each:
            lines += [] if lines else [head]
            lines += [f"address-family {family}", *each, "exit-address-family"]
    if lines:
        plan.add(Configure("bgpd", tuple(lines)))
        held = missing | (now.lines if now else frozenset())
        told = Instance(rd=vrf.rd, targets=vrf.route_targets, lines=held)
        plan.projection.bgp_vrf(vrf.name, told)


def _ensure_l3vni(plan: Plan, vrf: Vrf, l3vni: int) -> None:
    bridge, vxlan = names.bridge(l3vni), names.vxlan(l3vni)
    alias, mac = marks.write(l3vni=l3vni), names.router_mac(plan.loopback)
    link = plan.find(vrf.name, bridge)
    if link is None:
        plan.add(AddBridge(vrf.name, bridge, alias, mac, _L3VNI_MTU), Silence(vrf.name, bridge))
        link = plan.find(vrf.name, bridge)
        assert link is not None
    if not link.is_up or link.mac_address != mac:
        plan.add(Set(vrf.name, bridge, up=True, mac_address=mac))
    tunnel = plan.find(vrf.name, vxlan)
    if tunnel is not None and (tunnel.vni, tunnel.local) != (l3vni, plan.loopback):
        plan.add(DeleteLink(vrf.name, vxlan))
        tunnel = None
    if tunnel is None:
        plan.add(AddVxlan(vrf.name, vxlan, alias, l3vni, _L3VNI_MTU), Silence(vrf.name, vxlan))
        tunnel = plan.find(vrf.name, vxlan)
        assert tunnel is not None
    if tunnel.master != link.index:
        plan.add(Set(vrf.name, vxlan, master=bridge))
    if tunnel.learns or tunnel.learns_ends or not tunnel.suppresses:
        plan.add(SetTunnelPort(vrf.name, vxlan, learning=False))
    if not tunnel.is_up:
        plan.add(Set(vrf.name, vxlan, up=True))
    _lead_to_leaves(plan, vrf, tunnel)
    if plan.observed.l3vnis.get(vrf.name) != l3vni:
        plan.add(Configure("zebra", (f"vrf {vrf.name}", f"vni {l3vni}")))
        plan.projection.l3vni(vrf.name, l3vni)


def _lead_to_leaves(plan: Plan, vrf: Vrf, tunnel: Link) -> None:
    """Before zebra says the same: it cannot take away what was there.

    A leaf that is not of the plan any more may carry traffic still. What zebra said of it was
    displaced by ours and is not said again, so that its MAC is handed over.
    """
    wanted = {names.router_mac(vtep): vtep for vtep in vrf.vteps}
    now = plan.observed.spaces[vrf.name].leading.get(tunnel.index, {})
    surplus = sorted(now.keys() - wanted.keys())
    plan.add(*(_let_go(vrf.name, tunnel.name, mac) for mac in surplus))
    absent = set(wanted.values()) - plan.observed.ends
    taken = {tunnel_ends.place(end): end for end in plan.observed.ends} if absent else {}
    for mac, vtep in wanted.items():
        if vtep in absent:
            _make_room(plan, taken.get(tunnel_ends.place(vtep)))
            plan.add(AddEnd(vtep))
        if now.get(mac) != vtep:
            plan.add(Lead(vrf.name, tunnel.name, mac, vtep))


def _let_go(space: str, name: str, mac: str) -> Lead | HandOver:
    leaf = names.leaf_of(mac)
    return HandOver(space, name, mac, leaf) if leaf else Lead(space, name, mac, "")


def _make_room(plan: Plan, end: str | None) -> None:
    """Before another end replaces this one: what leads here, in all VRFs, would lead there."""
    if end is None:
        return
    for name, space in plan.observed.spaces.items():
        for index, known in list(space.leading.items()):
            led = sorted(mac for mac, there in known.items() if there == end)
            plan.add(*(_let_go(name, space.links[index].name, mac) for mac in led))
    plan.add(RemoveEnd(end))
