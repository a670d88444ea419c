"""From what is observed to our configuration in the neutral form. Pure.

Only a thing that is whole and in force is told as what it shall be. One of ours that is broken is
told so that it differs from every plan: a segment without RD and targets, a VLAN that leads to VNI
0, a VRF whose transit VNI is 0. So a diff shows it, and applying the diff repairs it.
"""

from collections.abc import Iterator, Mapping

from netwright.fabric.config import (
    AnycastGateway,
    Fenced,
    Interface,
    Route,
    RouteTargets,
    Segment,
    SwitchConfig,
    VlanGateway,
    Vrf,
)
from netwright.fabric.drivers.bpf import programs
from netwright.fabric.drivers.frr import names, nft, tunnels
from netwright.fabric.drivers.frr.observed import Observed, Space
from netwright.fabric.drivers.frr.shows import Instance
from netwright.fabric.drivers.linux import marks
from netwright.linux.links import Link

BROKEN_VNI = 0
HOST_PORT_FILTERS = (programs.FROM_HOST, programs.HELD)
L3VNI_LINES = frozenset(
    {
        "ipv4 unicast: redistribute kernel",
        "ipv4 unicast: redistribute connected",
        "ipv6 unicast: redistribute kernel",
        "ipv6 unicast: redistribute connected",
        "l2vpn evpn: advertise ipv4 unicast",
        "l2vpn evpn: advertise ipv6 unicast",
    }
)
NO_TARGETS = RouteTargets(imports=(), exports=())


def config(observed: Observed, held: frozenset[str], loopback: str) -> SwitchConfig:
    """`held` are ports that the switch itself left down when it started; `loopback` its VTEP."""
    places = bridge_places(observed)
    return SwitchConfig(
        vrfs={vrf.name: vrf for vrf in _vrfs(observed)},
        segments=_segments(observed, loopback),
        interfaces=_interfaces(observed, held, places),
        gateways={gateway.key: gateway for gateway in gateways(observed)},
        routes=frozenset(_routes(observed)),
    )


def isolation(observed: Observed) -> str:
    """Why no other switch hears of what is on this one; "" when one does."""
    if observed.silent:
        return f"{'; '.join(observed.silent)}. No other switch hears it."
    if observed.sessions and not any(observed.sessions.values()):
        return "None of its EVPN sessions is established: no other switch hears it."
    if not observed.bgp.announces and bridge_places(observed):
        return (
            "No other switch hears it: `advertise-all-vni` is gone from address-family l2vpn evpn "
            "of its bgpd, which is the switch's own configuration; put it back there."
        )
    return ""


def lost_sessions(observed: Observed) -> tuple[str, ...]:
    """The neighbours for EVPN that it has no session with."""
    return tuple(name for name, is_up in observed.sessions.items() if not is_up)


def bridge_places(observed: Observed) -> dict[tuple[str, int], int]:
    """The bridges of ours, by namespace and index: their VNI."""
    return {
        (space, link.index): vni
        for space, link, mark in observed.marked()
        if link.kind == "bridge" and (vni := marks.read_number(mark, "vni")) is not None
    }


def is_whole(observed: Observed, port: Link, vlan: int, outer: Link) -> bool:
    """Whether frames of the VLAN pass between port and veth, both ways."""
    filters = observed.filters
    at_port, at_veth = filters.get(port.index), filters.get(outer.index)
    return (
        at_port is not None
        and at_port.name in (*HOST_PORT_FILTERS, programs.FROM_CORE)
        and at_veth is not None
        and at_veth.name == programs.TO_HOST
        and observed.tagged.get((port.index, vlan)) == outer.index
        and observed.ports.get(outer.index) == (port.index, vlan)
        and outer.is_up
    )


def inner_end(observed: Observed, outer: Link) -> tuple[str, Link] | None:
    """The other end of an outer end: the namespace it is in, and itself.

    Indexes are a namespace's own, so both ends may have the same one: then the outer end answers to
    all that is asked of its peer, but for the name.
    """
    for name, space in observed.spaces.items():
        other = space.links.get(outer.peer)
        if (
            other is not None
            and other.name != outer.name
            and other.peer == outer.index
            and other.alias == outer.alias
        ):
            return name, other
    return None


