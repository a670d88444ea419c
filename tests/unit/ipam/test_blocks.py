from itertools import islice

import pytest

from netwright.ipam.addresses import AddressRange, from_text, to_text
from netwright.ipam.blocks import Geometry, block_bits_for
from netwright.ipam.pools import default_pools


def _geometry(cidr: str, gateway: str, bits: int | None = None) -> Geometry:
    pools = default_pools(cidr, gateway)
    return Geometry(pools, block_bits_for(pools) if bits is None else bits)


def test_blocks_grow_with_the_pool() -> None:
    assert _geometry("10.0.0.0/28", "10.0.0.1").block_size == 64
    assert _geometry("10.0.0.0/18", "10.0.0.1").block_size == 64
    assert _geometry("10.0.0.0/16", "10.0.0.1").block_size == 256
    assert _geometry("2001:db8::/64", "2001:db8::1").block_size == 256


def test_a_mask_leaves_out_network_gateway_and_broadcast() -> None:
    geometry = _geometry("10.0.0.0/24", "10.0.0.70")
    blocks = list(geometry.blocks_after(None))
    assert [to_text(block) for block in blocks] == [
        "10.0.0.0",
        "10.0.0.64",
        "10.0.0.128",
        "10.0.0.192",
    ]
    everything = (1 << 64) - 1
    assert [geometry.mask(block) ^ everything for block in blocks] == [1, 1 << 6, 0, 1 << 63]
    assert geometry.capacity == 253 == sum(geometry.mask(block).bit_count() for block in blocks)


def test_a_block_smaller_than_its_cut_is_masked() -> None:
    geometry = _geometry("10.0.0.16/28", "10.0.0.17")
    (block,) = geometry.blocks_after(None)
    assert to_text(block) == "10.0.0.0"
    assert geometry.mask(block).bit_count() == 13
    assert geometry.mask(geometry.block_of(from_text("10.0.9.0"))) == 0


def test_a_64_is_not_enumerated() -> None:
    geometry = _geometry("2001:db8::/64", "2001:db8::1")
    blocks = list(islice(geometry.blocks_after(None), 3))
    assert [to_text(block) for block in blocks] == ["2001:db8::", "2001:db8::100", "2001:db8::200"]
    assert geometry.mask(blocks[0]).bit_count() == 254
    assert geometry.block_after(from_text("2001:db8::ffff:ffff:ffff:ff00")) is None


def test_blocks_step_over_the_gap_between_pools_and_count_a_shared_block_once() -> None:
    low, high = default_pools("10.0.0.0/24", "10.0.0.9")
    geometry = Geometry((low, high), 3)
    assert len(list(geometry.blocks_after(None))) == 32
    far = Geometry((low, default_pools("10.0.1.0/24", "10.0.1.1")[0]), 3)
    after = far.block_after(far.block_of(low.last))
    assert after is not None
    assert to_text(after) == "10.0.1.0"


def test_a_view_shows_what_is_free() -> None:
    geometry = _geometry("10.0.0.0/28", "10.0.0.1")
    taken = [from_text(f"10.0.0.{last}") for last in (2, 3, 14, 200)]
    (block,) = geometry.blocks_after(None)
    view = geometry.view(block, taken)
    assert view == geometry.views([block], taken)[0]
    assert not view.is_full
    assert [bit for bit in range(64) if view.free >> bit & 1] == list(range(4, 14))
    full = geometry.view(block, [from_text(f"10.0.0.{last}") for last in range(2, 15)])
    assert full.is_full


@pytest.mark.parametrize("bits", [6, 8])
def test_a_block_is_seen_by_its_addresses_last_bytes(bits: int) -> None:
    geometry = Geometry((AddressRange(0x1001, 0x11FE),), bits)
    for block in geometry.blocks_after(None):
        taken = [block, block + 7, block + geometry.block_size - 1]
        last_bytes = bytes(address & 255 for address in taken)
        assert geometry.view_of(block, last_bytes) == geometry.view(block, taken)
        assert geometry.view_of(block, b"") == geometry.view(block, [])
