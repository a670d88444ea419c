"""The inventory, indexed for the planner: built once for each topology. Pure.

host ─ its leaves ─ their interfaces        from the links
(switch, interface) ─ what hangs on it
(switch, provider network) ─ interface      from the gateways
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from netwright.fabric import naming
from netwright.fabric.refusals import Refusal, RefusalCode
from netwright.model.resources import Segment
from netwright.model.topology import Switch, SwitchKind, Topology

_LEAVES = frozenset({SwitchKind.LEAF, SwitchKind.BORDER})


class Sound(NamedTuple):
    """Leaves that a host is on by interfaces of the same names: mostly all of its leaves."""

    leaves: tuple[str, ...]
    interfaces: tuple[str, ...]


class FabricIndex:
    """A topology with its answers ready. Every look-up is O(1)."""

    def __init__(self, topology: Topology) -> None:
        self.switches: Mapping[str, Switch] = {each.name: each for each in topology.switches}
        self.refusals = tuple(_unusable(topology))
        unusable = {refusal.switch for refusal in self.refusals}
        self.leaves: Mapping[str, Switch] = {
            each.name: each
            for each in topology.switches
            if each.kind in _LEAVES and each.name not in unusable
        }
        self.vteps = tuple(sorted(each.loopback for each in self.leaves.values()))
        """Those of all leaves, sorted as text."""
        self.borders = tuple(
            name for name in sorted(self.leaves) if self.leaves[name].kind is SwitchKind.BORDER
        )
        self.cores = tuple(
            each.name for each in topology.switches if each.kind is SwitchKind.CORE and each.driver
        )
        self._index_links(topology)
        self.sound_hosts: Mapping[str, tuple[Sound, ...]] = {
            host: _by_interfaces(leaves)
            for host, leaves in self.hosts.items()
            if all(leaf in self.leaves and self.is_plain(leaf, leaves[leaf]) for leaf in leaves)
        }
        """The same as `hosts`, of those hosts whose links leave nothing to refuse."""
        self._gateways = {
            (each.switch, each.physical_network, each.vlan): each.interface
            for each in reversed(topology.gateways)  # the first that is named counts
        }

    def _index_links(self, topology: Topology) -> None:
        hosts: dict[str, dict[str, tuple[str, ...]]] = {}
        below: dict[str, dict[str, tuple[str, ...]]] = {}
        self.inner: set[tuple[str, str]] = set()
        """Interfaces of switches that other switches are on."""
        for link in topology.links:
            if link.lower.node in self.switches:
                ends = (link.lower, link.upper)
                self.inner |= {(end.node, end.interface) for end in ends}
                continue
            switch = self.switches.get(link.upper.node)
            if switch is None or switch.kind not in _LEAVES or link.peer:
                continue
            on = hosts.setdefault(link.lower.node, {})
            on[switch.name] = (*on.get(switch.name, ()), link.upper.interface)
            faces = below.setdefault(switch.name, {})
            faces[link.upper.interface] = (*faces.get(link.upper.interface, ()), link.lower.node)
        self.hosts: Mapping[str, Mapping[str, tuple[str, ...]]] = hosts
        """Host → leaf → the leaf's interfaces that the host is on."""
        self.below: Mapping[str, Mapping[str, tuple[str, ...]]] = below
        """Leaf → interface → the hosts that the inventory has there; there should be one."""

    def is_plain(self, leaf: str, interfaces: Iterable[str]) -> bool:
        """Whether each of the leaf's interfaces has one host, as it should."""
        below = self.below[leaf]
        return all(len(below[each]) == 1 or len(set(below[each])) == 1 for each in interfaces)

    def gateway_interface(self, switch: str, segment: Segment) -> str | None:
        """The switch's interface into a provider network; None: the inventory names none.

        One that the inventory names for this VLAN; else `TRUNK.VLAN` of the one that it names for
        the physical network without VLAN, which has the flat network itself.
        """
        physical, vlan = segment.physical_network or "", segment.segmentation_id
        exact = self._gateways.get((switch, physical, vlan))
        if exact is not None or vlan is None:
            return exact
        trunk = self._gateways.get((switch, physical, None))
        return None if trunk is None else f"{trunk}.{vlan}"


def _by_interfaces(leaves: Mapping[str, tuple[str, ...]]) -> tuple[Sound, ...]:
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for leaf, interfaces in leaves.items():
        found[interfaces] = (*found.get(interfaces, ()), leaf)
    return tuple(Sound(names, interfaces) for interfaces, names in found.items())


def _unusable(topology: Topology) -> Iterator[Refusal]:
    """Leaves that no RD could be made for."""
    seen: dict[str, Switch] = {}
    for switch in sorted(topology.switches, key=lambda each: each.name):
        if switch.kind not in _LEAVES:
            continue
        try:
            own = naming.distinction(switch.loopback)
        except ValueError:
            yield _refused(switch, f"its loopback is {switch.loopback!r}, which is no IPv4 address")
            continue
        if other := seen.get(own):
            yield _refused(
                switch,
                f"its loopback {switch.loopback} ends as {other.loopback} of {other.name}: give "
                "every leaf other last three octets",
            )
            continue
        seen[own] = switch


def _refused(switch: Switch, why: str) -> Refusal:
    return Refusal(
        code=RefusalCode.UNUSABLE_SWITCH,
        switch=switch.name,
        words=f"Switch {switch.name} is left as it is: {why}.",
    )
