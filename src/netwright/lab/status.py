"""What is up: labs, their nodes, what runs there, and what is broken."""

from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from netwright.lab import netns, processes, state
from netwright.lab.broken import Fault, broken
from netwright.lab.layout import Kind
from netwright.lab.places import Placed, placed
from netwright.lab.processes import Process
from netwright.lab.state import Lab


class Liveness(StrEnum):
    """RUNNING; HALTED by SIGSTOP, hears nothing; DEAD."""

    RUNNING = "running"
    HALTED = "halted"
    DEAD = "dead"


class NodeStatus(Struct, frozen=True):
    """A node; one whose namespace is gone is a remainder of a lab that was not taken down whole."""

    name: str
    kind: Kind
    namespace: str
    namespace_exists: bool
    processes: dict[str, Liveness]


class LabStatus(Struct, frozen=True):
    name: str
    nodes: tuple[NodeStatus, ...]
    instances: tuple[Placed, ...]
    faults: tuple[Fault, ...]

    def kind_of(self, one: Placed) -> str:
        """Of an instance, as people call it."""
        if one.attachment is not None:
            return "container"
        (node,) = [node for node in self.nodes if node.name == one.node]
        return "bare metal" if node.kind == "baremetal" else "VM"


def status(name: str, root: Path = state.ROOT) -> LabStatus:
    """Raises UnknownLabObjectError when there is no such lab."""
    lab = state.load(name, root)
    there = set(netns.existing(state.namespace_prefix(name)))
    return LabStatus(
        name=name,
        nodes=tuple(
            NodeStatus(
                name=node.name,
                kind=node.kind,
                namespace=lab.namespace(node.name),
                namespace_exists=lab.namespace(node.name) in there,
                processes=_processes(lab, node.name),
            )
            for node in lab.layout.nodes
        ),
        instances=tuple(placed(lab)),
        faults=broken(lab),
    )


def _processes(lab: Lab, node: str) -> dict[str, Liveness]:
    return {process.name: _liveness(process) for process in processes.remembered(lab, node)}


def _liveness(process: Process) -> Liveness:
    if not processes.is_alive(process):
        return Liveness.DEAD
    return Liveness.HALTED if processes.is_stopped(process) else Liveness.RUNNING
