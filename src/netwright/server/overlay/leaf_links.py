"""Links between hosts and leaves: what the inventory, the leaves and the hosts' LLDP say. Pure.

Where they contradict, both sides are shown, at the link and as a condition of the host. That a
leaf's interface has no link is the second witness of a host's life (law 5): alone it proves
nothing; beside a silent agent it tells the dead host from the dead agent.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from netwright.model.conditions import CABLING, LEAF_LINKS
from netwright.model.fabric import LeafLink, LinkReport, LinkState, SwitchState
from netwright.model.resources import Host
from netwright.model.topology import Link, Topology
from netwright.model.vlan_domains import host_links
from netwright.server.overlay.inventory import Inventory
from netwright.server.world import World


def link_reported(world: World, report: LinkReport) -> None:
    """Keep what the leaf says, and what that means for the host, which is loaded with its links."""
    key = str(report.end)
    before = world.of(LeafLink).get(key)
    if before is not None and before.is_up is report.is_up:
        return
    world.of(LeafLink).put(key, LeafLink(id=key, is_up=report.is_up, since=world.now))
    inventory = world.fabric.inventory
    neighbour = inventory.neighbour(report.end) if inventory is not None else None
    host = world.hosts.get(neighbour.node) if neighbour is not None else None
    if inventory is not None and host is not None:
        said = _of_leaves(world, inventory, host.name)
        _put(world, host, with_condition(host, LEAF_LINKS, said, world.now))


def heard(world: World, host: Host) -> Host:
    """The host with what its neighbours mean beside the inventory."""
    inventory = world.fabric.inventory
    links = inventory.links_of(host.name) if inventory is not None else ()
    return with_condition(host, CABLING, "; ".join(_contradictions(links, host)), world.now)


def review(world: World, inventory: Inventory) -> None:
    """All hosts, and what was reported of switches, beside another inventory."""
    for host in list(world.hosts.values()):
        said = "; ".join(_contradictions(inventory.links_of(host.name), host))
        after = with_condition(host, CABLING, said, world.now)
        of_leaves = _of_leaves(world, inventory, host.name)
        _put(world, host, with_condition(after, LEAF_LINKS, of_leaves, world.now))
    for switch in list(world.of(SwitchState).values()):
        if switch.name not in inventory.switches:
            world.of(SwitchState).put(switch.name, None)


def with_condition(host: Host, name: str, why: str, now: float) -> Host:
    """The host with the condition, or ("") without it."""
    if host.conditions.get(name, "") == why:
        return host
    conditions = {key: value for key, value in host.conditions.items() if key != name}
    since = {key: value for key, value in host.conditions_since.items() if key != name}
    if why:
        conditions[name] = why
        since[name] = host.conditions_since.get(name, now)
    return replace(host, conditions=conditions, conditions_since=since)


def link_states(
    topology: Topology, hosts: Iterable[Host], leaf_links: Mapping[str, LeafLink]
) -> Iterator[LinkState]:
    """Every link that somebody speaks of, by host and interface."""
    by_host: dict[str, list[Link]] = {}
    for link in host_links(topology):
        by_host.setdefault(link.lower.node, []).append(link)
    known = {host.name: host for host in hosts}
    for name in sorted(by_host.keys() | {one.name for one in known.values() if one.neighbours}):
        host = known.get(name)
        said = host.neighbours if host is not None else {}
        declared = {link.lower.interface: str(link.upper) for link in by_host.get(name, ())}
        for interface in sorted(declared.keys() | said.keys()):
            leaf = leaf_links.get(declared.get(interface, said.get(interface, "")))
            yield LinkState(
                host=name,
                interface=interface,
                declared=declared.get(interface),
                heard=said.get(interface),
                is_up=leaf.is_up if leaf is not None else None,
                contradiction=_contradiction(name, interface, declared, said),
                since=leaf.since if leaf is not None else 0.0,
            )


def _put(world: World, before: Host, after: Host) -> None:
    if after != before:
        world.hosts.put(after.name, after)


def _of_leaves(world: World, inventory: Inventory, host: str) -> str:
    """Which of the host's links the leaves say to be down, and which not; "" when none is."""
    words = []
    is_any_down = False
    for link in inventory.links_of(host):
        leaf = world.of(LeafLink).get(str(link.upper))
        is_any_down |= leaf is not None and not leaf.is_up
        state = "not reported" if leaf is None else "up" if leaf.is_up else "down"
        words.append(f"interface {link.upper.interface} of leaf {link.upper.node} is {state}")
    return ", ".join(words) if is_any_down else ""


def _contradictions(links: Iterable[Link], host: Host) -> Iterator[str]:
    declared = {link.lower.interface: str(link.upper) for link in links}
    for interface in sorted(declared.keys() | host.neighbours.keys()):
        said = _contradiction(host.name, interface, declared, host.neighbours)
        if said:
            yield said


def _contradiction(
    host: str, interface: str, declared: Mapping[str, str], heard_by: Mapping[str, str]
) -> str:
    """What both sides say, where they differ; "" for a host that has no links by the inventory."""
    here, said = declared.get(interface), heard_by.get(interface)
    if said is None or said == here or not declared:
        return ""
    there = f"hangs on {here}" if here is not None else "has no link"
    return f"{interface} of host {host} {there} by the inventory, and hears {said} by LLDP"
