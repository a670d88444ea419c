"""Decisions about RBAC policies: a share more of a resource, another target, one less.

Who owns a resource says with whom it is shared, and administrators. What others use by a share
keeps it, as long as no other share lets them.
"""

from typing import Any

from msgspec.structs import replace

from netwright.model.addressing_errors import AddressScopeNotFound, SubnetPoolNotFound
from netwright.model.errors import (
    InvalidInput,
    NetworkNotFound,
    NotFound,
    SecurityGroupNotFound,
)
from netwright.model.qos_errors import QosPolicyNotFound
from netwright.model.resources import Network, Share, ShareAction
from netwright.model.security import SecurityGroup
from netwright.model.security_errors import AddressGroupNotFound
from netwright.model.sharing import (
    ObjectType,
    RbacPolicy,
    is_external_to,
    is_shared_with,
    shares_of,
)
from netwright.model.sharing_errors import (
    DuplicateRbacPolicy,
    InvalidSharedSetting,
    RbacPolicyInUse,
    RbacPolicyNotFound,
)
from netwright.server.commands import Caller
from netwright.server.sharing.commands import (
    CreateRbacPolicies,
    DeleteRbacPolicy,
    RbacPolicyDraft,
    UpdateRbacPolicy,
)
from netwright.server.sharing.keeping import SHARED, policy_of, with_shares
from netwright.server.sharing.users import left_out
from netwright.server.world import World

_MISSING: dict[ObjectType, tuple[type[NotFound], str]] = {
    ObjectType.NETWORK: (NetworkNotFound, "Network {} could not be found."),
    ObjectType.ADDRESS_SCOPE: (AddressScopeNotFound, "Address scope {} could not be found."),
    ObjectType.SUBNET_POOL: (SubnetPoolNotFound, "Subnet pool {} could not be found."),
    ObjectType.SECURITY_GROUP: (SecurityGroupNotFound, "Security group {} does not exist"),
    ObjectType.ADDRESS_GROUP: (AddressGroupNotFound, "Address group {} could not be found."),
    ObjectType.QOS_POLICY: (QosPolicyNotFound, "QoS policy {} could not be found."),
}
_ACTIONS = {ObjectType.NETWORK: tuple(ShareAction)}


def create(world: World, command: CreateRbacPolicies) -> tuple[RbacPolicy, ...]:
    return tuple(_create(world, command.caller, draft) for draft in command.drafts)


def update(world: World, command: UpdateRbacPolicy) -> tuple[RbacPolicy, ...]:
    policy = _owned(world, command.caller, command.id)
    if command.target is None or command.target == policy.target_tenant:
        return (policy,)
    value = _object(world, policy.object_type, policy.object_id)
    shares = shares_of(value)
    _require_new(value, policy.action, command.target)
    after = tuple(
        replace(share, target=command.target) if share.id == policy.id else share
        for share in shares
    )
    require_unused(world, policy.object_type, value, policy.action, after)
    _put(world, with_shares(world, value, after))
    return (replace(policy, target_tenant=command.target),)


def delete(world: World, command: DeleteRbacPolicy) -> tuple[()]:
    policy = _owned(world, command.caller, command.id)
    value = _object(world, policy.object_type, policy.object_id)
    after = tuple(share for share in shares_of(value) if share.id != policy.id)
    require_unused(world, policy.object_type, value, policy.action, after)
    _put(world, with_shares(world, value, after))
    return ()


def require_unshared(world: World, network: Network, shares: tuple[Share, ...]) -> None:
    """Raises InvalidSharedSetting when others have ports in a network that they could not use."""
    users = left_out(world, ObjectType.NETWORK, network, ShareAction.AS_SHARED, shares)
    if users:
        raise InvalidSharedSetting(
            f"Unable to reconfigure sharing settings for network {network.id}. Multiple tenants "
            "are using it.",
            next=f"their ports go first: openstack port list --network {network.id}",
        )


