"""A simulated Open vSwitch: takes plans as the driver would apply them, forwards packets."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from tests.unit.agent.ovs.tablewalk import Packet, forwards

from netwright.agent.members import address_key
from netwright.agent.ovs.actual import Actual, Rows, by_cookie
from netwright.agent.ovs.address_sets import (
    NO_ADDRESS_FLOWS,
    AddressFlow,
    added,
    removed,
    with_found,
)
from netwright.agent.ovs.changes import (
    MARK,
    AddBridge,
    AddPort,
    AddressChange,
    FlowChange,
    FlowChanges,
    NewInterface,
    Plan,
    RemovePort,
    RowChange,
    SetColumns,
)
from netwright.agent.ovs.flows import (
    ADDRESS_COOKIE,
    ADDRESS_COOKIE_MASK,
    Conjunction,
    Flow,
    FlowKey,
)
from netwright.agent.ovs.meters import used
from netwright.agent.ovs.plan import make_plan
from netwright.agent.ovs.rows import BridgeRow, InterfaceRow, PortRow
from netwright.agent.ovs.wiring import Desired, Rate


class SimSwitch:
    """Rows as OVSDB keeps them, flow tables as OpenFlow keeps them; ofports given at once."""

    def __init__(self) -> None:
        self.bridges: dict[str, BridgeRow] = {}
        self.ports: dict[str, PortRow] = {}
        self.interfaces: dict[str, InterfaceRow] = {}
        self.flows: dict[str, dict[FlowKey, Flow]] = {}
        self._uuids = (f"uuid{number}" for number in itertools.count())
        self._ofports = itertools.count(1)
        self._addresses = NO_ADDRESS_FLOWS
        self.meters: dict[int, Rate | None] = {}

    def actual(self) -> Actual:
        flows = {
            bridge: by_cookie(flow for flow in table.values() if not is_address(flow))
            for bridge, table in self.flows.items()
        }
        found = [
            address_flow(flow) for flow in self.flows.get("br-int", {}).values() if is_address(flow)
        ]
        self._addresses = with_found(self._addresses, None, found)
        return Actual(self.rows(), flows, self._addresses, dict(self.meters))

    def rows(self) -> Rows:
        return Rows(dict(self.bridges), dict(self.ports), dict(self.interfaces))

    def converge(self, desired: Desired, rounds_max: int = 3) -> Plan:
        """Plan and apply until nothing is left; return the last, empty plan."""
        for _ in range(rounds_max):
            plan = make_plan(desired, self.actual())
            if plan.empty:
                return plan
            self.apply(plan)
        plan = make_plan(desired, self.actual())
        assert plan.empty, f"not settled after {rounds_max} rounds:\n{plan}"
        return plan

    def apply(self, plan: Plan, between: Callable[[], None] = lambda: None) -> None:
        """Apply as the driver does; `between` looks after the rows, before flows are opened."""
        self._change_flows(plan.close)
        for change in plan.rows:
            self._change_row(change)
        between()
        self._change_meters(plan, add=True)
        self._change_addresses(added, plan)
        self._change_flows(plan.open)
        self._change_addresses(removed, plan)
        self._change_meters(plan, add=False)

    # What orchestrators, operators and accidents do

    def plug(
        self, bridge: str, name: str, port_id: str | None = None, tag: int | None = None
    ) -> None:
        external_ids = {} if port_id is None else {"iface-id": port_id}
        self._add_port(bridge, name, (NewInterface(name),), {}, tag=tag)
        interface = self.interface(name)
        self.interfaces[interface.uuid] = msgspec.structs.replace(
            interface, external_ids=external_ids
        )

    def unplug(self, name: str) -> None:
        port = self.port(name)
        for uuid, bridge in self.bridges.items():
            ports = tuple(held for held in bridge.ports if held != port.uuid)
            self.bridges[uuid] = msgspec.structs.replace(bridge, ports=ports)
        del self.ports[port.uuid]
        for uuid in port.interfaces:
            del self.interfaces[uuid]

    def restart_vswitchd(self) -> None:
        """All flows and meters are gone, strangers' too; interfaces get other numbers."""
        self.meters = {}
        self.flows = {bridge: {} for bridge in self.flows}
        for uuid, interface in self.interfaces.items():
            renumbered = msgspec.structs.replace(interface, ofport=next(self._ofports))
            self.interfaces[uuid] = renumbered

    def add_flow(self, bridge: str, flow: Flow) -> None:
        self.flows[bridge][flow.key] = flow

    # Questions

    def port(self, name: str) -> PortRow:
        return next(port for port in self.ports.values() if port.name == name)

    def interface(self, name: str) -> InterfaceRow:
        return next(row for row in self.interfaces.values() if row.name == name)

    def ofport(self, name: str) -> int:
        ofport = self.interface(name).ofport
        assert ofport is not None
        return ofport

    def ours(self, bridge: str) -> frozenset[Flow]:
        return frozenset(flow for flow in self.flows[bridge].values() if flow.ours)

    def foreign(self, bridge: str) -> frozenset[Flow]:
        return frozenset(flow for flow in self.flows[bridge].values() if not flow.ours)

    def forwards(self, bridge: str, packet: Packet) -> bool:
        """Whether the packet reaches NORMAL, by the tables of the bridge."""
        return forwards(self.flows[bridge].values(), packet)

    # Changes

    def _change_flows(self, changes: FlowChanges) -> None:
        for bridge, bundle in changes.items():
            table = self.flows[bridge]
            for change in bundle:
                assert change.flow.ours
                assert change.delete or used([change.flow]) <= self.meters.keys()
                if not change.delete:
                    table[change.flow.key] = change.flow
                elif (held := table.get(change.flow.key)) and held.cookie == change.flow.cookie:
                    del table[change.flow.key]

    def _change_addresses(
        self, flows_of: Callable[[AddressChange], Iterable[FlowChange]], plan: Plan
    ) -> None:
        changes = tuple(flow for change in plan.addresses for flow in flows_of(change))
        if changes:
            self._change_flows({"br-int": changes})

    def _change_meters(self, plan: Plan, *, add: bool) -> None:
        """A meter takes its flows with it when it goes, so none may lead through it by then."""
        for change in plan.meters:
            if change.rate is not None and add:
                assert change.is_new is (change.number not in self.meters)
                self.meters[change.number] = change.rate
            elif change.rate is None and not add:
                assert change.number not in used(self.flows["br-int"].values())
                del self.meters[change.number]

    def _change_row(self, change: RowChange) -> None:
        match change:
            case AddBridge():
                marks = {MARK: "bridge"}
                uuid = next(self._uuids)
                kind = change.datapath_type
                self.bridges[uuid] = BridgeRow(uuid, change.name, (), kind, "secure", marks)
                local = NewInterface(change.name, "internal", mtu_request=change.mtu_request)
                self._add_port(change.name, change.name, (local,), marks, tag=change.local_tag)
                self.flows[change.name] = {}
            case AddPort():
                self._add_port(
                    change.bridge,
                    change.name,
                    change.interfaces,
                    {MARK: change.kind or ("patch" if _is_patch(change) else "uplink")},
                    bond_mode=change.bond_mode,
                    lacp=change.lacp,
                    tag=change.tag,
                )
            case RemovePort():
                assert MARK in self.ports[change.uuid].external_ids
                self.unplug(change.name)
            case SetColumns():
                self._set_columns(change)

    def _set_columns(self, change: SetColumns) -> None:
        tables: dict[str, Any] = {
            "Bridge": self.bridges,
            "Port": self.ports,
            "Interface": self.interfaces,
        }
        rows = tables[change.table]
        row = rows[change.uuid]
        assert all(getattr(row, column) == value for column, value in change.expected.items())
        columns = dict(change.columns)
        if change.marks:
            columns["external_ids"] = {**row.external_ids, **change.marks}
        rows[change.uuid] = msgspec.structs.replace(row, **columns)
        if "fail_mode" in columns:
            self.flows[change.name] = {}

    def _add_port(
        self,
        bridge: str,
        name: str,
        interfaces: tuple[NewInterface, ...],
        external_ids: Mapping[str, str],
        **columns: int | str | None,
    ) -> None:
        assert name not in {port.name for port in self.ports.values()}
        uuids = []
        for interface in interfaces:
            assert interface.name not in {row.name for row in self.interfaces.values()}
            uuid = next(self._uuids)
            uuids.append(uuid)
            row: dict[str, Any] = dict.fromkeys(InterfaceRow.__struct_fields__) | {
                "uuid": uuid, "external_ids": {}, "bfd_status": {}, "mtu": 1500,
                "ofport": next(self._ofports), "link_state": "up",
            } | msgspec.structs.asdict(interface)  # fmt: skip
            self.interfaces[uuid] = InterfaceRow(**row)
        uuid = next(self._uuids)
        port: dict[str, Any] = dict.fromkeys(PortRow.__struct_fields__) | {
            "uuid": uuid, "name": name, "interfaces": tuple(uuids), "trunks": (),
            "external_ids": external_ids,
        }  # fmt: skip
        self.ports[uuid] = PortRow(**(port | columns))
        holder = next(row for row in self.bridges.values() if row.name == bridge)
        self.bridges[holder.uuid] = msgspec.structs.replace(holder, ports=(*holder.ports, uuid))


def _is_patch(change: AddPort) -> bool:
    return change.interfaces[0].type == "patch"


def is_address(flow: Flow) -> bool:
    return flow.cookie & ADDRESS_COOKIE_MASK == ADDRESS_COOKIE


def address_flow(flow: Flow) -> AddressFlow:
    """As the codec reads it from a switch."""
    cidr = next((str(value) for name, value in flow.match if name.startswith("ipv")), None)
    if cidr is None:
        cidr = "0.0.0.0/0" if ("eth_type", 0x0800) in flow.match else "::/0"
    ids = tuple(action.conj_id for action in flow.actions if isinstance(action, Conjunction))
    return AddressFlow(address_key(cidr), flow.table, flow.priority, ids)
