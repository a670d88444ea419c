"""Which security groups a port is in. Pure.

named               those, if the port has port security
not named           the project's default group, if it has port security; else none
a network's device  not filtered: its groups are None (DHCP, routers serve all)
"""

from msgspec import UNSET, UnsetType

from netwright.model.errors import SecurityGroupNotFound
from netwright.model.resources import Port
from netwright.model.security_errors import (
    PortSecurityAndIPRequiredForSecurityGroups,
    PortSecurityPortHasSecurityGroup,
)
from netwright.model.sharing import is_open_to
from netwright.server.commands import Caller, PortDraft
from netwright.server.security.decisions import default_group
from netwright.server.world import World

_NETWORKS_OWN = "network:"


def groups_at_first(
    world: World, caller: Caller, draft: PortDraft, *, port_security: bool
) -> tuple[str, ...] | None:
    """A new port's groups; makes the project's default group when it is first wanted.

    Raises SecurityGroupNotFound, PortSecurityAndIPRequiredForSecurityGroups.
    """
    named = draft.security_groups
    if named and not port_security:
        raise _needs_port_security()
    if draft.device_owner.startswith(_NETWORKS_OWN):
        return None
    if named is not UNSET:
        return _named(world, caller, draft.project_id, named)
    return (default_group(world, draft.project_id, draft.id),) if port_security else ()


def groups_after(
    world: World,
    caller: Caller,
    before: Port,
    now: Port,
    wanted: tuple[str, ...] | UnsetType,
) -> tuple[str, ...] | None:
    """The groups of a port that changes from `before` to `now`, as a request wants them.

    Raises SecurityGroupNotFound, and, when the port is left without port security but with groups,
    PortSecurityAndIPRequiredForSecurityGroups or PortSecurityPortHasSecurityGroup.
    """
    if wanted and not now.port_security_enabled:
        raise _needs_port_security()
    if now.device_owner.startswith(_NETWORKS_OWN):
        return None
    if wanted is not UNSET:
        return _named(world, caller, before.project_id, wanted)
    if before.security_groups and not now.port_security_enabled:
        raise PortSecurityPortHasSecurityGroup(
            "Port has security group associated. Cannot disable port security or IP address until"
            " security group is removed.",
            next="send security_groups: [] with it",
        )
    if before.device_owner.startswith(_NETWORKS_OWN):
        return ()
    return before.security_groups


def _named(
    world: World, caller: Caller, project_id: str, wanted: tuple[str, ...]
) -> tuple[str, ...]:
    """The groups, each once. Another's is found where it is shared, and by an admin."""
    groups = tuple(dict.fromkeys(wanted))
    missing = []
    for group_id in groups:
        owner = world.group_projects.get(group_id)
        shares = world.sharing.groups.get(group_id) or ()
        is_open = owner == project_id or is_open_to(shares, project_id)
        if owner is None or not (caller.is_admin or is_open):
            missing.append(group_id)
    if missing:
        raise SecurityGroupNotFound(f"Security group {', '.join(missing)} does not exist")
    return groups


def _needs_port_security() -> PortSecurityAndIPRequiredForSecurityGroups:
    return PortSecurityAndIPRequiredForSecurityGroups(
        "Port security must be enabled and port must have an IP address in order to use security"
        " groups.",
        next="set port_security_enabled, or leave the groups out",
    )
