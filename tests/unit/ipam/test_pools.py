import pytest

from netwright.ipam.pools import checked_pools, default_gateway, default_pools
from netwright.model.errors import (
    GatewayConflictWithAllocationPools,
    InvalidInput,
    OutOfBoundsAllocationPool,
    OverlappingAllocationPools,
)
from netwright.model.resources import Pool


@pytest.mark.parametrize(
    ("cidr", "gateway", "expected"),
    [
        ("10.0.0.0/24", "10.0.0.1", ["10.0.0.2-10.0.0.254"]),
        ("10.0.0.0/24", "10.0.0.254", ["10.0.0.1-10.0.0.253"]),
        ("10.0.0.0/24", "10.0.0.9", ["10.0.0.1-10.0.0.8", "10.0.0.10-10.0.0.254"]),
        ("10.0.0.0/24", None, ["10.0.0.1-10.0.0.254"]),
        ("10.0.0.0/24", "10.9.9.9", ["10.0.0.1-10.0.0.254"]),
        ("10.0.0.0/30", "10.0.0.1", ["10.0.0.2-10.0.0.2"]),
        ("10.0.0.0/31", "10.0.0.0", ["10.0.0.1-10.0.0.1"]),
        ("10.0.0.4/32", "10.0.0.4", ["10.0.0.4-10.0.0.4"]),
        ("10.0.0.4/32", None, ["10.0.0.4-10.0.0.4"]),
        ("2001:db8::/64", "2001:db8::1", ["2001:db8::2-2001:db8::ffff:ffff:ffff:ffff"]),
        ("2001:db8::/127", "2001:db8::1", []),
        ("2001:db8::7/128", None, ["2001:db8::7-2001:db8::7"]),
    ],
)
def test_default_pools(cidr: str, gateway: str | None, expected: list[str]) -> None:
    assert [str(pool) for pool in default_pools(cidr, gateway)] == expected


def test_the_default_gateway_is_the_first_usable_address() -> None:
    assert default_gateway("10.0.0.0/24") == "10.0.0.1"
    assert default_gateway("2001:db8::/64") == "2001:db8::1"


def test_pools_come_back_in_order() -> None:
    pools = [Pool(start="10.0.0.100", end="10.0.0.199"), Pool(start="10.0.0.10", end="10.0.0.99")]
    checked = checked_pools("10.0.0.0/24", pools, "10.0.0.1")
    assert [str(pool) for pool in checked] == ["10.0.0.10-10.0.0.99", "10.0.0.100-10.0.0.199"]
    assert checked_pools("10.0.0.0/24", [], None) == ()


@pytest.mark.parametrize(
    ("pools", "error", "named"),
    [
        ([("10.0.0.9", "10.0.0.5")], InvalidInput, "10.0.0.9-10.0.0.5"),
        ([("10.0.0.9", "2001:db8::5")], InvalidInput, "10.0.0.9-2001:db8::5"),
        ([("10.0.0.9", "ten")], InvalidInput, "ten"),
        ([("10.0.0.0", "10.0.0.5")], OutOfBoundsAllocationPool, "10.0.0.0-10.0.0.5"),
        ([("10.0.0.9", "10.0.0.255")], OutOfBoundsAllocationPool, "10.0.0.9-10.0.0.255"),
        ([("2001:db8::2", "2001:db8::5")], OutOfBoundsAllocationPool, "2001:db8::2-2001:db8::5"),
        (
            [("10.0.0.20", "10.0.0.30"), ("10.0.0.10", "10.0.0.20")],
            OverlappingAllocationPools,
            "10.0.0.10-10.0.0.20 and 10.0.0.20-10.0.0.30",
        ),
        (
            [("10.0.0.1", "10.0.0.5")],
            GatewayConflictWithAllocationPools,
            "10.0.0.1-10.0.0.5 holds the gateway 10.0.0.1",
        ),
    ],
)
def test_a_wrong_pool_is_named(
    pools: list[tuple[str, str]], error: type[Exception], named: str
) -> None:
    wanted = [Pool(start=start, end=end) for start, end in pools]
    with pytest.raises(error, match=named):
        checked_pools("10.0.0.0/24", wanted, "10.0.0.1")
