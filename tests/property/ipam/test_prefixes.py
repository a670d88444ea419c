"""Prefixes out of a pool: the same as if each address were looked at, for IPv4 and IPv6."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from netwright.ipam.addresses import AddressRange, cidr_range, from_text
from netwright.ipam.prefixes import (
    compacted,
    difference,
    first_fit,
    host_bits,
    largest,
    overlap,
    to_cidr,
    union,
    without,
)

BASES = {4: from_text("10.0.0.0"), 6: from_text("2001:db8::")}
SPAN = 256

spans = st.tuples(st.integers(0, SPAN - 1), st.integers(0, SPAN - 1)).map(sorted)
span_lists = st.lists(spans, max_size=6)
versions = st.sampled_from([4, 6])


def ranges(version: int, given_spans: Sequence[Sequence[int]]) -> list[AddressRange]:
    base = BASES[version]
    return [AddressRange(base + first, base + last) for first, last in given_spans]


def addresses(many: Sequence[AddressRange]) -> set[int]:
    return {address for each in many for address in range(each.first, each.last + 1)}


def fits(free: set[int], bits: int) -> list[int]:
    """Where a prefix of so many host bits starts in the free addresses, looked for one by one."""
    size = 1 << bits
    starts = {address for address in free if address % size == 0}
    return sorted(one for one in starts if free.issuperset(range(one, one + size)))


@given(versions, span_lists)
def test_a_union_has_the_same_addresses_in_the_fewest_ranges(
    version: int, given_spans: list[list[int]]
) -> None:
    joined = union(ranges(version, given_spans))
    assert addresses(joined) == addresses(ranges(version, given_spans))
    assert all(one.last + 1 < other.first for one, other in pairwise(joined))


@given(versions, span_lists, span_lists)
def test_a_difference_has_what_the_others_lack(
    version: int, one: list[list[int]], other: list[list[int]]
) -> None:
    left = difference(ranges(version, one), ranges(version, other))
    assert addresses(left) == addresses(ranges(version, one)) - addresses(ranges(version, other))


@given(versions, span_lists, st.integers(0, 8))
def test_the_first_that_fits_is_the_lowest_there_is(
    version: int, given_spans: list[list[int]], bits: int
) -> None:
    gaps = union(ranges(version, given_spans))
    found = first_fit(gaps, bits)
    there = fits(addresses(gaps), bits)
    assert (found.first if found else None) == (there[0] if there else None)
    if found is not None:
        assert found.size == 1 << bits


@given(versions, spans)
def test_a_gap_knows_the_largest_prefix_in_it(version: int, given_span: list[int]) -> None:
    (gap,) = ranges(version, [given_span])
    assert fits(addresses([gap]), largest(gap))
    assert not fits(addresses([gap]), largest(gap) + 1)


@pytest.mark.parametrize(
    ("cidr", "version", "prefixlen"),
    [("10.0.0.0/8", 4, 8), ("10.0.0.4/32", 4, 32), ("2001:db8::/32", 6, 32), ("::1/128", 6, 128),
     ("0.0.0.0/0", 4, 0)],
)  # fmt: skip
def test_text_and_back(cidr: str, version: int, prefixlen: int) -> None:
    assert to_cidr(cidr_range(cidr)) == cidr
    assert cidr_range(cidr).size == 1 << host_bits(prefixlen, version)


def test_prefixes_are_compacted() -> None:
    assert compacted(["10.0.1.0/24", "10.0.0.0/24", "10.0.0.128/25"]) == ("10.0.0.0/23",)
    assert compacted(["10.0.2.0/24", "10.0.1.0/24"]) == ("10.0.1.0/24", "10.0.2.0/24")
    assert compacted(["2001:db8:1::/48", "2001:db8::/48"]) == ("2001:db8::/47",)


class Cutting(RuleBasedStateMachine):
    """A pool that prefixes are taken from and come back to, beside one that marks each address."""

    gaps: tuple[AddressRange, ...]
    pool: set[int]
    taken: list[AddressRange]

    @initialize(version=versions, given_spans=span_lists)
    def begin(self, version: int, given_spans: list[list[int]]) -> None:
        self.gaps = union(ranges(version, given_spans))
        self.pool = addresses(self.gaps)
        self.taken = []

    @rule(bits=st.integers(0, 6))
    def take(self, bits: int) -> None:
        found = first_fit(self.gaps, bits)
        if found is None:
            return
        (gap,) = (each for each in self.gaps if overlap(each, found))
        self.gaps = (*(each for each in self.gaps if each != gap), *without(gap, found))
        self.taken.append(found)

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        gone = self.taken.pop(data.draw(st.integers(0, len(self.taken) - 1)))
        self.gaps = union((*self.gaps, gone))

    @invariant()
    def nothing_is_lost_or_given_twice(self) -> None:
        if not hasattr(self, "gaps"):
            return
        held = [address for each in self.taken for address in range(each.first, each.last + 1)]
        assert len(held) == len(set(held))
        assert set(held) | addresses(self.gaps) == self.pool
        assert not set(held) & addresses(self.gaps)


TestCutting = Cutting.TestCase
