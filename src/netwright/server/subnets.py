"""Decisions about subnets."""

from functools import partial
from ipaddress import ip_address, ip_network

from msgspec import UNSET
from msgspec.structs import replace

from netwright.ipam.addresses import AddressRange, cidr_range, from_text, to_text
from netwright.ipam.pools import checked_pools, default_gateway, default_pools
from netwright.model.errors import InvalidInput, SubnetInUse, SubnetNotFound
from netwright.model.resources import Network, Pool, Subnet
from netwright.model.routing import ROUTER_INTERFACE
from netwright.model.routing_errors import GatewayIpInUse
from netwright.server.commands import (
    Caller,
    CreateSubnets,
    DeleteSubnet,
    SubnetDraft,
    UpdateSubnet,
)
from netwright.server.each import each
from netwright.server.handed_over import require_free
from netwright.server.network_segments.reach import require_alike, require_movable
from netwright.server.network_segments.routes import reroute
from netwright.server.networks import addressable, check_revision, require_mtu, touched
from netwright.server.ports.addressing import SLAAC_MODES
from netwright.server.prefixes import give_back, in_scope, pool_for, require_affinity, take
from netwright.server.world import World

_SLAAC_PREFIX_LENGTH = 64


def create(world: World, command: CreateSubnets) -> tuple[Subnet, ...]:
    return each("subnets", command.drafts, partial(_create, world, command.caller))


def update(world: World, command: UpdateSubnet) -> tuple[Subnet, ...]:
    subnet = _owned(world, command.caller, command.id)
    check_revision(subnet.revision_number, command.if_match)
    wanted = {
        "name": command.name,
        "description": command.description,
        "enable_dhcp": command.enable_dhcp,
        "dns_nameservers": command.dns_nameservers,
        "host_routes": command.host_routes,
        "gateway_ip": command.gateway_ip,
        "service_types": command.service_types,
        "segment_id": command.segment_id,
    }
    if command.segment_id is not UNSET:
        require_movable(world, subnet, command.segment_id)
    changes = {key: value for key, value in wanted.items() if value is not UNSET}
    siblings = list(world.subnets_of(subnet.network_id))
    after = replace(subnet, **changes)
    if after.gateway_ip != subnet.gateway_ip:
        _check_no_interface(world, subnet)
    if command.allocation_pools is not UNSET:
        pools = checked_pools(after.cidr, command.allocation_pools, after.gateway_ip)
        after = replace(after, allocation_pools=_as_values(pools))
    elif "gateway_ip" in changes:
        _check_gateway(after.cidr, after.gateway_ip)
        checked_pools(after.cidr, after.allocation_pools, after.gateway_ip)
    if after != subnet:
        after = replace(after, revision_number=subnet.revision_number + 1, updated_at=world.now)
        world.subnets.put(after.id, after)
    if after.allocation_pools != subnet.allocation_pools:
        world.recut(subnet.id)
    reroute(world, subnet.network_id, siblings)
    return (world.subnets.get(subnet.id) or after,)


def delete(world: World, command: DeleteSubnet) -> tuple[()]:
    subnet = _owned(world, command.caller, command.id)
    check_revision(subnet.revision_number, command.if_match)
    uses = world.subnet_uses.get(subnet.id) or 0
    if uses:
        raise SubnetInUse(
            f"Unable to complete operation on subnet {subnet.id}: One or more ports have an IP "
            f"allocation from this subnet ({uses} addresses).",
            next=f"delete them first: openstack port list --fixed-ip subnet={subnet.id}",
        )
    siblings = list(world.subnets_of(subnet.network_id))
    world.subnets.put(subnet.id, None)
    reroute(world, subnet.network_id, siblings)
    give_back(world, subnet)
    network = world.networks.get(subnet.network_id)
    if network is not None:
        rest = tuple(each for each in network.subnets if each != subnet.id)
        left = [each for each in world.subnets_of(network.id) if each.subnetpool_id]
        if not any(each.ip_version == subnet.ip_version for each in left):
            network = in_scope(network, subnet.ip_version, None)
        touched(world, replace(network, subnets=rest))
    return ()


