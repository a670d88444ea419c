"""FRR 8.4 loses the router MACs of remote leaves when sessions or paths change: put them back.

Its routes by the transit VNI then stay in the kernel, to next hops whose MAC nobody knows: they are
black holes. Taking the VNI from the VRF and giving it back makes bgpd tell zebra everything anew.

    each second: zebra's router MACs ─ as before, and nothing was missing ─▶ done
                                     └ routes' next hops without a MAC = missing
    missing, and was so a second ago: no vni ─▶ the routes have gone ─▶ vni
"""

import time
from collections.abc import Mapping

from netwright.fabric.drivers.frr import names, shows
from netwright.fabric.drivers.frr.session import Session
from netwright.fabric.drivers.linux import marks
from netwright.linux import links

_ROUTES_GO_S = 1.5
_POLL_S = 0.02


class Healer:
    """Remembers what was missing a second ago: on the way to convergence something always is."""

    def __init__(self) -> None:
        self._shown = ""
        self._missing: Mapping[str, frozenset[str]] = {}

    def look(self, session: Session) -> list[str]:
        """Repairs, and tells the VRFs that it did. Raises OSError."""
        shown = session.vty("zebra").ask(shows.SHOW_ROUTER_MACS)
        if shown == self._shown and not self._missing:
            return []
        known = shows.router_macs(shown)
        missing = {}
        vnis = shows.l3vnis(session.vty("zebra").ask(shows.SHOW_VRF_VNIS))
        for vrf, vni in vnis.items():
            if lost := _next_hops(session, vrf, vni) - known.get(vni, frozenset()):
                missing[vrf] = lost
        repaired = [vrf for vrf, lost in missing.items() if lost & self._missing.get(vrf, set())]
        for vrf in repaired:
            _tell_anew(session, vrf, vnis[vrf])
        self._shown = shown
        self._missing = {vrf: lost for vrf, lost in missing.items() if vrf not in repaired}
        return repaired


def _tell_anew(session: Session, vrf: str, vni: int) -> None:
    zebra = session.vty("zebra")
    zebra.configure((f"vrf {vrf}", f"no vni {vni}"))
    give_up = time.monotonic() + _ROUTES_GO_S
    while _next_hops(session, vrf, vni) and time.monotonic() < give_up:
        time.sleep(_POLL_S)
    zebra.configure((f"vrf {vrf}", f"vni {vni}"))


def _next_hops(session: Session, vrf: str, vni: int) -> frozenset[str]:
    """Those of BGP's routes by a transit VNI of ours; none when it is somebody else's."""
    try:
        bridge = session.link(vrf, names.bridge(vni))
        if bridge is None or marks.read_number(marks.read(bridge.alias), "l3vni") != vni:
            return frozenset()
        found = session.netlink(vrf).dump(links.dump_routes(links.BGP_PROTOCOL))
    except FileNotFoundError:  # the VRF goes at this moment
        return frozenset()
    return frozenset().union(*(links.next_hops_by(body, bridge.index) for body in found))
