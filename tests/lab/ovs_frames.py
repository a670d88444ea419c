"""Frames that an instance might forge, and their sending and capturing inside namespaces."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator

from os_ken.lib.packet import arp, ethernet, icmpv6, ipv4, ipv6, udp
from os_ken.lib.packet.packet import Packet

_SEND = """
import socket, sys
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("eth0", 0))
for line in sys.stdin:
    out.send(bytes.fromhex(line.strip()))
"""
_CAPTURE = """
import json, select, socket, struct, sys
heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
heard.bind(("eth0", 3))
heard.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the kernel takes tags off frames
print("ready", flush=True)
def tag(beside):
    for level, kind, data in beside:
        status, _, _, _, _, tci, _ = struct.unpack_from("=IIIHHHH", data)
        if (level, kind) == (263, 8) and status & 0x10:  # TP_STATUS_VLAN_VALID
            return struct.pack("!HH", 0x8100, tci & 0xFFF)
    return b""
frames = []
while True:
    readable, _, _ = select.select([heard, sys.stdin], [], [])
    if heard in readable:
        frame, beside, _, _ = heard.recvmsg(2048, 256)
        frames.append((frame[:12] + tag(beside) + frame[12:]).hex())
    elif sys.stdin in readable:
        break
print(json.dumps(frames))
"""
_BROADCAST = "ff:ff:ff:ff:ff:ff"
_ALL_NODES_MAC, _ALL_NODES = "33:33:00:00:00:01", "ff02::1"


def _enter(netns: str, script: str) -> list[str]:
    return ["nsenter", f"--net=/run/netns/{netns}", sys.executable, "-c", script]


def send(netns: str, frames: list[bytes]) -> None:
    lines = "\n".join(frame.hex() for frame in frames)
    subprocess.run(_enter(netns, _SEND), input=lines, text=True, check=True, timeout=10)


@contextlib.contextmanager
def capture(netns: str) -> Iterator[list[bytes]]:
    """Collect what arrives at eth0, with its tags; the list is filled when the block ends."""
    command = _enter(netns, _CAPTURE)
    heard: list[bytes] = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield heard
        time.sleep(0.3)  # absence can only be waited for; the control frames tell that it suffices
        rest, _ = process.communicate("\n", timeout=10)
    heard += [bytes.fromhex(frame) for frame in json.loads(rest)]


def arp_frame(eth_src: str, sha: str, spa: str) -> bytes:
    request = arp.arp(opcode=1, src_mac=sha, src_ip=spa, dst_ip="10.0.0.200")
    return _bytes(ethernet.ethernet(_BROADCAST, eth_src, 0x0806), request)


def ipv4_frame(eth_src: str, src: str, ports: tuple[int, int] = (4000, 4001)) -> bytes:
    inner = udp.udp(*ports)
    outer = ipv4.ipv4(src=src, dst="255.255.255.255", proto=17)
    return _bytes(ethernet.ethernet(_BROADCAST, eth_src, 0x0800), outer, inner, b"payload")


def udp_frame(eth_src: str, eth_dst: str, src: str, dst: str, ports: tuple[int, int]) -> bytes:
    outer = ipv4.ipv4(src=src, dst=dst, proto=17)
    head = ethernet.ethernet(eth_dst, eth_src, 0x0800)
    return _bytes(head, outer, udp.udp(*ports), b"payload")


def ipv6_frame(eth_src: str, src: str) -> bytes:
    outer = ipv6.ipv6(src=src, dst=_ALL_NODES, nxt=17)
    return _bytes(_multicast(eth_src), outer, udp.udp(4000, 4001), b"payload")


def advertisement(eth_src: str, src: str, target: str, tll: str) -> bytes:
    option = icmpv6.nd_option_tla(hw_src=tll)
    body = icmpv6.icmpv6(136, data=icmpv6.nd_neighbor(res=1, dst=target, option=option))
    return _bytes(
        _multicast(eth_src), ipv6.ipv6(src=src, dst=_ALL_NODES, nxt=58, hop_limit=255), body
    )


def router_advertisement(eth_src: str, src: str) -> bytes:
    body = icmpv6.icmpv6(134, data=icmpv6.nd_router_advert(rou_l=1800))
    return _bytes(
        _multicast(eth_src), ipv6.ipv6(src=src, dst=_ALL_NODES, nxt=58, hop_limit=255), body
    )


def _multicast(eth_src: str) -> ethernet.ethernet:
    return ethernet.ethernet(_ALL_NODES_MAC, eth_src, 0x86DD)


def _bytes(*layers: object) -> bytes:
    packet = Packet()
    for layer in layers:
        packet.add_protocol(layer)
    packet.serialize()
    return bytes(packet.data)
