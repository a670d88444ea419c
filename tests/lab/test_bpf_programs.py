"""What programs say and make of frames, without any interface (BPF_PROG_TEST_RUN)."""

import ipaddress
import os
import struct
from collections.abc import Iterator

import pytest

from netwright.fabric.drivers.bpf import kernel, programs
from netwright.fabric.drivers.bpf.kernel import Map

pytestmark = pytest.mark.lab

UP, DROP = 0, 2
LOOPBACK_PORT = 1  # where the kernel lets such frames come from
MAC = "02:00:00:00:00:07"
V4, V6 = "10.0.0.7", "fd00::7"


@pytest.fixture
def loaded() -> Iterator[tuple[int, Map]]:
    """The program, and its map of fenced senders."""
    maps = {form.name: kernel.create_map(form) for form in programs.MAPS}
    descriptors = {name: each.descriptor for name, each in maps.items()}
    program = kernel.load("from_host", programs.from_host().assemble(descriptors))
    yield program, maps[programs.FENCED.name]
    os.close(program)
    for each in maps.values():
        each.close()


def verdict(program: int, frame: bytes) -> int:
    return kernel.run(program, frame)[0]


def ethernet(protocol: int, payload: bytes, mac: str = "02:00:00:00:00:01") -> bytes:
    source = bytes.fromhex(mac.replace(":", ""))
    return b"\xff" * 6 + source + struct.pack(">H", protocol) + payload.ljust(60, b"\0")


def arp(sender: str) -> bytes:
    head = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1)
    packed = ipaddress.ip_address(sender).packed
    return ethernet(0x0806, head + b"\x02\0\0\0\0\1" + packed + b"\0" * 6 + packed)


def ipv4(source: str) -> bytes:
    return ethernet(0x0800, b"\x45" + b"\0" * 11 + ipaddress.ip_address(source).packed + b"\1" * 4)


def ipv6(source: str, *, kind: int = 0, target: str = "::") -> bytes:
    """An ICMPv6 message of a type, with the target address of a neighbour discovery message."""
    head = b"\x60\0\0\0" + struct.pack(">HBB", 24, 58, 255)
    addresses = ipaddress.ip_address(source).packed + b"\xff" * 16
    body = bytes([kind]) + b"\0" * 7 + ipaddress.ip_address(target).packed
    return ethernet(0x86DD, head + addresses + body)


FRAMES = {
    "source MAC": (MAC, ethernet(0x0800, b"", MAC)),
    "sender of ARP": (V4, arp(V4)),
    "IPv4 source": (V4, ipv4(V4)),
    "IPv6 source": (V6, ipv6(V6)),
    "target of a neighbour advertisement": (V6, ipv6("fe80::1", kind=136, target=V6)),
}


@pytest.mark.parametrize("what", FRAMES)
def test_a_fenced_sender_is_dropped(loaded: tuple[int, Map], what: str) -> None:
    program, fenced = loaded
    sender, frame = FRAMES[what]
    assert verdict(program, frame) == UP
    fenced.put(programs.fenced_key(LOOPBACK_PORT + 1, sender), b"another port's")
    assert verdict(program, frame) == UP
    key = programs.fenced_key(LOOPBACK_PORT, sender)
    fenced.put(key, b"port-7")
    assert verdict(program, frame) == DROP
    assert programs.parse_fenced_key(key) == (LOOPBACK_PORT, sender)
    fenced.delete(key)
    assert verdict(program, frame) == UP


def test_others_pass_while_one_is_fenced(loaded: tuple[int, Map]) -> None:
    program, fenced = loaded
    for sender in (MAC, V4, V6):
        fenced.put(programs.fenced_key(LOOPBACK_PORT, sender), b"port-7")
    for frame in (
        ethernet(0x88CC, b""),
        arp("10.0.0.8"),
        ipv4("10.0.0.8"),
        ipv6("fd00::8", kind=136, target="fd00::8"),
        ipv6("fd00::8", kind=135, target=V6),  # a question about the fenced address
    ):
        assert verdict(program, frame) == UP


GATEWAY, LEAF = "02:00:5e:00:00:01", "02:4e:0a:ff:00:03"


@pytest.fixture
def own_sender() -> Iterator[int]:
    program = kernel.load("own_sender", programs.own_sender(GATEWAY, LEAF).assemble({}))
    yield program
    os.close(program)


def test_what_a_gateway_sends_leaves_as_its_leafs_and_else_as_it_was(own_sender: int) -> None:
    payload = arp(V4)[14:]
    sent = ethernet(0x0806, payload, GATEWAY)
    assert kernel.run(own_sender, sent) == (UP, ethernet(0x0806, payload, LEAF))


@pytest.mark.parametrize("sender", [MAC, LEAF, *(
    GATEWAY[:at] + other + GATEWAY[at + 2 :] for at, other in ((0, "06"), (6, "5f"), (15, "02"))
)])  # fmt: skip
def test_what_others_send_leaves_as_it_was(own_sender: int, sender: str) -> None:
    sent = ethernet(0x0800, b"from somebody else", sender)
    assert kernel.run(own_sender, sent) == (UP, sent)
