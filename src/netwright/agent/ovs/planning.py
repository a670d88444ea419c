"""One planning: who is wired, who is dead, what follows for rows and flows. Pure.

devices ─▶ sorted ─┬─▶ settled: the very rows, endpoint and flows that needed nothing before
                   └─▶ all others, looked at closely ─▶ rows, flows
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import msgspec

from netwright.agent.ovs.actual import Actual, Device, FlowsByCookie
from netwright.agent.ovs.changes import (
    DEAD,
    DEAD_VLAN,
    SEGMENT_MARK,
    EndpointState,
    FlowChange,
    Plan,
    Problem,
    RowChange,
    SetColumns,
    Status,
)
from netwright.agent.ovs.firewall import SETS
from netwright.agent.ovs.flow_diff import difference
from netwright.agent.ovs.flows import Flow
from netwright.agent.ovs.guarding import Target, guard_cookie
from netwright.agent.ovs.local_vlans import local_vlans, segment_of
from netwright.agent.ovs.meters import (
    MeterChange,
    changes,
    from_endpoint,
    meters_of,
    to_endpoint,
    used,
)
from netwright.agent.ovs.pipeline import BASE, port_cookie, segment_cookie
from netwright.agent.ovs.port_rows import mtu_row, port_row
from netwright.agent.ovs.subports import flows as subport_flows
from netwright.agent.ovs.subports import row_changes, subport_cookie, subports, wait_of
from netwright.agent.ovs.together import Together
from netwright.agent.ovs.wanted import Wants, Wired, trunk_of
from netwright.agent.ovs.wiring import Desired, Endpoint, HostWiring, NetworkSegment, Rate

BaseChanges: TypeAlias = tuple[tuple[RowChange, ...], tuple[Problem, ...]]


class Settled(msgspec.Struct, frozen=True):
    """A wired port of which nothing is to be changed, with all that this depends on."""

    wired: Wired
    cookie: int
    guard: int
    flows: frozenset[Flow]
    guard_flows: frozenset[Flow] | None
    shared: frozenset[Target]
    segment_text: str
    up: EndpointState

    def still(
        self, device: Device, endpoint: Endpoint | None, have: FlowsByCookie, together: Together
    ) -> bool:
        """Whether these are the values that it was settled with (its tag is compared later)."""
        before = self.wired.device
        return (
            self.flows is have.get(self.cookie)
            and self.guard_flows is have.get(self.guard)
            and self.shared == together.shared.of(device.port_id)
            and self.wired.endpoint is endpoint
            and before.port is device.port
            and before.interface is device.interface
        )


class Planning:
    """One planning; its fields are facts derived once from desired and actual."""

    def __init__(
        self,
        desired: Desired,
        actual: Actual,
        barred: Mapping[str, str],
        before: Mapping[str, Settled],
        together: Together,
    ) -> None:
        self.desired = desired
        self.together = together
        self.actual = actual
        self.wiring: HostWiring = desired.wiring
        self.br_int = desired.wiring.integration_bridge
        self.inner_flows = actual.flows.get(self.br_int, {})
        self.trunks = {
            bridge.physical_network: trunk_of(bridge, actual.rows, self.br_int)
            for bridge in desired.wiring.physical_bridges
        }
        self.subports = subports(desired, actual.rows, self.br_int)
        self.states: dict[str, EndpointState] = {}
        self.problems: list[Problem] = []
        self.blocked: dict[int, str] = {}
        self.dead: list[Device] = []
        self.wired: list[Wired] = []
        self.settled: dict[str, Settled] = {}
        self._sort_devices(barred, before)
        segments = {one.segment_text: one.wired.segment for one in self.settled.values()}
        segments |= {str(wired.segment): wired.segment for wired in self.wired}
        self.vlans = local_vlans(segments.values(), actual, self.br_int)
        self._unsettle_retagged(segments)
        self.port_cookies = {port_cookie(wired.device.port_id) for wired in self.wired}

    def plan(self, base: BaseChanges) -> Plan:
        base_rows, base_problems = base
        in_sync = self.desired.in_sync
        pairs = row_changes(self.subports, self.br_int, in_sync=in_sync)
        rows = [*base_rows, *self._port_rows(), *pairs]
        moving = {
            row.owner
            for row in rows
            if isinstance(row, SetColumns) and row.owner is not None and "tag" in row.columns
        }
        settled = {one.cookie for one in self.settled.values()}
        settled |= {one.guard for one in self.settled.values()}
        wanted = Wants(
            bridge=self.br_int,
            in_sync=self.desired.in_sync,
            trunks=self.trunks,
            vlans=self.vlans,
            together=self.together,
            have=self.inner_flows,
            wired=self.wired,
            settled=[one.wired for one in self.settled.values()],
            dead=self.dead,
        ).flows()
        wanted[self.br_int] |= subport_flows(self.subports, self.inner_flows, in_sync=in_sync)
        close: dict[str, tuple[FlowChange, ...]] = {}
        opened: dict[str, tuple[FlowChange, ...]] = {}
        changing: set[int] = set()
        for bridge, have in sorted(self.actual.flows.items()):
            if bridge not in wanted:
                continue
            found = difference(
                have,
                wanted[bridge],
                settled=settled if bridge == self.br_int else (),
                retagged={port_cookie(port_id) for port_id in moving},
                guards={guard_cookie(port_id) for port_id in moving},
                is_port=self.port_cookies.__contains__,
            )
            changing |= found.owners
            for cookie, holder in found.blocked.items():
                self._block(bridge, cookie, holder)
            if found.close:
                close[bridge] = found.close
            if found.opened:
                opened[bridge] = found.opened
        metering = self._meter_changes(wanted[self.br_int])
        owners = {row.owner for row in rows}
        owners |= {meter.owner for meter in metering if meter.owner is not None}
        self._settle_states(owners, changing)
        return Plan(
            close=close,
            rows=tuple(rows),
            open=opened,
            endpoints=tuple(self.states[e.port_id] for e in self.desired.endpoints),
            problems=(*base_problems, *self.problems),
            meters=metering,
        )

    def _meter_changes(self, flows: Mapping[int, frozenset[Flow]]) -> tuple[MeterChange, ...]:
        """Of all that are wired; what nobody has told us of keeps its meters.

        So does what stands of a port whose device is gone: its flows would go with its meter.
        """
        wired = [*self.wired, *(one.wired for one in self.settled.values())]
        wanted: dict[int, tuple[Rate, str]] = {}
        kept: set[int] = set()
        for one in wired:
            ofport, port_id = one.device.ofport, one.device.port_id
            if ofport is not None and one.endpoint is not None:
                for number, rate in meters_of(one.endpoint, ofport):
                    wanted[number] = rate, port_id
            elif ofport is not None:
                kept |= {from_endpoint(ofport), to_endpoint(ofport)}
        if not (wanted or self.actual.meters):
            return ()
        found = changes(wanted, self.actual.meters, self.inner_flows)
        if any(change.rate is None for change in found):
            kept |= used(flow for group in flows.values() for flow in group) - wanted.keys()
        return tuple(change for change in found if change.number not in kept)

    # Who is wired, who is dead

    def _sort_devices(self, barred: Mapping[str, str], before: Mapping[str, Settled]) -> None:
        endpoints = {endpoint.port_id: endpoint for endpoint in self.desired.endpoints}
        seen: dict[str, Device] = {}
        for device in self.actual.rows.devices(self.br_int):
            port_id = device.port_id
            if port_id in seen:
                twin = seen[port_id].port.name
                cause = f"carries the same iface-id {port_id} as {twin}, which is wired"
                self.problems.append(Problem(device.port.name, cause))
                self.dead.append(device)
                continue
            seen[port_id] = device
            endpoint = endpoints.get(port_id)
            known = before.get(port_id)
            if (
                known is not None
                and port_id not in barred
                and known.still(device, endpoint, self.inner_flows, self.together)
            ):
                self.settled[port_id] = known
                continue
            if endpoint is None:
                self._sort_unknown(device)
            else:
                self._sort_endpoint(device, endpoint, barred.get(port_id))
        for port_id in endpoints.keys() - seen.keys():
            self._say(port_id, "absent", f"no device on {self.br_int} carries this iface-id")

    def _sort_unknown(self, device: Device) -> None:
        mark = device.port.external_ids.get(SEGMENT_MARK)
        segment = segment_of(mark) if mark is not None else None
        is_kept = not self.desired.in_sync or device.port_id in self.desired.awaited
        if segment is not None and is_kept:
            self.wired.append(Wired(device, segment, None))
        elif mark is not None or device.port.tag is None:
            self.dead.append(device)

    def _sort_endpoint(self, device: Device, endpoint: Endpoint, barred: str | None) -> None:
        kept = segment_of(device.port.external_ids.get(SEGMENT_MARK, DEAD))
        if barred is not None:
            self._say(endpoint.port_id, "refused", barred)
            if kept is not None:
                self.wired.append(Wired(device, kept, None))
            else:
                self.dead.append(device)
        elif not endpoint.admin_up:
            self._say(endpoint.port_id, "down", "administratively down")
            self.dead.append(device)
        elif cause := self.together.refusal(endpoint):
            self._say(endpoint.port_id, "refused", cause)
            self.dead.append(device)
        elif endpoint.segment.physical_network not in self.trunks:
            known = ", ".join(sorted(self.trunks)) or "none"
            physical = endpoint.segment.physical_network
            cause = f"this host has no physical network {physical} (it has {known})"
            self._say(endpoint.port_id, "refused", cause)
            self.dead.append(device)
        else:
            self.wired.append(Wired(device, endpoint.segment, endpoint))

    def _unsettle_retagged(self, segments: Mapping[str, NetworkSegment]) -> None:
        """Look closely at ports whose segment has another local VLAN now."""
        vlans = {text: self.vlans.get(segment) for text, segment in segments.items()}
        for port_id, one in list(self.settled.items()):
            if vlans[one.segment_text] != one.wired.device.port.tag:
                del self.settled[port_id]
                self.wired.append(one.wired)

    # Rows

    def _port_rows(self) -> Iterator[RowChange]:
        for device in self.dead:
            yield from port_row(device, DEAD_VLAN, DEAD)
        for wired in self.wired:
            vlan = self.vlans.get(wired.segment)
            if wired.endpoint is None:
                continue
            if vlan is None:
                cause = f"{self.br_int} has no free local VLAN for {wired.segment}"
                self._say(wired.endpoint.port_id, "refused", cause)
                yield from port_row(wired.device, DEAD_VLAN, DEAD)
                continue
            yield from port_row(wired.device, vlan, str(wired.segment))
            yield from mtu_row(wired.device, wired.endpoint)

    # How each endpoint stands

    def _block(self, bridge: str, cookie: int, holder: Flow) -> None:
        cause = f"a flow of somebody else holds a place of ours on {bridge}: {holder}"
        self.blocked[cookie] = cause
        if cookie not in self.port_cookies:  # a guard's is the port's too
            self.problems.append(Problem(bridge, cause))

    def _settle_states(self, changing_rows: set[str | None], changing_flows: set[int]) -> None:
        """Say "up" of a wired endpoint for which nothing is left to do, else what it waits for."""
        waits = {}
        for one in self.settled.values():
            if one.segment_text not in waits:
                waits[one.segment_text] = self._shared_wait(
                    one.wired.segment, changing_rows, changing_flows
                )
            port_id, wait = one.up.port_id, waits[one.segment_text]
            wait = wait or self._sets_wait(one.wired.endpoint, changing_flows)
            wait = wait or self._pairs_wait(port_id, changing_flows)
            self.states[port_id] = one.up if wait is None else EndpointState(port_id, *wait)
        for wired in self.wired:
            port_id = wired.device.port_id
            if wired.endpoint is None or port_id in self.states:
                continue
            shared = self._shared_wait(wired.segment, changing_rows, changing_flows)
            shared = shared or self._sets_wait(wired.endpoint, changing_flows)
            own = self._own_wait(wired, changing_rows, changing_flows)
            if own is None:
                self._remember(wired)
            refusals = (each for each in (own, shared) if each is not None and each[0] == "refused")
            self._say(port_id, *(next(refusals, None) or own or shared or ("up",)))

    def _own_wait(
        self, wired: Wired, changing_rows: set[str | None], changing_flows: set[int]
    ) -> tuple[Status, str] | None:
        """What this port alone waits for; None when it has all that is its own."""
        cookie, interface = port_cookie(wired.device.port_id), wired.device.interface
        guard = guard_cookie(wired.device.port_id)
        if interface.ofport == -1:
            error = interface.error or "no cause given"
            return "refused", f"OVS cannot open {interface.name}: {error}"
        for owner in (cookie, guard):
            if owner in self.blocked:
                return "refused", self.blocked[owner]
        if not wired.device.is_open:
            return "wiring", f"ovs-vswitchd has not opened {interface.name} yet"
        if wired.device.port_id in changing_rows:
            return "wiring", "OVSDB rows are to be changed"
        if not changing_flows.isdisjoint((cookie, guard)):
            return "wiring", "flows are to be changed"
        return self._pairs_wait(wired.device.port_id, changing_flows)

    def _pairs_wait(self, port_id: str, changing_flows: set[int]) -> tuple[Status, str] | None:
        """What a subport waits for beside what any port has."""
        if port_id not in self.subports.wanted:
            return None
        cookie = subport_cookie(port_id)
        if cookie in self.blocked:
            return "refused", self.blocked[cookie]
        if cookie in changing_flows:
            return "wiring", "flows are to be changed"
        wait = wait_of(self.subports, port_id)
        return ("wiring", wait) if wait else None

    def _sets_wait(
        self, endpoint: Endpoint | None, changing_flows: set[int]
    ) -> tuple[Status, str] | None:
        """What all ports wait for whose filters name remote groups."""
        if endpoint is None or endpoint.filter is None or not endpoint.filter.address_sets:
            return None
        if SETS in self.blocked:
            return "refused", self.blocked[SETS]
        if SETS in changing_flows:
            return "wiring", "flows of remote groups are to be changed"
        return None

    def _shared_wait(
        self, segment: NetworkSegment, changing_rows: set[str | None], changing_flows: set[int]
    ) -> tuple[Status, str] | None:
        """What all ports of a segment wait for; None when what they share stands."""
        owners = (BASE, segment_cookie(segment))
        if blocked := [self.blocked[owner] for owner in owners if owner in self.blocked]:
            return "refused", blocked[0]
        trunk = self.trunks[segment.physical_network]
        if trunk.inner is None or trunk.outer is None:
            return (
                "wiring",
                f"the patch between {self.br_int} and {trunk.bridge.name} is not open yet",
            )
        for bridge in (self.br_int, trunk.bridge.name):
            if bridge not in self.actual.flows:
                return "wiring", f"no OpenFlow connection to {bridge}"
        if None in changing_rows:
            return "wiring", "OVSDB rows are to be changed"
        if not changing_flows.isdisjoint(owners):
            return "wiring", "flows are to be changed"
        return None

    def _remember(self, wired: Wired) -> None:
        """Keep a port that has all that is its own; what it shares with others may still wait."""
        port_id = wired.device.port_id
        cookie = port_cookie(port_id)
        flows = self.inner_flows.get(cookie)
        if flows is not None and wired.endpoint is not None:
            guard = guard_cookie(port_id)
            self.settled[port_id] = Settled(
                wired,
                cookie,
                guard,
                flows,
                self.inner_flows.get(guard),
                self.together.shared.of(port_id),
                str(wired.segment),
                EndpointState(port_id, "up"),
            )

    def _say(self, port_id: str, status: Status, cause: str = "") -> None:
        self.states[port_id] = EndpointState(port_id, status, cause)
