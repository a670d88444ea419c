"""Requests of rtnetlink say what was asked: read as the kernel's own answers are."""

from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.linux import links
from netwright.linux.links import Address, KernelRoute

INTERFACES = st.one_of(
    st.builds(lambda a, p: IPv4Interface((a, p)), st.ip_addresses(v=4), st.integers(0, 32)),
    st.builds(lambda a, p: IPv6Interface((a, p)), st.ip_addresses(v=6), st.integers(0, 128)),
)


@given(address=INTERFACES, index=st.integers(1, 2**31 - 1), add=st.booleans())
def test_an_address_is_asked_for_as_it_is_written(
    address: IPv4Interface | IPv6Interface, index: int, *, add: bool
) -> None:
    request = links.change_address(index, str(address), "eth0", add=add)
    assert links.parse_address(request.body) == Address(index=index, address=str(address))
    assert str(address) in request.what


@given(network=INTERFACES.map(lambda each: each.network), via=st.data())
def test_a_route_is_asked_for_as_it_is_written(
    network: IPv4Network | IPv6Network, via: st.DataObject
) -> None:
    nexthop = via.draw(st.ip_addresses(v=network.version))
    request = links.change_route(str(network), str(nexthop), add=True)
    expected = KernelRoute(destination=str(network), nexthop=str(nexthop))
    assert links.parse_route(request.body) == expected


@pytest.mark.parametrize(
    "text", ["10.0.0.1", "10.0.0.300/24", "fd00::1::2/64", "", "x/24", "1/2/3"]
)
def test_what_is_no_address_with_a_length_is_refused(text: str) -> None:
    with pytest.raises((OSError, ValueError)):
        links.change_address(1, text, "eth0", add=True)


def test_both_ends_of_a_veth_have_one_queue_from_the_start() -> None:
    body = links.add_veth("a", "b", 7, 1500).body
    one = b"\x08\x00\x1f\x00\x01\x00\x00\x00\x08\x00\x20\x00\x01\x00\x00\x00"  # IFLA_NUM_*_QUEUES
    assert body.count(one) == 2
