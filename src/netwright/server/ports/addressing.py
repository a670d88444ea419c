"""Which addresses a port gets."""

from collections.abc import Iterable
from ipaddress import IPv6Address, IPv6Network

from msgspec import UNSET, UnsetType

from netwright.ipam.addresses import Address, cidr_range, from_text, to_text
from netwright.ipam.pools import usable_range
from netwright.ipam.resting import Allocation, Exhausted, claim, has_rested
from netwright.model.errors import (
    InvalidInput,
    InvalidIpForNetwork,
    InvalidIpForSubnet,
    IpAddressGenerationFailureNoMatchingSubnet,
)
from netwright.model.resources import FixedIp, Network, Subnet
from netwright.server.commands import AddressWish
from netwright.server.network_segments.reach import (
    require_addressed,
    require_one_segment,
    require_own_segment,
    usable_on,
)
from netwright.server.world import World

SLAAC_MODES = ("slaac", "dhcpv6-stateless")
"""The ipv6_address_modes in which an instance makes its own address from its MAC."""


class Addressee:
    """The port that addresses are for, before there is one.

    It may have its `remnants` back: a host may answer for them, but for no other port. `sees_all`:
    who asks may be told of any project's ports. `host`: where it is to be; it is `deferred` when
    that keeps it from having addresses yet.
    """

    __slots__ = (
        "deferred",
        "device_owner",
        "host",
        "id",
        "mac",
        "network",
        "project_id",
        "reclaimed",
        "remnants",
        "sees_all",
    )

    def __init__(
        self,
        port_id: str,
        project_id: str,
        network: Network,
        mac: str,
        device_owner: str,
        *,
        remnants: Iterable[FixedIp] = (),
        sees_all: bool = False,
        host: str = "",
    ) -> None:
        self.id = port_id
        self.project_id = project_id
        self.network = network
        self.mac = mac
        self.device_owner = device_owner
        self.remnants = set(remnants)
        self.sees_all = sees_all
        self.host = host
        self.deferred = False
        self.reclaimed = False  # whether it was given an address that rested


def assign(
    world: World, port: Addressee, wishes: tuple[AddressWish, ...] | UnsetType
) -> tuple[FixedIp, ...]:
    """Allocate what is wished for; without wishes, one address of each IP version.

    Exact addresses are taken before any is chosen, so that a choice never takes a later wish.
    Raises Exhausted, AddressTaken, InvalidIpForNetwork, InvalidIpForSubnet, InvalidInput.
    """
    if wishes is UNSET:
        return tuple(_one_of_each_version(world, port))
    granted: dict[int, FixedIp] = {}
    order = sorted(range(len(wishes)), key=lambda n: wishes[n].ip_address is None)
    for n in order:
        subnet = _subnet_for(world, port.network, wishes[n])
        if wishes[n].ip_address is not None:
            granted[n] = _take(world, port, subnet, str(wishes[n].ip_address))
        else:
            granted[n] = _choose(world, port, subnet)
    found = tuple(granted[n] for n in range(len(wishes)))
    require_one_segment(world, found)
    require_own_segment(world, port.device_owner, found)
    return found


def _one_of_each_version(world: World, port: Addressee) -> list[FixedIp]:
    granted = []
    all_versions = world.subnets_by_version(port.network.id)
    versions = usable_on(world, port.network, all_versions, port.device_owner, port.host)
    port.deferred = bool(all_versions) and not versions
    if port.deferred:
        require_addressed(port.network, port.device_owner)
    usable = [found for found in (_served(each, port.device_owner) for each in versions) if found]
    if versions and not usable:
        raise IpAddressGenerationFailureNoMatchingSubnet(
            f"No valid service subnet for the given device owner, network_id: {port.network.id}, "
            f"service_type: {port.device_owner}.",
            next="name a subnet in fixed_ips, or make one that is for all owners of ports",
        )
    for of_version in usable:
        granted += [_choose(world, port, subnet) for subnet in of_version if is_slaac(subnet)]
        candidates = [subnet for subnet in of_version if not is_slaac(subnet)]
        for subnet in candidates:
            try:
                granted.append(_draw(world, port, subnet))
                break
            except Exhausted:
                if subnet is candidates[-1]:
                    raise
    return granted


def _served(subnets: list[Subnet], device_owner: str) -> list[Subnet]:
    """Those that serve such ports: first what is for their owner, then what is for all."""
    if not any(subnet.service_types for subnet in subnets):
        return subnets
    own = [subnet for subnet in subnets if device_owner in subnet.service_types]
    return own + [subnet for subnet in subnets if not subnet.service_types]


