"""FRR 8.4's bgpd loses who is at the other end of a cable when the cable comes back: ask again.

bgpd hears zebra on two connections, as `bgp` and as `vnc`, and takes an interface's events from
both. When the second one tells of the interface's return only after the first has told of the
neighbour there, bgpd forgets the neighbour. zebra knows it still, so it never tells of it again,
and the session stays down until the cable goes once more (ADR 56).

    at each look: sessions by interface that are down, bgpd has no address for them
        └ zebra knows a neighbour there, and did so a second ago: take the interface down and up
            └ lost again before there is a session: after 2 s, 4 s, … a minute

Nothing goes by such an interface, for there is no session by it.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from netwright.fabric.drivers.frr import shows
from netwright.fabric.drivers.frr.session import Session
from netwright.linux import links

_LOST_S = 1.0
"""For a moment bgpd is always the last to know; looks come as often as the kernel has news."""
_LOST_S_MAX = 60.0
"""What so many repairs did not cure has another cause, and whoever looks for it needs quiet."""


class Healer:
    """Remembers since when what is lost, and how long it has to be. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: Mapping[tuple[str, str], float] = {}
        self._patience: Mapping[str, float] = {}
        """Of interfaces without a session: how long in seconds something is lost there first."""

    def look(self, session: Session) -> list[str]:
        """Repairs, and tells the interfaces at which it did. Raises OSError."""
        now = self._clock()
        down = shows.interfaces_without_session(session.vty("bgpd").ask(shows.SHOW_SESSIONS))
        patience = {name: self._patience.get(name, _LOST_S) for name in down}
        lost = {one: self._since.get(one, now) for one in _lost(session, down)}
        due = {name for (name, _), since in lost.items() if now - since >= patience[name]}
        repaired = [name for name in sorted(due) if _take_down_and_up(session, name)]
        self._since = {one: since for one, since in lost.items() if one[0] not in repaired}
        self._patience = patience | {
            name: min(2 * patience[name], _LOST_S_MAX) for name in repaired
        }
        return repaired


def _lost(session: Session, interfaces: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Of these, and the neighbours' addresses there: those that zebra knows and bgpd does not."""
    bgpd, zebra = session.vty("bgpd"), session.vty("zebra")
    for interface in interfaces:
        if not shows.has_address(bgpd.ask(shows.show_neighbour(interface)), interface):
            shown = zebra.ask(shows.show_interface_json(interface))
            for address in shows.neighbours_at(shown, interface):
                yield interface, address


def _take_down_and_up(session: Session, interface: str) -> bool:
    """Whether it is there."""
    link = session.link("", interface)
    if link is None:
        return False
    requests = [links.set_link(link.index, interface, up=up) for up in (False, True)]
    session.netlink("").tell(requests)
    return True
