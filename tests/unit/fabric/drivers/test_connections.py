"""Which tracked connections contradict a translation, as ctnetlink tells of them."""

import socket

import pytest

from netwright.fabric.config import Nat
from netwright.fabric.drivers.frr import nft
from netwright.linux import codec, connections
from netwright.linux.connections import Connection, Ends

INNER, OTHER, FAR = "10.8.0.2", "10.8.0.3", "192.0.2.7"
OUTER, GATEWAY = "203.0.113.5", "203.0.113.4"
NAT = Nat(address=GATEWAY, sources=True, floating=((OUTER, INNER),), inside=("10.8.0.0/24",))
BARE = Nat(address=GATEWAY, sources=True, inside=("10.8.0.0/24",))


def connection(source: str, meant: str, answering: str, shown: str) -> Connection:
    one, two, three, four = map(socket.inet_aton, (source, meant, answering, shown))
    return Connection(Ends(one, two), Ends(three, four), b"")


INWARDS = connection(FAR, OUTER, INNER, FAR)
OUTWARDS = connection(INNER, FAR, FAR, OUTER)
BY_GATEWAY = connection(INNER, FAR, FAR, GATEWAY)
PLAIN = connection(FAR, "198.51.100.1", "198.51.100.1", FAR)
UNTRANSLATED = connection(OTHER, FAR, FAR, OTHER)
ASTRAY = connection(FAR, OUTER, OUTER, FAR)
WITHIN = connection(OTHER, OUTER, INNER, GATEWAY)


@pytest.mark.parametrize(
    ("nat", "kept", "forgotten"),
    [
        (NAT, [INWARDS, OUTWARDS, BY_GATEWAY, PLAIN, WITHIN], [UNTRANSLATED, ASTRAY]),
        (BARE, [BY_GATEWAY, PLAIN, ASTRAY], [INWARDS, OUTWARDS, UNTRANSLATED, WITHIN]),
        (None, [PLAIN, UNTRANSLATED, ASTRAY], [INWARDS, OUTWARDS, BY_GATEWAY, WITHIN]),
    ],
)
def test_what_contradicts_is_forgotten(
    nat: Nat | None, kept: list[Connection], forgotten: list[Connection]
) -> None:
    assert list(nft.contradicting(nat, [*kept, *forgotten])) == forgotten


def test_an_address_that_leads_elsewhere_takes_its_connections_along() -> None:
    led_anew = Nat(
        address=GATEWAY, sources=True, floating=((OUTER, OTHER),), inside=("10.8.0.0/24",)
    )
    assert list(nft.contradicting(led_anew, [INWARDS, OUTWARDS])) == [INWARDS, OUTWARDS]


def test_a_connection_is_read_and_forgotten_by_its_own_key() -> None:
    key, answer = tuple_of(FAR, OUTER), tuple_of(INNER, FAR)
    said = HEADER + codec.nested(1, key) + codec.nested(2, answer) + codec.attribute(3, 1)
    found = connections.parse_connection(said)
    assert found == INWARDS._replace(key=key)
    assert connections.forget(found).body == HEADER + codec.nested(1, key)


def test_another_form_is_not_guessed_at() -> None:
    said = HEADER + codec.nested(1, codec.attribute(9, 1)) + codec.nested(2, tuple_of(INNER, FAR))
    with pytest.raises(ValueError, match="another form"):
        connections.parse_connection(said)


HEADER = bytes((socket.AF_INET, 0, 0, 0))


def tuple_of(source: str, destination: str) -> bytes:
    ends = [
        codec.attribute(n, socket.inet_aton(each))
        for n, each in enumerate((source, destination), start=1)
    ]
    port = codec.attribute(2, b"\x00\x09")
    return codec.nested(1, *ends) + codec.nested(2, codec.attribute(1, b"\x01"), port)
