"""Leaves that no other switch hears, and the ports that they hold down meanwhile.

    isolated ──its hosts have another way──▶ held ──sessions are back──▶ complete ──▶ raised

A leaf without any EVPN session still has its carrier: bonds go on sending to it, and it takes their
traffic nowhere. Only who sees all leaves can tell that a host has a better one, so the controller
decides, port by port; where no other leaf serves a host, its port stays as it is.
"""

from collections.abc import Callable, Iterable, Mapping

from netwright.fabric.views import View
from netwright.model.topology import Link

RAISED_S_MAX = 60.0
"""A leaf whose sessions are back opens its ports then, though its peers have not confirmed."""

ASK_S_MIN = 0.25
"""To ask whether a leaf is complete is to ask switches, whose answers have us look again."""

Views = Mapping[str, View]


class Paths:
    """The links between hosts and leaves."""

    def __init__(self, links: Iterable[Link]) -> None:
        self._of: dict[str, set[tuple[str, str]]] = {}
        self._below: dict[str, dict[str, set[str]]] = {}
        for link in links:
            leaf, port, host = link.upper.node, link.upper.interface, link.lower.node
            self._of.setdefault(host, set()).add((leaf, port))
            self._below.setdefault(leaf, {}).setdefault(port, set()).add(host)

    def stranded(self, leaf: str, views: Views, out: Iterable[str] = ()) -> Mapping[str, set[str]]:
        """Its ports → the hosts below that no other leaf serves. `out` are not in service."""
        return {
            port: {host for host in hosts if not self._is_served(host, views, {leaf, *out})}
            for port, hosts in self._below.get(leaf, {}).items()
        }

    def _is_served(self, host: str, views: Views, besides: set[str]) -> bool:
        return any(
            _serves(views.get(leaf), port)
            for leaf, port in self._of.get(host, ())
            if leaf not in besides
        )


class Isolation:
    """One tenure's. `is_complete`: whether the others have heard since then all a switch says."""

    def __init__(
        self, clock: Callable[[], float], is_complete: Callable[[str, float], bool]
    ) -> None:
        self.held: Mapping[str, frozenset[str]] = {}
        """Leaf → the ports that it shall hold down."""
        self._clock = clock
        self._is_complete = is_complete
        self._back_at: dict[str, float] = {}
        self._asked_at: dict[str, float] = {}

    def look(self, paths: Paths, views: Views, drained: frozenset[str]) -> frozenset[str]:
        """Bring `held` up to date; the leaves for which it is another one."""
        held = {}
        for name, view in views.items():
            if self._is_out(name, view):
                stranded = paths.stranded(name, views, drained)
                held[name] = frozenset(port for port, hosts in stranded.items() if not hosts)
        before, self.held = self.held, {name: ports for name, ports in held.items() if ports}
        changed = before.keys() | self.held.keys()
        return frozenset(name for name in changed if before.get(name) != self.held.get(name))

    def _is_out(self, name: str, view: View) -> bool:
        """Whether it is isolated, or was held down for that and is not complete again."""
        if view.actual is not None and view.actual.isolation:
            self._back_at.pop(name, None)
            return True
        if name not in self.held:
            return False
        if view.actual is None:
            return True  # it does not answer: what it held, it holds
        now = self._clock()
        back_at = self._back_at.setdefault(name, now)
        if now - self._asked_at.get(name, 0.0) < ASK_S_MIN:
            return True
        self._asked_at[name] = now
        if self._is_complete(name, back_at) or now - back_at > RAISED_S_MAX:
            del self._back_at[name]
            return False
        return True


def _serves(view: View | None, port: str) -> bool:
    """Whether what a host sends to this port goes anywhere."""
    if view is None or view.actual is None or view.actual.isolation:
        return False
    return view.actual.links.get(port, True)
