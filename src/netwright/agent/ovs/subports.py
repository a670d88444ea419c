"""Subports of trunks: frames of one device with a VLAN tag each, as if they had devices. Pure.

    device ──tag V──▶ pop ──▶ outer ═patch═ inner ──▶ the subport's flows, its network
           ◀─tag V── push ◀── outer ═patch═ inner ◀── NORMAL, by the subport's network

Both ends of the patch are on the integration bridge. `inner` carries the subport's iface-id, so
that to all else here it is a device like any other: filters, marks, reading back, what the server
is told. `outer` belongs to no network; frames go through it by these flows alone. A tag that is no
subport's is dropped, as are all tags of a device that is no trunk's (`pipeline`).
"""

import functools
from collections.abc import Iterator, Mapping
from hashlib import blake2b

import msgspec

from netwright.agent.ovs.actual import IFACE_ID, Device, Rows
from netwright.agent.ovs.changes import (
    DEAD_VLAN,
    AddPort,
    NewInterface,
    RemovePort,
    RowChange,
)
from netwright.agent.ovs.flows import (
    VLAN_NONE,
    VLAN_PRESENT,
    Flow,
    Output,
    PopVlan,
    PushVlan,
    SetVlan,
    match_on,
    owner_cookie,
)
from netwright.agent.ovs.rows import PortRow
from netwright.agent.ovs.together import Together
from netwright.agent.ovs.wiring import Endpoint

SUBPORT_MARK = "netwright-subport"
"""external_ids key on the interfaces of a pair: the subport's id."""

_CLASSIFY, _PRIORITY = 0, 105
_NOTHING: frozenset[Flow] = frozenset()


class Pair(msgspec.Struct, frozen=True):
    """What is there of a subport's pair: ports and OpenFlow ports of both ends."""

    inner: PortRow | None = None
    outer: PortRow | None = None
    outer_ofport: int | None = None


class Subports(msgspec.Struct, frozen=True):
    """By port id: pairs that are there, subports that are wanted here, devices of their parents."""

    pairs: Mapping[str, Pair]
    wanted: Mapping[str, Endpoint]
    parents: Mapping[str, Device]
    silent: frozenset[str]


@functools.lru_cache(maxsize=8192)
def subport_cookie(port_id: str) -> int:
    return owner_cookie(f"subport {port_id}")


def names(port_id: str) -> tuple[str, str]:
    """Of the ends of a subport's pair: (inner, outer)."""
    digest = blake2b(port_id.encode(), digest_size=5).hexdigest()
    return f"nwi-{digest}", f"nwo-{digest}"


def subports(together: Together, rows: Rows, bridge: str) -> Subports:
    """Of the subports that are there or wanted. Those of no device here are not wanted."""
    inside = together.inside
    pairs = dict(_pairs(rows, bridge))
    if not (inside or pairs):
        return Subports({}, {}, {}, frozenset())
    devices = {device.port_id: device for device in rows.devices(bridge)}
    parents = {
        port_id: devices[one.inside.parent_id]
        for port_id, one in inside.items()
        if one.inside is not None and one.inside.parent_id in devices
    }
    speaking = {one.port_id for one in together.endpoints.values() if one.admin_up}
    silent = {
        port_id
        for port_id, one in inside.items()
        if one.inside is not None and one.inside.parent_id not in speaking
    }
    wanted = {port_id: one for port_id, one in inside.items() if port_id in parents}
    return Subports(pairs, wanted, parents, frozenset(silent))


def row_changes(found: Subports, bridge: str, *, in_sync: bool) -> Iterator[RowChange]:
    """Make the pairs that are wanted; take away others, once all that is wanted is known."""
    for port_id in found.wanted:
        pair, (inner, outer) = found.pairs.get(port_id, Pair()), names(port_id)
        if pair.inner is None:
            yield _end(bridge, inner, outer, port_id, {IFACE_ID: port_id})
        if pair.outer is None:
            yield _end(bridge, outer, inner, port_id, {})
    for port_id, pair in found.pairs.items():
        if port_id in found.wanted or not in_sync:
            continue
        for end in (pair.inner, pair.outer):
            if end is not None:
                yield RemovePort(bridge, end.uuid, end.name)


def flows(
    found: Subports, have: Mapping[int, frozenset[Flow]], *, in_sync: bool
) -> dict[int, frozenset[Flow]]:
    """Cookie → flows of all pairs; what nobody has told us of is wanted as it is, until then."""
    wanted: dict[int, frozenset[Flow]] = {}
    for port_id, pair in found.pairs.items():
        cookie = subport_cookie(port_id)
        endpoint = found.wanted.get(port_id)
        if endpoint is None:
            if not in_sync:
                wanted[cookie] = have.get(cookie, _NOTHING)
            continue
        device = found.parents[port_id].ofport
        if pair.outer_ofport is not None and device is not None and port_id not in found.silent:
            assert endpoint.inside is not None
            wanted[cookie] = frozenset(
                _between(cookie, device, pair.outer_ofport, endpoint.inside.vlan)
            )
    return wanted


def wait_of(found: Subports, port_id: str) -> str:
    """What a subport waits for that is its pair's; "" when nothing, or it is no subport."""
    if port_id not in found.wanted:
        return ""
    if found.pairs.get(port_id, Pair()).outer_ofport is None:
        return "its pair of patch ports is not open yet"
    if found.parents[port_id].ofport is None:
        return f"ovs-vswitchd has not opened {found.parents[port_id].interface.name} yet"
    return ""


def _between(cookie: int, device: int, outer: int, vlan: int) -> Iterator[Flow]:
    inward = match_on(in_port=device, vlan_vid=VLAN_PRESENT | vlan)
    yield Flow(_CLASSIFY, _PRIORITY, inward, (PopVlan(), Output(outer)), cookie)
    outward = match_on(in_port=outer, vlan_vid=VLAN_NONE)
    tagging = (PushVlan(), SetVlan(vlan), Output(device))
    yield Flow(_CLASSIFY, _PRIORITY, outward, tagging, cookie)


def _end(bridge: str, name: str, peer: str, port_id: str, ids: Mapping[str, str]) -> AddPort:
    interface = NewInterface(
        name, "patch", {"peer": peer}, external_ids={SUBPORT_MARK: port_id, **ids}
    )
    return AddPort(bridge, name, (interface,), tag=DEAD_VLAN, kind="subport", owner=port_id)


def _pairs(rows: Rows, bridge: str) -> Iterator[tuple[str, Pair]]:
    marked = {
        row.external_ids[SUBPORT_MARK]
        for row in rows.interfaces.values()
        if SUBPORT_MARK in row.external_ids
    }
    if not marked:
        return
    ports = {port.name: port for port in rows.ports_of(rows.bridge(bridge))}
    for port_id in sorted(marked):
        inner, outer = names(port_id)
        yield port_id, Pair(ports.get(inner), ports.get(outer), rows.ofport(bridge, outer))
