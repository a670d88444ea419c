"""VLAN domains: which leaves share hosts, and so the VLANs towards them. Pure.

A VLAN between a host and its leaves means the same network on all of them. So leaves that share a
host share their VLANs, and whoever shares with one of them, transitively: a connected part of the
links between leaves and hosts is one domain.
"""

from collections.abc import Iterable, Mapping

from netwright.model.resources import Value
from netwright.model.topology import Link, SwitchKind, Topology, VlanInterval

LEAVES = frozenset({SwitchKind.LEAF, SwitchKind.BORDER})
"""The kinds of switches that hosts of the fabric hang on."""


class VlanDomain(Value, frozen=True, kw_only=True):
    """Named by the first of its leaves; all by name. `vlans` are those it may give to networks."""

    name: str
    leaves: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    vlans: tuple[VlanInterval, ...] = ()


def leaves_of(topology: Topology) -> frozenset[str]:
    return frozenset(switch.name for switch in topology.switches if switch.kind in LEAVES)


def host_links(topology: Topology) -> tuple[Link, ...]:
    """The links between hosts and leaves; what is no switch is a host."""
    switches = {switch.name for switch in topology.switches}
    leaves = leaves_of(topology)
    return tuple(
        link
        for link in topology.links
        if link.upper.node in leaves and link.lower.node not in switches
    )


def vlan_domains(topology: Topology) -> tuple[VlanDomain, ...]:
    """All domains, by name; every leaf is in one, also one that no host hangs on."""
    first = {leaf: leaf for leaf in leaves_of(topology)}
    links = host_links(topology)
    leaf_of: dict[str, str] = {}
    for link in links:
        host, leaf = link.lower.node, link.upper.node
        if host in leaf_of:
            _join(first, leaf_of[host], leaf)
        leaf_of.setdefault(host, leaf)
    parts: dict[str, list[str]] = {}
    for leaf in sorted(first):
        parts.setdefault(_first_of(first, leaf), []).append(leaf)
    hosts: dict[str, list[str]] = {}
    for host in sorted(leaf_of):
        hosts.setdefault(_first_of(first, leaf_of[host]), []).append(host)
    return tuple(
        VlanDomain(
            name=name,
            leaves=tuple(leaves),
            hosts=tuple(hosts.get(name, ())),
            vlans=_vlans(topology, leaves),
        )
        for name, leaves in sorted(parts.items())
    )


def size(vlans: Iterable[VlanInterval]) -> int:
    """How many VLANs there are."""
    return sum(each.last - each.first + 1 for each in vlans)


def _vlans(topology: Topology, leaves: Iterable[str]) -> tuple[VlanInterval, ...]:
    """A domain's own, by the name of whichever of its leaves, or those of all domains."""
    own: Mapping[str, tuple[VlanInterval, ...]] = topology.fabric.domain_vlans
    return next((own[leaf] for leaf in leaves if leaf in own), topology.fabric.vlans)


def _join(first: dict[str, str], one: str, other: str) -> None:
    """The lower name stands for both parts."""
    low, high = sorted((_first_of(first, one), _first_of(first, other)))
    first[high] = low


def _first_of(first: dict[str, str], leaf: str) -> str:
    while first[leaf] != leaf:
        first[leaf] = first[first[leaf]]
        leaf = first[leaf]
    return leaf
