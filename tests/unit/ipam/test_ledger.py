import pytest

from netwright.ipam.addresses import AddressRange
from netwright.ipam.blocks import BlockView, Geometry
from netwright.ipam.ledger import Ledger, NeedsBlocks, Shortfall
from netwright.ipam.resting import AddressTaken, Exhausted, Fullness

NOW = 1_000_000.0
FIRST = 0x1000
GEOMETRY = Geometry((AddressRange(FIRST, FIRST + 31),), 3)  # four blocks of 8


def _views(*blocks: int, taken: tuple[int, ...] = ()) -> list[BlockView]:
    return GEOMETRY.views([FIRST + 8 * block for block in blocks], [FIRST + each for each in taken])


def _ledger(*blocks: int, taken: tuple[int, ...] = ()) -> Ledger:
    ledger = Ledger("me", margin_s=10)
    ledger.lease("s", GEOMETRY, _views(*blocks, taken=taken), NOW + 60)
    ledger.commit()
    return ledger


def _allocate(ledger: Ledger, count: int, now: float = NOW) -> list[int]:
    return [ledger.allocate("s", now) - FIRST for _ in range(count)]


def test_the_cursor_moves_on_so_that_a_released_address_is_not_reused_at_once() -> None:
    ledger = _ledger(0, 1, taken=(2,))
    assert _allocate(ledger, 2) == [0, 1]
    ledger.commit()
    ledger.release("s", FIRST)
    ledger.commit()
    assert _allocate(ledger, 14) == [*range(3, 16), 0]
    with pytest.raises(NeedsBlocks):
        ledger.allocate("s", NOW)


def test_what_is_released_is_nobodys_before_commit() -> None:
    ledger = _ledger(0, taken=tuple(range(8)))
    ledger.lease("s", GEOMETRY, _views(1, taken=tuple(range(8, 15))), NOW + 60)
    assert _allocate(ledger, 1) == [15]
    ledger.commit()
    ledger.release("s", FIRST + 15)
    with pytest.raises(NeedsBlocks):
        ledger.allocate("s", NOW)
    ledger.rollback()
    ledger.commit()
    with pytest.raises(NeedsBlocks):
        ledger.allocate("s", NOW)


def test_a_failed_command_gives_back_what_it_took() -> None:
    ledger = _ledger(0)
    assert _allocate(ledger, 3) == [0, 1, 2]
    place = ledger.savepoint()
    assert _allocate(ledger, 2) == [3, 4]
    ledger.take("s", FIRST + 7)
    ledger.rollback(place)
    ledger.take("s", FIRST + 7)
    assert sorted(_allocate(ledger, 4)) == [3, 4, 5, 6]
    ledger.abort()
    assert sorted(_allocate(ledger, 8)) == list(range(8))


def test_two_commands_of_a_batch_cannot_take_one_address() -> None:
    ledger = _ledger(0)
    ledger.take("s", FIRST + 3)
    with pytest.raises(AddressTaken):
        ledger.take("s", FIRST + 3)
    with pytest.raises(AddressTaken):
        ledger.take("s", FIRST + _allocate(ledger, 1)[0])
    ledger.take("outside", 5)
    with pytest.raises(AddressTaken):
        ledger.take("outside", 5)
    ledger.commit()
    ledger.take("outside", 5)  # now the table knows whether it is free


def test_a_batch_may_release_and_take_the_same_address() -> None:
    ledger = _ledger(0, taken=(3,))
    ledger.release("s", FIRST + 3)
    place = ledger.savepoint()
    ledger.take("s", FIRST + 3)
    ledger.rollback(place)
    ledger.take("s", FIRST + 3)
    ledger.commit()
    assert _allocate(ledger, 7) == [0, 1, 2, 4, 5, 6, 7]
    ledger.release("s", FIRST + 7)
    ledger.commit()
    assert _allocate(ledger, 1) == [7]


def test_what_a_batch_took_is_not_handed_out_from_a_block_seen_later() -> None:
    ledger = Ledger("me")
    ledger.take("s", FIRST + 1)
    ledger.lease("s", GEOMETRY, _views(0), NOW + 60)
    assert 1 not in _allocate(ledger, 7)


