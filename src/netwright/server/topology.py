"""Decides on a new inventory of the fabric: whole, or refused with the element that is wrong."""

from netwright.model.topology import Topology
from netwright.model.topology_checks import check
from netwright.server.commands import ReplaceTopology
from netwright.server.world import World

KEY = "fabric"
"""There is one fabric, so one row."""


def replace(world: World, command: ReplaceTopology) -> Topology:
    """The inventory as it now is. Raises InvalidInput."""
    check(command.topology)
    world.topologies.put(KEY, command.topology)
    return command.topology
