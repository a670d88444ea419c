"""Whose filters a frame must pass by its target's MAC: guards, and MACs that ports share. Pure.

A port's own MAC is its alone. A MAC of an allowed address pair may be claimed by several ports of a
network, and by some elsewhere (VRRP's, say): who has it now is NORMAL's to know. So a frame to such
a MAC must pass the filters of all ports here that may have it, one after the other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from netwright.agent.ovs.firewall import DESTINATION, EXIT, INGRESS
from netwright.agent.ovs.flows import (
    NETWORK,
    ZONE,
    Flow,
    Goto,
    Resubmit,
    SetRegister,
    match_on,
    owner_cookie,
)
from netwright.agent.ovs.wiring import Endpoint, NetworkSegment

SharedMacs: TypeAlias = Mapping[tuple[NetworkSegment, str], tuple[str, ...]]
"""(network, MAC) → ids of the ports whose filters guard it, in their order."""

NOTHING_SHARED: Final[SharedMacs] = {}


def shared_macs(filtered: Sequence[Endpoint]) -> SharedMacs:
    """The MACs that more than one of these endpoints of a network may have."""
    claims: dict[tuple[NetworkSegment, str], set[str]] = {}
    for one in filtered:
        for mac in _macs_of_pairs(one):
            claims.setdefault((one.segment, mac), set()).add(one.port_id)
    if not claims:
        return NOTHING_SHARED
    for one in filtered:
        owned = claims.get((one.segment, one.mac.lower()))
        if owned is not None:
            owned.add(one.port_id)
    return {
        place: tuple(sorted(claims[place]))
        for place in sorted(claims, key=str)
        if len(claims[place]) > 1
    }


def guarded_macs(endpoint: Endpoint, shared: SharedMacs) -> tuple[str, ...]:
    """The MACs that are the endpoint's alone."""
    own = endpoint.mac.lower()
    if not shared and not endpoint.allowed_pairs:
        return (own,)
    macs = {own, *_macs_of_pairs(endpoint)}
    return tuple(sorted(mac for mac in macs if (endpoint.segment, mac) not in shared))


def shared_cookie(segment: NetworkSegment, mac: str) -> int:
    return owner_cookie(f"shared MAC {segment} {mac}")


def shared_flows(
    segment: NetworkSegment, mac: str, ofports: Iterable[int], local_vlan: int
) -> frozenset[Flow]:
    """Lead frames for a MAC through the filters of these ports, one after the other."""
    return frozenset(_chain(shared_cookie(segment, mac), mac, [*ofports], local_vlan))


def _chain(cookie: int, mac: str, ofports: list[int], local_vlan: int) -> Iterator[Flow]:
    target: dict[str, int | str] = {f"reg{NETWORK}": local_vlan, "eth_dst": mac}
    for number, ofport in enumerate(ofports):
        enter = SetRegister(ZONE, ofport)
        if not number:
            yield Flow(DESTINATION, 50, match_on(**target), (enter, Goto(INGRESS)), cookie)
            continue
        passed = match_on(**target, **{f"reg{ZONE}": ofports[number - 1]})
        yield Flow(EXIT, 50, passed, (enter, Resubmit(INGRESS)), cookie)


def _macs_of_pairs(endpoint: Endpoint) -> Iterator[str]:
    own = endpoint.mac.lower()
    for pair in endpoint.allowed_pairs:
        if pair.mac is not None and pair.mac.lower() != own:
            yield pair.mac.lower()
