"""A small model of a switch's tables, registers, conjunctions and conntrack; NORMAL is the end.

Written from OpenFlow 1.4.1 §5.1 and ovs-fields(7), ovs-actions(7), not from the planner.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from netwright.agent.ovs.flows import (
    Commit,
    Conjunction,
    Flow,
    Goto,
    Normal,
    Resubmit,
    SetRegister,
    Track,
    Untrack,
)

Packet = Mapping[str, int | str]

NEW, EST, REL, RPL, INV, TRK = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
ZONE_REGISTER = "reg5"


class Connection(msgspec.Struct):
    """Seen from its first packet on; established once the other end has answered."""

    original: tuple[Any, ...]
    mark: int
    established: bool = False


class Conntrack:
    """Connections by zone, as a userspace or kernel conntrack tells of them."""

    def __init__(self) -> None:
        self.zones: dict[int, list[Connection]] = {}

    def look(self, zone: int, packet: Packet) -> tuple[int, int]:
        """ct_state and ct_mark of a packet."""
        tuple_ = five_tuple(packet)
        for one in self.zones.get(zone, []):
            if one.original == tuple_:
                return TRK | (EST if one.established else NEW), one.mark
            if one.original == reverse(tuple_):
                one.established = True
                return TRK | EST | RPL, one.mark
        return TRK | NEW, 0

    def commit(self, zone: int, packet: Packet, mark: int) -> None:
        tuple_ = five_tuple(packet)
        for one in self.zones.setdefault(zone, []):
            if tuple_ in (one.original, reverse(one.original)):
                one.mark = mark
                return
        self.zones[zone].append(Connection(tuple_, mark))


def five_tuple(packet: Packet) -> tuple[Any, ...]:
    ends = []
    for side in ("src", "dst"):
        address = packet.get(f"ipv4_{side}", packet.get(f"ipv6_{side}"))
        ports = [packet[name] for name in packet if name.endswith(f"p_{side}")]
        ends.append((address, *ports))
    return (packet["ip_proto"], *ends)


def reverse(original: tuple[Any, ...]) -> tuple[Any, ...]:
    proto, source, target = original
    return (proto, target, source)


class Tables:
    """A bridge's flows, and what its conntrack remembers of packets."""

    def __init__(self, flows: Iterable[Flow]) -> None:
        self.by_table: dict[int, list[Flow]] = {}
        for flow in flows:
            self.by_table.setdefault(flow.table, []).append(flow)
        self.conntrack = Conntrack()

    def forwards(self, packet: Packet) -> bool:
        """Whether the packet reaches NORMAL, entering at table 0."""
        fields = {"reg5": 0, "reg6": 0, "ct_state": 0, "ct_mark": 0, "conj_id": 0, **packet}
        return self._run(0, fields)

    def _run(self, table: int, fields: dict[str, Any]) -> bool:
        flow = self._lookup(table, fields, conjunctive=True)
        reached = False
        for action in flow.actions if flow is not None else ():
            match action:
                case Normal():
                    reached = True
                case Goto(following):
                    assert following > table, "OpenFlow refuses to go back"
                    reached = self._run(following, fields)
                case Resubmit(following):
                    reached = self._run(following, fields)
                case Track(following):
                    state, mark = self.conntrack.look(fields[ZONE_REGISTER], fields)
                    fields["ct_state"], fields["ct_mark"] = state, mark
                    reached = self._run(following, fields)
                case Untrack():
                    fields["ct_state"] = fields["ct_mark"] = 0
                case Commit(mark):
                    self.conntrack.commit(fields[ZONE_REGISTER], fields, mark)
                    fields["ct_mark"] = mark
                case SetRegister(register, value):
                    fields[f"reg{register}"] = value
                case Conjunction():
                    raise AssertionError("a clause is never executed")
        return reached

    def _lookup(self, table: int, fields: Mapping[str, Any], *, conjunctive: bool) -> Flow | None:
        hits = [flow for flow in self.by_table.get(table, []) if matches(flow, fields)]
        for priority in sorted({flow.priority for flow in hits}, reverse=True):
            level = [flow for flow in hits if flow.priority == priority]
            plain = [flow for flow in level if not is_clause(flow)]
            if plain:
                verdicts = {flow.actions for flow in plain}
                assert len(verdicts) == 1, f"it is not defined which counts: {plain}"
                return plain[0]
            if conjunctive and (met := self._conjunction(table, fields, level)) is not None:
                return met
        return None

    def _conjunction(self, table: int, fields: Mapping[str, Any], level: list[Flow]) -> Flow | None:
        clauses: dict[tuple[int, int], set[int]] = {}
        for flow in level:
            for action in flow.actions:
                assert isinstance(action, Conjunction)
                place = (action.conj_id, action.clauses)
                clauses.setdefault(place, set()).add(action.clause)
        for (conj_id, count), met in sorted(clauses.items()):
            if len(met) == count:
                found = {**fields, "conj_id": conj_id}
                end = self._lookup(table, found, conjunctive=False)
                if end is not None:
                    return end
        return None


def is_clause(flow: Flow) -> bool:
    return any(isinstance(action, Conjunction) for action in flow.actions)


def forwards(flows: Iterable[Flow], packet: Packet) -> bool:
    """Whether the first packet of a connection reaches NORMAL."""
    return Tables(flows).forwards(packet)


def matches(flow: Flow, fields: Mapping[str, Any]) -> bool:
    return all(
        (have := fields.get(name)) is not None and _agrees(have, wanted)
        for name, wanted in flow.match
    )


def _agrees(have: int | str, wanted: int | str) -> bool:
    if not isinstance(wanted, str) or "/" not in wanted:
        return have == wanted
    value, _, mask = wanted.partition("/")
    if isinstance(have, int):
        return have & int(mask, 16) == int(value, 16)
    if mask.isdecimal():
        return ipaddress.ip_address(have) in ipaddress.ip_network(wanted)
    bits = [int(text.replace(":", ""), 16) for text in (have, value, mask)]
    return bits[0] & bits[2] == bits[1]
