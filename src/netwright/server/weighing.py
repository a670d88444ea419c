"""How much work a command is, and whether it can wait."""

from collections.abc import Callable, Mapping
from typing import Any

from netwright.model.wire import ReportStatus
from netwright.server.addressing_commands import CreateAddressScopes, CreateSubnetPools
from netwright.server.commands import (
    ActivateBinding,
    ApplyReports,
    ChangeBinding,
    Command,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    DeleteBinding,
    DeletePorts,
    PerformOperation,
    PrepareBinding,
    SeeDevices,
    Tick,
    Together,
    UpdatePorts,
)
from netwright.server.containers.commands import EndClaim, LetGoOfOwners
from netwright.server.network_segments.commands import CreateSegments
from netwright.server.qos.commands import CreateQosPolicies
from netwright.server.routing_commands import CreateFloatingIps, CreateRouters
from netwright.server.security.commands import (
    AddSecurityGroupRules,
    CreateAddressGroups,
    CreateSecurityGroups,
)
from netwright.server.sharing.commands import CreateRbacPolicies
from netwright.server.trunks.commands import AddSubPorts, CreateTrunks

_BRIEF_MAX = 2


def weight(command: Command) -> int:
    """How many items a command has: a batch holds a bounded number of them."""
    count = _COUNTS.get(type(command))
    return count(command) if count else 1


def is_brief(command: Command) -> bool:
    """Whether it is one port's work or two's, whatever else there is; others may be a host's."""
    match command:
        case CreatePorts():
            counts = any(draft.network_labels for draft in command.drafts)
            return weight(command) <= _BRIEF_MAX and not counts
        case UpdatePorts() | DeletePorts():
            return weight(command) <= _BRIEF_MAX
        case PrepareBinding() | ChangeBinding() | ActivateBinding() | DeleteBinding() | EndClaim():
            return True
        case ApplyReports():
            return weight(command) <= _BRIEF_MAX and command.batch.full_set_at is None
        case SeeDevices():
            return len(command.devices.port_ids) <= _BRIEF_MAX
        case _:
            return False


def is_patient(command: Command) -> bool:
    """Whether others may pass it: it tells of what stands, and frees nothing that is waited for."""
    return isinstance(command, ApplyReports) and all(
        report.status is ReportStatus.UP for report in command.batch.reports
    )


_COUNTS: Mapping[type[Command], Callable[[Any], int]] = {
    CreatePorts: lambda command: len(command.drafts),
    CreateNetworks: lambda command: len(command.drafts),
    CreateSegments: lambda command: len(command.drafts),
    CreateSubnets: lambda command: len(command.drafts),
    CreateSubnetPools: lambda command: len(command.drafts),
    CreateAddressScopes: lambda command: len(command.drafts),
    CreateRouters: lambda command: len(command.drafts),
    CreateTrunks: lambda command: sum(1 + len(draft.sub_ports) for draft in command.drafts),
    AddSubPorts: lambda command: max(1, len(command.sub_ports)),
    CreateQosPolicies: lambda command: len(command.drafts),
    CreateFloatingIps: lambda command: len(command.drafts),
    CreateRbacPolicies: lambda command: len(command.drafts),
    CreateAddressGroups: lambda command: len(command.drafts),
    CreateSecurityGroups: lambda command: len(command.drafts),
    AddSecurityGroupRules: lambda command: len(command.rules),
    UpdatePorts: lambda command: len(command.changes),
    DeletePorts: lambda command: len(command.ids),
    Tick: lambda command: max(1, len(command.silent_ports)),
    LetGoOfOwners: lambda command: max(1, len(command.port_ids)),
    ApplyReports: lambda command: max(1, len(command.batch.reports)),
    Together: lambda command: sum(map(weight, command.commands)),
    PerformOperation: lambda command: sum(
        weight(step) for step in command.steps if isinstance(step, Command)
    ),
}