def _create(world: World, caller: Caller, draft: SubnetDraft) -> Subnet:
    network = addressable(world, caller, draft.network_id)
    require_free(world.subnets, "Subnet", draft.id)
    pool = pool_for(world, caller, draft)
    require_affinity(network, world.subnets_of(network.id), draft.ip_version, pool)
    cidr = draft.cidr if pool is None else take(world, pool, draft)
    check_slaac(cidr, draft.ipv6_address_mode)
    require_mtu(network.id, network.mtu, draft.ip_version)
    _check_overlap(world, network, cidr)
    require_alike(world, network, draft.segment_id)
    gateway = default_gateway(cidr) if draft.gateway_ip is UNSET else draft.gateway_ip
    if draft.gateway_ip is not UNSET:
        _check_gateway(cidr, gateway)
    if draft.allocation_pools is UNSET:
        pools = default_pools(cidr, gateway)
    else:
        pools = checked_pools(cidr, draft.allocation_pools, gateway)
    subnet = Subnet(
        id=draft.id,
        network_id=network.id,
        project_id=draft.project_id,
        cidr=cidr,
        ip_version=draft.ip_version,
        gateway_ip=gateway,
        allocation_pools=_as_values(pools),
        name=draft.name,
        description=draft.description,
        tags=draft.tags,
        enable_dhcp=draft.enable_dhcp,
        dns_nameservers=draft.dns_nameservers,
        host_routes=draft.host_routes,
        ipv6_address_mode=draft.ipv6_address_mode,
        ipv6_ra_mode=draft.ipv6_ra_mode,
        subnetpool_id=None if pool is None else pool.id,
        service_types=draft.service_types,
        segment_id=draft.segment_id,
        revision_number=1,
        created_at=world.now,
        updated_at=world.now,
    )
    siblings = list(world.subnets_of(network.id))
    world.subnets.put(subnet.id, subnet)
    reroute(world, network.id, siblings)
    if pool is not None:
        network = in_scope(network, pool.ip_version, pool.address_scope_id)
    touched(world, replace(network, subnets=(*network.subnets, subnet.id)))
    return world.subnets.get(subnet.id) or subnet


def check_slaac(cidr: str, ipv6_address_mode: str | None) -> None:
    """Raises InvalidInput when instances could not make their own addresses in the prefix."""
    prefixlen = int(cidr.partition("/")[2])
    if ipv6_address_mode in SLAAC_MODES and prefixlen != _SLAAC_PREFIX_LENGTH:
        raise InvalidInput(
            "Invalid input for cidr. Reason: an instance gives itself the lower 64 bits of its "
            f"address by {ipv6_address_mode} (RFC 4862), so the prefix has 64 bits too, not "
            f"{prefixlen}."
        )


def _owned(world: World, caller: Caller, subnet_id: str) -> Subnet:
    subnet = world.subnets.get(subnet_id)
    if subnet is None or not caller.may_touch(subnet.project_id):
        raise SubnetNotFound(f"Subnet {subnet_id} could not be found.")
    return subnet


def _check_no_interface(world: World, subnet: Subnet) -> None:
    """Raises GatewayIpInUse when a router has the gateway's address."""
    if subnet.gateway_ip is None:
        return
    held = world.allocations.get((subnet.id, from_text(subnet.gateway_ip)))
    port = world.ports.get(held.port_id) if held is not None and held.port_id is not None else None
    if port is not None and port.device_owner == ROUTER_INTERFACE:
        raise GatewayIpInUse(
            f"Current gateway ip {subnet.gateway_ip} already in use by port {port.id}. Unable to "
            "update.",
            next=f"remove the interface first: openstack router remove port {port.device_id} "
            f"{port.id}",
        )


def _check_overlap(world: World, network: Network, cidr: str) -> None:
    wanted = cidr_range(cidr)
    for other in world.subnets_of(network.id):
        taken = cidr_range(other.cidr)
        if wanted.first <= taken.last and taken.first <= wanted.last:
            raise InvalidInput(
                f"Invalid input for operation: Requested subnet with cidr: {cidr} for network: "
                f"{network.id} overlaps with another subnet ({other.cidr}, {other.id}).",
                next="choose a cidr that no subnet of the network holds",
            )


def _check_gateway(cidr: str, gateway: str | None) -> None:
    """A gateway lies in the subnet, or is an IPv6 link-local address (RFC 4861)."""
    if gateway is None:
        return
    address = ip_address(gateway)
    if address in ip_network(cidr) or (address.version == 6 and address.is_link_local):  # noqa: PLR2004
        return
    raise InvalidInput(
        f"Invalid input for gateway_ip. Reason: {gateway} is not in {cidr}.",
        next="choose an address of the subnet, or null for none",
    )


def _as_values(pools: tuple[AddressRange, ...]) -> tuple[Pool, ...]:
    return tuple(Pool(start=to_text(pool.first), end=to_text(pool.last)) for pool in pools)
