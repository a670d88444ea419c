"""Decisions about subnet pools. Which prefix a subnet gets of one is in `prefixes`."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from netwright.ipam.addresses import AddressRange
from netwright.ipam.prefixes import (
    cidrs_of,
    compacted,
    difference,
    overlap,
    ranges_of,
    to_cidr,
    union,
)
from netwright.model.addressing import RESCOPED_SUBNETS_MAX, AddressScope, SubnetPool
from netwright.model.addressing_errors import (
    AddressScopeNotFound,
    AddressScopePrefixConflict,
    IllegalSubnetPoolIpVersionAssociationToAddressScope,
    IllegalSubnetPoolPrefixBounds,
    IllegalSubnetPoolPrefixUpdate,
    IllegalSubnetPoolUpdate,
    PrefixVersionMismatch,
    SubnetPoolDeleteError,
    SubnetPoolNotFound,
)
from netwright.model.errors import InvalidInput
from netwright.model.resources import Subnet
from netwright.server.addressing_commands import (
    CreateSubnetPools,
    DeleteSubnetPool,
    SubnetPoolDraft,
    UpdateSubnetPool,
)
from netwright.server.commands import Caller
from netwright.server.networks import check_revision, touched
from netwright.server.prefixes import gaps_of, in_scope, require_scope
from netwright.server.sharing.keeping import forget_shares, may_use, shared_at_first
from netwright.server.world import Gap, World

_PREFIXLEN_MAX = {4: 32, 6: 128}
_MIN_DEFAULT = {4: 8, 6: 64}  # Neutron's defaults


def create(world: World, command: CreateSubnetPools) -> tuple[SubnetPool, ...]:
    return tuple(_create(world, command.caller, draft) for draft in command.drafts)


def update(world: World, command: UpdateSubnetPool) -> tuple[SubnetPool, ...]:
    pool = _owned(world, command.caller, command.id)
    check_revision(pool.revision_number, command.if_match)
    after = _reprefixed(replace(pool, **_changes(command)), command)
    if after == pool:
        return (pool,)
    _check_bounds(after)
    if after.is_default and not pool.is_default:
        _require_only_default(world, after)
    if command.remove:
        _check_free(world, pool, after)
    else:
        _check_growth(pool, after)
    _check_own_scope(world, command.caller, pool)
    if (after.address_scope_id, after.prefixes) != (pool.address_scope_id, pool.prefixes):
        _check_scope(world, command.caller, after)
    if after.address_scope_id != pool.address_scope_id:
        _rescope(world, after)
    if after.prefixes != pool.prefixes:
        _grow(world, pool, after)
    after = replace(after, revision_number=pool.revision_number + 1, updated_at=world.now)
    world.of(SubnetPool).put(pool.id, after)
    return (after,)


def delete(world: World, command: DeleteSubnetPool) -> tuple[()]:
    pool = _owned(world, command.caller, command.id)
    check_revision(pool.revision_number, command.if_match)
    if pool.subnets:
        raise SubnetPoolDeleteError(
            f"Unable to delete subnet pool: Subnet pool {pool.id} has existing allocations "
            f"({pool.subnets} subnets).",
            next=f"delete them first: openstack subnet list --subnet-pool {pool.id}",
        )
    forget_shares(world, pool)
    world.of(SubnetPool).put(pool.id, None)
    return ()


def _create(world: World, caller: Caller, draft: SubnetPoolDraft) -> SubnetPool:
    version = draft.ip_version
    min_prefixlen = _or(draft.min_prefixlen, _MIN_DEFAULT[version])
    pool = SubnetPool(
        id=draft.id,
        project_id=draft.project_id,
        name=draft.name,
        description=draft.description,
        ip_version=version,
        prefixes=compacted(draft.prefixes),
        min_prefixlen=min_prefixlen,
        max_prefixlen=_or(draft.max_prefixlen, _PREFIXLEN_MAX[version]),
        default_prefixlen=_or(draft.default_prefixlen, min_prefixlen),
        default_quota=draft.default_quota,
        address_scope_id=draft.address_scope_id,
        is_default=draft.is_default,
        shared=draft.shared,
        revision_number=1,
        created_at=world.now,
        updated_at=world.now,
    )
    _check_bounds(pool)
    if pool.is_default:
        _require_only_default(world, pool)
    _check_scope(world, caller, pool)
    for gap in union(ranges_of(pool.prefixes)):
        world.gaps.put((pool.id, gap.first), Gap(pool.id, gap))
    pool = shared_at_first(world, pool)
    world.of(SubnetPool).put(pool.id, pool)
    return pool


def _changes(command: UpdateSubnetPool) -> Mapping[str, Any]:
    wanted = {
        "name": command.name,
        "description": command.description,
        "prefixes": UNSET if command.prefixes is UNSET else compacted_one_version(command.prefixes),
        "min_prefixlen": command.min_prefixlen,
        "max_prefixlen": command.max_prefixlen,
        "default_prefixlen": command.default_prefixlen,
        "default_quota": command.default_quota,
        "address_scope_id": command.address_scope_id,
        "is_default": command.is_default,
    }
    return {key: value for key, value in wanted.items() if value is not UNSET}


def _reprefixed(pool: SubnetPool, command: UpdateSubnetPool) -> SubnetPool:
    """The pool with the prefixes that are added, and without those that are removed."""
    if command.add:
        pool = replace(pool, prefixes=compacted_one_version((*pool.prefixes, *command.add)))
    if command.remove:
        compacted_one_version((*pool.prefixes, *command.remove))
        left = difference(ranges_of(pool.prefixes), ranges_of(command.remove))
        pool = replace(pool, prefixes=cidrs_of(left))
    return pool


def _check_free(world: World, before: SubnetPool, after: SubnetPool) -> None:
    """Raises IllegalSubnetPoolUpdate for prefixes that go and of which subnets have some."""
    gone = difference(ranges_of(before.prefixes), ranges_of(after.prefixes))
    taken = difference(gone, gaps_of(world, before.id))
    if taken:
        raise IllegalSubnetPoolUpdate(
            f"Illegal subnetpool update : subnets of subnetpool {before.id} have addresses of "
            f"{', '.join(cidrs_of(taken))}.",
            next=f"delete them first: openstack subnet list --subnet-pool {before.id}",
        )


def compacted_one_version(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    """The same addresses in the fewest prefixes. Raises PrefixVersionMismatch."""
    if len({":" in prefix for prefix in prefixes}) > 1:
        raise PrefixVersionMismatch(
            f"Cannot mix IPv4 and IPv6 prefixes in a subnet pool: {', '.join(prefixes)}.",
            next="make a pool for each",
        )
    return compacted(prefixes)


def _check_bounds(pool: SubnetPool) -> None:
    """Raises IllegalSubnetPoolPrefixBounds."""
    order = (
        ("min_prefixlen", pool.min_prefixlen, "max_prefixlen", pool.max_prefixlen),
        ("max_prefixlen", pool.max_prefixlen, "ip_version", _PREFIXLEN_MAX[pool.ip_version]),
        ("min_prefixlen", pool.min_prefixlen, "default_prefixlen", pool.default_prefixlen),
        ("default_prefixlen", pool.default_prefixlen, "max_prefixlen", pool.max_prefixlen),
    )
    for lower, low, upper, high in order:
        if low > high:
            raise IllegalSubnetPoolPrefixBounds(
                f"Illegal prefix bounds: {lower}={low}, {upper}={high}.",
                next=f"let {lower} be {high} at most",
            )


def _require_only_default(world: World, pool: SubnetPool) -> None:
    for other in world.of(SubnetPool).values():
        if other.is_default and other.ip_version == pool.ip_version and other.id != pool.id:
            raise InvalidInput(
                "Invalid input for operation: A default subnetpool for this IP family has already "
                f"been set ({other.id}). Only one default may exist per IP family.",
                next="take it from that one first: openstack subnet pool set --no-default",
            )


def _check_growth(before: SubnetPool, after: SubnetPool) -> None:
    """Raises IllegalSubnetPoolPrefixUpdate, PrefixVersionMismatch."""
    if after.prefixes == before.prefixes:
        return
    compacted_one_version((*before.prefixes, *after.prefixes))
    lost = difference(ranges_of(before.prefixes), ranges_of(after.prefixes))
    if lost:
        raise IllegalSubnetPoolPrefixUpdate(
            f"Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes: "
            f"{', '.join(map(str, lost))} would be lost.",
            next="name the pool's prefixes beside those that are new",
        )


def _check_own_scope(world: World, caller: Caller, pool: SubnetPool) -> None:
    """A pool in another's shared scope is that project's to watch over, as Neutron has it."""
    if pool.address_scope_id is None:
        return
    scope = world.of(AddressScope).get(pool.address_scope_id)
    if scope is not None and not caller.may_touch(scope.project_id):
        raise IllegalSubnetPoolUpdate(
            f"Illegal subnetpool update : subnetpool {pool.id} cannot be updated when associated "
            f"with shared address scope {scope.id}.",
            next="ask an administrator",
        )


def _check_scope(world: World, caller: Caller, pool: SubnetPool) -> None:
    """Whether the pool may be in its scope, as it is now."""
    if pool.address_scope_id is None:
        return
    scope = world.of(AddressScope).get(pool.address_scope_id)
    if scope is None or not may_use(caller, scope):
        raise AddressScopeNotFound(f"Address scope {pool.address_scope_id} could not be found.")
    if scope.ip_version != pool.ip_version:
        raise IllegalSubnetPoolIpVersionAssociationToAddressScope(
            f"Illegal subnetpool association: subnetpool {pool.id} cannot associate with address "
            f"scope {scope.id} because subnetpool ip_version is not {scope.ip_version}."
        )
    own = ranges_of(pool.prefixes)
    for other in world.of(SubnetPool).values():
        if other.address_scope_id != scope.id or other.id == pool.id:
            continue
        for theirs in ranges_of(other.prefixes):
            if any(overlap(theirs, each) for each in own):
                raise _overlapping(caller, other, theirs)


def _overlapping(
    caller: Caller, other: SubnetPool, theirs: AddressRange
) -> AddressScopePrefixConflict:
    """Says whose prefix it is to who may see the pool: a shared scope has others' pools too."""
    seen = may_use(caller, other)
    whose = (
        f"subnet pool {other.id} has {to_cidr(theirs)}" if seen else "another project's has them"
    )
    return AddressScopePrefixConflict(
        "Failed to associate address scope: subnetpools within an address scope must have unique "
        f"prefixes; {whose}.",
        next="choose other prefixes, or another scope",
    )


