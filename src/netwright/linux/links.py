"""Links, addresses and routes: requests of rtnetlink, and its answers as values. Pure.

Numbers are those of linux/if_link.h, if_addr.h, rtnetlink.h.
"""

import ipaddress
import socket
import struct
from collections.abc import Mapping

from netwright.linux.codec import (
    CREATE,
    EXCLUSIVE,
    REPLACE,
    Request,
    attribute,
    attributes,
    each_attribute,
    nested,
    number,
    text,
)
from netwright.model.resources import Value

PROTOCOL = 119
"""Routes of ours carry it (RFC 3549 `rtm_protocol`)."""
BGP_PROTOCOL = 186

NEW_LINK, DELETE_LINK, GET_LINK = 16, 17, 18
NEW_ADDRESS, DELETE_ADDRESS, GET_ADDRESS = 20, 21, 22
NEW_ROUTE, DELETE_ROUTE, GET_ROUTE = 24, 25, 26
NEW_PROPERTY, DELETE_PROPERTY = 108, 109

_UP, _PROMISCUOUS, _LOWER_UP = 0x1, 0x100, 0x10000
_ADDRESS, _NAME, _MTU, _PEER, _MASTER, _INFO = 1, 3, 4, 5, 10, 18
_NAMESPACE_PID, _ALIAS, _AF_SPEC, _NAMESPACE_FD = 19, 20, 26, 28
_TX_QUEUES, _RX_QUEUES = 31, 32
_PROPERTIES, _ALTERNATIVE_NAME = 52, 53
_INFO_KIND, _INFO_DATA, _INFO_SLAVE_KIND, _INFO_SLAVE_DATA = 1, 2, 4, 5
_VXLAN_ID, _VXLAN_LOCAL, _VXLAN_LEARNING, _VXLAN_PORT = 1, 4, 7, 15
_PORT_LEARNING, _PORT_FLUSH, _PORT_SUPPRESS = 8, 24, 32
_ARP_ACCEPT = 21
_LINK = struct.Struct("=BBHiII")
_IPV4_ADDRESS = struct.Struct("=BBBBi")
_ROUTE = struct.Struct("=BBBBBBBBI")
_VXLAN_UDP_PORT = 4789  # RFC 7348
_MAIN_TABLE = 254
_UNICAST = 1
_OUT, _GATEWAY, _SEVERAL = 4, 5, 9
_IFLA_EXT_MASK_SKIP_STATS = attribute(29, 8)


class Link(Value, frozen=True):
    """An interface of one namespace. `peer` is a veth's other end's index, in its own namespace.

    What is of one kind alone is told of that kind: `vni`, `local`, `suppresses`, `learns` (as a
    port of its bridge) and `learns_ends` (who is behind which end of the tunnel) of a vxlan,
    `accepts_arp` of a bridge.
    """

    index: int
    name: str
    kind: str = ""
    alias: str = ""
    mac_address: str = ""
    mtu: int = 0
    master: int = 0
    peer: int = 0
    is_up: bool = False
    has_carrier: bool = False
    vni: int = 0
    local: str = ""
    learns: bool = False
    learns_ends: bool = False
    suppresses: bool = False
    accepts_arp: bool = False
    alternative_names: tuple[str, ...] = ()


class Address(Value, frozen=True):
    index: int
    address: str


class KernelRoute(Value, frozen=True):
    destination: str
    nexthop: str


def dump_links() -> Request:
    return Request(GET_LINK, _LINK.pack(0, 0, 0, 0, 0, 0) + _IFLA_EXT_MASK_SKIP_STATS, 0, "links")


def get_link(name: str) -> Request:
    return Request(GET_LINK, _LINK.pack(0, 0, 0, 0, 0, 0) + attribute(_NAME, name), 0, name)


