"""The frame that tells neighbours who has an address now."""

from netwright.linux import arp


def test_an_announcement_asks_everybody_for_ones_own_address() -> None:
    mac, address = bytes.fromhex("fa163e000001"), bytes((203, 0, 113, 5))
    frame = arp.announcement("fa:16:3e:00:00:01", "203.0.113.5")
    assert frame == (
        b"\xff" * 6 + mac + b"\x08\x06"  # to all, ARP
        b"\x00\x01\x08\x00\x06\x04\x00\x01"  # of Ethernet and IPv4, a request
        + mac + address + bytes(6) + address
    )  # fmt: skip
