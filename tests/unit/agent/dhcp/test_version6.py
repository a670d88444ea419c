"""What DHCPv6 clients are told, and who solicits a router."""

import struct
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from os_ken.lib.packet import ethernet, ipv6, packet
from tests.unit.agent.dhcp.said import LEASE6, LINK_LOCAL, MAC, OCTETS, solicitation, v6, wish

from netwright.agent.dhcp.served import Prefix6
from netwright.agent.dhcp.version6 import (
    OUR_ADDRESS,
    OUR_DUID,
    Kind,
    Message,
    answer,
    unknown_options,
)
from netwright.agent.ovs.wiring import link_local

ADDRESS = IPv6Address("2001:db8::5")


def option(code: int, value: bytes = b"") -> bytes:
    return struct.pack("!HH", code, len(value)) + value


def association(ia: bytes = b"\0\0\0\x01", *addresses: str) -> bytes:
    held = (option(5, IPv6Address(one).packed + bytes(8)) for one in addresses)
    return option(3, ia + bytes(8) + b"".join(held))


CLIENT = option(1, b"\0\x03\0\x01" + OCTETS)
US, SOMEBODY = option(2, OUR_DUID), option(2, b"\0\x03\0\x01" + bytes(6))


def told(kind: Kind, said: bytes, **changes: object) -> Message:
    frame = answer(replace(LEASE6, **changes), OCTETS, v6(kind, said))
    assert frame is not None, "nothing was answered"
    assert packet.Packet(frame).get_protocol(ethernet.ethernet).dst == MAC
    head = packet.Packet(frame).get_protocol(ipv6.ipv6)
    assert (head.src, head.dst) == (str(OUR_ADDRESS), LINK_LOCAL)
    return Message(frame[14 + 40 + 8 :])


def given_addresses(message: Message) -> list[tuple[IPv6Address, ...]]:
    return [addresses for _, addresses in message.associations]


def test_our_address_is_that_of_our_mac() -> None:
    assert str(OUR_ADDRESS) == link_local("02:4e:57:00:00:01")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ((Kind.SOLICIT, CLIENT), Kind.ADVERTISE),
        ((Kind.SOLICIT, CLIENT + option(14)), Kind.REPLY),
        ((Kind.REQUEST, CLIENT + US), Kind.REPLY),
        ((Kind.RENEW, CLIENT + US), Kind.REPLY),
        ((Kind.REBIND, CLIENT), Kind.REPLY),
    ],
)
def test_a_client_gets_its_ports_address(said: tuple[Kind, bytes], kind: Kind) -> None:
    reply = told(said[0], said[1] + association())
    assert reply.kind is kind
    assert reply.transaction == b"\x12\x34\x56"
    assert given_addresses(reply) == [(ADDRESS,)]
    assert reply.one(1) == CLIENT[4:]
    assert reply.one(2) == OUR_DUID
    assert reply.one(23) == IPv6Address("2001:db8:1::1").packed


def test_an_address_that_is_not_the_ports_ends_at_once() -> None:
    reply = told(Kind.RENEW, CLIENT + US + association(b"\0\0\0\x01", "2001:db8::6"))
    value = reply.options[3][0]
    assert given_addresses(reply) == [(ADDRESS, IPv6Address("2001:db8::6"))]
    assert value.endswith(IPv6Address("2001:db8::6").packed + bytes(8))


def test_a_second_association_gets_nothing() -> None:
    reply = told(Kind.SOLICIT, CLIENT + association() + association(b"\0\0\0\x02"))
    assert given_addresses(reply) == [(ADDRESS,), ()]
    assert reply.options[3][1].endswith(option(13, b"\0\x02"))


@pytest.mark.parametrize(("held", "status"), [("2001:db8::5", 0), ("2001:db8:9::5", 4)])
def test_who_comes_back_hears_whether_its_address_still_holds(held: str, status: int) -> None:
    reply = told(Kind.CONFIRM, CLIENT + association(b"\0\0\0\x01", held))
    assert reply.one(13) == status.to_bytes(2, "big")


def test_stateless_clients_are_told_the_rest_and_no_address() -> None:
    reply = told(Kind.INFORMATION_REQUEST, CLIENT, addresses=())
    assert reply.one(23) is not None
    assert 3 not in reply.options
    assert given_addresses(told(Kind.SOLICIT, CLIENT + association(), addresses=())) == [()]


