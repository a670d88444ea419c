"""desired + actual → the exact changes. Pure: depends on nothing but the present state.

Each port ends in one of two forms. Wired: the tag is its segment's local VLAN, its flows are
`endpoint_flows`. Dead: the tag is DEAD_VLAN, no flow. Devices that are plugged and unknown become
dead; ports without an iface-id and flows without our cookie belong to others.

A `Planner` remembers which ports needed nothing, and for what: immutable values, compared by
identity. So its plan is always the one that `make_plan` makes from nothing, and a host with five
hundred ports is not planned anew for each device that appears.
"""

from collections.abc import Mapping

from netwright.agent.ovs.actual import Actual, Rows
from netwright.agent.ovs.base_plan import base_changes
from netwright.agent.ovs.changes import Plan
from netwright.agent.ovs.planning import BaseChanges, Planning, Settled
from netwright.agent.ovs.wiring import Desired, HostWiring


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
        self._settled: Mapping[str, Settled] = {}
        self._base: tuple[Rows, BaseChanges] | None = None

    def plan(
        self, desired: Desired, actual: Actual, barred: Mapping[str, str] | None = None
    ) -> Plan:
        """See `make_plan`."""
        if desired.wiring != self._wiring:
            self._wiring, self._settled, self._base = desired.wiring, {}, None
        if self._base is None or self._base[0] is not actual.rows:
            self._base = actual.rows, base_changes(desired.wiring, actual.rows)
        planning = Planning(desired, actual, barred or {}, self._settled)
        plan = planning.plan(self._base[1])
        self._settled = planning.settled
        self.looked_at = len(planning.wired) + len(planning.dead)
        return plan