def test_after_a_conflict_all_blocks_of_the_subnet_are_seen_anew_and_the_cursor_stays() -> None:
    ledger = _ledger(0, 1)
    ledger.lease("t", GEOMETRY, _views(0), NOW + 60)
    ledger.commit()
    assert _allocate(ledger, 3) == [0, 1, 2]
    ledger.abort(["s", "unknown"])
    assert ledger.shortfall({"s": 9, "t": 8}, NOW) == (
        Shortfall(subnet_id="s", missing=9, block_yield=8),
    )
    ledger.lease("s", GEOMETRY, _views(0, 1, taken=(2, 5)), NOW + 60)
    assert _allocate(ledger, 14) == [3, 4, 6, 7, *range(8, 16), 0, 1]


def test_when_the_outcome_is_unknown_the_subnets_of_the_batch_are_in_doubt() -> None:
    ledger = _ledger(0, 1)
    ledger.lease("t", GEOMETRY, _views(0), NOW + 60)
    ledger.lease("u", GEOMETRY, _views(0), NOW + 60)
    ledger.commit()
    _allocate(ledger, 3)
    ledger.release("t", FIRST)
    ledger.forget()
    gaps = ledger.shortfall({"s": 1, "t": 1, "u": 1}, NOW)
    assert {gap.subnet_id for gap in gaps} == {"s", "t"}


def test_a_block_seen_anew_shows_what_others_took_since() -> None:
    ledger = _ledger(0)
    ledger.lease("s", GEOMETRY, _views(0, taken=(0, 1, 2, 3)), NOW + 60)
    assert _allocate(ledger, 4) == [4, 5, 6, 7]


def test_a_block_used_up_by_the_batch_itself_is_not_leased_over_and_over() -> None:
    ledger = _ledger(0)
    _allocate(ledger, 8)
    (gap,) = ledger.shortfall({"s": 1}, NOW)
    assert gap.held == frozenset()
    ledger.lease("s", GEOMETRY, _views(0), NOW + 60)  # the table does not show them yet
    (gap,) = ledger.shortfall({"s": 1}, NOW)
    assert gap.held == {FIRST}


def test_a_survey_is_over_with_its_batch() -> None:
    ledger = Ledger("me")
    ledger.survey("s", GEOMETRY, _views(0), Fullness(capacity=32))
    ledger.commit()
    assert ledger.shortfall({"s": 1}, NOW) == (Shortfall(subnet_id="s", missing=1),)
    with pytest.raises(NeedsBlocks):
        ledger.allocate("s", NOW)


def test_a_lease_is_trusted_until_its_end_less_the_margin() -> None:
    ledger = _ledger(0)
    assert ledger.shortfall({"s": 1}, NOW + 49.9) == ()
    (gap,) = ledger.shortfall({"s": 1}, NOW + 50)
    assert (gap.missing, gap.held) == (1, frozenset())
    with pytest.raises(NeedsBlocks):
        ledger.allocate("s", NOW + 50)
    with pytest.raises(NeedsBlocks):
        ledger.allocate("s", NOW)  # a clock that jumps back does not bring it back


def test_leases_in_use_are_renewed_and_idle_ones_lapse() -> None:
    ledger = _ledger(0, 1)
    _allocate(ledger, 8)
    ledger.commit()

    def due(now: float) -> dict[str, tuple[int, ...]]:
        return ledger.renewals(now, within_s=20, idle_s=60)

    assert due(NOW + 29) == {}
    assert due(NOW + 30) == {"s": (FIRST + 8,)}  # the first block is spent
    ledger.renew("s", [FIRST + 8, FIRST + 800], NOW + 90)
    assert due(NOW + 59) == {}
    assert ledger.leased() == {"s": {FIRST + 8}}
    assert due(NOW + 61) == {}  # idle
    assert due(NOW + 80) == {}
    assert ledger.leased() == {}


def test_surveyed_blocks_serve_one_batch_and_exhaustion_needs_them_all() -> None:
    ledger = _ledger(0, taken=tuple(range(7)))
    ledger.survey("s", GEOMETRY, _views(0, 1, taken=(*range(7), *range(8, 15))), None)
    assert sorted(_allocate(ledger, 2)) == [7, 15]
    with pytest.raises(NeedsBlocks):
        ledger.allocate("s", NOW)
    (gap,) = ledger.shortfall({"s": 1}, NOW)
    assert (gap.missing, gap.surveyed) == (1, frozenset({FIRST, FIRST + 8}))
    full = Fullness(capacity=32)
    ledger.survey("s", GEOMETRY, _views(2, 3, taken=tuple(range(16, 31))), full)
    assert ledger.shortfall({"s": 5}, NOW) == ()
    assert _allocate(ledger, 1) == [31]
    with pytest.raises(Exhausted) as caught:
        ledger.allocate("s", NOW)
    assert caught.value.fullness == full
    ledger.commit()
    with pytest.raises(NeedsBlocks):
        ledger.allocate("s", NOW)


