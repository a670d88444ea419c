"""The addresses of remote groups as flows of their own: what is missing, bucket by bucket. Pure.

An address is one flow for each direction in which a rule here names a group of it, whichever ports
and however many rules. The flow says which conjunctions it is a clause of (`firewall`). There may
be tens of thousands: they are kept as *clauses* by address, not as flows, and apart from the
flows of all other owners, so that a member that joins or leaves costs its own flows alone.
"""

import functools
import ipaddress
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from netwright.agent.members import BUCKETS, Bucket, Groups, Memberships, bucket_of, key_version
from netwright.agent.ovs.changes import AddressChange, Clauses, FlowChange
from netwright.agent.ovs.firewall import ETHERTYPES, INGRESS, clause_actions, clause_place, conj_id
from netwright.agent.ovs.flows import ADDRESS_COOKIE, Flow, Match
from netwright.agent.ovs.wiring import AddressSet

ClauseBucket: TypeAlias = Mapping[bytes, Clauses]
AddressFlows: TypeAlias = tuple[ClauseBucket, ...]
"""All that a bridge has, by `bucket_of`."""

NO_ADDRESS_FLOWS: Final[AddressFlows] = ({},) * BUCKETS


class AddressFlow(msgspec.Struct, frozen=True, gc=False):
    """One flow of an address as it was read back."""

    key: bytes
    table: int
    priority: int
    conj_ids: tuple[int, ...]


def address_cookie(key: bytes) -> int:
    """The owner of all flows of an address. Two addresses may share one."""
    return ADDRESS_COOKIE | zlib.crc32(key)


def added(change: AddressChange) -> Iterator[FlowChange]:
    """What to put in place, instead of what stands in the same."""
    for clause in change.wants:
        if clause not in change.has:
            yield FlowChange(_flow(change.key, clause))


def removed(change: AddressChange) -> Iterator[FlowChange]:
    """What to take away."""
    places = {clause[:2] for clause in change.wants}
    for clause in change.has:
        if clause[:2] not in places:
            yield FlowChange(_flow(change.key, clause), delete=True)


def with_found(
    known: AddressFlows, replaced: Iterable[bytes] | None, found: Iterable[AddressFlow]
) -> AddressFlows:
    """`known` with what was read back of the addresses `replaced`; None: it was all of them.

    Buckets that are the same stay the same values.
    """
    clauses: dict[bytes, list[tuple[int, int, tuple[int, ...]]]] = {
        key: [] for key in replaced or ()
    }
    for one in found:
        clause = (one.table, one.priority, one.conj_ids)
        clauses.setdefault(one.key, []).append(clause)
    changed: dict[int, dict[bytes, Clauses]] = {}
    if replaced is None:
        changed = {number: {} for number in range(BUCKETS)}
    for key, parts in clauses.items():
        number = bucket_of(key)
        if number not in changed:
            changed[number] = dict(known[number])
        if parts:
            changed[number][key] = _interned(tuple(sorted(parts)))
        else:
            changed[number].pop(key, None)
    return tuple(
        bucket if (new := changed.get(number)) is None or new == bucket else new
        for number, bucket in enumerate(known)
    )


