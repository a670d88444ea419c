"""The fabric's links that are in use, and the way over them.

Of a switch's links upward the first counts as in use: the server does not know its state. Of a
host's it is the one whose NIC its agent reports as active, else the first that it does not report
as failed.
"""

from collections import deque
from collections.abc import Collection, Mapping

from netwright.model.resources import Nic
from netwright.model.topology import Gateway, Link, Switch, Topology
from netwright.model.trace import Crossing


class Fabric:
    """A topology with the hosts' word about their NICs: host -> what its agent reported."""

    def __init__(self, topology: Topology, nics: Mapping[str, Collection[Nic]]) -> None:
        self.switches: Mapping[str, Switch] = {one.name: one for one in topology.switches}
        self._topology = topology
        known = {(host, nic.name): nic for host, reported in nics.items() for nic in reported}
        self._uplinks: dict[str, Link] = {}
        peers = []
        for link in sorted(topology.links, key=lambda link: _stands_by(link, known)):
            nic = known.get((link.lower.node, link.lower.interface))
            if link.peer:
                peers.append(link)
            elif nic is None or (nic.link_up and nic.forwarding):
                self._uplinks.setdefault(link.lower.node, link)
        self._neighbours: dict[str, list[Crossing]] = {}
        for link in (*self._uplinks.values(), *peers):
            for leaves, enters in ((link.lower, link.upper), (link.upper, link.lower)):
                crossing = Crossing(leaves=leaves, enters=enters)
                self._neighbours.setdefault(leaves.node, []).append(crossing)

    def has_links(self, node: str) -> bool:
        return any(node == link.lower.node for link in self._topology.links)

    def uplink(self, node: str) -> Link | None:
        """The link that a node uses upward; None when it has none, or none that works."""
        return self._uplinks.get(node)

    def gateways(self, physical_network: str | None, vlan: int | None) -> list[Gateway]:
        """The gateways of a VLAN, the preferred one first."""
        return [
            one
            for one in self._topology.gateways
            if one.physical_network == physical_network and one.vlan == vlan
        ]

    def way(self, start: str, goal: str) -> tuple[Crossing, ...] | None:
        """The shortest way over links in use, none when there is no way; hosts pass nothing on.

        In a tree, as layer 2 without loops is one, it is the only way.
        """
        reached: dict[str, tuple[Crossing, ...]] = {start: ()}
        front = deque([start])
        while front and goal not in reached:
            node = front.popleft()
            if node != start and node not in self.switches:
                continue
            for crossing in self._neighbours.get(node, ()):
                if crossing.enters.node not in reached:
                    reached[crossing.enters.node] = (*reached[node], crossing)
                    front.append(crossing.enters.node)
        return reached.get(goal)


def _stands_by(link: Link, nics: Mapping[tuple[str, str], Nic]) -> bool:
    nic = nics.get((link.lower.node, link.lower.interface))
    return nic is not None and not nic.active
