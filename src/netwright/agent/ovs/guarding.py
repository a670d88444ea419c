"""Guards: what leads frames for a filtered endpoint into its filter, by their target. Pure.

A target is the endpoint's MAC, one of its allowed address pairs, or, of frames to many, its own IP
address, for a host takes what names that. A target is as a rule one endpoint's alone. A MAC of an
address pair may be claimed by several ports of a network, and by some elsewhere (VRRP's, say): who
has it now is NORMAL's to know. So a frame to a shared target must pass the filters of all ports
here that claim it, one after the other.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from netwright.agent.ovs.firewall import DESTINATION, ETHERTYPES, EXIT, INGRESS, is_filtered
from netwright.agent.ovs.flows import (
    NETWORK,
    ZONE,
    Action,
    Field,
    Flow,
    Goto,
    Match,
    Metered,
    Normal,
    Resubmit,
    SetRegister,
    match_on,
    owner_cookie,
)
from netwright.agent.ovs.meters import to_endpoint
from netwright.agent.ovs.wiring import Endpoint, NetworkSegment, link_local

Target: TypeAlias = Match
"""Fields of frames for an endpoint, beside their network's."""

ANY_MULTICAST: Final = "01:00:00:00:00:00/01:00:00:00:00:00"
_GUARD = 50
_NOTHING: frozenset[Target] = frozenset()


class Shared(msgspec.Struct, frozen=True):
    """Targets that several guarded endpoints of a network claim.

    `claims`: (network, target) → ids of the filtered ports among them, in their order; `by_port`: a
    port's among them. A limit is not kept to such a target: whose a frame is would be a guess.
    """

    claims: Mapping[tuple[NetworkSegment, Target], tuple[str, ...]] = {}
    by_port: Mapping[str, frozenset[Target]] = {}

    def of(self, port_id: str) -> frozenset[Target]:
        return self.by_port.get(port_id, _NOTHING)


def is_guarded(endpoint: Endpoint) -> bool:
    """Whether frames to it meet a filter or a limit."""
    return is_filtered(endpoint) or _is_limited(endpoint)


class Claims:
    """Who claims which target; of endpoints that are the same as before, nothing is made anew."""

    def __init__(self) -> None:
        self._endpoints: Mapping[str, Endpoint] = {}
        self._claimants: dict[tuple[NetworkSegment, Target], dict[str, bool]] = {}
        self._contested: set[tuple[NetworkSegment, Target]] = set()

    def shared(self, guarded: Iterable[Endpoint]) -> Shared:
        """What these endpoints claim more than once."""
        before, self._endpoints = self._endpoints, {one.port_id: one for one in guarded}
        for port_id, one in before.items():
            if self._endpoints.get(port_id) is not one:
                self._drop(one)
        for port_id, one in self._endpoints.items():
            if before.get(port_id) is not one:
                self._take(one)
        return self._shared()

    def _take(self, endpoint: Endpoint) -> None:
        filtered = is_filtered(endpoint)
        for place in _places(endpoint):
            claimants = self._claimants.setdefault(place, {})
            claimants[endpoint.port_id] = filtered
            if len(claimants) > 1:
                self._contested.add(place)

    def _drop(self, endpoint: Endpoint) -> None:
        for place in _places(endpoint):
            claimants = self._claimants[place]
            del claimants[endpoint.port_id]
            if len(claimants) < 2:  # noqa: PLR2004 - it takes two to share
                self._contested.discard(place)
            if not claimants:
                del self._claimants[place]

    def _shared(self) -> Shared:
        chains: dict[tuple[NetworkSegment, Target], tuple[str, ...]] = {}
        by_port: dict[str, set[Target]] = {}
        for place in sorted(self._contested, key=str):
            claimants = self._claimants[place]
            for port_id in claimants:
                by_port.setdefault(port_id, set()).add(place[1])
            if chain := sorted(port_id for port_id, filtered in claimants.items() if filtered):
                chains[place] = tuple(chain)
        return Shared(chains, {port_id: frozenset(targets) for port_id, targets in by_port.items()})


def shared_targets(guarded: Iterable[Endpoint]) -> Shared:
    """What these endpoints claim more than once."""
    return Claims().shared(guarded)


