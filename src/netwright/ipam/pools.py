"""A subnet's allocation pools: what they are when nobody says, and whether they may be so."""

from collections.abc import Iterable
from itertools import pairwise

from netwright.ipam.addresses import Address, AddressRange, cidr_range, from_text, is_ipv4, to_text
from netwright.model.errors import (
    GatewayConflictWithAllocationPools,
    InvalidInput,
    OutOfBoundsAllocationPool,
    OverlappingAllocationPools,
)
from netwright.model.resources import Pool


def usable_range(cidr: str) -> AddressRange:
    """The addresses of a CIDR that a port may have.

    Without network and broadcast address in IPv4, save in a /31 (RFC 3021) and a /32; without the
    subnet-router anycast address in IPv6 (RFC 4291, 2.6.1), save in a /128. As OpenStack has it.
    """
    whole = cidr_range(cidr)
    ipv4 = is_ipv4(whole.first)
    if whole.size == 1 or (ipv4 and whole.size == 2):  # noqa: PLR2004 - a /31
        return whole
    return AddressRange(whole.first + 1, whole.last - ipv4)


def default_gateway(cidr: str) -> str:
    """The gateway of a subnet whose maker names none: its first usable address."""
    return to_text(usable_range(cidr).first)


def default_pools(cidr: str, gateway_ip: str | None) -> tuple[AddressRange, ...]:
    """All usable addresses but the gateway: at most two ranges; none when the gateway is alone."""
    usable = usable_range(cidr)
    if gateway_ip is None or (gateway := from_text(gateway_ip)) not in usable:
        return (usable,)
    if usable.size == 1 and usable == cidr_range(cidr):
        return (usable,)  # a /32 or /128: OpenStack lets the only address serve as both
    halves = AddressRange(usable.first, gateway - 1), AddressRange(gateway + 1, usable.last)
    return tuple(half for half in halves if half.first <= half.last)


def checked_pools(
    cidr: str, pools: Iterable[Pool], gateway_ip: str | None
) -> tuple[AddressRange, ...]:
    """The pools in order, parsed.

    Raises InvalidInput (not addresses, of another version than the CIDR, or ends before it starts),
    OutOfBoundsAllocationPool, OverlappingAllocationPools, GatewayConflictWithAllocationPools; each
    names the pool.
    """
    usable = usable_range(cidr)
    ranges = sorted((_parsed(pool) for pool in pools), key=lambda each: each.first)
    for each in ranges:
        if each.first not in usable or each.last not in usable:
            raise OutOfBoundsAllocationPool(
                f"allocation_pools: {each} is not within the usable addresses of {cidr}",
                next=f"choose a pool within {usable}",
            )
    for one, other in pairwise(ranges):
        if other.first <= one.last:
            raise OverlappingAllocationPools(
                f"allocation_pools: {one} and {other} overlap", next="let pools share no address"
            )
    if gateway_ip is not None:
        _refuse_gateway(ranges, from_text(gateway_ip))
    return tuple(ranges)


def _parsed(pool: Pool) -> AddressRange:
    parsed = AddressRange(from_text(pool.start), from_text(pool.end))
    if is_ipv4(parsed.first) != is_ipv4(parsed.last):
        raise InvalidInput(f"allocation_pools: {parsed} mixes IPv4 and IPv6")
    if parsed.first > parsed.last:
        raise InvalidInput(
            f"allocation_pools: {parsed} ends before it starts", next="swap start and end"
        )
    return parsed


def _refuse_gateway(ranges: Iterable[AddressRange], gateway: Address) -> None:
    for each in ranges:
        if gateway in each:
            raise GatewayConflictWithAllocationPools(
                f"allocation_pools: {each} holds the gateway {to_text(gateway)}",
                next="leave the gateway out of the pools, or choose another gateway",
            )
