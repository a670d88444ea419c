from netwright.ipam.addresses import AddressRange
from netwright.ipam.blocks import Geometry
from netwright.ipam.selection import (
    LEASE_S,
    BlockRow,
    BlockTable,
    choose_leases,
    choose_survey,
)

NOW = 1_000_000.0
GEOMETRY = Geometry((AddressRange(0x1000, 0x1FFF),), 4)  # 256 blocks of 16
BLOCKS = list(GEOMETRY.blocks_after(None))


def _choose(
    *rows: BlockRow,
    newest: int,
    missing: int = 1,
    round_: int = 0,
    block_yield: int = 0,
    ahead: int = 0,
) -> list[int]:
    chosen = choose_leases(
        GEOMETRY,
        BlockTable(open_rows=rows, newest=BLOCKS[newest]),
        owner="me",
        held={BLOCKS[9]},
        missing=missing,
        now=NOW,
        round_=round_,
        block_yield=block_yield,
        ahead=ahead,
    )
    return [BLOCKS.index(block) for block in chosen]


def _row(index: int, owner: str | None = None, expires: float = 0.0) -> BlockRow:
    return BlockRow(block=BLOCKS[index], owner=owner, lease_expires_at=expires)


def test_first_our_own_then_the_least_recently_leased_then_new_ones() -> None:
    rows = [
        _row(0, None, NOW - 5),
        _row(1, "other", NOW + 5),
        _row(2, "other", NOW - 9),
        _row(3, "me", NOW + 5),
        _row(9, "me", NOW + 5),
    ]
    assert _choose(*rows, newest=9, missing=5 * 16) == [3, 2, 0, 10, 11]
    assert _choose(*rows, newest=9) == [3]


def test_each_round_doubles_up_to_a_bound() -> None:
    assert len(_choose(newest=0, missing=17)) == 2
    assert len(_choose(newest=0, missing=17, round_=2)) == 8
    assert len(_choose(newest=0, missing=10_000, round_=3)) == 64


def test_as_many_as_give_what_is_missing_if_they_give_what_others_gave() -> None:
    assert len(_choose(newest=0, missing=17, block_yield=2)) == 9
    assert len(_choose(newest=0, missing=17, ahead=32)) == 4


def test_nothing_is_left_when_all_is_leased_to_others() -> None:
    assert _choose(_row(255, "other", NOW + 1), newest=255) == []


def test_a_lease_from_a_clock_that_jumped_is_not_waited_for() -> None:
    assert _choose(_row(7, "other", NOW + 3 * LEASE_S), newest=255) == [7]


def test_a_survey_looks_into_every_open_block_in_bounded_steps() -> None:
    rows = tuple(_row(index, "other", NOW + 1) for index in range(60))
    table = BlockTable(open_rows=rows, newest=BLOCKS[245])
    first = choose_survey(GEOMETRY, table)
    assert (len(first.blocks), first.complete) == (64, False)
    rest = choose_survey(GEOMETRY, table, surveyed=set(first.blocks))
    assert rest.complete
    assert {*first.blocks, *rest.blocks} == {*BLOCKS[:60], *BLOCKS[246:]}


def test_a_survey_of_an_endless_subnet_is_never_complete() -> None:
    endless = Geometry((AddressRange(1 << 64, (1 << 65) - 1),), 8)
    assert not choose_survey(endless, BlockTable()).complete
    assert choose_survey(Geometry((), 6), BlockTable()).complete
