"""FRR 8.4's bgpd loses who is at the other end of a cable when the cable comes back: ask again.

bgpd hears zebra on two connections, as `bgp` and as `vnc`, and takes an interface's events from
both. When the second one tells of the interface's return only after the first has told of the
neighbour there, bgpd forgets the neighbour. zebra knows it still, so it never tells of it again,
and the session stays down until the cable goes once more (ADR 56).

    each second: sessions by interface that are down, bgpd has no address for them
        └ zebra knows a neighbour there, as it did a second ago: take the interface down and up

Nothing goes by such an interface, for there is no session by it.
"""

from collections.abc import Mapping

from netwright.fabric.drivers.frr import shows
from netwright.fabric.drivers.frr.session import Session
from netwright.linux import links


class Healer:
    """Remembers what was lost a second ago: for a moment bgpd is always the last to know."""

    def __init__(self) -> None:
        self._lost: Mapping[str, frozenset[str]] = {}

    def look(self, session: Session) -> list[str]:
        """Repairs, and tells the interfaces at which it did. Raises OSError."""
        lost: dict[str, frozenset[str]] = {}
        bgpd, zebra = session.vty("bgpd"), session.vty("zebra")
        for interface in shows.interfaces_without_session(bgpd.ask(shows.SHOW_SESSIONS)):
            if shows.has_address(bgpd.ask(shows.show_neighbour(interface)), interface):
                continue
            shown = zebra.ask(shows.show_interface_json(interface))
            if known := shows.neighbours_at(shown, interface):
                lost[interface] = known
        repaired = [
            interface
            for interface, known in lost.items()
            if known & self._lost.get(interface, set()) and _take_down_and_up(session, interface)
        ]
        self._lost = {name: known for name, known in lost.items() if name not in repaired}
        return repaired


def _take_down_and_up(session: Session, interface: str) -> bool:
    """Whether it is there."""
    link = session.link("", interface)
    if link is None:
        return False
    requests = [links.set_link(link.index, interface, up=up) for up in (False, True)]
    session.netlink("").tell(requests)
    return True
