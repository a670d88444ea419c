"""Decides on a new inventory of the fabric: whole, or refused with the element that is wrong."""

from collections import Counter

from netwright.model.errors import InvalidInput
from netwright.model.topology import SwitchKind, Topology
from netwright.server.commands import ReplaceTopology
from netwright.server.world import World

KEY = "fabric"
"""There is one fabric, so one row."""


def replace(world: World, command: ReplaceTopology) -> Topology:
    """The inventory as it now is. Raises InvalidInput."""
    check(command.topology)
    world.topologies.put(KEY, command.topology)
    return command.topology


def check(topology: Topology) -> None:
    """What types cannot say: names stand once and are known. Raises InvalidInput."""
    kinds = {switch.name: switch.kind for switch in topology.switches}
    _refuse_twice("switches", Counter(switch.name for switch in topology.switches))
    ends = Counter(str(end) for link in topology.links for end in (link.lower, link.upper))
    _refuse_twice("links", ends)
    interfaces = Counter(f"{one.switch}/{one.interface}" for one in topology.gateways)
    _refuse_twice("gateways", interfaces)
    for index, link in enumerate(topology.links):
        if link.upper.node not in kinds:
            raise _invalid(f"links[{index}].upper", f"{link.upper.node} is no switch")
        if link.upper.node == link.lower.node:
            raise _invalid(f"links[{index}]", f"it joins {link.lower.node} with itself")
        if link.peer and link.lower.node not in kinds:
            raise _invalid(f"links[{index}]", f"a peer link joins switches; see {link.lower.node}")
    for index, gateway in enumerate(topology.gateways):
        if kinds.get(gateway.switch) is not SwitchKind.CORE:
            raise _invalid(f"gateways[{index}].switch", f"{gateway.switch} is no core switch")


def _refuse_twice(attribute: str, names: Counter[str]) -> None:
    for name, count in names.items():
        if count > 1:
            raise _invalid(attribute, f"{name} stands {count} times")


def _invalid(attribute: str, reason: str) -> InvalidInput:
    return InvalidInput(
        f"Invalid input for {attribute}. Reason: {reason}.",
        next="Mend the topology and apply it whole again; the one before it still holds.",
    )