def test_surveyed_blocks_are_walked_downwards_from_a_moving_place() -> None:
    ledger = Ledger("me")
    ledger.survey("s", GEOMETRY, _views(0, 1, 2, 3), Fullness(capacity=32))
    (start,) = _allocate(ledger, 1)
    ledger.commit()
    ledger.survey("s", GEOMETRY, _views(0, 1, 2, 3), Fullness(capacity=32))
    assert _allocate(ledger, 32) == [(start - 1 - step) % 32 for step in range(32)]


def test_processes_begin_their_surveys_in_different_places() -> None:
    starts = set()
    for owner in ("a", "b", "c", "d"):
        ledger = Ledger(owner)
        ledger.survey("s", GEOMETRY, _views(0, 1, 2, 3), Fullness(capacity=32))
        starts.add(ledger.allocate("s", NOW))
    assert len(starts) == 4


def test_a_failed_command_gives_back_surveyed_addresses_too() -> None:
    ledger = Ledger("me")
    ledger.survey("s", GEOMETRY, _views(0, taken=tuple(range(1, 8))), Fullness(capacity=8))
    ledger.allocate("s", NOW)
    with pytest.raises(Exhausted):
        ledger.allocate("s", NOW)
    ledger.rollback()
    assert _allocate(ledger, 1) == [0]


def test_a_changed_geometry_forgets_the_old_blocks() -> None:
    ledger = _ledger(0, 1)
    smaller = Geometry((AddressRange(FIRST + 8, FIRST + 11),), 3)
    ledger.lease("s", smaller, [smaller.view(FIRST + 8, [])], NOW + 60)
    assert _allocate(ledger, 4) == [8, 9, 10, 11]
    with pytest.raises(NeedsBlocks):
        ledger.allocate("s", NOW)
    ledger.drop("s")
    assert ledger.leased() == {}


def test_adapting_to_the_same_pools_keeps_the_blocks() -> None:
    ledger = _ledger(0)
    ledger.adapt("s", GEOMETRY)
    ledger.adapt("unknown", GEOMETRY)
    assert ledger.shortfall({"s": 8}, NOW) == ()
    ledger.adapt("s", Geometry((AddressRange(FIRST, FIRST + 30),), 3))
    assert ledger.shortfall({"s": 8}, NOW) == (Shortfall(subnet_id="s", missing=8),)


def test_what_was_seen_in_a_transaction_that_failed_is_in_doubt() -> None:
    ledger = Ledger("me")
    ledger.lease("s", GEOMETRY, _views(0), NOW + 60)
    ledger.abort()
    assert ledger.shortfall({"s": 1}, NOW) == (Shortfall(subnet_id="s", missing=1, block_yield=8),)


def test_a_command_that_needs_blocks_asks_for_more_than_its_rollback_gives_back() -> None:
    ledger = _ledger(0)
    _allocate(ledger, 8)
    with pytest.raises(NeedsBlocks) as caught:
        ledger.allocate("s", NOW)
    assert caught.value.wanted > 8
    ledger.rollback()
    assert ledger.shortfall({"s": caught.value.wanted}, NOW)


def test_a_subnet_without_pools_is_exhausted_not_broken() -> None:
    ledger = Ledger("me")
    ledger.survey("s", Geometry((), 6), [], Fullness(capacity=0))
    with pytest.raises(Exhausted):
        ledger.allocate("s", NOW)


def test_who_leases_soon_again_leases_ahead_and_more_each_time() -> None:
    large = Geometry((AddressRange(0x1000, 0x1000 + 0xFFFF),), 8)  # 256 blocks of 256
    ledger = Ledger("me")
    blocks = iter(large.blocks_after(None))

    def ahead(now: float, taken: int) -> tuple[int, int]:
        block = next(blocks)
        ledger.lease("s", large, large.views([block], range(block, block + taken)), now + 60)
        (gap,) = ledger.shortfall({"s": 100_000}, now)
        return gap.block_yield, gap.ahead

    assert ahead(NOW, taken=0) == (256, 0)
    assert ahead(NOW + 1, taken=0) == (256, 512)
    assert ahead(NOW + 2, taken=0) == (256, 1_024)
    assert ahead(NOW + 3, taken=0) == (256, 1_024)  # a 64th of the subnet, and no more
    assert ahead(NOW + 4, taken=250) == (6, 0)  # addresses are rare
    assert ahead(NOW + 60, taken=0) == (256, 0)
