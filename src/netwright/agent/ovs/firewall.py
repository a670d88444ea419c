"""The tables of br-int that filter: what groups let through, as flows. Pure.

    20 egress       from a filtered endpoint ─▶ 30 what needs no permit, 22 what is not tracked,
                    else by conntrack, in the endpoint's own zone ─▶ 21
    21 … tracked    replies to what was let in ─▶ 30, all else ─▶ 22
    22 … permits    plain permits, and conjunctions of (endpoint and protocol) with a remote group's
                    addresses ─▶ 23 or, untracked, 30. What none lets through is dropped, and its
                    connection marked: its replies do not pass either
    23 … keep       conntrack keeps a new connection, and takes a mark off ─▶ 30
    30 destination  for a filtered endpoint of this host ─▶ 40, else NORMAL
    40 ingress      41, 42, 43: the same for what comes to an endpoint ─▶ 50
    50 exit         NORMAL

Register ZONE holds the OpenFlow port of the endpoint whose filter a packet is in: the sender's up
to 30, the receiver's from there. It is 0 for a sender that is not filtered. Each endpoint has a
conntrack zone of its own, so that its verdicts depend on its own permits alone. Forwarding is
NORMAL's, as ever: it learns, and knows the way. Frames to many (L2 multicast) are filtered as they
leave an endpoint, and again as they reach it when they name its IP address; ARP and neighbour
discovery are anti-spoofing's (`pipeline`).

A packet in its connection's own direction needs a permit each time, so that permits that go take
their connections with them.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Final, NamedTuple

from netwright.agent.ovs.flows import (
    ZONE,
    Action,
    Commit,
    Conjunction,
    Flow,
    Goto,
    Match,
    Normal,
    Track,
    Untrack,
    match_on,
    owner_cookie,
)
from netwright.agent.ovs.wiring import AddressSet, Endpoint, Permit

EGRESS, DESTINATION, INGRESS, EXIT = 20, 30, 40, 50

ETHERTYPES: Final[Mapping[int, int]] = {4: 0x0800, 6: 0x86DD}

_ARP, _UDP, _ICMPV6 = 0x0806, 17, 58
_ICMP6: Final = {"eth_type": 0x86DD, "ip_proto": _ICMPV6}
_NEW, _ESTABLISHED, _RELATED, _REPLY, _INVALID = 0x01, 0x02, 0x04, 0x08, 0x10
_UNMARKED, _MARKED = 0, 1

_UNASKED_EGRESS: Final[tuple[dict[str, int], ...]] = (
    {"eth_type": 0x0800, "ip_proto": _UDP, "udp_src": 68, "udp_dst": 67},
    {"eth_type": 0x86DD, "ip_proto": _UDP, "udp_src": 546, "udp_dst": 547},
    # Router solicitation; MLD, by which switches learn who hears neighbour solicitations.
    *(_ICMP6 | {"icmpv6_type": kind} for kind in (131, 132, 133, 143)),
)
_UNASKED_INGRESS: Final[tuple[dict[str, int], ...]] = (
    {"eth_type": _ARP},
    {"eth_type": 0x0800, "ip_proto": _UDP, "udp_src": 67, "udp_dst": 68},
    {"eth_type": 0x86DD, "ip_proto": _UDP, "udp_src": 547, "udp_dst": 546},
    # MLD query, router advertisement, neighbour solicitation and advertisement.
    *(_ICMP6 | {"icmpv6_type": kind} for kind in (130, 134, 135, 136)),
)


class Stage(NamedTuple):
    """The tables of one direction, and where a packet goes that passes them."""

    entry: int
    passed: int

    @property
    def tracked(self) -> int:
        return self.entry + 1

    @property
    def permits(self) -> int:
        return self.entry + 2

    @property
    def keep(self) -> int:
        return self.entry + 3

    def accepted(self, *, stateful: bool) -> Goto:
        return Goto(self.keep if stateful else self.passed)


SENDING, RECEIVING = Stage(EGRESS, DESTINATION), Stage(INGRESS, EXIT)

# Stateful permits come first: what both kinds let through is tracked.
_CONJ_ID, _TRACKED_PLAIN, _TRACKED_CLAUSE, _PLAIN, _CLAUSE = 90, 70, 60, 50, 40

SETS = owner_cookie("address sets")
"""Owner of the flows at which conjunctions end."""


def stage(*, ingress: bool) -> Stage:
    return RECEIVING if ingress else SENDING


def conj_id(group: str, *, stateful: bool) -> int:
    """The conjunction of a remote group: the same after a restart, and not 0.

    Tables and ethertypes keep directions and IP versions apart.
    """
    digest = int.from_bytes(blake2b(group.encode(), digest_size=4).digest(), "big")
    return (digest & ~1 | stateful) or 2


def clause_place(address_set: AddressSet) -> tuple[int, int]:
    """Table and priority of a set's addresses."""
    permits = stage(ingress=address_set.ingress).permits
    return permits, _TRACKED_CLAUSE if address_set.stateful else _CLAUSE


@functools.cache
def filter_base() -> frozenset[Flow]:
    """Flows of all filtered endpoints, which stand before there are any."""
    return frozenset(_filter_base())


