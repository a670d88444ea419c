"""Break things and mend them.

    link:A-B           every cable between two nodes    no carrier, or silent: frames just vanish
    nic:HOST/IF        the cable at one interface       likewise
    process:NODE/NAME  a process of the lab             SIGKILL, or silent: SIGSTOP
    node:SWITCH        a switch of the fabric           its plug is pulled, and it comes back empty;
                                                        or silent: nothing leaves it any more

A management link that is broken also cuts off whoever configures the switch (`reached`).
`heal` looks at what is there and needs no memory of what was broken, nor how: it mends either.
Whenever a link comes or goes, switches forget what they learned (`switch.forget_places`), also when
a halted switch goes on, which first delivers the old frames that queued at it.
"""

import re
import signal
from collections.abc import Iterable

from msgspec import Struct

from netwright.lab import links, processes
from netwright.lab.errors import SpecError, UnknownLabObjectError
from netwright.lab.layout import MANAGEMENT_INTERFACE, Cable, End, FabricSwitch
from netwright.lab.nodes import frr, reached, switch
from netwright.lab.state import Lab


class Link(Struct, frozen=True):
    one: str
    other: str


class Nic(Struct, frozen=True):
    node: str
    interface: str


class ProcessOf(Struct, frozen=True):
    node: str
    name: str


class Whole(Struct, frozen=True):
    """A node with all that it is."""

    node: str


Target = Link | Nic | ProcessOf | Whole


def parse(what: str, nodes: list[str]) -> Target:
    """Raises SpecError with the four forms. Node names may hold hyphens: `nodes` tells them apart.

    A node that does not exist is refused later, with the names of those that do.
    """
    kind, _, rest = what.partition(":")
    if kind == "link":
        for cut in (match.start() for match in re.finditer("-", rest)):
            if rest[:cut] in nodes and rest[cut + 1 :] in nodes:
                return Link(rest[:cut], rest[cut + 1 :])
        one, _, other = rest.partition("-")
        if one and other:
            return Link(one, other)
    first, _, second = rest.partition("/")
    if first and second and kind == "nic":
        return Nic(first, second)
    if first and second and kind == "process":
        return ProcessOf(first, second)
    if kind == "node" and rest:
        return Whole(rest)
    msg = (
        f"lab: {what!r} says no fault; it is link:A-B, nic:HOST/IF, process:NODE/NAME or "
        "node:SWITCH"
    )
    raise SpecError(msg)


def fail(lab: Lab, what: str, *, silent: bool = False) -> None:
    """Breaks it. Raises SpecError, or UnknownLabObjectError for what the lab does not have."""
    target = parse(what, [node.name for node in lab.layout.nodes])
    match target:
        case ProcessOf():
            process = processes.find(lab, target.node, target.name)
            if silent:
                processes.halt(process)
            else:
                processes.stop(process, signal.SIGKILL)
        case Whole():
            _break_switch(lab, frr.fabric_switch(lab, target.node), silent=silent)
        case Link() | Nic():
            _break(lab, _cables(lab, target), silent=silent)


def heal(lab: Lab, what: str) -> None:
    """Mends it, however it was broken; what is whole stays as it is. Raises as `fail` does."""
    target = parse(what, [node.name for node in lab.layout.nodes])
    match target:
        case ProcessOf():
            process = processes.find(lab, target.node, target.name)
            if not processes.is_alive(process):
                _restart(lab, target)
            elif processes.is_stopped(process):
                processes.send(process, signal.SIGCONT)
                switch.forget_places(lab)
        case Whole():
            _mend_switch(lab, frr.fabric_switch(lab, target.node))
        case Link() | Nic():
            _mend(lab, _cables(lab, target))


def reboot(lab: Lab, node: str) -> None:
    """Off and on again: a switch of the fabric comes back empty."""
    fail(lab, f"node:{node}")
    heal(lab, f"node:{node}")


def silenced(lab: Lab, nodes: Iterable[str]) -> set[End]:
    """The ends, at these nodes, that drop what they send."""
    found = set()
    for node in nodes:
        tables = set(
            processes.run(lab.namespace(node), ["nft", "list", "tables", "netdev"]).split()
        )
        if tables:
            ends = [end for cable in lab.layout.cables for end in (cable.lower, cable.upper)]
            found |= {end for end in ends if end.node == node and _table(end) in tables}
    return found