def _rescope(world: World, pool: SubnetPool) -> None:
    """The networks of the pool's subnets are in its new scope."""
    if pool.subnets > RESCOPED_SUBNETS_MAX:
        raise IllegalSubnetPoolUpdate(
            f"Illegal subnetpool update : subnetpool {pool.id} has {pool.subnets} subnets, and the "
            f"address scope of more than {RESCOPED_SUBNETS_MAX} does not change at once.",
            next="make another pool in that scope for new subnets",
        )
    by_network: defaultdict[str, list[Subnet]] = defaultdict(list)
    for subnet in world.subnets.values():
        by_network[subnet.network_id].append(subnet)
    for network in list(world.networks.values()):
        subnets = by_network[network.id]
        if any(subnet.subnetpool_id == pool.id for subnet in subnets):
            require_scope(network, subnets, pool)
            touched(world, in_scope(network, pool.ip_version, pool.address_scope_id))


def _grow(world: World, before: SubnetPool, after: SubnetPool) -> None:
    """What is new is free, and joins what was free beside it; what goes is free, and so no more."""
    gone = difference(ranges_of(before.prefixes), ranges_of(after.prefixes))
    new = difference(ranges_of(after.prefixes), ranges_of(before.prefixes))
    free = gaps_of(world, after.id)
    for gap in free:
        world.gaps.put((after.id, gap.first), None)
    for gap in difference([*free, *new], gone):
        world.gaps.put((after.id, gap.first), Gap(after.id, gap))


def _owned(world: World, caller: Caller, pool_id: str) -> SubnetPool:
    pool = world.of(SubnetPool).get(pool_id)
    if pool is None or not caller.may_touch(pool.project_id):
        raise SubnetPoolNotFound(f"Subnet pool {pool_id} could not be found.")
    return pool


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
