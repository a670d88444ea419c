"""Which QoS policies networks and ports may have."""

from netwright.model.qos import QosPolicy
from netwright.model.qos_errors import QosPolicyNotFound
from netwright.server.commands import Caller
from netwright.server.sharing.keeping import may_use
from netwright.server.world import World


def require_usable(world: World, caller: Caller, policy_id: str | None) -> None:
    """Raises QosPolicyNotFound when the caller may not give a network or port this policy."""
    if policy_id is None:
        return
    policy = world.of(QosPolicy).get(policy_id)
    if policy is None or not may_use(caller, policy):
        raise missing(policy_id)


def default_of(world: World, project_id: str) -> str | None:
    """The policy that new networks of the project have, if they name none."""
    return next(
        (one.id for one in world.of(QosPolicy).values() if one.default_of == project_id), None
    )


def missing(policy_id: str) -> QosPolicyNotFound:
    return QosPolicyNotFound(f"QoS policy {policy_id} could not be found.")