@functools.lru_cache(maxsize=8192)
def guard_cookie(port_id: str) -> int:
    """Owner of the guards of an endpoint's own targets."""
    return owner_cookie(f"guard {port_id}")


def shared_cookie(segment: NetworkSegment, target: Target) -> int:
    return owner_cookie(f"shared target {segment} {target}")


@functools.lru_cache(maxsize=8192)
def guard_flows(
    endpoint: Endpoint, shared: frozenset[Target], ofport: int, local_vlan: int
) -> frozenset[Flow]:
    """The guards of all targets but the shared ones.

    An endpoint that gets no more than a limit has them, too, though nothing filters it: of its
    MACs, for frames to many are flooded (ADR 50).
    """
    is_limited, filtered = _is_limited(endpoint), is_filtered(endpoint)
    if not (is_limited or filtered):
        return frozenset()
    enter = SetRegister(ZONE, ofport)
    actions: tuple[Action, ...] = (enter, Goto(INGRESS)) if filtered else (enter, Normal())
    if is_limited:
        actions = (Metered(to_endpoint(ofport)), *actions)
    cookie = guard_cookie(endpoint.port_id)
    return frozenset(
        Flow(DESTINATION, _GUARD, _match(target, local_vlan), actions, cookie)
        for target in _own_targets(endpoint)
        if target not in shared
    )


def _is_limited(endpoint: Endpoint) -> bool:
    return endpoint.admin_up and endpoint.qos is not None and endpoint.qos.ingress is not None


def shared_flows(
    segment: NetworkSegment, target: Target, ofports: Iterable[int], local_vlan: int
) -> frozenset[Flow]:
    """Lead frames for a target through the filters of these ports, one after the other."""
    cookie = shared_cookie(segment, target)
    return frozenset(_chain(cookie, target, [*ofports], local_vlan))


def shut(flow: Flow) -> Flow:
    """The same guard, and nothing passes: while the endpoint's filter is not all there."""
    return Flow(flow.table, flow.priority, flow.match, (), flow.cookie)


def guarded_port(flow: Flow) -> int | None:
    """The OpenFlow port of an open guard's endpoint."""
    for action in flow.actions:
        if isinstance(action, SetRegister) and action.register == ZONE:
            return action.value
    return None


def _chain(cookie: int, target: Target, ofports: list[int], local_vlan: int) -> Iterator[Flow]:
    for number, ofport in enumerate(ofports):
        enter = SetRegister(ZONE, ofport)
        if not number:
            first = _match(target, local_vlan)
            yield Flow(DESTINATION, _GUARD, first, (enter, Goto(INGRESS)), cookie)
            continue
        passed = _match(target, local_vlan, (f"reg{ZONE}", ofports[number - 1]))
        yield Flow(EXIT, _GUARD, passed, (enter, Resubmit(INGRESS)), cookie)


def _match(target: Target, local_vlan: int, *more: Field) -> Match:
    return tuple(sorted((*target, (f"reg{NETWORK}", local_vlan), *more)))


def _mac_targets(endpoint: Endpoint) -> Iterator[Target]:
    pairs = {pair.mac.lower() for pair in endpoint.allowed_pairs if pair.mac is not None}
    for mac in sorted({endpoint.mac.lower(), *pairs}):
        yield match_on(eth_dst=mac)


def _places(endpoint: Endpoint) -> set[tuple[NetworkSegment, Target]]:
    """Where a guarded endpoint claims targets."""
    return {(endpoint.segment, target) for target in _own_targets(endpoint)}


@functools.lru_cache(maxsize=1024)
def _own_targets(endpoint: Endpoint) -> frozenset[Target]:
    """All of a guarded endpoint's. One that is not filtered has its MACs alone."""
    return frozenset(_targets(endpoint) if is_filtered(endpoint) else _mac_targets(endpoint))


def _targets(endpoint: Endpoint) -> Iterator[Target]:
    own = endpoint.mac.lower()
    yield from _mac_targets(endpoint)
    for address in dict.fromkeys((*endpoint.addresses, link_local(own))):
        version = 6 if ":" in address else 4
        yield match_on(
            eth_dst=ANY_MULTICAST,
            eth_type=ETHERTYPES[version],
            **{f"ipv{version}_dst": address},
        )
