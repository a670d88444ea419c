"""FRR 8.4 loses the next hops of transit VNIs when sessions or paths change: put them back.

Two things lead a packet through a transit VNI: who a route's next hop is (a neighbour, its router
MAC) and behind which tunnel end that MAC is. The second is laid by the plan and stays, whatever
zebra forgets (`plan_vrfs`, ADR 52). The first is zebra's; the routes stay in the kernel without it,
and are black holes. Whose router MAC it was follows from the address: a leaf's.

    each second: a transit VNI's neighbours ─ as when nothing was missing ─▶ done
                 └ else: those of BGP's routes that have none ─▶ laid
                         laid ones that no route has any more ─▶ taken away

zebra's own words are not asked: it may forget and learn again between two looks.
"""

import errno
import ipaddress
from collections.abc import Collection, Iterable, Mapping

from netwright.fabric.drivers.frr import names, shows
from netwright.fabric.drivers.frr.session import Session
from netwright.fabric.drivers.linux import marks
from netwright.linux import links, neighbours, tunnel_ends
from netwright.linux.neighbours import Neighbour
from netwright.linux.netlink import Netlink, RefusedError
from netwright.model.resources import Value


class Repair(Value, frozen=True):
    """What is laid (next hop → MAC) and what is taken away, of one transit VNI.

    `missing` are leaves' next hops that nothing can be laid for until a plan leads to their MAC.
    """

    laid: Mapping[str, str]
    surplus: tuple[str, ...]
    missing: tuple[str, ...] = ()


_NOTHING = Repair(laid={}, surplus=())


def repair(
    next_hops: Collection[str], known: Mapping[str, Neighbour], led_to: Collection[str]
) -> Repair:
    """`known` are the neighbours there, `led_to` the MACs that lead to a leaf for good."""
    macs = {
        hop: names.router_mac(vtep)
        for hop in next_hops
        if hop not in known and (vtep := _vtep(hop))
    }
    return Repair(
        laid={hop: mac for hop, mac in macs.items() if mac in led_to},
        surplus=tuple(
            address for address, each in known.items() if each.is_ours and address not in next_hops
        ),
        missing=tuple(sorted(hop for hop, mac in macs.items() if mac not in led_to)),
    )


def _vtep(next_hop: str) -> str:
    """BGP's routes of IPv6 have a leaf's address within one (`::ffff:10.0.0.1`)."""
    address = ipaddress.ip_address(next_hop)
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or "")
    return next_hop


class Healer:
    """Remembers the neighbours with which nothing was missing: until they differ, nothing is."""

    def __init__(self) -> None:
        self._settled: dict[str, Mapping[str, Neighbour]] = {}

    def look(self, session: Session) -> list[str]:
        """Repairs, and tells the VRFs where something was missing. Raises OSError.

        What is refused in one VRF is raised when all have been looked at.
        """
        vnis = shows.l3vnis(session.vty("zebra").ask(shows.SHOW_VRF_VNIS))
        self._settled = {vrf: known for vrf, known in self._settled.items() if vrf in vnis}
        mended: list[str] = []
        refused: RefusedError | None = None
        for vrf, vni in vnis.items():
            try:
                mended += [vrf] if self._mend(session, vrf, vni) else []
            except RefusedError as error:
                refused = refused or error
        if refused is not None:
            raise refused
        return mended

    def _mend(self, session: Session, vrf: str, vni: int) -> bool:
        """Whether something was missing. What is somebody else's is left alone."""
        try:
            netlink = session.netlink(vrf)
        except OSError:  # the VRF goes at this moment, its file perhaps after its namespace
            return False
        bridge = session.link(vrf, names.bridge(vni))
        if bridge is None or marks.read_number(marks.read(bridge.alias), "l3vni") != vni:
            return False
        known = neighbours.parse(netlink.dump(neighbours.dump(bridge.index)))
        if self._settled.get(vrf) == known:
            return False
        vxlan = session.link(vrf, names.vxlan(vni))
        if vxlan is None:
            return False
        led_to = tunnel_ends.parse_entries(netlink.dump(tunnel_ends.dump_entries(vxlan.index)))
        routes = netlink.dump(links.dump_routes(links.BGP_PROTOCOL))
        found = repair(_next_hops(routes, bridge.index), known, led_to)
        _take_away(netlink, bridge.index, found.surplus)
        netlink.tell(neighbours.add(bridge.index, hop, mac) for hop, mac in found.laid.items())
        if found == _NOTHING:
            self._settled[vrf] = known
        return bool(found.laid)


def _take_away(netlink: Netlink, index: int, surplus: Iterable[str]) -> None:
    """One that has gone meanwhile has gone. What that hides is refused again at the next look."""
    try:
        netlink.tell(neighbours.remove(index, hop) for hop in surplus)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise


def _next_hops(routes: Iterable[bytes], index: int) -> frozenset[str]:
    return frozenset().union(*(links.next_hops_by(each, index) for each in routes))
