"""The inventory as decisions ask it: which leaves and VLAN domain a host has. Pure."""

from collections.abc import Mapping

from netwright.model.topology import End, Link, SwitchKind, Topology
from netwright.model.vlan_domains import LEAVES, VlanDomain, host_links, vlan_domains


class Inventory:
    """A topology, indexed once; read by every batch until another takes its place."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.domains = vlan_domains(topology)
        self.switches: Mapping[str, SwitchKind] = {one.name: one.kind for one in topology.switches}
        self._by_leaf = {leaf: each for each in self.domains for leaf in each.leaves}
        self._by_host = {host: each for each in self.domains for host in each.hosts}
        self._leaves: dict[str, tuple[str, ...]] = {}
        self._hosts: dict[str, tuple[str, ...]] = {}
        for link in host_links(topology):
            host, leaf = link.lower.node, link.upper.node
            if leaf not in self._leaves.get(host, ()):
                self._leaves[host] = (*self._leaves.get(host, ()), leaf)
                self._hosts[leaf] = (*self._hosts.get(leaf, ()), host)
        self._links: dict[str, tuple[Link, ...]] = {}
        for link in host_links(topology):
            self._links[link.lower.node] = (*self._links.get(link.lower.node, ()), link)
        self._zones = {switch.name: switch.zone for switch in topology.switches}
        self._above: dict[str, tuple[str, ...]] = {}
        for link in topology.links:
            host, switch = link.lower.node, link.upper.node
            if host not in self.switches and switch not in self._above.get(host, ()):
                self._above[host] = (*self._above.get(host, ()), switch)
        self._neighbour: dict[str, End] = {}
        for link in topology.links:
            self._neighbour[str(link.lower)] = link.upper
            self._neighbour[str(link.upper)] = link.lower

    @property
    def has_leaves(self) -> bool:
        """Whether there is a fabric at all."""
        return bool(self.domains)

    def domain_of(self, host: str) -> VlanDomain | None:
        """None: the inventory knows no link of the host to a leaf."""
        return self._by_host.get(host)

    def domain_with(self, leaf: str) -> VlanDomain | None:
        return self._by_leaf.get(leaf)

    def leaves_of(self, host: str) -> tuple[str, ...]:
        return self._leaves.get(host, ())

    def links_of(self, host: str) -> tuple[Link, ...]:
        """Its links to leaves, in the order of the inventory."""
        return self._links.get(host, ())

    def hosts_on(self, leaf: str) -> tuple[str, ...]:
        return self._hosts.get(leaf, ())

    def above(self, host: str) -> tuple[str, ...]:
        """The switches that a host hangs on, of whichever kind."""
        return self._above.get(host, ())

    def zone_of(self, switch: str) -> str:
        """A switch's zone, "" where it has none."""
        return self._zones.get(switch, "")

    def leaves(self) -> tuple[str, ...]:
        return tuple(self._by_leaf)

    def is_leaf(self, switch: str) -> bool:
        return self.switches.get(switch) in LEAVES

    def neighbour(self, end: End) -> End | None:
        """What hangs on an interface, or what it hangs on."""
        return self._neighbour.get(str(end))
