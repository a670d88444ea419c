import pytest

from netwright.ipam.addresses import from_text
from netwright.ipam.resting import (
    AddressTaken,
    Allocation,
    Claim,
    Exhausted,
    Fullness,
    blocks_subnet_delete,
    claim,
    fullness,
    has_rested,
    rest_end,
)
from netwright.model.errors import Category, Fault

NOW = 1_000_000.0
ADDRESS = from_text("10.0.0.5")


def _row(port: str | None = None, rests_until: float | None = None) -> Allocation:
    return Allocation(
        subnet_id="s", address=ADDRESS, project_id="ours", port_id=port, rests_until=rests_until
    )


def test_only_what_was_bound_rests() -> None:
    assert rest_end(was_bound=False, withdrawn_at=NOW) is None
    assert rest_end(was_bound=True, withdrawn_at=NOW) == NOW + 60
    assert rest_end(was_bound=True, withdrawn_at=NOW, rest_s=5) == NOW + 5


def test_who_may_have_an_address_by_name() -> None:
    rests = _row(rests_until=NOW + 30)
    assert claim(None, "s", ADDRESS, "theirs", NOW) is Claim.INSERT
    assert claim(rests, "s", ADDRESS, "ours", NOW) is Claim.RECLAIM
    assert claim(rests, "s", ADDRESS, "theirs", NOW + 30) is Claim.RECLAIM
    with pytest.raises(AddressTaken, match=r"10\.0\.0\.5 .* rests for another 30 s") as caught:
        claim(rests, "s", ADDRESS, "theirs", NOW)
    assert (caught.value.port_id, caught.value.rests_until) == (None, NOW + 30)
    with pytest.raises(AddressTaken, match="is in use") as caught:
        claim(_row("p"), "s", ADDRESS, "ours", NOW)
    assert caught.value.port_id == "p"
    assert caught.value.type == "IpAddressAlreadyAllocated"


def test_a_rest_ends_at_its_time() -> None:
    assert not has_rested(_row(rests_until=NOW), NOW - 0.1)
    assert has_rested(_row(rests_until=NOW), NOW)
    assert not has_rested(_row("p"), NOW)


def test_exhaustion_says_how_many_rest_and_when_the_next_returns() -> None:
    full = fullness(13, [NOW + 50, NOW + 42])
    assert full == Fullness(capacity=13, resting=2, next_return_at=NOW + 42)
    error = Exhausted("s", full, NOW)
    assert "of 13, 11 are in use and 2 rest; the next returns in 42 s" in error.message
    assert "when one returns" in error.next
    assert (error.type, error.category, error.fault) == (
        "IpAddressGenerationFailure",
        Category.CONFLICT,
        Fault.CALLER,
    )
    assert "all 13 are in use" in Exhausted("s", fullness(13, []), NOW).message


def test_resting_addresses_never_keep_a_subnet() -> None:
    rests = _row(rests_until=NOW + 30)
    assert not blocks_subnet_delete([])
    assert not blocks_subnet_delete([rests, rests])
    assert blocks_subnet_delete([rests, _row("p")])
