"""What quotas count. One more resource is a line here, and one in `store.quotas` if it needs SQL.

A resource counts for the project that its value names. A deleted port that still withdraws does
not: nobody could tell from the API what fills the quota, nor free it (Neutron likewise). A
project's default security group counts, but no limit holds it up: nobody asked for it.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from netwright.model.addressing import SubnetPool
from netwright.model.resources import Network, Port, Subnet, Value
from netwright.model.routing import NO_PROJECT, FloatingIp, Router
from netwright.model.security import SecurityGroup
from netwright.model.sharing import RbacPolicy
from netwright.model.states import PortState


class Counted(NamedTuple):
    """A resource by the API's name: which values hold it, and how many each holds."""

    type: type[Value]
    number: Callable[[Any], int]


def _one(_value: Value) -> int:
    return 1


def _rules(group: SecurityGroup) -> int:
    return len(group.rules)


def _if_alive(port: Port) -> int:
    """Ports of no project count for nobody."""
    is_counted = port.state is not PortState.RELEASING and port.project_id != NO_PROJECT
    return 1 if is_counted else 0


def is_held_to_limits(before: Value | None, after: Value | None) -> bool:
    """Whether a limit can refuse the change: not that a default group is there.

    It is made for whoever looks at a project's groups or makes its first port; a full quota of
    groups, which the project does not know it needs another of, must not refuse that.
    """
    is_new_default = before is None and isinstance(after, SecurityGroup) and after.is_default
    return not is_new_default


COUNTED: Mapping[str, Counted] = {
    "network": Counted(Network, _one),
    "subnet": Counted(Subnet, _one),
    "port": Counted(Port, _if_alive),
    "router": Counted(Router, _one),
    "floatingip": Counted(FloatingIp, _one),
    "subnetpool": Counted(SubnetPool, _one),
    "rbac_policy": Counted(RbacPolicy, _one),
    "security_group": Counted(SecurityGroup, _one),
    "security_group_rule": Counted(SecurityGroup, _rules),
}
