"""Writes a resource's shares: in it, and each by itself."""

from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from netwright.model.addressing import AddressScope, SubnetPool
from netwright.model.qos import QosPolicy
from netwright.model.resources import EVERYBODY, Network, Share, ShareAction, Value
from netwright.model.security import AddressGroup, SecurityGroup
from netwright.model.sharing import (
    ObjectType,
    RbacPolicy,
    Shareable,
    is_open_to,
    is_shared_with,
    share_with_everybody,
    shares_of,
)
from netwright.server.commands import Caller
from netwright.server.world import World

SHARED: Mapping[ObjectType, type[Value]] = {
    ObjectType.NETWORK: Network,
    ObjectType.ADDRESS_SCOPE: AddressScope,
    ObjectType.SUBNET_POOL: SubnetPool,
    ObjectType.SECURITY_GROUP: SecurityGroup,
    ObjectType.ADDRESS_GROUP: AddressGroup,
    ObjectType.QOS_POLICY: QosPolicy,
}
"""The types of what can be shared; each has `shared` and `shares`."""

_TYPE_OF: Mapping[type[Value], ObjectType] = {type_: name for name, type_ in SHARED.items()}

V = TypeVar("V", bound=Value)


def with_shares(world: World, value: V, shares: tuple[Share, ...]) -> V:
    """The value with these shares in place of its own; what is stored of each follows."""
    rows = world.of(RbacPolicy)
    kept = {share.id for share in shares}
    for share in shares_of(_any(value)):
        if share.id not in kept:
            rows.put(share.id, None)
    for share in shares:
        policy = policy_of(value, share)
        if rows.get(share.id) != policy:
            rows.put(share.id, policy)
    said: dict[str, Any] = {"shares": shares, "shared": is_open_to(shares, EVERYBODY)}
    if isinstance(value, Network):
        said["external"] = any(share.action is ShareAction.AS_EXTERNAL for share in shares)
    return replace(value, **said)


def shared_at_first(world: World, value: V) -> V:
    """A new value, with the shares that its flags ask for."""
    found = _any(value)
    return with_shares(world, value, shares_of(found)) if shares_of(found) else value


def shared_with_all(world: World, value: V, action: ShareAction, *, wanted: bool) -> V:
    """The value, shared with everybody, or not; to be no more external, with nobody at all."""
    shares = shares_of(_any(value))
    is_so = any(share.action is action and share.target == EVERYBODY for share in shares)
    if wanted and action is ShareAction.AS_EXTERNAL:
        is_so = any(share.action is action for share in shares)
    if wanted:
        new = () if is_so else (share_with_everybody(replace(_any(value), shares=shares), action),)
        return with_shares(world, value, (*shares, *new))
    all_of_them = action is ShareAction.AS_EXTERNAL
    left = tuple(
        share
        for share in shares
        if share.action is not action or not (all_of_them or share.target == EVERYBODY)
    )
    return with_shares(world, value, left)


def forget_shares(world: World, value: Value) -> None:
    """The value goes, and its shares with it."""
    for share in shares_of(_any(value)):
        world.of(RbacPolicy).put(share.id, None)


def may_use(caller: Caller, value: Shareable) -> bool:
    """Whether it is the caller's to use: its own, or shared with it."""
    return caller.may_touch(value.project_id) or is_shared_with(value, caller.project_id)


def policy_of(value: Value, share: Share) -> RbacPolicy:
    """The share by itself, as it is stored beside what it is of."""
    return RbacPolicy(
        id=share.id,
        project_id=share.project_id,
        object_type=_TYPE_OF[type(value)],
        object_id=_any(value).id,
        action=share.action,
        target_tenant=share.target,
    )


def _any(value: Value) -> Any:
    return value
