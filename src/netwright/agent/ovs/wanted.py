"""The flows that the bridges should have, for those who are wired and not settled yet. Pure.

Owners that are settled have what they should; they are left out. Before all is known (`in_sync`
False), what nobody has told us of is wanted as it is.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from netwright.agent.ovs.actual import Device, FlowsByCookie, Rows
from netwright.agent.ovs.firewall import (
    DESTINATION,
    EXIT,
    SETS,
    set_flows,
)
from netwright.agent.ovs.flows import ZONE, Flow
from netwright.agent.ovs.guarding import (
    guard_cookie,
    guard_flows,
    guarded_port,
    shared_cookie,
    shared_flows,
    shut,
)
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
from netwright.agent.ovs.together import Together
from netwright.agent.ovs.wiring import Endpoint, NetworkSegment, PhysicalBridge, patch_names

_NOTHING: frozenset[Flow] = frozenset()


class Wired(msgspec.Struct, frozen=True):
    """A device that is, or stays, in a segment. No endpoint: not told yet, leave it as it is."""

    device: Device
    segment: NetworkSegment
    endpoint: Endpoint | None


class Trunk(msgspec.Struct, frozen=True):
    """A physical bridge with the OpenFlow ports of its patch pair, None while they are not open."""

    bridge: PhysicalBridge
    inner: int | None
    outer: int | None


def trunk_of(bridge: PhysicalBridge, rows: Rows, integration: str) -> Trunk:
    inner, outer = patch_names(bridge)
    return Trunk(bridge, rows.ofport(integration, inner), rows.ofport(bridge.name, outer))


class Wants(msgspec.Struct, frozen=True, kw_only=True):
    """All that the wanted flows follow from; `have` are the integration bridge's.

    `open_owners` are those who have flows there and are not settled.
    """

    bridge: str
    in_sync: bool
    trunks: Mapping[str, Trunk]
    vlans: Mapping[NetworkSegment, int]
    together: Together
    have: FlowsByCookie
    open_owners: Collection[int]
    wired: Sequence[Wired]
    settled: Sequence[Wired]
    dead: Sequence[Device]

    def flows(self) -> dict[str, dict[int, frozenset[Flow]]]:
        """Bridge name → cookie → flows. A bridge whose patch is not open has its base alone."""
        inner: dict[int, frozenset[Flow]] = {BASE: integration_base()}
        wanted = {self.bridge: inner}
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
            inner.update(self._of_port(wired))
        inner.update(self._of_nobody_alone())
        if not self.in_sync:
            inner.update(dict(self._untold(inner)))
        return wanted

    def _of_port(self, wired: Wired) -> dict[int, frozenset[Flow]]:
        device, endpoint = wired.device, wired.endpoint
        cookie, guard = port_cookie(device.port_id), guard_cookie(device.port_id)
        if endpoint is None:
            return {
                cookie: self._kept_flows(device, cookie),
                guard: self._kept_guard(device, guard),
            }
        vlan = self.vlans.get(wired.segment)
        if vlan is None:
            return {}
        shared = self.together.shared.of(device.port_id)
        if device.ofport is None:
            return {guard: frozenset(map(shut, guard_flows(endpoint, shared, 0, vlan)))}
        return {
            cookie: endpoint_flows(endpoint, device.ofport, vlan),
            guard: guard_flows(endpoint, shared, device.ofport, vlan),
        }

    def _of_nobody_alone(self) -> dict[int, frozenset[Flow]]:
        """Shared targets, the ends of conjunctions."""
        found = {SETS: set_flows(self.together.sets)}
        if not self.together.shared.claims:
            return found
        ofports = {one.device.port_id: one.device.ofport for one in (*self.wired, *self.settled)}
        for (segment, target), ports in self.together.shared.claims.items():
            here = [ofport for port in ports if (ofport := ofports.get(port)) is not None]
            if here and (vlan := self.vlans.get(segment)) is not None:
                found[shared_cookie(segment, target)] = shared_flows(segment, target, here, vlan)
        return found

    def _untold(
        self, inner: Mapping[int, frozenset[Flow]]
    ) -> Iterator[tuple[int, frozenset[Flow]]]:
        """What stands of conjunctions and of targets that ports share, of which nobody told us yet.

        Whose the latter are no cookie tells: they are guards of no port that is known here.
        """
        yield SETS, inner[SETS] | self.have.get(SETS, _NOTHING)
        told = {guard_cookie(device.port_id) for device in self.dead}
        untold = [cookie for cookie in self.open_owners if cookie not in inner]
        guards = [
            cookie for cookie in untold if cookie not in told and _is_guard(self.have[cookie])
        ]
        if not guards:
            return
        taken = {flow.key for flows in inner.values() for flow in flows}
        for cookie in guards:
            flows = self.have[cookie]
            yield cookie, frozenset(flow for flow in flows if flow.key not in taken)

    def _kept_flows(self, device: Device, cookie: int) -> frozenset[Flow]:
        """Return what a port that we are not told about has, as far as its device still has it."""
        places = {("in_port", device.ofport), (f"reg{ZONE}", device.ofport)}
        return frozenset(
            flow for flow in self.have.get(cookie, _NOTHING) if not places.isdisjoint(flow.match)
        )

    def _kept_guard(self, device: Device, cookie: int) -> frozenset[Flow]:
        return frozenset(
            flow if guarded_port(flow) == device.ofport else shut(flow)
            for flow in self.have.get(cookie, _NOTHING)
        )


def _is_guard(flows: frozenset[Flow]) -> bool:
    return all(flow.ours and flow.table in (DESTINATION, EXIT) for flow in flows)
