"""desired + actual → the exact changes. Pure: depends on nothing but the present state.

Each port ends in one of two forms. Wired: the tag is its segment's local VLAN, its flows are
`endpoint_flows`. Dead: the tag is DEAD_VLAN, no flow. Devices that are plugged and unknown become
dead; ports without an iface-id and flows without our cookie belong to others.
"""

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter

import msgspec

from netwright.agent.ovs.actual import Actual, Device, FlowsByCookie
from netwright.agent.ovs.base_plan import base_changes
from netwright.agent.ovs.changes import (
    DEAD,
    DEAD_VLAN,
    MARK,
    SEGMENT_MARK,
    EndpointState,
    FlowChange,
    FlowChanges,
    Plan,
    Problem,
    RowChange,
    SetColumns,
    Status,
    Value,
)
from netwright.agent.ovs.flows import COOKIE_MARK, COOKIE_MARK_MASK, Flow, FlowKey
from netwright.agent.ovs.local_vlans import local_vlans, segment_of
from netwright.agent.ovs.pipeline import (
    BASE,
    endpoint_flows,
    inbound,
    integration_base,
    outbound,
    physical_base,
    port_cookie,
    segment_cookie,
)
from netwright.agent.ovs.wiring import (
    Desired,
    Endpoint,
    HostWiring,
    NetworkSegment,
    PhysicalBridge,
    patch_names,
)


class _Wired(msgspec.Struct, frozen=True):
    """A device that is, or stays, in a segment. No endpoint: not told yet, leave it as it is."""

    device: Device
    segment: NetworkSegment
    endpoint: Endpoint | None


class _Trunk(msgspec.Struct, frozen=True):
    """A physical bridge with the OpenFlow ports of its patch pair, None while they are not open."""

    bridge: PhysicalBridge
    inner: int | None
    outer: int | None


def make_plan(desired: Desired, actual: Actual, barred: Mapping[str, str] | None = None) -> Plan:
    """Return all changes from `actual` to `desired`, and how each endpoint stands.

    `barred`: port ids that OVS refused just now, with the cause; they are planned as dead (or
    stay as they are, if they were wired before) so that the others come through.
    """
    return _Planner(desired, actual, barred or {}).plan()


