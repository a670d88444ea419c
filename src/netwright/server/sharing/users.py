"""Which projects use what is shared: those whose use of it a share must go on to allow. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from netwright.model.addressing import SubnetPool
from netwright.model.resources import EVERYBODY, Share, ShareAction
from netwright.model.routing import NO_PROJECT, Router
from netwright.model.security import SecurityGroup
from netwright.model.sharing import ObjectType
from netwright.server.security.members import groups_of
from netwright.server.world import World


def left_out(
    world: World, type_: ObjectType, value: Any, action: ShareAction, shares: Iterable[Share]
) -> set[str]:
    """The projects that use it, and could not by these shares alone. Its owner always can."""
    allowed = {share.target for share in shares if share.action is action}
    if EVERYBODY in allowed:
        return set()
    users = set(world.sharing.users.get((value.id, action), ()))
    users.update(_in_batch(world, type_, value.id, action))
    return users - allowed - {value.project_id, NO_PROJECT}


def _in_batch(world: World, type_: ObjectType, id_: str, action: ShareAction) -> Iterator[str]:
    """What the batch itself has made use of; what it has let go is not looked at."""
    using = _USING.get((type_, action))
    return (value.project_id for value in using(world, id_)) if using else iter(())


def _ports(world: World, network_id: str) -> Iterator[Any]:
    changed = (port for _, _, port in world.ports.changed())
    return (port for port in changed if port is not None and port.network_id == network_id)


def _routers(world: World, network_id: str) -> Iterator[Any]:
    for _, _, router in world.of(Router).changed():
        if router is not None and router.gateway and router.gateway.network_id == network_id:
            yield router


def _subnets(world: World, pool_id: str) -> Iterator[Any]:
    changed = (subnet for _, _, subnet in world.subnets.changed())
    return (subnet for subnet in changed if subnet is not None and subnet.subnetpool_id == pool_id)


def _pools(world: World, scope_id: str) -> Iterator[Any]:
    """Of an address scope all are loaded."""
    return (pool for pool in world.of(SubnetPool).values() if pool.address_scope_id == scope_id)


def _members(world: World, group_id: str) -> Iterator[Any]:
    changed = (port for _, _, port in world.ports.changed())
    return (port for port in changed if group_id in groups_of(port))


def _groups(world: World, address_group_id: str) -> Iterator[Any]:
    for group in world.of(SecurityGroup).values():
        if any(rule.remote_group_id == address_group_id for rule in group.rules):
            yield group


def _limited(world: World, policy_id: str) -> Iterator[Any]:
    changed = (*world.networks.changed(), *world.ports.changed())
    return (now for _, _, now in changed if now is not None and now.qos_policy_id == policy_id)


_USING: Mapping[tuple[ObjectType, ShareAction], Callable[[World, str], Iterator[Any]]] = {
    (ObjectType.NETWORK, ShareAction.AS_SHARED): _ports,
    (ObjectType.NETWORK, ShareAction.AS_EXTERNAL): _routers,
    (ObjectType.SUBNET_POOL, ShareAction.AS_SHARED): _subnets,
    (ObjectType.ADDRESS_SCOPE, ShareAction.AS_SHARED): _pools,
    (ObjectType.SECURITY_GROUP, ShareAction.AS_SHARED): _members,
    (ObjectType.ADDRESS_GROUP, ShareAction.AS_SHARED): _groups,
    (ObjectType.QOS_POLICY, ShareAction.AS_SHARED): _limited,
}
