"""How what we make is called on a switch; names are for people, marks and indexes say what is ours.

br5001      bridge of VNI 5001         nw12.1001  outer end of the veth of VLAN 1001 at the
vni5001     vxlan of VNI 5001                     interface with index 12
nwi12.1001  its inner end, in the bridge's namespace; a gateway's inner end likewise
"""

import ipaddress
import re
from functools import lru_cache

_MADE = re.compile(r"(br|vni)\d+|nwi\d+\.\d+")

_OUTER = re.compile(r"nw\d+\.\d+")
_ROUTER_MAC = b"\x02\x4e"


def bridge(vni: int) -> str:
    return f"br{vni}"


def vxlan(vni: int) -> str:
    return f"vni{vni}"


def outer(port: int, vlan: int) -> str:
    return f"nw{port}.{vlan}"


def inner(port: int, vlan: int) -> str:
    return f"nwi{port}.{vlan}"


def is_made(name: str) -> bool:
    """Whether we name what we put into VRFs so."""
    return _MADE.fullmatch(name) is not None


def is_outer(name: str) -> bool:
    return _OUTER.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def router_mac(loopback: str) -> str:
    """A leaf's own, locally administered: of its transit VNIs (RFC 9135), and for its gateways."""
    return (_ROUTER_MAC + ipaddress.IPv4Address(loopback).packed).hex(":")


def leaf_of(mac_address: str) -> str:
    """The loopback of the leaf whose router MAC this is; "" when it is no leaf's."""
    octets = bytes.fromhex(mac_address.replace(":", ""))
    if not octets.startswith(_ROUTER_MAC):
        return ""
    return str(ipaddress.IPv4Address(octets.removeprefix(_ROUTER_MAC)))