def parse_link(body: bytes) -> Link:
    _, _, _, index, flags, _ = _LINK.unpack_from(body)
    values = attributes(body, _LINK.size)
    info = attributes(values.get(_INFO, b""))
    kind = text(info, _INFO_KIND)
    data = attributes(info.get(_INFO_DATA, b"")) if kind == "vxlan" else {}
    port = attributes(info.get(_INFO_SLAVE_DATA, b"")) if kind == "vxlan" else {}
    accept = _ipv4_setting(values, _ARP_ACCEPT) if kind == "bridge" else 0
    local = data.get(_VXLAN_LOCAL)
    return Link(
        index=index,
        name=text(values, _NAME),
        kind=kind,
        alias=text(values, _ALIAS),
        mac_address=values.get(_ADDRESS, b"").hex(":"),
        mtu=number(values.get(_MTU)),
        master=number(values.get(_MASTER)),
        peer=number(values.get(_PEER)),
        is_up=bool(flags & _UP),
        has_carrier=bool(flags & _LOWER_UP),
        vni=number(data.get(_VXLAN_ID)),
        local=str(ipaddress.ip_address(local)) if local else "",
        learns=bool(number(port.get(_PORT_LEARNING))),
        learns_ends=bool(number(data.get(_VXLAN_LEARNING))),
        suppresses=bool(number(port.get(_PORT_SUPPRESS))),
        accepts_arp=accept == 1,
        alternative_names=tuple(
            value.rstrip(b"\0").decode(errors="replace")
            for kind_, value in each_attribute(values.get(_PROPERTIES, b""))
            if kind_ == _ALTERNATIVE_NAME
        ),
    )


def mark(name: str, alias: str) -> Request:
    """To follow an `add_…` in the same message: the kernel takes no alias at creation."""
    head = _LINK.pack(0, 0, 0, 0, 0, 0)
    body = head + attribute(_NAME, name) + attribute(_ALIAS, alias.encode())
    return Request(NEW_LINK, body, 0, f"the mark on {name}")


def mark_forwarding(name: str, alias: str) -> Request:
    """By its name: marked, up, and without IPv6 of its own, as what only forwards is."""
    body = _LINK.pack(0, 0, 0, 0, _UP, _UP) + attribute(_NAME, name)
    body += attribute(_ALIAS, alias.encode()) + _without_ipv6()
    return Request(NEW_LINK, body, 0, f"the mark on {name}")


def start(name: str) -> Request:
    """By its name: up."""
    return Request(NEW_LINK, _LINK.pack(0, 0, 0, 0, _UP, _UP) + attribute(_NAME, name), 0, name)


def _without_ipv6() -> bytes:
    return nested(_AF_SPEC, nested(socket.AF_INET6, attribute(8, b"\1")))


def _ipv4_setting(values: Mapping[int, bytes], which: int) -> int:
    family = attributes(values.get(_AF_SPEC, b"")).get(socket.AF_INET, b"")
    settings = attributes(family).get(1, b"")
    return number(settings[(which - 1) * 4 : which * 4])


def add_bridge(name: str, mac_address: str | None, mtu: int) -> Request:
    """Without spanning tree and snooping: frames pass as soon as it is up."""
    data = attribute(1, 0) + attribute(5, 0) + attribute(23, b"\0")
    parts = attribute(_NAME, name) + attribute(_MTU, mtu)
    if mac_address is not None:
        parts += attribute(_ADDRESS, bytes.fromhex(mac_address.replace(":", "")))
    info = nested(_INFO, attribute(_INFO_KIND, "bridge"), nested(_INFO_DATA, data))
    return _new(parts + info, f"bridge {name}")


def add_vxlan(name: str, vni: int, local: str, mtu: int, namespace: int) -> Request:
    """Told to the underlay's namespace, where its tunnel stays; it appears in the other one."""
    data = (
        attribute(_VXLAN_ID, vni)
        + attribute(_VXLAN_LOCAL, ipaddress.IPv4Address(local).packed)
        + attribute(_VXLAN_LEARNING, b"\0")
        + attribute(_VXLAN_PORT, struct.pack(">H", _VXLAN_UDP_PORT))
    )
    parts = attribute(_NAME, name) + attribute(_MTU, mtu) + attribute(_NAMESPACE_FD, namespace)
    info = nested(_INFO, attribute(_INFO_KIND, "vxlan"), nested(_INFO_DATA, data))
    return _new(parts + info, f"vxlan {name}")


