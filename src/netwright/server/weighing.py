"""How much work a command is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netwright.server.commands import (
    AddSecurityGroupRules,
    ApplyReports,
    Command,
    CreateNetworks,
    CreatePorts,
    CreateSecurityGroups,
    CreateSubnets,
    DeletePorts,
    SeeDevices,
    Together,
    UpdatePorts,
)

_BRIEF_MAX = 2

_ITEMS: Mapping[type[Command], Callable[[Any], Sequence[object]]] = {
    CreatePorts: lambda command: command.drafts,
    CreateNetworks: lambda command: command.drafts,
    CreateSubnets: lambda command: command.drafts,
    CreateSecurityGroups: lambda command: command.drafts,
    AddSecurityGroupRules: lambda command: command.rules,
    UpdatePorts: lambda command: command.changes,
    DeletePorts: lambda command: command.ids,
    ApplyReports: lambda command: command.batch.reports,
}


def weight(command: Command) -> int:
    """How many items a command has: a batch holds a bounded number of them."""
    if isinstance(command, Together):
        return sum(map(weight, command.commands))
    items = _ITEMS.get(type(command))
    return 1 if items is None else max(1, len(items(command)))


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
