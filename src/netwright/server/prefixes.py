"""Which prefix of a pool a subnet gets, and what becomes of it when the subnet goes."""

from collections.abc import Iterable

from msgspec.structs import replace

from netwright.ipam.addresses import AddressRange, cidr_range
from netwright.ipam.prefixes import first_fit, host_bits, to_cidr, without
from netwright.model.addressing import SubnetPool
from netwright.model.addressing_errors import (
    MaxPrefixSubnetAllocationError,
    MinPrefixSubnetAllocationError,
    NetworkAddressScopeAffinityError,
    NetworkSubnetPoolAffinityError,
    SubnetAllocationError,
    SubnetPoolNotFound,
    SubnetPoolQuotaExceeded,
)
from netwright.model.errors import BadRequest
from netwright.model.resources import Network, Subnet
from netwright.server.commands import Caller, SubnetDraft
from netwright.server.sharing.keeping import may_use
from netwright.server.world import Gap, World

_QUOTA_UNIT_BITS = {4: 0, 6: 64}
"""A quota counts addresses of IPv4 and /64s of IPv6, as Neutron's does."""


def pool_for(world: World, caller: Caller, draft: SubnetDraft) -> SubnetPool | None:
    """The pool that a subnet is to come from; None: from none.

    Raises SubnetPoolNotFound, also for another project's that is not shared, and BadRequest.
    """
    if draft.use_default_subnetpool:
        return _default_pool(world, caller, draft.ip_version)
    if draft.subnetpool_id is None:
        return None
    pool = world.of(SubnetPool).get(draft.subnetpool_id)
    if pool is None or not _may_see(caller, pool):
        raise SubnetPoolNotFound(f"Subnet pool {draft.subnetpool_id} could not be found.")
    if pool.ip_version != draft.ip_version:
        raise BadRequest(
            f"Bad subnets request: Cannot allocate IPv{draft.ip_version} subnet from "
            f"IPv{pool.ip_version} subnet pool {pool.id}.",
            next="ask for the pool's ip_version, or name another pool",
        )
    return pool


def require_affinity(
    network: Network, subnets: Iterable[Subnet], ip_version: int, pool: SubnetPool | None
) -> None:
    """A network's subnets of one IP version are of one pool, of one scope, or of none.

    Raises NetworkSubnetPoolAffinityError, NetworkAddressScopeAffinityError.
    """
    scope = scope_of(network, ip_version)
    if pool is not None and scope is not None:
        if pool.address_scope_id != scope:
            raise _scopes_differ(network, ip_version)
        return
    for subnet in subnets:
        if subnet.ip_version == ip_version and subnet.subnetpool_id != (pool and pool.id):
            raise NetworkSubnetPoolAffinityError(
                "Subnets hosted on the same network must be allocated from the same subnet pool: "
                f"subnet {subnet.id} of network {network.id} is of "
                f"{subnet.subnetpool_id or 'none'}.",
                next="name that pool, or make the subnet in another network",
            )


def require_scope(network: Network, subnets: Iterable[Subnet], pool: SubnetPool) -> None:
    """A pool changes its scope only where all subnets of its version do.

    Raises NetworkAddressScopeAffinityError.
    """
    for subnet in subnets:
        if subnet.ip_version == pool.ip_version and subnet.subnetpool_id != pool.id:
            raise _scopes_differ(network, pool.ip_version)


def scope_of(network: Network, ip_version: int) -> str | None:
    return network.ipv4_address_scope if ip_version == 4 else network.ipv6_address_scope  # noqa: PLR2004


def in_scope(network: Network, ip_version: int, scope: str | None) -> Network:
    if ip_version == 4:  # noqa: PLR2004
        return replace(network, ipv4_address_scope=scope)
    return replace(network, ipv6_address_scope=scope)


def take(world: World, pool: SubnetPool, draft: SubnetDraft) -> str:
    """The prefix that the subnet gets of the pool: the one asked for, or the first that is free.

    Raises MinPrefixSubnetAllocationError, MaxPrefixSubnetAllocationError, SubnetPoolQuotaExceeded,
    SubnetAllocationError.
    """
    prefixlen = _prefixlen(pool, draft)
    bits = host_bits(prefixlen, pool.ip_version)
    _count_use(world, pool, draft.project_id, 1 << bits)
    gaps = gaps_of(world, pool.id)
    prefix = cidr_range(draft.cidr) if draft.cidr else first_fit(gaps, bits)
    gap = prefix and next((each for each in gaps if _holds(each, prefix)), None)
    if prefix is None or gap is None:
        raise _none_free(pool, draft.cidr or f"/{prefixlen}")
    world.gaps.put((pool.id, gap.first), None)
    for rest in without(gap, prefix):
        world.gaps.put((pool.id, rest.first), Gap(pool.id, rest))
    world.of(SubnetPool).put(pool.id, replace(pool, allocated=pool.allocated + 1))
    return to_cidr(prefix)