def _cables(lab: Lab, target: Link | Nic) -> list[Cable]:
    if isinstance(target, Nic):
        lab.node(target.node)
        cable = lab.layout.cable_at(target.node, target.interface)
        if cable is not None:
            return [cable]
        what = f"a cable at {target.interface} of {target.node}"
        ends = [end for c in lab.layout.cables for end in (c.lower, c.upper)]
        there = [end.interface for end in ends if end.node == target.node]
    else:
        lab.node(target.one)
        lab.node(target.other)
        if cables := lab.layout.cables_between(target.one, target.other):
            return cables
        what = f"a link from {target.one} to {target.other}"
        pairs = [{c.lower.node, c.upper.node} for c in lab.layout.cables]
        there = sorted(
            {node for pair in pairs if target.one in pair for node in pair - {target.one}}
        )
    msg = f"lab {lab.name}: there is not {what}; there are: {', '.join(there)}"
    raise UnknownLabObjectError(msg)


def _restart(lab: Lab, target: ProcessOf) -> None:
    if lab.node(target.node).has_frr and target.name == frr.ZEBRA:
        frr.restart_daemons(lab, frr.fabric_switch(lab, target.node))
    else:
        processes.restart(lab, target.node, target.name)


def _break(lab: Lab, cables: Iterable[Cable], *, silent: bool) -> None:
    for cable in cables:
        if silent:
            _silence(lab, cable.lower.node, [cable.lower])
            _silence(lab, cable.upper.node, [cable.upper])
        else:
            # One that its switch holds down already is let up again by that: the other end then.
            end = cable.lower if _is_down(lab, cable.upper) else cable.upper
            links.set_state(lab.namespace(end.node), end.interface, up=False)
        if cable.lower.interface == MANAGEMENT_INTERFACE:
            reached.cut(lab, cable.lower.node)
    if not silent:
        switch.forget_places(lab)


def _mend(lab: Lab, cables: Iterable[Cable]) -> None:
    for cable in cables:
        _unsilence(lab, cable.lower.node, [cable.lower])
        _unsilence(lab, cable.upper.node, [cable.upper])
        links.set_state(lab.namespace(cable.upper.node), cable.upper.interface, up=True)
        if _is_down(lab, cable.lower):
            links.set_state(lab.namespace(cable.lower.node), cable.lower.interface, up=True)
        if cable.lower.interface == MANAGEMENT_INTERFACE:
            reached.restore(lab, cable.lower.node)
    switch.forget_places(lab)


def _is_down(lab: Lab, end: End) -> bool:
    return end.interface in links.interfaces_down(lab.namespace(end.node))


def _break_switch(lab: Lab, one: FabricSwitch, *, silent: bool) -> None:
    node = one.speaker.node
    if silent:
        _silence(lab, node, lab.layout.ends_at(node))
        reached.cut(lab, node)
    elif not frr.is_off(lab, node):
        frr.power_off(lab, one)


def _mend_switch(lab: Lab, one: FabricSwitch) -> None:
    node = one.speaker.node
    if frr.is_off(lab, node):
        frr.boot(lab, one, hold=True)
    else:
        _unsilence(lab, node, lab.layout.ends_at(node))
        reached.restore(lab, node)


def _silence(lab: Lab, node: str, ends: Iterable[End]) -> None:
    """Drops what leaves a node's ends, all at once. Egress: OVS sees a frame before ingress does.

    A program on the node itself is told (ENOBUFS; ping sends again); what it forwards vanishes.
    """
    rules = "".join(
        f"add table netdev {_table(end)}\n"
        f"add chain netdev {_table(end)} egress "
        f'{{ type filter hook egress device "{end.interface}" priority 0; policy drop; }}\n'
        for end in ends
    )
    processes.run(lab.namespace(node), ["nft", "-f", "-"], stdin=rules)


def _unsilence(lab: Lab, node: str, ends: Iterable[End]) -> None:
    rules = "".join(  # also when there is none
        f"add table netdev {_table(end)}\ndelete table netdev {_table(end)}\n" for end in ends
    )
    processes.run(lab.namespace(node), ["nft", "-f", "-"], stdin=rules)


def _table(end: End) -> str:
    return f"netwright_lab_{end.interface.replace('-', '_')}"