class _Planner:
    """One planning; its fields are facts derived once from desired and actual."""

    def __init__(self, desired: Desired, actual: Actual, barred: Mapping[str, str]) -> None:
        self.desired = desired
        self.actual = actual
        self.wiring: HostWiring = desired.wiring
        self.br_int = desired.wiring.integration_bridge
        self.trunks = {
            bridge.physical_network: _trunk(bridge, actual, self.br_int)
            for bridge in desired.wiring.physical_bridges
        }
        self.states: dict[str, EndpointState] = {}
        self.problems: list[Problem] = []
        self.blocked: dict[int, str] = {}
        self.dead: list[Device] = []
        self.wired: list[_Wired] = []
        self._sort_devices(barred)
        self.port_cookies = {port_cookie(wired.device.port_id) for wired in self.wired}
        segments = {wired.segment for wired in self.wired}
        self.vlans = local_vlans(segments, actual, self.br_int)

    def plan(self) -> Plan:
        base_rows, base_problems = base_changes(self.wiring, self.actual)
        rows = [*base_rows, *self._port_rows()]
        retagged = {
            port_cookie(row.owner)
            for row in rows
            if isinstance(row, SetColumns) and row.owner is not None and "tag" in row.columns
        }
        wanted = self._wanted_flows()
        close: dict[str, tuple[FlowChange, ...]] = {}
        opened: dict[str, tuple[FlowChange, ...]] = {}
        for bridge, have in sorted(self.actual.flows.items()):
            if bridge not in wanted:
                continue
            closing, opening = self._difference(bridge, have, wanted[bridge], retagged)
            if closing:
                close[bridge] = closing
            if opening:
                opened[bridge] = opening
        self._settle_states(rows, close, opened)
        return Plan(
            close=close,
            rows=tuple(rows),
            open=opened,
            endpoints=tuple(self.states[e.port_id] for e in self.desired.endpoints),
            problems=(*base_problems, *self.problems),
        )

    # Who is wired, who is dead

    def _sort_devices(self, barred: Mapping[str, str]) -> None:
        endpoints = {endpoint.port_id: endpoint for endpoint in self.desired.endpoints}
        seen: dict[str, Device] = {}
        for device in self.actual.devices(self.br_int):
            if device.port_id in seen:
                twin = seen[device.port_id].port.name
                cause = f"carries the same iface-id {device.port_id} as {twin}, which is wired"
                self.problems.append(Problem(device.port.name, cause))
                self.dead.append(device)
                continue
            seen[device.port_id] = device
            endpoint = endpoints.get(device.port_id)
            if endpoint is None:
                self._sort_unknown(device)
            else:
                self._sort_endpoint(device, endpoint, barred.get(device.port_id))
        for port_id in endpoints.keys() - seen.keys():
            self._say(port_id, "absent", f"no device on {self.br_int} carries this iface-id")

    def _sort_unknown(self, device: Device) -> None:
        mark = device.port.external_ids.get(SEGMENT_MARK)
        segment = segment_of(mark) if mark is not None else None
        if segment is not None and not self.desired.in_sync:
            self.wired.append(_Wired(device, segment, None))
        elif mark is not None or device.port.tag is None:
            self.dead.append(device)

    def _sort_endpoint(self, device: Device, endpoint: Endpoint, barred: str | None) -> None:
        kept = segment_of(device.port.external_ids.get(SEGMENT_MARK, DEAD))
        if barred is not None:
            self._say(endpoint.port_id, "refused", barred)
            if kept is not None:
                self.wired.append(_Wired(device, kept, None))
            else:
                self.dead.append(device)
        elif not endpoint.admin_up:
            self._say(endpoint.port_id, "down", "administratively down")
            self.dead.append(device)
        elif endpoint.segment.physical_network not in self.trunks:
            known = ", ".join(sorted(self.trunks)) or "none"
            physical = endpoint.segment.physical_network
            cause = f"this host has no physical network {physical} (it has {known})"
            self._say(endpoint.port_id, "refused", cause)
            self.dead.append(device)
        else:
            self.wired.append(_Wired(device, endpoint.segment, endpoint))

    # Rows

    def _port_rows(self) -> Iterator[RowChange]:
        for device in self.dead:
            yield from _port_row(device, DEAD_VLAN, DEAD)
        for wired in self.wired:
            vlan = self.vlans.get(wired.segment)
            if wired.endpoint is None:
                continue
            if vlan is None:
                cause = f"{self.br_int} has no free local VLAN for {wired.segment}"
                self._say(wired.endpoint.port_id, "refused", cause)
                yield from _port_row(wired.device, DEAD_VLAN, DEAD)
                continue
            yield from _port_row(wired.device, vlan, str(wired.segment))
            yield from _mtu_row(wired.device, wired.endpoint)

    # Flows

    def _wanted_flows(self) -> dict[str, dict[int, frozenset[Flow]]]:
        """Bridge name → cookie → flows. A bridge whose patch is not open has its base alone."""
        inner: dict[int, frozenset[Flow]] = {BASE: integration_base()}
        wanted = {self.br_int: inner}
        for trunk in self.trunks.values():
            wanted[trunk.bridge.name] = {BASE: physical_base(trunk.bridge, trunk.outer)}
        for segment, vlan in sorted(self.vlans.items(), key=lambda item: str(item[0])):
            segment_trunk = self.trunks.get(segment.physical_network)
            if segment_trunk is None:  # a kept port's network that the configuration has dropped
                continue
            cookie = segment_cookie(segment)
            bridge = segment_trunk.bridge
            if segment_trunk.inner is not None:
                inner[cookie] = inbound(segment, vlan, segment_trunk.inner)
            if segment_trunk.outer is not None:
                wanted[bridge.name][cookie] = outbound(segment, vlan, segment_trunk.outer, bridge)
        for wired in self.wired:
            cookie = port_cookie(wired.device.port_id)
            if wired.endpoint is None:
                inner[cookie] = self._kept_flows(wired.device, cookie)
            elif wired.segment in self.vlans and (ofport := wired.device.ofport) is not None:
                inner[cookie] = endpoint_flows(wired.endpoint, ofport)
        return wanted

    def _kept_flows(self, device: Device, cookie: int) -> frozenset[Flow]:
        """Return what a port that we are not told about has, as far as its device still has it."""
        have = self.actual.flows.get(self.br_int, {}).get(cookie, frozenset())
        return frozenset(flow for flow in have if ("in_port", device.ofport) in flow.match)

    def _difference(
        self,
        bridge: str,
        have: FlowsByCookie,
        wanted: Mapping[int, frozenset[Flow]],
        retagged: set[int],
    ) -> tuple[tuple[FlowChange, ...], tuple[FlowChange, ...]]:
        """What to close before the rows change, and what to open after."""
        foreign: dict[FlowKey, Flow] | None = None
        close: list[Flow] = []
        delete: list[Flow] = []
        add: list[Flow] = []
        ours = {cookie for cookie in have if cookie & COOKIE_MARK_MASK == COOKIE_MARK}
        for cookie in sorted(ours | wanted.keys()):
            has, wants = have.get(cookie, frozenset()), wanted.get(cookie, frozenset())
            if has == wants and cookie not in retagged:
                continue
            if foreign is None:
                foreign = _foreign(have)
            keys = {flow.key for flow in wants}
            blocked = keys & foreign.keys()
            if blocked:
                self._block(bridge, cookie, foreign[min(blocked)])
            if not wants or (blocked and cookie in self.port_cookies):
                close += has
            elif cookie in retagged:
                close += has
                add += wants
            else:
                delete += (flow for flow in has - wants if flow.key not in keys)
                add += (flow for flow in wants - has if flow.key not in blocked)
        opened = (*_ordered(delete, delete=True), *_ordered(add, delete=False))
        return _ordered(close, delete=True), opened

    # How each endpoint stands

    def _block(self, bridge: str, cookie: int, holder: Flow) -> None:
        cause = f"a flow of somebody else holds a place of ours on {bridge}: {holder}"
        self.blocked[cookie] = cause
        if cookie not in self.port_cookies:
            self.problems.append(Problem(bridge, cause))

    def _settle_states(
        self, rows: Iterable[RowChange], close: FlowChanges, opened: FlowChanges
    ) -> None:
        """Say "up" of a wired endpoint for which nothing is left to do, else what it waits for."""
        changing = {row.owner for row in rows}
        cookies = {
            change.flow.cookie
            for changes in (*close.values(), *opened.values())
            for change in changes
        }
        for wired in self.wired:
            endpoint = wired.endpoint
            if endpoint is None or endpoint.port_id in self.states:
                continue
            owners = (BASE, segment_cookie(wired.segment), port_cookie(endpoint.port_id))
            interface = wired.device.interface
            if interface.ofport == -1:
                error = interface.error or "no cause given"
                self._say(endpoint.port_id, "refused", f"OVS cannot open {interface.name}: {error}")
            elif blocked := [self.blocked[owner] for owner in owners if owner in self.blocked]:
                self._say(endpoint.port_id, "refused", blocked[0])
            elif (cause := self._missing(wired)) is not None:
                self._say(endpoint.port_id, "wiring", cause)
            elif endpoint.port_id in changing or None in changing:
                self._say(endpoint.port_id, "wiring", "OVSDB rows are to be changed")
            elif not cookies.isdisjoint(owners):
                self._say(endpoint.port_id, "wiring", "flows are to be changed")
            else:
                self._say(endpoint.port_id, "up")

    def _missing(self, wired: _Wired) -> str | None:
        trunk = self.trunks[wired.segment.physical_network]
        if wired.device.ofport is None:
            return f"ovs-vswitchd has not opened {wired.device.interface.name} yet"
        if trunk.inner is None or trunk.outer is None:
            return f"the patch between {self.br_int} and {trunk.bridge.name} is not open yet"
        for bridge in (self.br_int, trunk.bridge.name):
            if bridge not in self.actual.flows:
                return f"no OpenFlow connection to {bridge}"
        return None

    def _say(self, port_id: str, status: Status, cause: str = "") -> None:
        self.states[port_id] = EndpointState(port_id, status, cause)


