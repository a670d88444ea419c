"""One planning: who is wired, who is dead, what follows for rows and flows. Pure.

devices ─▶ sorted ─┬─▶ settled: the very rows, endpoint and flows that needed nothing before
                   └─▶ all others, looked at closely ─▶ rows, flows
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from netwright.agent.ovs.actual import Actual, Device
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
from netwright.agent.ovs.guarding import guard_cookie
from netwright.agent.ovs.local_vlans import Tags, local_vlans, segment_of
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
from netwright.agent.ovs.settled import Ground, Known, Settled
from netwright.agent.ovs.subports import flows as subport_flows
from netwright.agent.ovs.subports import row_changes, subport_cookie, subports, wait_of
from netwright.agent.ovs.together import Together
from netwright.agent.ovs.wanted import Wants, Wired, trunk_of
from netwright.agent.ovs.wiring import Desired, Endpoint, HostWiring, NetworkSegment

_GRAVEST_FIRST: tuple[Status, ...] = "refused", "wiring", "opening"

BaseChanges: TypeAlias = tuple[tuple[RowChange, ...], tuple[Problem, ...]]


class Planning:
    """One planning; its fields are facts derived once from desired and actual."""

    def __init__(
        self,
        desired: Desired,
        actual: Actual,
        barred: Mapping[str, str],
        before: Known,
        together: Together,
        *,
        tags: Tags,
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
        self.subports = subports(together, actual.rows, self.br_int)
        self.states: dict[str, EndpointState] = {}
        self.problems: list[Problem] = []
        self.blocked: dict[int, str] = {}
        self.dead: list[Device] = []
        self.wired: list[Wired] = []
        self.plugged = actual.rows.plugged(self.br_int)
        self.ground = Ground(
            self.plugged.by_port, together.endpoints, self.inner_flows, together.shared
        )
        self.known = before.without(before.touched(self.ground) | barred.keys())
        self.settled_now: dict[str, Settled] = {}
        self._sort_devices(barred)
        segments = {*self.known.places.values(), *(wired.segment for wired in self.wired)}
        self.open_owners = self._open_owners()
        flows = ((cookie, self.inner_flows[cookie]) for cookie in self.open_owners)
        self.vlans = local_vlans(segments, tags, flows)
        self._unsettle_retagged()
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
        wanted = Wants(
            bridge=self.br_int,
            in_sync=self.desired.in_sync,
            trunks=self.trunks,
            vlans=self.vlans,
            together=self.together,
            have=self.inner_flows,
            open_owners=self.open_owners,
            wired=self.wired,
            settled=[one.wired for one in self.known.ports.values()],
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
                among=self.open_owners if bridge == self.br_int else have.keys(),
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
            endpoints=tuple(map(self.states.__getitem__, self.together.endpoints)),
            problems=(*base_problems, *self.problems),
            meters=metering,
        )

    def _meter_changes(self, flows: Mapping[int, frozenset[Flow]]) -> tuple[MeterChange, ...]:
        """Of all that are wired; what nobody has told us of keeps its meters.

        So does what stands of a port whose device is gone: its flows would go with its meter.
        """
        wanted = dict(self.known.meters)
        kept: set[int] = set()
        for one in self.wired:
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

    def _sort_devices(self, barred: Mapping[str, str]) -> None:
        endpoints, by_port = self.together.endpoints, self.plugged.by_port
        for device in self.plugged.twins:
            port_id = device.port_id
            wired = by_port[port_id].port.name
            cause = f"carries the same iface-id {port_id} as {wired}, which is wired"
            self.problems.append(Problem(device.port.name, cause))
            self.dead.append(device)
        settled = self.known.ports
        for port_id, device in by_port.items():
            if port_id in settled:
                continue
            if (endpoint := endpoints.get(port_id)) is None:
                self._sort_unknown(device)
            else:
                self._sort_endpoint(device, endpoint, barred.get(port_id))
        for port_id in endpoints.keys() - by_port.keys():
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

    def _open_owners(self) -> set[int]:
        """Of those who have flows on the integration bridge, all that are not settled."""
        return self.inner_flows.keys() - self.known.owners.keys()

    def _unsettle_retagged(self) -> None:
        """Look closely at ports whose segment has another local VLAN now."""
        places = self.known.places.items()
        retagged = {place for place, segment in places if self.vlans.get(segment) != place[1]}
        if not retagged:
            return
        gone = {id_: one for id_, one in self.known.ports.items() if one.place in retagged}
        self.wired += (one.wired for one in gone.values())
        self.known = self.known.without(gone)
        self.open_owners = self._open_owners()

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
        waits = {
            place: self._shared_wait(segment, changing_rows, changing_flows)
            for place, segment in self.known.places.items()
        }
        sets_change = SETS in changing_flows or SETS in self.blocked
        may_wait = any(waits.values()) or sets_change or self.subports.wanted
        self.states |= {port_id: one.up for port_id, one in self.known.ports.items()}
        for port_id, one in self.known.ports.items() if may_wait else ():
            wait = waits[one.place]
            wait = wait or self._sets_wait(one.wired.endpoint, changing_flows)
            wait = wait or self._pairs_wait(port_id, changing_flows)
            if wait is not None:
                self.states[port_id] = EndpointState(port_id, *wait)
        for wired in self.wired:
            port_id = wired.device.port_id
            if wired.endpoint is None or port_id in self.states:
                continue
            shared = self._shared_wait(wired.segment, changing_rows, changing_flows)
            shared = shared or self._sets_wait(wired.endpoint, changing_flows)
            own = self._own_wait(wired, changing_rows, changing_flows)
            if own is None:
                self._remember(wired)
            waits_of = [each for each in (own, shared) if each is not None]
            waits_of.sort(key=lambda wait: _GRAVEST_FIRST.index(wait[0]))
            self._say(port_id, *(waits_of[0] if waits_of else ("up",)))

    def _own_wait(
        self, wired: Wired, changing_rows: set[str | None], changing_flows: set[int]
    ) -> tuple[Status, str] | None:
        """What this port alone waits for; None when it has all that is its own."""
        device, interface = wired.device, wired.device.interface
        owners = port_cookie(device.port_id), guard_cookie(device.port_id)
        if interface.ofport == -1:
            error = interface.error or "no cause given"
            return "refused", f"OVS cannot open {interface.name}: {error}"
        if blocked := [self.blocked[owner] for owner in owners if owner in self.blocked]:
            return "refused", blocked[0]
        wait: tuple[Status, str] | None = None
        if not device.is_open:
            is_all = device.ofport is not None and self.actual.rows.gives_what_is_asked
            cause = f"ovs-vswitchd has not opened {interface.name} yet"
            wait = ("opening" if is_all else "wiring"), cause
        if device.port_id in changing_rows:
            wait = "wiring", "OVSDB rows are to be changed"
        elif not changing_flows.isdisjoint(owners):
            wait = "wiring", "flows are to be changed"
        return self._pairs_wait(device.port_id, changing_flows) or wait

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
        device, endpoint = wired.device, wired.endpoint
        is_there = port_cookie(device.port_id) in self.inner_flows
        if is_there and endpoint is not None and device.ofport is not None:
            self.settled_now[device.port_id] = Settled(
                wired,
                (str(wired.segment), device.port.tag),
                tuple(meters_of(endpoint, device.ofport)),
                EndpointState(device.port_id, "up"),
            )

    def now_known(self) -> Known:
        """For the next planning."""
        return self.known.settled(self.settled_now, self.ground)

    def _say(self, port_id: str, status: Status, cause: str = "") -> None:
        self.states[port_id] = EndpointState(port_id, status, cause)