def outer_ends(observed: Observed, key: str, port: str) -> dict[int, Link]:
    """Of the veths whose mark names this port under `key` (`port`, `trunk`), by VLAN."""
    found = {}
    for link in observed.own.links.values():
        mark = marks.read(link.alias) if link.kind == "veth" and link.alias else None
        vlan = marks.read_number(mark, "vlan")
        if mark and mark.get(key) == port and vlan is not None and names.is_outer(link.name):
            found[vlan] = link
    return found


def gateways(observed: Observed) -> Iterator[VlanGateway]:
    """Those whose way to the core is broken have no addresses."""
    for name, link, mark in observed.marked():
        if "gateway" not in mark or link.name != mark.get("interface"):
            continue
        vlan = marks.read_number(mark, "vlan")
        addresses = observed.spaces[name].addresses.get(link.index, ())
        yield VlanGateway(
            interface=link.name,
            physical_network=mark.get("physical", ""),
            vlan=vlan,
            network_id=mark["gateway"],
            addresses=addresses if _reaches_core(observed, link, mark) else (),
            mac_address=link.mac_address if mark.get("mac") else None,
            vrf=name or None,
            nat=observed.spaces[name].nat.get(nft.table_of(link.name)),
        )


def _reaches_core(observed: Observed, link: Link, mark: Mapping[str, str]) -> bool:
    outer = observed.own.links.get(link.peer)
    trunk = observed.own.find(mark.get("trunk", ""))
    tag = marks.read_number(mark, "tag") or 0
    if outer is None or trunk is None or not (link.is_up and outer.is_up):
        return False
    end = outer_ends(observed, "trunk", trunk.name).get(tag)
    if end is None or not is_whole(observed, trunk, tag, end):
        return False
    found = inner_end(observed, end)
    return found is not None and found[1].is_up and 0 != found[1].master == outer.master


def _vrfs(observed: Observed) -> Iterator[Vrf]:
    for name, space in observed.spaces.items():
        loopback = space.find("lo") if name else None
        mark = marks.read(loopback.alias) if loopback else None
        if mark is None or "router" not in mark:
            continue
        instance = observed.bgp.vrfs.get(name, Instance())
        yield Vrf(
            name=name,
            router_id=mark["router"],
            l3vni=_l3vni(observed, name, space, instance),
            rd=instance.rd,
            route_targets=instance.targets,
            vteps=_vteps(space),
        )


def _vteps(space: Space) -> tuple[str, ...]:
    """Of a transit VNI, to whom it leads for good; a MAC that leads elsewhere stands for itself."""
    return tuple(
        sorted(
            end if end and names.router_mac(end) == mac else mac
            for known in space.leading.values()
            for mac, end in known.items()
        )
    )


def _l3vni(observed: Observed, name: str, space: Space, instance: Instance) -> int | None:
    shown = observed.l3vnis.get(name)
    devices = {
        (link.kind, marks.read_number(marks.read(link.alias), "l3vni")): link
        for link in space.links.values()
        if (marks.read(link.alias) or {}).get("l3vni")
    }
    if shown is None and not devices:
        return None
    bridge, vxlan = devices.get(("bridge", shown)), devices.get(("vxlan", shown))
    whole = bridge is not None and vxlan is not None and len(devices) == 2  # noqa: PLR2004 (both)
    if not (whole and bridge and vxlan and instance.lines >= L3VNI_LINES):
        return BROKEN_VNI
    joined = vxlan.vni == shown and vxlan.master == bridge.index
    return shown if joined and vxlan.is_up and bridge.is_up else BROKEN_VNI


def _segments(observed: Observed, loopback: str) -> dict[int, Segment]:
    found: dict[int, Segment] = {}
    vxlans = {
        vni: (space, link)
        for space, link, mark in observed.marked()
        if link.kind == "vxlan" and (vni := marks.read_number(mark, "vni")) is not None
    }
    for name, link, mark in observed.marked():
        vni = marks.read_number(mark, "vni")
        if link.kind != "bridge" or vni is None:
            continue
        space, vxlan = vxlans.pop(vni, (name, None))
        gateway = _gateway(observed, name, link)
        whole = (
            vxlan is not None
            and space == name
            and _is_tunnel_whole(vxlan, link, vni, loopback)
            and tunnels.is_as_it_shall(observed.spaces[name], vxlan, gateway, loopback)
            and vni not in found
        )
        whole = whole and (link.accepts_arp or gateway is None)
        found[vni] = _segment(observed, vni, link, mark, name, gateway=gateway, whole=whole)
    for vni, (name, link) in vxlans.items():
        found[vni] = _segment(observed, vni, link, {}, name, gateway=None, whole=False)
    return found