def _trunk(bridge: PhysicalBridge, actual: Actual, br_int: str) -> _Trunk:
    inner, outer = patch_names(bridge)
    return _Trunk(bridge, actual.ofport(br_int, inner), actual.ofport(bridge.name, outer))


def _port_row(device: Device, tag: int, segment: str) -> Iterator[RowChange]:
    """Bring a device's port to its tag and mark; an access port, whatever it was plugged as."""
    port = device.port
    columns: dict[str, Value] = {}
    if port.tag != tag:
        columns["tag"] = tag
    if port.trunks:
        columns["trunks"] = ()
    if port.vlan_mode not in (None, "access"):
        columns["vlan_mode"] = None
    marks = {MARK: "port", SEGMENT_MARK: segment}
    missing = {key: mark for key, mark in marks.items() if port.external_ids.get(key) != mark}
    if columns or missing:
        expected: dict[str, Value] = {"tag": port.tag}
        yield SetColumns("Port", port.uuid, port.name, columns, missing, expected, device.port_id)


def _mtu_row(device: Device, endpoint: Endpoint) -> Iterator[RowChange]:
    """Ask for the network's MTU; a device that has it already is left alone.

    No MTU is known before ovs-vswitchd has opened the device or, for a moment, after OVSDB's
    restart: then nothing is asked, the row's next change brings us here again.
    """
    interface = device.interface
    if endpoint.mtu is None or interface.mtu_request == endpoint.mtu:
        return
    if interface.mtu_request is None and interface.mtu in (None, endpoint.mtu):
        return
    columns = {"mtu_request": endpoint.mtu}
    yield SetColumns("Interface", interface.uuid, interface.name, columns, owner=device.port_id)


def _foreign(have: FlowsByCookie) -> dict[FlowKey, Flow]:
    return {flow.key: flow for flows in have.values() for flow in flows if not flow.ours}


def _ordered(flows: Iterable[Flow], *, delete: bool) -> tuple[FlowChange, ...]:
    return tuple(FlowChange(flow, delete) for flow in sorted(flows, key=attrgetter("key")))
