"""desired + actual → the exact changes. Pure: depends on nothing but the present state.

Each port ends in one of two forms. Wired: the tag is its segment's local VLAN, its flows are
`endpoint_flows`. Dead: the tag is DEAD_VLAN, no flow. Devices that are plugged and unknown become
dead; ports without an iface-id and flows without our cookie belong to others.

A `Planner` remembers which ports needed nothing, and for what: immutable values, compared by
identity. So its plan is always the one that `make_plan` makes from nothing, and a host with five
hundred ports is not planned anew for each device that appears.
"""

from collections.abc import Mapping

import msgspec

from netwright.agent.ovs.actual import Actual, Rows
from netwright.agent.ovs.address_sets import AddressPlanner
from netwright.agent.ovs.base_plan import base_changes
from netwright.agent.ovs.changes import AddressChange, EndpointState, Plan
from netwright.agent.ovs.local_vlans import Tags, tags_of
from netwright.agent.ovs.planning import BaseChanges, Planning
from netwright.agent.ovs.settled import Known
from netwright.agent.ovs.together import Gathering, Together
from netwright.agent.ovs.wiring import Desired, Endpoint, HostWiring

_AWAITS_ADDRESSES = "the addresses of remote groups are to be changed"


def make_plan(desired: Desired, actual: Actual, barred: Mapping[str, str] | None = None) -> Plan:
    """Return all changes from `actual` to `desired`, and how each endpoint stands.

    `barred`: port ids that OVS refused just now, with the cause; they are planned as dead (or
    stay as they are, if they were wired before) so that the others come through.
    """
    return Planner().plan(desired, actual, barred)


class Planner:
    """Makes plans one after the other, as `make_plan` would; what did not change costs little."""

    def __init__(self) -> None:
        self.looked_at = 0
        """How many ports the last planning had to look at closely."""
        self._wiring: HostWiring | None = None
        self._known = Known()
        self._base: tuple[Rows, BaseChanges] | None = None
        """Of which rows they were made; of containers' interfaces only that they are none of it."""
        self._gathering = Gathering()
        self._together: tuple[tuple[Endpoint, ...], Together] = (), Together()
        self._tags = Tags()
        self._addresses = AddressPlanner()
        self._nothing_to_do: tuple[Desired, Actual, Plan] | None = None

    def plan(
        self, desired: Desired, actual: Actual, barred: Mapping[str, str] | None = None
    ) -> Plan:
        """See `make_plan`."""
        if desired.wiring != self._wiring:
            self._wiring, self._known, self._base = desired.wiring, Known(), None
        if self._together[0] is not desired.endpoints:
            self._together = desired.endpoints, self._gathering.of(desired.endpoints)
        addresses = self._plan_addresses(desired, actual)
        if not barred and (stands := self._as_before(desired, actual)) is not None:
            self.looked_at = 0
            return self._with_addresses(stands, addresses)
        base = self._base_changes(desired.wiring, actual.rows)
        inner_ports = actual.rows.ports_of(actual.rows.bridge(desired.wiring.integration_bridge))
        if self._tags.ports is not inner_ports:
            self._tags = tags_of(inner_ports)
        planning = Planning(
            desired, actual, barred or {}, self._known, self._together[1], tags=self._tags
        )
        plan = planning.plan(base)
        self._known = planning.now_known()
        self.looked_at = len(planning.wired) + len(planning.dead)
        self._nothing_to_do = (desired, actual, plan) if plan.empty and not barred else None
        return self._with_addresses(plan, addresses)

    def _base_changes(self, wiring: HostWiring, rows: Rows) -> BaseChanges:
        if self._base is None or not rows.differ_in_containers_alone(self._base[0]):
            self._base = rows, base_changes(wiring, rows)
        return self._base[1]

    def _plan_addresses(self, desired: Desired, actual: Actual) -> tuple[AddressChange, ...]:
        if desired.wiring.integration_bridge not in actual.flows:
            return ()
        return self._addresses.plan(
            desired.memberships,
            self._together[1].sets,
            actual.addresses,
            in_sync=desired.in_sync,
        )

    def _as_before(self, desired: Desired, actual: Actual) -> Plan | None:
        """The last plan, if there was nothing to do and nothing but addresses may have changed."""
        if self._nothing_to_do is None:
            return None
        wanted, found, plan = self._nothing_to_do
        is_same = (
            wanted.wiring is desired.wiring
            and wanted.endpoints is desired.endpoints
            and wanted.in_sync == desired.in_sync
            and wanted.awaited == desired.awaited
            and found.rows is actual.rows
            and found.meters is actual.meters
            and found.flows.keys() == actual.flows.keys()
            and all(found.flows[bridge] is flows for bridge, flows in actual.flows.items())
        )
        return plan if is_same else None

    def _with_addresses(self, plan: Plan, addresses: tuple[AddressChange, ...]) -> Plan:
        """Ports whose filters name remote groups wait for these to be there."""
        if not addresses:
            return plan
        users = self._together[1].users
        endpoints = tuple(
            EndpointState(state.port_id, "wiring", _AWAITS_ADDRESSES)
            if state.status in {"up", "opening"} and state.port_id in users
            else state
            for state in plan.endpoints
        )
        return msgspec.structs.replace(plan, endpoints=endpoints, addresses=addresses)
