import struct
from ipaddress import IPv6Address

from netwright.agent.ovs.announce import announcements, reverse_request

MAC = "fa:16:3e:01:02:03"


def test_an_ipv4_address_is_announced_by_a_broadcast_for_itself() -> None:
    (frame,) = announcements(MAC, ["10.0.0.5"])
    assert frame.hex(" ", 2) == (
        "ffff ffff ffff fa16 3e01 0203 0806 "
        "0001 0800 0604 0001 fa16 3e01 0203 0a00 0005 0000 0000 0000 0a00 0005"
    )


def test_an_ipv6_address_is_advertised_to_all_nodes() -> None:
    (frame,) = announcements(MAC, ["fd00::5"])
    source, target = frame[22:38], frame[62:78]
    assert frame[:6].hex(":") == "33:33:00:00:00:01"
    assert source == target == IPv6Address("fd00::5").packed
    assert frame[21] == 255
    assert frame[54] == 136
    assert frame[58] & 0x20
    assert frame[-6:].hex(":") == MAC


def test_the_checksum_of_an_advertisement_holds() -> None:
    (frame,) = announcements(MAC, ["fd00::5"])
    message = frame[54:]
    covered = frame[22:54] + struct.pack("!II", len(message), 58) + message
    total = sum(struct.unpack(f"!{len(covered) // 2}H", covered))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF


def test_every_address_has_its_frame() -> None:
    assert len(announcements(MAC, ["10.0.0.5", "fd00::5", "10.0.0.6"])) == 3


def test_a_reverse_request_asks_who_it_is_of_all_and_names_no_address() -> None:
    assert reverse_request(MAC).hex(" ", 2) == (
        "ffff ffff ffff fa16 3e01 0203 8035 "
        "0001 0800 0604 0003 fa16 3e01 0203 0000 0000 fa16 3e01 0203 0000 0000"
    )
