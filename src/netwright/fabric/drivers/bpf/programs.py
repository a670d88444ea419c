"""What happens to frames at host ports and tunnels, as BPF programs of tc. Pure.

    from_host, ingress of the port           to_host, ingress of the inner veth's outer end
      sender fenced? drop                      the port and VLAN of this end; none: drop
      untagged LLDP: up                        VLAN: push the tag
      (port, VLAN) → veth: pop, redirect       redirect to the port
      untagged without a veth: up
      tagged without a veth: drop

    own_sender, egress of a vxlan
      the leaves' common gateway speaks: write this leaf's own MAC over the sender's

Maps, one set a switch (interface indexes are the switch's):

    tagged  (port, vlan) → veth       vlan 0: untagged
    ports   veth → (port, vlan)
    fenced  (port, kind, 16 octets) → port id; kind 1: MAC, 4 and 6: IP
"""

import ipaddress
import struct

from netwright.fabric.drivers.bpf.assembler import R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, Program
from netwright.model.resources import Value

MAC = 1
_OK, _DROP = 0, 2
_LOOK_UP, _STORE_BYTES, _LOAD_BYTES, _REDIRECT, _VLAN_PUSH, _VLAN_POP = 1, 9, 26, 23, 18, 19
_PROTOCOL, _VLAN_PRESENT, _VLAN_TCI, _IFINDEX = 16, 20, 24, 40  # of struct __sk_buff
_VLAN_BITS = 0x0FFF
_NEIGHBOUR_ADVERTISEMENT, _ICMP6 = 136, 58

# Where the sender is in a frame, from its first octet; a tag is beside the frame, not in it.
_SOURCE_MAC, _ARP_SENDER, _IPV4_SOURCE, _IPV6_NEXT, _IPV6_SOURCE = 6, 28, 26, 20, 22
_ICMP6_TYPE, _NA_TARGET = 54, 62

# The stack: a key of `fenced`, a key of `tagged`, an octet; or two MACs.
_FENCED_KEY, _TAGGED_KEY, _OCTET = -24, -32, -40
_SENDER, _OWN = -8, -16


class MapForm(Value, frozen=True):
    name: str
    key_size: int
    value_size: int
    capacity: int


TAGGED = MapForm("nw_tagged", 8, 4, 65536)
PORTS = MapForm("nw_ports", 4, 8, 65536)
FENCED = MapForm("nw_fenced", 24, 40, 65536)
MAPS = (TAGGED, PORTS, FENCED)

FROM_HOST = "netwright-from-host/1"
HELD = "netwright-held/1"
FROM_CORE = "netwright-from-core/1"
TO_HOST = "netwright-to-host/1"
_OWN_SENDER_NAME = "netwright-own-sender/1"
"""Names of the filters: our mark; the number grows when the program changes.

The first three are one program: at a host port, at one that we hold down, at a trunk to the core.
"""


def own_sender_name(common: str, own: str) -> str:
    """Of a filter with this `own_sender`: two with one name do the same."""
    return f"{_OWN_SENDER_NAME} {common} {own}"


def parse_own_sender_name(name: str) -> tuple[str, str]:
    """The common MAC, and the leaf's own."""
    _, common, own = name.split()
    return common, own


def tagged_key(port: int, vlan: int) -> bytes:
    return struct.pack("=II", port, vlan)


def is_mac(sender: str) -> bool:
    """An IPv6 address of six groups would have two colons beside each other."""
    return sender.count(":") == 5 and len(sender) == 17  # noqa: PLR2004 (aa:bb:cc:dd:ee:ff)


def fenced_key(port: int, sender: str) -> bytes:
    """A MAC or an IP address."""
    if is_mac(sender):
        return struct.pack("=II", port, MAC) + bytes.fromhex(sender.replace(":", "")).ljust(
            16, b"\0"
        )
    address = ipaddress.ip_address(sender)
    return struct.pack("=II", port, address.version) + address.packed.ljust(16, b"\0")


def parse_fenced_key(key: bytes) -> tuple[int, str]:
    """The port's index, and the MAC or address."""
    port, kind = struct.unpack_from("=II", key)
    if kind == MAC:
        return port, key[8:14].hex(":")
    return port, str(ipaddress.ip_address(key[8:12] if kind == 4 else key[8:24]))  # noqa: PLR2004


def from_host() -> Program:
    p = Program()
    p.copy(R6, R1)
    p.load(R7, R6, _IFINDEX, 32)
    p.load(R8, R6, _PROTOCOL, 32)
    _drop_if_fenced(p, MAC, _SOURCE_MAC, 6)
    p.go_if(R8, "==", _network(0x0806), "arp")
    p.go_if(R8, "==", _network(0x0800), "ipv4")
    p.go_if(R8, "==", _network(0x86DD), "ipv6")
    p.go("forward")
    p.label("arp")
    _drop_if_fenced(p, 4, _ARP_SENDER, 4)
    p.go("forward")
    p.label("ipv4")
    _drop_if_fenced(p, 4, _IPV4_SOURCE, 4)
    p.go("forward")
    p.label("ipv6")
    _drop_if_fenced(p, 6, _IPV6_SOURCE, 16)
    _go_unless_octet(p, _IPV6_NEXT, _ICMP6, "forward")
    _go_unless_octet(p, _ICMP6_TYPE, _NEIGHBOUR_ADVERTISEMENT, "forward")
    _drop_if_fenced(p, 6, _NA_TARGET, 16)
    _forward(p)
    p.label("drop")
    p.set(R0, _DROP)
    p.exit()
    p.label("up")
    p.set(R0, _OK)
    p.exit()
    return p