def give_back(world: World, subnet: Subnet) -> None:
    """The prefix of a subnet that goes is its pool's again."""
    pool = world.of(SubnetPool).get(subnet.subnetpool_id) if subnet.subnetpool_id else None
    if pool is None:
        return
    prefix = cidr_range(subnet.cidr)
    _count_use(world, pool, subnet.project_id, -prefix.size)
    first, last = prefix.first, prefix.last
    below = next((gap for gap in gaps_of(world, pool.id) if gap.last == first - 1), None)
    above = world.gaps.get((pool.id, last + 1))
    if above is not None:
        world.gaps.put((pool.id, last + 1), None)
        last = above.range.last
    first = below.first if below is not None else first
    world.gaps.put((pool.id, first), Gap(pool.id, AddressRange(first, last)))
    world.of(SubnetPool).put(pool.id, replace(pool, returned=pool.returned + 1))


def gaps_of(world: World, pool_id: str) -> list[AddressRange]:
    """The pool's gaps, as far as they are known."""
    return [gap.range for gap in world.gaps.values() if gap.pool_id == pool_id]


def _default_pool(world: World, caller: Caller, ip_version: int) -> SubnetPool:
    for pool in world.of(SubnetPool).values():
        if pool.is_default and pool.ip_version == ip_version and _may_see(caller, pool):
            return pool
    raise BadRequest(
        f"Bad subnets request: No default subnetpool found for IPv{ip_version}.",
        next="name a subnetpool_id, or ask an administrator to make a pool the default",
    )


def _may_see(caller: Caller, pool: SubnetPool) -> bool:
    return may_use(caller, pool)


def _prefixlen(pool: SubnetPool, draft: SubnetDraft) -> int:
    if draft.cidr:
        prefixlen = int(draft.cidr.partition("/")[2])
    else:
        prefixlen = pool.default_prefixlen if draft.prefixlen is None else draft.prefixlen
    if prefixlen > pool.max_prefixlen:
        raise MaxPrefixSubnetAllocationError(
            f"Unable to allocate subnet with prefix length {prefixlen}, maximum allowed prefix is "
            f"{pool.max_prefixlen} in subnet pool {pool.id}."
        )
    if prefixlen < pool.min_prefixlen:
        raise MinPrefixSubnetAllocationError(
            f"Unable to allocate subnet with prefix length {prefixlen}, minimum allowed prefix is "
            f"{pool.min_prefixlen} in subnet pool {pool.id}."
        )
    return prefixlen


def _count_use(world: World, pool: SubnetPool, project_id: str, addresses: int) -> None:
    """Raises SubnetPoolQuotaExceeded. A quota of 0 is none, as Neutron has it."""
    uses = (world.pool_uses.get((pool.id, project_id)) or 0) + addresses
    quota = pool.default_quota
    if quota and addresses > 0 and uses > quota << _QUOTA_UNIT_BITS[pool.ip_version]:
        raise SubnetPoolQuotaExceeded(
            f"Per-tenant subnet pool prefix quota exceeded: project {project_id} may have "
            f"{quota} {'addresses' if pool.ip_version == 4 else '/64 prefixes'} of "  # noqa: PLR2004
            f"subnet pool {pool.id}.",
            next="delete a subnet, ask for a smaller one, or have the pool's default_quota raised",
        )
    world.pool_uses.put((pool.id, project_id), uses)


def _holds(gap: AddressRange, prefix: AddressRange) -> bool:
    return gap.first <= prefix.first and prefix.last <= gap.last


def _none_free(pool: SubnetPool, asked: str) -> SubnetAllocationError:
    return SubnetAllocationError(
        f"Failed to allocate subnet: subnet pool {pool.id} ({', '.join(pool.prefixes)}) has no "
        f"{asked} that is free as a whole.",
        next="ask for a smaller prefix, delete subnets of the pool, or add prefixes to it",
    )


def _scopes_differ(network: Network, ip_version: int) -> NetworkAddressScopeAffinityError:
    return NetworkAddressScopeAffinityError(
        "Subnets of the same address family hosted on the same network must all be allocated from "
        f"the same address scope: network {network.id} would have IPv{ip_version} subnets of two.",
        next="use a pool of the network's address scope, or another network",
    )
