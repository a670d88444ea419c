"""Names and numbers that follow from what the server tells, the same wherever they are asked. Pure.

A route distinguisher keeps apart what two networks or two leaves tell of the same MAC, so no two
(leaf, VNI) may share one. Six octets hold the last three of the leaf's loopback and all three of
the VNI; the form is that of type 1 (RFC 4364, 4.2), so for VNIs below 65536 it is the usual
`LOOPBACK:VNI`, and for others the first octet has moved:

    loopback 10.0.0.11   VNI   1001  →  10.0.0.11:1001
                         VNI  70000  →  11.0.0.11:4464        (70000 is 65536 + 4464)

Nothing else of the leaf or of other networks enters, so no network ever renumbers another (ADR 24).
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address

from netwright.fabric.config import RouteTargets
from netwright.model.resources import Network
from netwright.model.routing import Router

NAME_OCTETS_MAX = 15
"""What Linux has for an interface's name, less the end."""
_VRF_PREFIX = "vpc-"
_ROOM = NAME_OCTETS_MAX - len(_VRF_PREFIX)


def distinguisher(loopback: str, vni: int) -> str:
    """The RD of a VNI on a leaf. Raises ValueError when the loopback is no IPv4 address."""
    first, rest = _octets(loopback)
    return f"{(first + (vni >> 16)) % 256}.{rest}:{vni & 0xFFFF}"


def distinction(loopback: str) -> str:
    """What two leaves may not share of their loopbacks. Raises ValueError, as `distinguisher`."""
    return _octets(loopback)[1]


def route_targets(asn: int, vni: int) -> RouteTargets:
    """Two octets of AS leave four for the number (RFC 4360, 3.1): a whole VNI."""
    both = (f"{asn}:{vni}",)
    return RouteTargets(imports=both, exports=both)


def vrf_names(routers: Iterable[Router]) -> dict[str, str]:
    """Each VPC's VRF, by router id: `vpc-` and the id's beginning, 11 digits of it.

    Where two ids begin alike the older router has that name, and younger ones a shorter
    beginning and a count.
    """
    by_name: dict[str, list[Router]] = {}
    for router in routers:
        by_name.setdefault(_vrf_name(router.id, 0), []).append(router)
    names = {alike[0].id: name for name, alike in by_name.items() if len(alike) == 1}
    if len(names) < len(by_name):
        _tell_apart(names, by_name)
    return names


def _tell_apart(names: dict[str, str], by_name: dict[str, list[Router]]) -> None:
    """Name those that share a name: the oldest as it is, then the others, oldest first."""
    taken = set(by_name)
    crowds = sorted(
        (sorted(alike, key=age) for alike in by_name.values() if len(alike) > 1),
        key=lambda alike: age(alike[0]),
    )
    for alike in crowds:
        names[alike[0].id] = _vrf_name(alike[0].id, 0)
    for router in sorted((router for alike in crowds for router in alike[1:]), key=age):
        turn = 1
        while (name := _vrf_name(router.id, turn)) in taken:
            turn += 1
        taken.add(name)
        names[router.id] = name


def age(thing: Router | Network) -> tuple[float, str]:
    """The older of two that want the same keeps it: who comes later has taken nothing away."""
    return thing.created_at, thing.id


def _vrf_name(router_id: str, turn: int) -> str:
    digits = router_id.replace("-", "")
    if not turn:
        return _VRF_PREFIX + digits[:_ROOM]
    counted = f"-{turn}"
    return _VRF_PREFIX + digits[: _ROOM - len(counted)] + counted


@lru_cache(maxsize=4096)
def _octets(loopback: str) -> tuple[int, str]:
    first, _, rest = str(IPv4Address(loopback)).partition(".")
    return int(first), rest