@pytest.mark.parametrize(
    ("kind", "options"),
    [(Kind.REQUEST, CLIENT + SOMEBODY), (Kind.RENEW, CLIENT), (Kind.SOLICIT, CLIENT + US),
     (Kind.REPLY, CLIENT + US), (Kind.ADVERTISE, CLIENT)],
)  # fmt: skip
def test_what_is_another_servers_is_not_answered(kind: Kind, options: bytes) -> None:
    assert answer(LEASE6, OCTETS, v6(kind, options + association())) is None


def test_another_mac_and_a_subnet_without_dhcpv6_are_not_answered() -> None:
    said = CLIENT + association()
    assert answer(LEASE6, OCTETS, v6(Kind.SOLICIT, said, mac="fa:16:3e:00:00:02")) is None
    unasked = replace(LEASE6, is_asked=False)
    assert answer(unasked, OCTETS, v6(Kind.SOLICIT, said)) is None


def test_the_ports_own_options_are_sent_and_others_named() -> None:
    own = (
        wish("dns-server", "2001:db8:2::1", 6),
        wish("domain-search", "one.example", 6),
        wish("bootfile-url", "tftp://[2001:db8::1]/x", 6),
        wish("frobnicate", "1", 6),
    )
    reply = told(Kind.INFORMATION_REQUEST, CLIENT, options=own)
    assert reply.one(23) == IPv6Address("2001:db8:2::1").packed
    assert reply.one(24) == b"\x03one\x07example\0"
    assert reply.one(59) == b"tftp://[2001:db8::1]/x"
    (why,) = unknown_options(replace(LEASE6, options=own))
    assert "frobnicate" in why


@pytest.mark.parametrize(
    ("changes", "flags", "is_autonomous"),
    [
        ({}, 3, False),
        ({"addresses": ()}, 1, True),
        ({"addresses": (), "is_asked": False}, 0, True),
    ],
    ids=["stateful", "stateless", "slaac"],
)
def test_who_solicits_is_told_of_prefixes_and_of_no_router(
    changes: dict[str, object], flags: int, *, is_autonomous: bool
) -> None:
    prefix = Prefix6(cidr="2001:db8::/64", is_autonomous=is_autonomous)
    frame = answer(replace(LEASE6, prefixes=(prefix,), **changes), OCTETS, solicitation())
    assert frame is not None
    target, said = frame[38:54], frame[54:]
    assert (IPv6Address(frame[22:38]), IPv6Address(target)) == (
        OUR_ADDRESS,
        IPv6Address(LINK_LOCAL),
    )
    assert frame[21] == 255  # the hop limit: nobody has routed it
    kind, _, _, _, said_flags, router_lifetime_s = struct.unpack_from("!BBHBBH", said)
    assert (kind, said_flags >> 6, router_lifetime_s) == (134, flags, 0)
    mtu, of_prefix = said[16:24], said[24:56]
    assert mtu == bytes([5, 1, 0, 0]) + (1450).to_bytes(4, "big")
    assert of_prefix[:4] == bytes([3, 4, 64, 0xC0 if is_autonomous else 0x80])
    assert of_prefix[16:] == IPv6Address("2001:db8::").packed
    assert said[56:64] == bytes([25, 3, 0, 0]) + b"\xff" * 4
    assert in_words(frame[22:54] + len(said).to_bytes(4, "big") + bytes([0, 0, 0, 58]) + said) == 0


def in_words(octets: bytes) -> int:
    """What is over when 16-bit words are added up, the checksum among them: 0 when it is right."""
    total = sum(int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2))
    return ~(total % 0xFFFF or 0xFFFF) & 0xFFFF


def test_without_prefixes_nothing_is_advertised() -> None:
    assert answer(replace(LEASE6, prefixes=()), OCTETS, solicitation()) is None


@given(st.binary(max_size=300))
def test_noise_is_refused_not_answered(octets: bytes) -> None:
    for frame in (v6(Kind.SOLICIT, octets), v6(Kind.RENEW, CLIENT + US + octets), octets):
        try:
            found = answer(LEASE6, OCTETS, frame)
        except ValueError:
            continue
        assert found is None or found[:6] == OCTETS