def add_veth(name: str, peer: str, namespace: int, mtu: int, *, forwards: bool = False) -> Request:
    """One end here, the other in the namespace of the descriptor; both are down.

    Each has one queue from the start: of more, the kernel takes all but one away again, and waits
    for an RCU grace period twice, while nobody else may change a link. `forwards`: the end here
    takes frames for whomever, so that whoever plugs it into a bridge finds nothing to change.
    """
    queues = attribute(_TX_QUEUES, 1) + attribute(_RX_QUEUES, 1)
    other = _LINK.pack(0, 0, 0, 0, 0, 0) + attribute(_NAME, peer) + attribute(_MTU, mtu) + queues
    other += attribute(_NAMESPACE_FD, namespace)
    info = nested(_INFO, attribute(_INFO_KIND, "veth"), nested(_INFO_DATA, nested(1, other)))
    own = attribute(_NAME, name) + attribute(_MTU, mtu) + queues
    return _new(own + info, f"veth {name}", _PROMISCUOUS if forwards else 0)


def set_link(
    index: int,
    what: str,
    *,
    up: bool | None = None,
    alias: str | None = None,
    mac_address: str | None = None,
    mtu: int | None = None,
    master: int | None = None,
    namespace: int | None = None,
) -> Request:
    """`master` 0 takes it out of its bridge."""
    parts = b""
    if alias is not None:
        parts += attribute(_ALIAS, alias.encode())
    if mac_address is not None:
        parts += attribute(_ADDRESS, bytes.fromhex(mac_address.replace(":", "")))
    if mtu is not None:
        parts += attribute(_MTU, mtu)
    if master is not None:
        parts += attribute(_MASTER, master)
    if namespace is not None:
        parts += attribute(_NAMESPACE_FD, namespace)
    flags, mask = (0, 0) if up is None else (int(up), _UP)
    return Request(NEW_LINK, _LINK.pack(0, 0, 0, index, flags, mask) + parts, 0, what)


def set_tunnel_port(index: int, what: str, *, learning: bool) -> Request:
    """A vxlan's part in its bridge, where it answers for whom EVPN knows.

    With `learning` both find MACs by the frames that come.
    """
    data = nested(_INFO_DATA, attribute(_VXLAN_LEARNING, bytes([learning])))
    port = nested(
        _INFO_SLAVE_DATA,
        attribute(_PORT_LEARNING, bytes([learning])),
        attribute(_PORT_SUPPRESS, b"\1"),
    )
    info = nested(
        _INFO, attribute(_INFO_KIND, "vxlan"), data, attribute(_INFO_SLAVE_KIND, "bridge"), port
    )
    return Request(NEW_LINK, _LINK.pack(0, 0, 0, index, 0, 0) + info, 0, what)


def flush_bridge_port(index: int, what: str) -> Request:
    """The bridge forgets whom it learned there, and tells of it."""
    data = nested(_INFO, attribute(4, "bridge"), nested(5, attribute(_PORT_FLUSH, b"")))
    return Request(NEW_LINK, _LINK.pack(0, 0, 0, index, 0, 0) + data, 0, what)


def set_arp_accept(index: int, what: str) -> Request:
    """An announcement makes a neighbour entry, so that EVPN tells MAC and address together."""
    family = nested(socket.AF_INET, nested(1, attribute(_ARP_ACCEPT, 1)))
    body = _LINK.pack(0, 0, 0, index, 0, 0) + nested(_AF_SPEC, family)
    return Request(NEW_LINK, body, 0, what)


def silence(index: int, what: str) -> Request:
    """No IPv6 address of its own: the kernel must not speak on an interface that only forwards."""
    return Request(NEW_LINK, _LINK.pack(0, 0, 0, index, 0, 0) + _without_ipv6(), 0, what)


def change_alternative_name(index: int, name: str, *, add: bool) -> Request:
    kind = NEW_PROPERTY if add else DELETE_PROPERTY
    body = _LINK.pack(0, 0, 0, index, 0, 0)
    body += nested(_PROPERTIES, attribute(_ALTERNATIVE_NAME, name))
    flags = CREATE | EXCLUSIVE if add else 0
    return Request(kind, body, flags, f"alternative name {name}")


