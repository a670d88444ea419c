from ipaddress import ip_address, ip_network

import pytest

from netwright.ipam.addresses import (
    AddressRange,
    cidr_range,
    from_key,
    from_text,
    is_ipv4,
    prefixes_of,
    to_key,
    to_text,
)
from netwright.model.errors import InvalidInput


@pytest.mark.parametrize(
    "text", ["0.0.0.0", "10.0.0.5", "255.255.255.255", "::", "2001:db8::5", "ffff::ffff"]
)
def test_text_and_key_lead_back_to_the_address(text: str) -> None:
    address = from_text(text)
    assert to_text(address) == text
    assert from_key(to_key(address)) == address
    assert is_ipv4(address) == ("." in text)


def test_keys_sort_as_addresses_do() -> None:
    texts = ["9.255.0.1", "10.0.0.2", "10.0.0.10", "192.168.0.1", "2001:db8::9", "2001:db8::10"]
    keys = [to_key(from_text(text)) for text in texts]
    assert keys == sorted(keys)
    assert {len(key) for key in keys} == {16}


@pytest.mark.parametrize(
    "text", ["", "10.0.0.256", "10.0.0", "fe80::1%eth0", "host", "::ffff:1.2.3.4"]
)
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInput, match=text or "''"):
        from_text(text)


def test_a_cidr_is_a_range() -> None:
    assert str(cidr_range("10.0.0.0/24")) == "10.0.0.0-10.0.0.255"
    assert cidr_range("2001:db8::/64").size == 1 << 64
    assert cidr_range("10.0.0.7/32") == AddressRange(from_text("10.0.0.7"), from_text("10.0.0.7"))
    for wrong in ("10.0.0.1/24", "10.0.0.0/33", "::ffff:0:0/120"):
        with pytest.raises(InvalidInput):
            cidr_range(wrong)


@pytest.mark.parametrize(
    "text", ["10.3.201.170", "255.255.255.255", "0.0.0.0", "2001:db8::9", "::1"]
)
def test_every_prefix_around_an_address(text: str) -> None:
    address = ip_address(text)
    found = prefixes_of(from_text(text))
    assert len(found) == address.max_prefixlen + 1
    assert all(address in ip_network(prefix) for prefix in found)
    assert [str(ip_network(prefix)) for prefix in found] == found, "as subnets are stored"
    assert len(set(found)) == len(found)
