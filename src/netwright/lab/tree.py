"""Is the cabling a tree, whichever standby link is in use? Pure.

The lab runs no spanning tree protocol (on this data path it would take half a minute to settle).
A loop is impossible by construction instead: a node uses one of its uplinks at a time, so all its
uplinks together count as one edge; switches that plain trunks join count as one vertex; the graph
of these must be a tree. Hosts do not forward between their NICs and need no check.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct


class Flaw(Struct, frozen=True):
    """The node whose cables break the tree, and why."""

    node: str
    why: str


def find_flaw(
    uplinks: Mapping[str, Iterable[str]], peers: Mapping[str, Iterable[str]]
) -> Flaw | None:
    """The first cable that closes a loop, or node that nothing connects; None when it is a tree."""
    nodes = {*uplinks, *peers}
    tree = _Groups(nodes)
    for node, others in peers.items():
        for other in others:
            if not tree.join(node, other):
                return Flaw(node, f"the trunk to {other} closes a loop")
    trunked = tree.copy()
    for node, names in uplinks.items():
        if above := list(names):
            apart = [o for o in above if trunked.find(o) != trunked.find(above[0])]
            if apart:
                why = (
                    f"its uplinks lead to {above[0]} and {apart[0]}, which no trunk joins: "
                    "a standby link would lead elsewhere than the one it stands in for"
                )
                return Flaw(node, why)
            if not tree.join(node, above[0]):
                return Flaw(node, f"its uplinks to {', '.join(above)} close a loop")
    roots = sorted(node for node in nodes if tree.find(node) == node)
    return Flaw(roots[1], f"no cable leads from it to {roots[0]}") if len(roots) > 1 else None


class _Groups:
    """Disjoint sets of nodes."""

    def __init__(self, nodes: set[str]) -> None:
        self._leader = {node: node for node in nodes}

    def copy(self) -> "_Groups":
        other = _Groups(set())
        other._leader = dict(self._leader)
        return other

    def find(self, node: str) -> str:
        while self._leader[node] != node:
            node = self._leader[node]
        return node

    def join(self, one: str, other: str) -> bool:
        """False when they were together already."""
        first, second = sorted((self.find(one), self.find(other)))
        self._leader[second] = first
        return first != second