def filter_flows(endpoint: Endpoint, ofport: int, cookie: int) -> frozenset[Flow]:
    """What an endpoint's filter lets through, both ways; nothing when it needs none."""
    if not is_filtered(endpoint):
        return frozenset()
    assert endpoint.filter is not None
    flows = set(_exceptions(endpoint, ofport, cookie))
    clauses: dict[tuple[int, int, Match], set[int]] = {}
    for permit in endpoint.filter.permits:
        if permit.ip_version in endpoint.filter.open_versions:
            continue
        tables = stage(ingress=permit.ingress)
        match = _permit_match(permit, ofport)
        if permit.remote_group:
            priority = _TRACKED_CLAUSE if permit.stateful else _CLAUSE
            place = (tables.permits, priority, match)
            wanted = conj_id(permit.remote_group, stateful=permit.stateful)
            clauses.setdefault(place, set()).add(wanted)
        else:
            priority = _TRACKED_PLAIN if permit.stateful else _PLAIN
            accepted = (tables.accepted(stateful=permit.stateful),)
            flows.add(Flow(tables.permits, priority, match, accepted, cookie))
    for (table, priority, match), ids in clauses.items():
        flows.add(Flow(table, priority, match, clause_actions(2, ids), cookie))
    return frozenset(flows)


def clause_actions(clause: int, ids: Iterable[int]) -> tuple[Action, ...]:
    """Both clauses are one flow for all conjunctions that they are part of."""
    return tuple(Conjunction(one, clause, 2) for one in sorted(ids))


def is_filtered(endpoint: Endpoint) -> bool:
    """Whether frames from and to it go through the filter's tables at all."""
    return (
        endpoint.port_security
        and endpoint.filter is not None
        and endpoint.filter.open_versions != frozenset(ETHERTYPES)
    )


@functools.lru_cache(maxsize=1024)
def set_flows(address_sets: frozenset[AddressSet]) -> frozenset[Flow]:
    """What becomes of a packet that has met both clauses of a set's conjunction."""
    flows = set()
    for one in address_sets:
        tables = stage(ingress=one.ingress)
        match = match_on(
            conj_id=conj_id(one.group, stateful=one.stateful), eth_type=ETHERTYPES[one.ip_version]
        )
        accepted = (tables.accepted(stateful=one.stateful),)
        flows.add(Flow(tables.permits, _CONJ_ID, match, accepted, SETS))
    return frozenset(flows)


def _permit_match(permit: Permit, ofport: int) -> Match:
    of_endpoint = (("eth_type", ETHERTYPES[permit.ip_version]), (f"reg{ZONE}", ofport))
    return tuple(sorted((*of_endpoint, *permit.fields)))


def _exceptions(endpoint: Endpoint, ofport: int, cookie: int) -> Iterator[Flow]:
    """Where its packets do not go by conntrack."""
    assert endpoint.filter is not None
    for tables in (SENDING, RECEIVING):
        for version, ethertype in ETHERTYPES.items():
            match = match_on(**{f"reg{ZONE}": ofport}, eth_type=ethertype)
            if version in endpoint.filter.open_versions:
                yield Flow(tables.entry, 50, match, (Goto(tables.passed),), cookie)
            elif not endpoint.filter.is_tracked:
                actions = (Untrack(), Goto(tables.permits))
                yield Flow(tables.entry, 50, match, actions, cookie)


def _filter_base() -> Iterator[Flow]:
    base = functools.partial(_flow, owner_cookie("base"))
    yield base(EGRESS, 110, Goto(DESTINATION), **{f"reg{ZONE}": 0})
    for tables, unasked in ((SENDING, _UNASKED_EGRESS), (RECEIVING, _UNASKED_INGRESS)):
        for fields in unasked:
            yield base(tables.entry, 100, Goto(tables.passed), **fields)
        for ethertype in ETHERTYPES.values():
            yield base(tables.entry, 10, Track(tables.tracked), eth_type=ethertype)
        yield base(tables.entry, 0)
        yield from _stage_base(tables)
    yield base(DESTINATION, 0, Normal())
    yield base(EXIT, 0, Normal())


def _stage_base(tables: Stage) -> Iterator[Flow]:
    base = functools.partial(_flow, owner_cookie("base"))
    unmarked = {"ct_mark": f"{_UNMARKED:#x}/0x1"}
    yield base(tables.tracked, 90, ct_state=_state(_INVALID))
    yield base(
        tables.tracked, 80, Goto(tables.passed),
        ct_state=_state(_ESTABLISHED | _REPLY, _NEW), **unmarked,
    )  # fmt: skip
    yield base(tables.tracked, 80, Goto(tables.passed), ct_state=_state(_RELATED, _NEW), **unmarked)
    yield base(tables.tracked, 70, ct_state=_state(_REPLY))
    yield base(tables.tracked, 70, ct_state=_state(_RELATED, _NEW))
    yield base(tables.tracked, 0, Goto(tables.permits))
    yield base(tables.permits, 0)
    passed = Goto(tables.passed)
    marked = {"ct_mark": f"{_MARKED:#x}/0x1"}
    for ethertype in ETHERTYPES.values():  # which conntrack's actions demand
        of_ip = functools.partial(base, eth_type=ethertype)
        established = {"ct_state": _state(_ESTABLISHED), **unmarked}
        yield of_ip(tables.permits, 10, Commit(_MARKED), **established)
        yield of_ip(tables.keep, 80, Commit(_UNMARKED), passed, ct_state=_state(_NEW))
        known = {"ct_state": _state(0, _NEW), **marked}
        yield of_ip(tables.keep, 80, Commit(_UNMARKED), passed, **known)
    yield base(tables.keep, 0, passed)


def _state(on: int, off: int = 0) -> str:
    return f"{on:#x}/{on | off:#x}"


def _flow(cookie: int, table: int, priority: int, *actions: Action, **match: int | str) -> Flow:
    return Flow(table, priority, match_on(**match), actions, cookie)