def delete_link(index: int, what: str) -> Request:
    return Request(DELETE_LINK, _LINK.pack(0, 0, 0, index, 0, 0), 0, f"removing {what}")


def dump_addresses() -> Request:
    return Request(GET_ADDRESS, _IPV4_ADDRESS.pack(0, 0, 0, 0, 0), 0, "addresses")


def parse_address(body: bytes) -> Address | None:
    """None: one that the kernel gave itself (of link scope)."""
    _, prefix, _, scope, index = _IPV4_ADDRESS.unpack_from(body)
    values = attributes(body, _IPV4_ADDRESS.size)
    packed = values.get(2) or values.get(1)
    if packed is None or scope:
        return None
    return Address(index=index, address=f"{ipaddress.ip_address(packed)}/{prefix}")


def change_address(index: int, address: str, what: str, *, add: bool) -> Request:
    """IPv6 without duplicate address detection: all leaves have the same one."""
    family, packed, length = _prefix(address)
    no_detection = 0x02 if family == socket.AF_INET6 else 0
    body = _IPV4_ADDRESS.pack(family, length, no_detection, 0, index)
    body += attribute(2, packed) + attribute(1, packed)
    if add:
        return Request(NEW_ADDRESS, body, CREATE | REPLACE, f"address {address} on {what}")
    return Request(DELETE_ADDRESS, body, 0, f"removing address {address} from {what}")


def dump_routes(protocol: int = PROTOCOL) -> Request:
    """Those with this protocol number alone: the kernel sifts."""
    body = _ROUTE.pack(0, 0, 0, 0, 0, protocol, 0, 0, 0)
    return Request(GET_ROUTE, body, 0, "routes")


def parse_route(body: bytes) -> KernelRoute | None:
    family, length, _, _, _, protocol, _, kind, _ = _ROUTE.unpack_from(body)
    values = attributes(body, _ROUTE.size)
    if protocol != PROTOCOL or kind != _UNICAST or _GATEWAY not in values:
        return None
    bits = 4 if family == socket.AF_INET else 16
    packed = values.get(1, bytes(bits))
    destination = f"{ipaddress.ip_address(packed)}/{length}"
    return KernelRoute(destination=destination, nexthop=str(ipaddress.ip_address(values[_GATEWAY])))


def next_hops_by(body: bytes, index: int) -> frozenset[str]:
    """A route's gateways out of this interface."""
    values = attributes(body, _ROUTE.size)
    hops = [(number(values.get(_OUT)), values.get(_GATEWAY))]
    offset, several = 0, values.get(_SEVERAL, b"")
    while offset + 8 <= len(several):  # struct rtnexthop, each with attributes of its own
        length, _, _, out = struct.unpack_from("=HBBi", several, offset)
        hops.append((out, attributes(several[offset + 8 : offset + length]).get(_GATEWAY)))
        offset += max((length + 3) & ~3, 8)
    return frozenset(
        str(ipaddress.ip_address(via)) for out, via in hops if out == index and via is not None
    )


def change_route(destination: str, nexthop: str, *, add: bool) -> Request:
    family, network, length = _prefix(destination)
    body = _ROUTE.pack(family, length, 0, 0, _MAIN_TABLE, PROTOCOL, 0, 1, 0)
    body += attribute(1, network) + attribute(5, socket.inet_pton(family, nexthop))
    what = f"route to {destination} by {nexthop}"
    if add:
        return Request(NEW_ROUTE, body, CREATE | EXCLUSIVE, what)
    return Request(DELETE_ROUTE, body, 0, f"removing the {what}")


def _prefix(text: str) -> tuple[int, bytes, int]:
    """Family, packed address and length, in 0.3 us; `ipaddress` takes 5 to 8 (ADR 57).

    Raises OSError or ValueError for what is no address with a length.
    """
    address, _, length = text.partition("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address), int(length)


def _new(parts: bytes, what: str, flags: int = 0) -> Request:
    head = _LINK.pack(0, 0, 0, 0, flags, flags)
    return Request(NEW_LINK, head + parts, CREATE | EXCLUSIVE, what)
