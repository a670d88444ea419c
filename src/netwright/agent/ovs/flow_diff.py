"""The changes from the flows that a bridge has to those that it should have. Pure.

Flows are compared owner by owner (cookie). A place that somebody else's flow holds is left to it,
and the owner who wanted it is told.
"""

import functools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias

import msgspec

from netwright.agent.ovs.actual import FlowsByCookie
from netwright.agent.ovs.changes import FlowChange
from netwright.agent.ovs.flows import COOKIE_MARK, COOKIE_MARK_MASK, Field, Flow, FlowKey
from netwright.agent.ovs.guarding import shut

_Ranked: TypeAlias = tuple[str, bool, int | str]

_NOTHING: frozenset[Flow] = frozenset()


class Difference(msgspec.Struct, frozen=True):
    """What to close before the rows change, what to open after; cookie → whose flow is in the way.

    `owners` are the cookies of all that changes.
    """

    close: tuple[FlowChange, ...]
    opened: tuple[FlowChange, ...]
    owners: frozenset[int]
    blocked: Mapping[int, Flow]


def difference(
    have: FlowsByCookie,
    wanted: Mapping[int, frozenset[Flow]],
    *,
    among: Collection[int],
    retagged: Collection[int],
    guards: Collection[int] = (),
    is_port: Callable[[int], bool],
) -> Difference:
    """Compare our owners `among` those that have flows, and those that want some.

    All others have what they should, and are ours.
    What a `retagged` owner has is closed whole before its tag changes and opened anew after. The
    guards of such ports (`guards`) are shut meanwhile, those that were there and those that will
    be: in which VLAN its device hears is not known before the tag is taken up. A port (`is_port`)
    that is blocked loses all that it has: half of its flows would let too much through or too
    little.
    """
    foreign: dict[FlowKey, Flow] | None = None
    close: list[Flow] = []
    shut_now: list[Flow] = []
    delete: list[Flow] = []
    add: list[Flow] = []
    blocked_by: dict[int, Flow] = {}
    ours = {cookie for cookie in among if cookie & COOKIE_MARK_MASK == COOKIE_MARK}
    for cookie in sorted(ours | wanted.keys()):
        has, wants = have.get(cookie, _NOTHING), wanted.get(cookie, _NOTHING)
        if cookie not in retagged and cookie not in guards and (has is wants or has == wants):
            continue
        if foreign is None:
            foreign = _foreign((cookie, have[cookie]) for cookie in among)
        if not (has or foreign or cookie in guards):  # a new port, as a rule
            add += wants
            continue
        keys = {flow.key for flow in wants}
        blocked = keys & foreign.keys()
        if blocked:
            blocked_by[cookie] = foreign[min(blocked, key=repr)]
        if cookie in guards:
            closed = {shut(flow) for flow in has | wants if flow.key not in blocked}
            shut_now += closed - has
            delete += (flow for flow in closed if flow.key not in keys)
            add += (flow for flow in wants - closed if flow.key not in blocked)
        elif not wants or (blocked and is_port(cookie)):
            close += has
        elif cookie in retagged:
            close += has
            add += wants
        else:
            delete += (flow for flow in has - wants if flow.key not in keys)
            add += (flow for flow in wants - has if flow.key not in blocked)
    opened = (*_ordered(delete, delete=True), *_ordered(add, delete=False))
    closing = (*_ordered(close, delete=True), *_ordered(shut_now, delete=False))
    owners = frozenset(change.flow.cookie for change in (*closing, *opened))
    return Difference(closing, opened, owners, blocked_by)


def _foreign(have: Iterable[tuple[int, frozenset[Flow]]]) -> dict[FlowKey, Flow]:
    return {
        flow.key: flow
        for cookie, flows in have
        if cookie & COOKIE_MARK_MASK != COOKIE_MARK
        for flow in flows
    }


def _ordered(flows: Iterable[Flow], *, delete: bool) -> tuple[FlowChange, ...]:
    return tuple(FlowChange(flow, delete) for flow in sorted(flows, key=_place))


def _place(flow: Flow) -> tuple[int, int, tuple[_Ranked, ...]]:
    """In whose order flows are changed."""
    return flow.table, flow.priority, tuple(map(_ranked, flow.match))


@functools.lru_cache(maxsize=2048)
def _ranked(field: Field) -> _Ranked:
    """A field's values may be numbers here and text there. An endpoint's flows share most."""
    name, value = field
    return name, isinstance(value, str), value
