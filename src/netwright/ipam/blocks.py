"""The geometry of blocks: how a subnet's pools are cut, and a block's addresses as bits.

The number line is cut every 64 or 256 addresses. A block is known by its first address, so it needs
no count of what comes before it: a /64 has 2^56 blocks and none exists until it is leased, and the
cut stays when pools change. Addresses of a block that lie in no pool are never handed out.
"""

from collections.abc import Iterable, Iterator

from netwright.ipam.addresses import Address, AddressRange
from netwright.model.resources import Value

# Small subnets are cut fine, so that several processes find a block each; large ones coarse, so
# that a batch of 500 needs two leases and a /8 has no more than 65,536 rows.
_BITS = [1 << bit for bit in range(256)]  # a block is no larger than that
_SMALL_BITS = 6
_LARGE_BITS = 8
_SMALL_CAPACITY = 64 * 256


class Geometry(Value, frozen=True, kw_only=False):
    """A subnet's pools (in order, apart from each other) and the size of its blocks in bits.

    `block_bits` is chosen once (`block_bits_for`) and stored with the subnet: two processes that
    cut one subnet differently would lease the same addresses under different names.
    """

    pools: tuple[AddressRange, ...]
    block_bits: int

    @property
    def block_size(self) -> int:
        return 1 << self.block_bits

    @property
    def capacity(self) -> int:
        return sum(pool.size for pool in self.pools)

    def holds(self, address: Address) -> bool:
        """Whether an address lies in a pool."""
        return any(address in pool for pool in self.pools)

    def block_of(self, address: Address) -> Address:
        """The first address of the block in which an address lies; in a pool or not."""
        return address >> self.block_bits << self.block_bits

    def block_range(self, block: Address) -> AddressRange:
        """All addresses of a block, those outside of pools too: what a query reads."""
        return AddressRange(block, block + self.block_size - 1)

    def mask(self, block: Address) -> int:
        """The addresses of a block that lie in a pool: bit n is address `block + n`."""
        end = block + self.block_size - 1
        mask = 0
        for pool in self.pools:
            low, high = max(pool.first, block), min(pool.last, end)
            if low <= high:
                mask |= (1 << (high - low + 1)) - 1 << (low - block)
        return mask

    def block_after(self, block: Address | None) -> Address | None:
        """The next block with addresses of a pool; the first of all after None; None at the end."""
        start = 0 if block is None else block + self.block_size
        for pool in self.pools:
            if pool.last >= start:
                return self.block_of(max(pool.first, start))
        return None

    def blocks_after(self, block: Address | None) -> Iterator[Address]:
        """All blocks after one, lazily: a /64 has more than anyone can count."""
        while (block := self.block_after(block)) is not None:
            yield block

    def view(self, block: Address, addresses: Iterable[Address]) -> "BlockView":
        """A block as the table shows it, given the addresses in the table (of any block)."""
        wanted = self.block_range(block)
        occupied = 0
        for address in addresses:
            if address in wanted:
                occupied |= 1 << (address - block)
        return BlockView(block, self.mask(block) & ~occupied)

    def view_of(self, block: Address, last_bytes: bytes) -> "BlockView":
        """A block as the table shows it, given the last byte of each of its addresses there."""
        occupied = sum(map(_BITS.__getitem__, last_bytes)) >> (block & 255)
        return BlockView(block, self.mask(block) & ~occupied)

    def views(self, blocks: Iterable[Address], addresses: Iterable[Address]) -> list["BlockView"]:
        """As `view`, for many blocks in one pass over the addresses."""
        occupied = dict.fromkeys(blocks, 0)
        for address in addresses:
            block = self.block_of(address)
            if block in occupied:
                occupied[block] |= 1 << (address - block)
        return [BlockView(block, self.mask(block) & ~bits) for block, bits in occupied.items()]


class BlockView(Value, frozen=True, kw_only=False):
    """A block by its first address, with a bit set for every address that can be handed out."""

    block: Address
    free: int

    @property
    def is_full(self) -> bool:
        return self.free == 0


def block_bits_for(pools: Iterable[AddressRange]) -> int:
    """The block size (in bits) that suits pools of this size."""
    capacity = sum(pool.size for pool in pools)
    return _SMALL_BITS if capacity <= _SMALL_CAPACITY else _LARGE_BITS
