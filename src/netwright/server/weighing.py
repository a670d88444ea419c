"""How much work a command is."""

from netwright.server.addressing_commands import CreateAddressScopes, CreateSubnetPools
from netwright.server.commands import (
    ApplyReports,
    Command,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeletePorts,
    SeeDevices,
    Together,
    UpdatePorts,
)
from netwright.server.routing_commands import CreateRouters

_BRIEF_MAX = 2


def weight(command: Command) -> int:
    """How many items a command has: a batch holds a bounded number of them."""
    match command:
        case (
            CreatePorts()
            | CreateNetworks()
            | CreateSubnets()
            | CreateSubnetPools()
            | CreateAddressScopes()
            | CreateRouters()
        ):
            return len(command.drafts)
        case UpdatePorts():
            return len(command.changes)
        case DeletePorts():
            return len(command.ids)
        case ApplyReports():
            return max(1, len(command.batch.reports))
        case Together():
            return sum(map(weight, command.commands))
        case _:
            return 1


def is_brief(command: Command) -> bool:
    """Whether it is one port's work or two's, whatever else there is; others may be a host's."""
    match command:
        case CreatePorts() | UpdatePorts() | DeletePorts():
            return weight(command) <= _BRIEF_MAX
        case ApplyReports():
            return weight(command) <= _BRIEF_MAX and command.batch.full_set_at is None
        case SeeDevices():
            return len(command.devices.port_ids) <= _BRIEF_MAX
        case _:
            return False