def _gateway(observed: Observed, space: str, bridge: Link) -> AnycastGateway | None:
    addresses = observed.spaces[space].addresses.get(bridge.index, ())
    if not addresses:
        return None
    return AnycastGateway(addresses=addresses, mac_address=bridge.mac_address)


def _is_tunnel_whole(vxlan: Link, bridge: Link, vni: int, loopback: str) -> bool:
    return (
        vxlan.vni == vni
        and vxlan.local == loopback
        and vxlan.master == bridge.index
        and vxlan.is_up
        and bridge.is_up
    )


def _segment(
    observed: Observed,
    vni: int,
    link: Link,
    mark: Mapping[str, str],
    space: str,
    *,
    gateway: AnycastGateway | None,
    whole: bool,
) -> Segment:
    instance = observed.vnis.get(vni, Instance()) if whole else Instance()
    return Segment(
        vni=vni,
        network_id=mark.get("network", ""),
        vlan=marks.read_number(mark, "vlan"),
        vrf=space or None,
        gateway=gateway,
        rd=instance.rd,
        route_targets=instance.targets,
        mtu=link.mtu,
    )


def _interfaces(
    observed: Observed, held: frozenset[str], places: Mapping[tuple[str, int], int]
) -> dict[str, Interface]:
    names = {
        mark["port"]
        for _, link, mark in observed.marked()
        if link.kind == "veth" and "port" in mark
    }
    for link in observed.own.links.values():
        filter_ = observed.filters.get(link.index)
        is_held = link.name in held and not link.is_up
        if is_held or (filter_ is not None and filter_.name in HOST_PORT_FILTERS):
            names.add(link.name)
    return {name: _interface(observed, name, held, places) for name in sorted(names)}


def _interface(
    observed: Observed, name: str, held: frozenset[str], places: Mapping[tuple[str, int], int]
) -> Interface:
    port = observed.own.find(name)
    tagged: dict[int, int] = {}
    for vlan, outer in outer_ends(observed, "port", name).items():
        end = inner_end(observed, outer)
        vni = places.get((end[0], end[1].master)) if end and end[1].is_up else None
        is_one = port is not None and vni is not None and is_whole(observed, port, vlan, outer)
        tagged[vlan] = vni if is_one and vni is not None else BROKEN_VNI
    if port is None:
        return Interface(name=name, tagged=tagged)
    for index, vlan in observed.tagged:
        if index == port.index:
            tagged.setdefault(vlan, BROKEN_VNI)
    untagged = tagged.pop(0, None)
    filter_ = observed.filters.get(port.index)
    ours_down = name in held or (filter_ is not None and filter_.name == programs.HELD)
    return Interface(
        name=name,
        tagged=tagged,
        untagged=untagged,
        fenced=_fenced(observed, port) if filter_ is not None else (),
        is_down=ours_down and not port.is_up,
    )


def _fenced(observed: Observed, port: Link) -> tuple[Fenced, ...]:
    """The kernel keeps one port for each sender of an interface."""
    by_port: dict[str, list[str]] = {}
    for sender, port_id in observed.fenced.get(port.index, {}).items():
        by_port.setdefault(port_id, []).append(sender)
    found = []
    for port_id, senders in by_port.items():
        macs = [each for each in senders if programs.is_mac(each)]
        addresses = tuple(sorted(each for each in senders if not programs.is_mac(each)))
        found += [
            Fenced(port_id=port_id, mac_address=mac, addresses=addresses) for mac in macs or [""]
        ]
    return tuple(sorted(found))


def _routes(observed: Observed) -> Iterator[Route]:
    for name, space in observed.spaces.items():
        for route in space.routes:
            yield Route(destination=route.destination, nexthop=route.nexthop, vrf=name or None)
