"""What is broken in a lab now: the faults in force, found by looking, as `heal` looks.

A fault is named as `fail` and `heal` take it: the cable of a machine by its NIC, other cables by
the two nodes when all between them are broken alike, a process by its node.
"""

from collections.abc import Collection, Iterable
from itertools import groupby

from msgspec import Struct

from netwright.lab import faults, links, netns, processes, state
from netwright.lab.layout import Cable, End, Layout
from netwright.lab.nodes import frr
from netwright.lab.state import Lab

_MACHINES = ("host", "baremetal", "management")


class Fault(Struct, frozen=True):
    """`silent`: frames vanish while the carrier stays, or the process is halted."""

    what: str
    silent: bool


def broken(lab: Lab) -> tuple[Fault, ...]:
    """All faults in force. A node whose namespace is gone has none: it is not broken but gone."""
    there = set(netns.existing(state.namespace_prefix(lab.name)))
    nodes = [node.name for node in lab.layout.nodes if lab.namespace(node.name) in there]
    off = [node.name for node in lab.layout.nodes if node.has_frr and frr.is_off(lab, node.name)]
    down = {
        End(node, interface)
        for node in nodes
        if node not in off
        for interface in _taken_down(lab, node)
    }
    silenced = faults.silenced(lab, nodes)
    silent = [
        node.name
        for node in lab.layout.nodes
        if node.has_frr and silenced.issuperset(lab.layout.ends_at(node.name))
    ]
    silenced -= {end for node in silent for end in lab.layout.ends_at(node)}
    return (
        *(Fault(f"node:{node}", silent=False) for node in off),
        *(Fault(f"node:{node}", silent=True) for node in silent),
        *broken_cables(lab.layout, down, silenced),
        *(fault for node in nodes if node not in off for fault in _processes(lab, node)),
    )


def _taken_down(lab: Lab, node: str) -> set[str]:
    """Interfaces that somebody took down; not those that wait for the switch, or its controller."""
    down = links.interfaces_down(lab.namespace(node)) - frr.held(lab, node)
    ports = {end.interface for end in lab.layout.ends_at(node)} & down
    return down - frr.held_by_controller(lab.namespace(node), ports)


def broken_cables(
    layout: Layout, down: Collection[End], silent: Collection[End]
) -> Iterable[Fault]:
    """The faults of cables whose ends are down or drop what they send; one down is not silent."""
    machines = {node.name for node in layout.nodes if node.kind in _MACHINES}
    for (one, other), group in groupby(sorted(layout.cables, key=_nodes), key=_nodes):
        cables = list(group)
        found = [(cable, how) for cable in cables if (how := _how(cable, down, silent))]
        alike = len(found) == len(cables) and len({how for _, how in found}) == 1
        if alike and one not in machines:
            yield Fault(f"link:{one}-{other}", silent=found[0][1] == "silent")
            continue
        for cable, how in found:
            yield Fault(f"nic:{one}/{cable.lower.interface}", silent=how == "silent")


def _nodes(cable: Cable) -> tuple[str, str]:
    return cable.lower.node, cable.upper.node


def _how(cable: Cable, down: Collection[End], silent: Collection[End]) -> str:
    ends = {cable.lower, cable.upper}
    if ends.intersection(down):
        return "down"
    return "silent" if ends.intersection(silent) else ""


def _processes(lab: Lab, node: str) -> Iterable[Fault]:
    for process in processes.remembered(lab, node):
        if not processes.is_alive(process):
            yield Fault(f"process:{node}/{process.name}", silent=False)
        elif processes.is_stopped(process):
            yield Fault(f"process:{node}/{process.name}", silent=True)
