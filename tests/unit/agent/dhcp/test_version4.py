"""What DHCPv4 clients are told, read by another's parser."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.agent.dhcp.said import LEASE, MAC, OCTETS, Told4, v4, wish

from netwright.agent.dhcp.version4 import Kind, answer, unknown_options
from netwright.model.resources import HostRoute

OURS, OTHERS = IPv4Address("10.0.0.5").packed, IPv4Address("10.0.0.6").packed
SERVER, OTHER_SERVER = IPv4Address("10.0.0.1").packed, IPv4Address("10.0.0.2").packed


def told(frame: bytes, **changes: object) -> Told4:
    return Told4(answer(replace(LEASE, **changes), OCTETS, frame))


def test_a_client_is_offered_its_ports_address_and_what_its_subnet_says() -> None:
    offer = told(v4(Kind.DISCOVER))
    assert (offer.kind, offer.head.op, offer.head.xid) == (Kind.OFFER, 2, 0x1234)
    assert (offer.head.yiaddr, offer.head.chaddr) == ("10.0.0.5", MAC)
    assert (offer.ethernet.dst, offer.ip.src, offer.ip.dst) == (MAC, "10.0.0.1", "10.0.0.5")
    assert (offer.udp.src_port, offer.udp.dst_port) == (67, 68)
    assert offer.options[1] == IPv4Address("255.255.255.0").packed
    assert offer.options[3] == offer.options[54] == SERVER
    assert offer.options[6] == IPv4Address("10.1.1.1").packed + IPv4Address("10.1.1.2").packed
    assert offer.options[26] == (1450).to_bytes(2, "big")
    assert offer.options[51] == (86400).to_bytes(4, "big")


def test_classless_routes_hold_the_default_too_and_nothing_of_metadata() -> None:
    routes = told(v4(Kind.DISCOVER)).options[121]
    assert routes == bytes([13, 10, 8]) + b"\x0a\0\0\x09" + bytes([0]) + SERVER
    assert 121 not in told(v4(Kind.DISCOVER), routes=()).options


def test_a_subnet_without_gateway_and_name_servers_has_none() -> None:
    offer = told(v4(Kind.DISCOVER), gateway=None, name_servers=())
    assert not {3, 6} & offer.options.keys()
    assert offer.options[121] == bytes([13, 10, 8]) + b"\x0a\0\0\x09"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"o50": OURS, "o54": SERVER}, Kind.ACK),
        ({"o50": OURS}, Kind.ACK),
        ({"ciaddr": "10.0.0.5"}, Kind.ACK),
        ({"o50": OTHERS}, Kind.NAK),
        ({"ciaddr": "10.9.0.6"}, Kind.NAK),
        ({"o50": OTHERS, "o54": SERVER}, Kind.NAK),
    ],
)
def test_a_request_is_granted_for_the_ports_address_alone(
    said: dict[str, bytes], kind: Kind
) -> None:
    reply = told(v4(Kind.REQUEST, **said))  # type: ignore[arg-type]
    assert reply.kind == kind
    assert (reply.head.yiaddr == "10.0.0.5") is (kind is Kind.ACK)
    assert (reply.ethernet.dst == "ff:ff:ff:ff:ff:ff") is (kind is Kind.NAK)


@pytest.mark.parametrize(
    "frame",
    [
        v4(Kind.REQUEST, o50=OURS, o54=OTHER_SERVER),
        v4(Kind.RELEASE, o54=SERVER),
        v4(Kind.DECLINE, o50=OURS, o54=SERVER),
        v4(Kind.DISCOVER, mac="fa:16:3e:00:00:02"),
        v4(Kind.OFFER),
    ],
    ids=["another server", "release", "decline", "another MAC", "a server's"],
)
def test_what_is_not_for_this_port_is_not_answered(frame: bytes) -> None:
    assert answer(LEASE, OCTETS, frame) is None


def test_who_has_an_address_is_told_the_rest_without_a_lease() -> None:
    reply = told(v4(Kind.INFORM, ciaddr="10.0.0.5"))
    assert (reply.kind, reply.head.yiaddr, reply.ip.dst) == (Kind.ACK, "0.0.0.0", "10.0.0.5")
    assert 51 not in reply.options
    assert 6 in reply.options


def test_who_cannot_hear_unicast_is_answered_by_broadcast() -> None:
    reply = told(v4(Kind.DISCOVER, flags=0x8000))
    assert (reply.ethernet.dst, reply.ip.dst) == ("ff:ff:ff:ff:ff:ff", "255.255.255.255")


def test_the_clients_own_id_is_repeated() -> None:
    assert told(v4(Kind.DISCOVER, o61=b"\x01abcdef")).options[61] == b"\x01abcdef"


def test_the_ports_own_options_come_before_the_subnets() -> None:
    own = (
        wish("bootfile-name", "pxelinux.0"),
        wish("server-ip-address", "10.0.0.77"),
        wish("tftp-server", "10.0.0.77"),
        wish("ntp-server", "10.0.0.8,10.0.0.9"),
        wish("domain-search", "one.example,two.example"),
        wish("224", "0x0102"),
        wish("option:225", "hello"),
        wish("mtu", "1400"),
        wish("router", ""),
    )
    reply = told(v4(Kind.DISCOVER), options=own, routes=())
    assert reply.options[67] == b"pxelinux.0"
    assert reply.head.boot_file.rstrip("\0") == "pxelinux.0"
    assert reply.head.siaddr == "10.0.0.77"
    assert reply.options[66] == b"10.0.0.77"
    assert len(reply.options[42]) == 8
    assert reply.options[119] == b"\x03one\x07example\0\x03two\x07example\0"
    assert (reply.options[224], reply.options[225]) == (b"\x01\x02", b"hello")
    assert reply.options[26] == (1400).to_bytes(2, "big")
    assert 3 not in reply.options


def test_a_port_that_has_a_name_tells_its_client() -> None:
    named = told(v4(Kind.DISCOVER), hostname="one", domain="two.example")
    assert (named.options[12], named.options[15]) == (b"one", b"two.example")
    assert not {12, 15} & told(v4(Kind.DISCOVER)).options.keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [("frobnicate", "1"), ("mtu", "many"), ("53", "1"), ("0", "1"), ("255", "1"), ("mtu", "70000"),
     ("ntp-server", "ntp.example"), ("classless-static-route", "10.0.0.0/8"), ("82", "x")],
)  # fmt: skip
def test_an_option_that_cannot_be_sent_is_named_and_the_rest_is_sent(name: str, value: str) -> None:
    lease = replace(LEASE, options=(wish(name, value), wish("hostname", "one")))
    (why,) = unknown_options(lease)
    assert name in why
    assert Told4(answer(lease, OCTETS, v4(Kind.DISCOVER))).options[12] == b"one"


def test_a_long_reply_keeps_what_must_be_and_was_asked_for() -> None:
    routes = tuple(
        HostRoute(destination=f"10.{n}.0.0/16", nexthop="10.0.0.9") for n in range(1, 100)
    )
    short = v4(Kind.DISCOVER, o55=bytes([67, 3]))
    reply = told(short, routes=routes, options=(wish("bootfile-name", "b" * 200),))
    assert {1, 3, 51, 53, 54, 67} <= reply.options.keys()
    assert 121 not in reply.options
    assert reply.ip.total_length <= 576
    roomy = told(v4(Kind.DISCOVER, o57=(1500).to_bytes(2, "big")), routes=routes)
    assert len(roomy.options[121]) == 99 * 7 + 5


@given(st.binary(max_size=700))
def test_noise_is_refused_not_answered(octets: bytes) -> None:
    frame = v4(Kind.DISCOVER)
    for noise in (octets, frame[:14] + octets, frame[:42] + octets, frame[: len(octets)]):
        try:
            found = answer(LEASE, OCTETS, noise)
        except ValueError:
            continue
        assert found is None or Told4(found).head.yiaddr == "10.0.0.5"