def _choose(world: World, port: Addressee, subnet: Subnet) -> FixedIp:
    if is_slaac(subnet):
        return _take(world, port, subnet, eui64(subnet.cidr, port.mac))
    return _draw(world, port, subnet)


def _draw(world: World, port: Addressee, subnet: Subnet) -> FixedIp:
    """Any address that is free."""
    address = world.ledger.allocate(subnet.id, world.now)
    while _is_held(world, subnet, address):
        address = world.ledger.allocate(subnet.id, world.now)
    return _hold(world, port, subnet, address)


def _is_held(world: World, subnet: Subnet, address: Address) -> bool:
    """Whether the ledger is behind: another process has given the address away since it looked.

    That shows at the key, unless the batch has read the row, for another port: it would change it.
    """
    held = world.allocations.get((subnet.id, address))
    return held is not None and not has_rested(held, world.now)


def _take(world: World, port: Addressee, subnet: Subnet, text: str) -> FixedIp:
    """The exact address, if it can be this port's."""
    address = from_text(text)
    _check_usable(subnet, address, port.device_owner)
    held = world.allocations.get((subnet.id, address))
    if held is not None and held.port_id == port.id:
        remnant = FixedIp(subnet_id=subnet.id, ip_address=text)
        if remnant in port.remnants:
            port.remnants.remove(remnant)
            return remnant
        raise InvalidInput(
            f"Invalid input for fixed_ips. Reason: Duplicate IP address '{text}' in it."
        )
    names_holder = held is not None and (port.sees_all or held.project_id == port.project_id)
    claim(held, subnet.id, address, port.project_id, world.now, names_holder=names_holder)
    port.reclaimed |= held is not None and not has_rested(held, world.now)
    world.ledger.take(subnet.id, address)
    return _hold(world, port, subnet, address)


def _hold(world: World, port: Addressee, subnet: Subnet, address: Address) -> FixedIp:
    world.allocations.put(
        (subnet.id, address),
        Allocation(
            subnet_id=subnet.id, address=address, project_id=port.project_id, port_id=port.id
        ),
    )
    world.subnet_uses.put(subnet.id, (world.subnet_uses.get(subnet.id) or 0) + 1)
    return FixedIp(subnet_id=subnet.id, ip_address=to_text(address))


def _subnet_for(world: World, network: Network, wish: AddressWish) -> Subnet:
    if wish.subnet_id is not None:
        subnet = world.subnets.get(wish.subnet_id)
        if subnet is None or subnet.network_id != network.id:
            raise InvalidInput(
                f"Invalid input for fixed_ips. Reason: subnet {wish.subnet_id} is not in network "
                f"{network.id}.",
                next=f"choose one of its subnets: {', '.join(network.subnets) or 'it has none'}",
            )
        return subnet
    if wish.ip_address is None:
        raise InvalidInput(
            "Invalid input for fixed_ips. Reason: an item needs subnet_id or ip_address."
        )
    address = from_text(wish.ip_address)
    for subnet in world.subnets_of(network.id):
        if address in cidr_range(subnet.cidr):
            return subnet
    raise InvalidIpForNetwork(
        f"IP address {wish.ip_address} is not a valid IP for any of the subnets on the specified "
        "network.",
        next=f"choose an address of a subnet of network {network.id}",
    )


def _check_usable(subnet: Subnet, address: Address, device_owner: str) -> None:
    text = to_text(address)
    if address not in usable_range(subnet.cidr):
        raise InvalidIpForSubnet(
            f"IP address {text} is not a valid IP for the specified subnet ({subnet.cidr}).",
            next=f"choose an address between {usable_range(subnet.cidr)}",
        )
    if text == subnet.gateway_ip and not device_owner.startswith("network:"):
        raise InvalidInput(
            f"Invalid input for fixed_ips. Reason: {text} is the gateway of subnet {subnet.id}; a "
            "port that answers for it would cut the subnet off.",
            next="choose another address; only a port with device_owner network:* may have it",
        )


def is_slaac(subnet: Subnet) -> bool:
    return subnet.ipv6_address_mode in SLAAC_MODES


def eui64(cidr: str, mac: str) -> str:
    """The address that the instance gives itself (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    prefix = int(IPv6Network(cidr).network_address)
    return str(IPv6Address(prefix | int.from_bytes(identifier)))