class AddressPlanner:
    """Plans as if from nothing; buckets that it found to be right cost a look each."""

    def __init__(self) -> None:
        self._sets: frozenset[AddressSet] = frozenset()
        self._by_group: dict[tuple[int, str], list[AddressSet]] = {}
        self._ids: frozenset[int] = frozenset()
        self._right: dict[int, tuple[Bucket, ClauseBucket, bool]] = {}
        self._all_right: tuple[Memberships, AddressFlows, bool] | None = None
        self._wanted: dict[tuple[int, Groups], Clauses] = {}

    def plan(
        self,
        memberships: Memberships,
        sets: frozenset[AddressSet],
        have: AddressFlows,
        *,
        in_sync: bool,
    ) -> tuple[AddressChange, ...]:
        """The changes towards these sets.

        Before all is known (not `in_sync`), what belongs to a conjunction of none of the sets is
        kept as it is.
        """
        if sets != self._sets:
            self._learn(sets)
        elif _is_right(self._all_right, memberships, have, in_sync=in_sync):
            return ()
        changes: list[AddressChange] = []
        for number, (members, flows) in enumerate(zip(memberships, have, strict=True)):
            right = self._right.get(number)
            if _is_right(right, members, flows, in_sync=in_sync):
                continue
            found = self._bucket(members, flows, in_sync=in_sync)
            if found:
                changes += found
            else:
                self._right[number] = members, flows, in_sync
        self._all_right = None if changes else (memberships, have, in_sync)
        return tuple(changes)

    def _learn(self, sets: frozenset[AddressSet]) -> None:
        self._sets = sets
        self._right.clear()
        self._wanted.clear()
        self._ids = frozenset(conj_id(one.group, stateful=one.stateful) for one in sets)
        self._by_group = {}
        for one in sorted(sets):
            self._by_group.setdefault((one.ip_version, one.group), []).append(one)

    def _bucket(
        self, members: Bucket, flows: ClauseBucket, *, in_sync: bool
    ) -> list[AddressChange]:
        changes = []
        for key, groups in members.items():
            wants = self._clauses(key_version(key), groups)
            has = flows.get(key, ())
            if has is wants:
                continue
            if has and not in_sync:
                wants = self._with_unknown(wants, has)
            if has != wants:
                changes.append(AddressChange(key, has, wants))
        for key, has in flows.items():
            if key not in members:
                wants = () if in_sync else self._with_unknown((), has)
                if has != wants:
                    changes.append(AddressChange(key, has, wants))
        return changes

    def _clauses(self, version: int, groups: Groups) -> Clauses:
        known = self._wanted.get((version, groups))
        if known is None:
            places: dict[tuple[int, int], set[int]] = {}
            for group in groups:
                for one in self._by_group.get((version, group), ()):
                    wanted = conj_id(group, stateful=one.stateful)
                    places.setdefault(clause_place(one), set()).add(wanted)
            known = _interned(_of_places(places))
            self._wanted[version, groups] = known
        return known

    def _with_unknown(self, wants: Clauses, has: Clauses) -> Clauses:
        places = {clause[:2]: set(clause[2]) for clause in wants}
        for table, priority, ids in has:
            if unknown := set(ids) - self._ids:
                places.setdefault((table, priority), set()).update(unknown)
        return _of_places(places)


def _is_right(
    found: tuple[object, object, bool] | None, members: object, flows: object, *, in_sync: bool
) -> bool:
    """Whether these very values were found to be right, with all known or by less than that."""
    return (
        found is not None
        and found[0] is members
        and found[1] is flows
        and (found[2] or not in_sync)
    )


def _of_places(places: Mapping[tuple[int, int], Iterable[int]]) -> Clauses:
    return tuple((*place, tuple(sorted(ids))) for place, ids in sorted(places.items()))


def _interned(clauses: Clauses) -> Clauses:
    """One object for equal ones: nearly all addresses are in the same few groups."""
    return _intern(clauses)


@functools.lru_cache(maxsize=1024)
def _intern(clauses: Clauses) -> Clauses:
    return clauses


def _flow(key: bytes, clause: tuple[int, int, tuple[int, ...]]) -> Flow:
    table, priority, ids = clause
    match = _match(key, is_source=table >= INGRESS)
    return Flow(table, priority, match, clause_actions(1, ids), address_cookie(key))


def _match(key: bytes, *, is_source: bool) -> Match:
    version, prefix = key_version(key), key[-1]
    ethertype = ("eth_type", ETHERTYPES[version])
    if not prefix:
        return (ethertype,)
    address = ipaddress.ip_address(key[:-1])
    field = f"ipv{version}_{'src' if is_source else 'dst'}"
    return (ethertype, (field, f"{address}/{prefix}"))
