"""FRR 8.4 loses the next hops of transit VNIs when sessions or paths change: put them back.

Two things lead a packet through a transit VNI: who a route's next hop is (a neighbour, its router
MAC) and behind which tunnel end that MAC is. The second is laid by the plan and stays, whatever
zebra forgets (`plan_vrfs`, ADR 52). The first is zebra's; the routes stay in the kernel without it,
and are black holes. Whose router MAC it was follows from the address: a leaf's.

    each second: zebra's next hops ─ as in the last two looks ─▶ done
                                   └ else: those of BGP's routes that have no neighbour ─▶ laid
                                           laid ones that no route has any more ─▶ taken away
"""

import ipaddress
from collections.abc import Collection, Mapping

from netwright.fabric.drivers.frr import names, shows
from netwright.fabric.drivers.frr.session import Session
from netwright.fabric.drivers.linux import marks
from netwright.linux import links, neighbours, tunnel_ends
from netwright.linux.neighbours import Neighbour
from netwright.model.resources import Value


class Repair(Value, frozen=True):
    """What is laid (next hop → MAC) and what is taken away, of one transit VNI."""

    laid: Mapping[str, str]
    surplus: tuple[str, ...]


def repair(
    next_hops: Collection[str], known: Mapping[str, Neighbour], led_to: Collection[str]
) -> Repair:
    """`known` are the neighbours there, `led_to` the MACs that lead to a leaf for good."""
    macs = {hop: names.router_mac(vtep) for hop in next_hops if (vtep := _vtep(hop))}
    return Repair(
        laid={hop: mac for hop, mac in macs.items() if hop not in known and mac in led_to},
        surplus=tuple(
            address for address, each in known.items() if each.is_ours and address not in next_hops
        ),
    )


def _vtep(next_hop: str) -> str:
    """BGP's routes of IPv6 have a leaf's address within one (`::ffff:10.0.0.1`)."""
    address = ipaddress.ip_address(next_hop)
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or "")
    return next_hop


class Healer:
    """Remembers what zebra showed: the kernel follows it a moment later, so it is asked twice."""

    def __init__(self) -> None:
        self._shown = ""
        self._has_changed = True

    def look(self, session: Session) -> list[str]:
        """Repairs, and tells the VRFs where something was missing. Raises OSError."""
        shown = session.vty("zebra").ask(shows.SHOW_NEXT_HOPS)
        had_changed, self._has_changed = self._has_changed, shown != self._shown
        self._shown = shown
        if not (self._has_changed or had_changed):
            return []
        vnis = shows.l3vnis(session.vty("zebra").ask(shows.SHOW_VRF_VNIS))
        return [vrf for vrf, vni in vnis.items() if _mend(session, vrf, vni)]


def _mend(session: Session, vrf: str, vni: int) -> bool:
    """Whether something was missing. What is somebody else's is left alone."""
    try:
        bridge, vxlan = (session.link(vrf, name) for name in (names.bridge(vni), names.vxlan(vni)))
        if bridge is None or vxlan is None:
            return False
        if marks.read_number(marks.read(bridge.alias), "l3vni") != vni:
            return False
        netlink = session.netlink(vrf)
        routes = netlink.dump(links.dump_routes(links.BGP_PROTOCOL))
        next_hops = frozenset[str]().union(
            *(links.next_hops_by(each, bridge.index) for each in routes)
        )
        known = neighbours.parse(netlink.dump(neighbours.dump(bridge.index)))
        led_to = tunnel_ends.parse_entries(netlink.dump(tunnel_ends.dump_entries(vxlan.index)))
        found = repair(next_hops, known, led_to)
        netlink.tell(neighbours.add(bridge.index, hop, mac) for hop, mac in found.laid.items())
        netlink.tell(neighbours.remove(bridge.index, hop) for hop in found.surplus)
    except FileNotFoundError:  # the VRF goes at this moment
        return False
    return bool(found.laid)