def require_unused(
    world: World, type_: ObjectType, value: Any, action: ShareAction, after: tuple[Share, ...]
) -> None:
    """Raises RbacPolicyInUse when by these shares somebody could not go on with what it uses."""
    users = left_out(world, type_, value, action, after)
    if users:
        raise RbacPolicyInUse(
            f"RBAC policy on object {value.id} cannot be removed because other objects depend on "
            f"it. Details: {_WHO[type_, action]} of {len(users)} projects.",
            next="they go first, or another policy lets these projects use it",
        )


def _create(world: World, caller: Caller, draft: RbacPolicyDraft) -> RbacPolicy:
    if draft.action not in _ACTIONS.get(draft.object_type, (ShareAction.AS_SHARED,)):
        actions = ", ".join(_ACTIONS.get(draft.object_type, (ShareAction.AS_SHARED,)))
        raise InvalidInput(
            f"Invalid input for operation: Invalid action '{draft.action}' for object type "
            f"'{draft.object_type}'. Valid actions: {actions}."
        )
    value = _owned_object(world, caller, draft)
    _require_new(value, draft.action, draft.target)
    share = Share(
        id=draft.id, project_id=draft.project_id, action=draft.action, target=draft.target
    )
    _put(world, with_shares(world, value, (*shares_of(value), share)))
    return policy_of(value, share)


def _owned_object(world: World, caller: Caller, draft: RbacPolicyDraft) -> Any:
    """What is to be shared: the caller's own. Another's that it may see is not its to share."""
    value = world.rows_of(SHARED[draft.object_type]).get(draft.object_id)
    if value is None or not _may_see(caller, value):
        error, message = _MISSING[draft.object_type]
        raise error(message.format(draft.object_id))
    if not caller.may_touch(value.project_id):
        raise InvalidInput(
            "Invalid input for operation: Only admins can manipulate policies on "
            f"{draft.object_type} objects which they do not own.",
            next="ask its owner, or an administrator",
        )
    return value


def _may_see(caller: Caller, value: Any) -> bool:
    if caller.may_touch(value.project_id):
        return True
    project_id = caller.project_id
    return is_shared_with(value, project_id) or is_external_to(value, project_id)


def _owned(world: World, caller: Caller, policy_id: str) -> RbacPolicy:
    policy = world.of(RbacPolicy).get(policy_id)
    if policy is None or not caller.may_touch(policy.project_id):
        raise RbacPolicyNotFound(f"RBAC policy {policy_id} not found")
    return policy


def _object(world: World, type_: ObjectType, id_: str) -> Any:
    value = world.rows_of(SHARED[type_]).get(id_)
    assert value is not None, f"{type_} {id_} was not loaded"
    return value


def _require_new(value: Any, action: ShareAction, target: str) -> None:
    if any((share.action, share.target) == (action, target) for share in shares_of(value)):
        raise DuplicateRbacPolicy(
            "An RBAC policy already exists with those values.", next="nothing is to be done"
        )


_WHO = {
    (ObjectType.NETWORK, ShareAction.AS_SHARED): "ports in the network",
    (ObjectType.NETWORK, ShareAction.AS_EXTERNAL): "routers with a gateway in the network",
    (ObjectType.SUBNET_POOL, ShareAction.AS_SHARED): "subnets of the pool",
    (ObjectType.ADDRESS_SCOPE, ShareAction.AS_SHARED): "subnet pools in the scope",
    (ObjectType.SECURITY_GROUP, ShareAction.AS_SHARED): "ports in the group",
    (ObjectType.ADDRESS_GROUP, ShareAction.AS_SHARED): "security group rules",
    (ObjectType.QOS_POLICY, ShareAction.AS_SHARED): "networks and ports with the policy",
}


def _put(world: World, value: Any) -> None:
    """With the next revision, as Neutron: who watches it hears who may use it."""
    revised = replace(value, revision_number=value.revision_number + 1, updated_at=world.now)
    world.rows_of(type(value)).put(value.id, revised)
    if isinstance(value, SecurityGroup):
        world.sharing.groups.put(value.id, revised.shares)