def to_host() -> Program:
    p = Program()
    p.copy(R6, R1)
    p.load(R7, R6, _IFINDEX, 32)
    p.store(_TAGGED_KEY, R7, 32)
    _look_up(p, PORTS.name, _TAGGED_KEY)
    p.go_if(R0, "==", 0, "drop")
    p.load(R7, R0, 0, 32)
    p.load(R8, R0, 4, 32)
    p.go_if(R8, "==", 0, "out")
    p.copy(R1, R6)
    p.set(R2, _network(0x8100))
    p.copy(R3, R8)
    p.call(_VLAN_PUSH)
    p.go_if(R0, "!=", 0, "drop")
    p.label("out")
    p.copy(R1, R7)
    p.set(R2, 0)
    p.call(_REDIRECT)
    p.exit()
    p.label("drop")
    p.set(R0, _DROP)
    p.exit()
    return p


def own_sender(common: str, own: str) -> Program:
    """A frame too short to have a sender leaves as it is."""
    p = Program()
    p.copy(R6, R1)
    _load_bytes(p, _SOURCE_MAC, _SENDER, 6)
    p.go_if(R0, "!=", 0, "out")
    p.frame_address(R2, _SENDER)
    for place, part in enumerate(_parts(common)):
        p.load(R7, R2, 2 * place, 16)
        p.go_if(R7, "!=", part, "out")
    for place, part in enumerate(_parts(own)):
        p.store_number(_OWN + 2 * place, part, 16)
    p.copy(R1, R6)
    p.set(R2, _SOURCE_MAC)
    p.frame_address(R3, _OWN)
    p.set(R4, 6)
    p.set(R5, 0)
    p.call(_STORE_BYTES)
    p.label("out")
    p.set(R0, _OK)
    p.exit()
    return p


def _parts(mac: str) -> tuple[int, ...]:
    """A MAC as three numbers of 16 bits, as the machine loads them."""
    return struct.unpack("=3H", bytes.fromhex(mac.replace(":", "")))


def _forward(p: Program) -> None:
    """R9: whether there is a tag."""
    p.label("forward")
    p.load(R9, R6, _VLAN_PRESENT, 32)
    p.set(R2, 0)
    p.go_if(R9, "!=", 0, "tagged")
    p.go_if(R8, "==", _network(0x88CC), "up")
    p.go("where")
    p.label("tagged")
    p.load(R2, R6, _VLAN_TCI, 32)
    p.keep_bits(R2, _VLAN_BITS)
    p.label("where")
    p.store(_TAGGED_KEY, R7, 32)
    p.store(_TAGGED_KEY + 4, R2, 32)
    _look_up(p, TAGGED.name, _TAGGED_KEY)
    p.go_if(R0, "!=", 0, "found")
    p.go_if(R9, "==", 0, "up")
    p.go("drop")
    p.label("found")
    p.load(R7, R0, 0, 32)
    p.go_if(R9, "==", 0, "in")
    p.copy(R1, R6)
    p.call(_VLAN_POP)
    p.go_if(R0, "!=", 0, "drop")
    p.label("in")
    p.copy(R1, R7)
    p.set(R2, 0)
    p.call(_REDIRECT)
    p.exit()


def _drop_if_fenced(p: Program, kind: int, offset: int, length: int) -> None:
    """A frame too short to have a sender goes on, to be dropped by whoever reads it."""
    go_on = f"not-fenced-{kind}-{offset}"
    for place in range(_FENCED_KEY, 0, 8):
        p.store_number(place, 0, 64)
    p.store(_FENCED_KEY, R7, 32)
    p.store_number(_FENCED_KEY + 4, kind, 32)
    _load_bytes(p, offset, _FENCED_KEY + 8, length)
    p.go_if(R0, "!=", 0, go_on)
    _look_up(p, FENCED.name, _FENCED_KEY)
    p.go_if(R0, "!=", 0, "drop")
    p.label(go_on)


def _go_unless_octet(p: Program, offset: int, value: int, label: str) -> None:
    _load_bytes(p, offset, _OCTET, 1)
    p.go_if(R0, "!=", 0, label)
    p.frame_address(R2, _OCTET)
    p.load(R2, R2, 0, 8)
    p.go_if(R2, "!=", value, label)


def _load_bytes(p: Program, offset: int, place: int, length: int) -> None:
    p.copy(R1, R6)
    p.set(R2, offset)
    p.frame_address(R3, place)
    p.set(R4, length)
    p.call(_LOAD_BYTES)


def _look_up(p: Program, name: str, key: int) -> None:
    p.map(R1, name)
    p.frame_address(R2, key)
    p.call(_LOOK_UP)


def _network(protocol: int) -> int:
    return int.from_bytes(struct.pack(">H", protocol), "little")
