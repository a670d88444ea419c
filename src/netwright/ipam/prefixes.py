"""Prefixes cut out of a pool: which is free, and what is left of the pool. Pure.

A pool's free space is kept as *gaps*: the longest ranges of its addresses that no subnet has. There
are few of them as long as subnets are taken one after the other, however many subnets there are,
and each tells by itself how large a prefix lies in it; so the first that fits is found without
looking at the subnets at all.

A prefix of 2^n addresses starts at a multiple of 2^n (n are its *host bits*).
"""

from collections.abc import Iterable, Sequence
from ipaddress import collapse_addresses, ip_address, ip_network, summarize_address_range
from typing import Any

from netwright.ipam.addresses import Address, AddressRange, cidr_range, is_ipv4, to_text

_BITS = {4: 32, 6: 128}


def host_bits(prefixlen: int, ip_version: int) -> int:
    return _BITS[ip_version] - prefixlen


def to_cidr(prefix: AddressRange) -> str:
    """A prefix's text. The range must be one."""
    bits = prefix.size.bit_length() - 1
    return f"{to_text(prefix.first)}/{_BITS[4 if is_ipv4(prefix.first) else 6] - bits}"


def compacted(cidrs: Iterable[str]) -> tuple[str, ...]:
    """The same addresses in the fewest prefixes, in order; all of one IP version."""
    networks: Any = map(ip_network, cidrs)  # of one version, which its type cannot say
    return tuple(map(str, collapse_addresses(networks)))


def largest(gap: AddressRange) -> int:
    """The host bits of the largest prefix that lies in the gap."""
    bits = gap.size.bit_length() - 1
    while _aligned(gap.first, bits) + (1 << bits) - 1 > gap.last:
        bits -= 1
    return bits


def first_fit(gaps: Iterable[AddressRange], bits: int) -> AddressRange | None:
    """The lowest free prefix with so many host bits; None: there is none."""
    starts = (_aligned(gap.first, bits) for gap in gaps if largest(gap) >= bits)
    first = min(starts, default=None)
    return None if first is None else AddressRange(first, first + (1 << bits) - 1)


def without(gap: AddressRange, taken: AddressRange) -> tuple[AddressRange, ...]:
    """What is left of a gap that holds what is taken from it: two gaps, one or none."""
    left = AddressRange(gap.first, taken.first - 1), AddressRange(taken.last + 1, gap.last)
    return tuple(each for each in left if each.first <= each.last)


def union(ranges: Iterable[AddressRange]) -> tuple[AddressRange, ...]:
    """The same addresses in the fewest ranges, in order."""
    joined: list[AddressRange] = []
    for each in sorted(ranges, key=lambda one: one.first):
        if joined and each.first <= joined[-1].last + 1:
            joined[-1] = AddressRange(joined[-1].first, max(joined[-1].last, each.last))
        else:
            joined.append(each)
    return tuple(joined)


def difference(ranges: Sequence[AddressRange], less: Sequence[AddressRange]) -> list[AddressRange]:
    """The addresses of the ranges that none of the others has, in order."""
    left = list(union(ranges))
    for gone in union(less):
        left = [rest for each in left for rest in _cut(each, gone)]
    return left


def overlap(one: AddressRange, other: AddressRange) -> bool:
    return one.first <= other.last and other.first <= one.last


def ranges_of(cidrs: Iterable[str]) -> list[AddressRange]:
    return [cidr_range(cidr) for cidr in cidrs]


def cidrs_of(ranges: Iterable[AddressRange]) -> tuple[str, ...]:
    """The same addresses in the fewest prefixes, all of one IP version."""
    found: list[Any] = []
    for each in ranges:
        first, last = ip_address(to_text(each.first)), ip_address(to_text(each.last))
        found += summarize_address_range(first, last)
    return compacted(map(str, found))


def _cut(each: AddressRange, gone: AddressRange) -> tuple[AddressRange, ...]:
    if not overlap(each, gone):
        return (each,)
    first, last = max(each.first, gone.first), min(each.last, gone.last)
    return without(each, AddressRange(first, last))


def _aligned(address: Address, bits: int) -> Address:
    """The first multiple of 2^bits that is not below the address."""
    return -(-address >> bits) << bits
