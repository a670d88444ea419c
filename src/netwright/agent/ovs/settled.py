"""Ports of which nothing was to be changed, remembered from one planning to the next. Pure."""

from collections.abc import Collection, Mapping
from typing import TypeAlias

import msgspec

from netwright.agent.ovs.actual import Device, FlowsByCookie
from netwright.agent.ovs.changes import EndpointState
from netwright.agent.ovs.guarding import Shared, guard_cookie
from netwright.agent.ovs.pipeline import port_cookie
from netwright.agent.ovs.wanted import Wired
from netwright.agent.ovs.wiring import Endpoint, NetworkSegment, Rate

Place: TypeAlias = tuple[str, int | None]
"""Where a settled port is: its segment's text, its tag."""


class Settled(msgspec.Struct, frozen=True):
    """A wired port of which nothing is to be changed, and what follows for it."""

    wired: Wired
    place: Place
    meters: tuple[tuple[int, Rate], ...]
    up: EndpointState

    def is_of(self, device: Device | None) -> bool:
        before = self.wired.device
        return before is device or (
            device is not None
            and before.port is device.port
            and before.interface is device.interface
        )


class Ground(msgspec.Struct, frozen=True):
    """What it depends on whether a port stays settled, beside its tag: all by identity."""

    devices: Mapping[str, Device] = {}
    endpoints: Mapping[str, Endpoint] = {}
    flows: FlowsByCookie = {}
    shared: Shared = Shared()


class Known(msgspec.Struct, frozen=True):
    """Settled ports by id, on the ground that they settled on, and what follows for them.

    `owners` are the ports whose flows and guards these are, by cookie; `places` those that ports
    are in; `meters` those that their flows lead through.
    """

    ports: Mapping[str, Settled] = {}
    ground: Ground = Ground()
    owners: Mapping[int, str] = {}
    places: Mapping[Place, NetworkSegment] = {}
    meters: Mapping[int, tuple[Rate, str]] = {}

    def touched(self, now: Ground) -> set[str]:
        """Ports that anything happened to. Most often it is one of hundreds."""
        before, found = self.ground, set[str]()
        if now.devices is not before.devices:
            found |= {id_ for id_, one in self.ports.items() if not one.is_of(now.devices.get(id_))}
        if now.endpoints is not before.endpoints:
            found |= {
                id_
                for id_, one in self.ports.items()
                if one.wired.endpoint is not now.endpoints.get(id_)
            }
        if now.flows is not before.flows:
            had, have = before.flows.get, now.flows.get
            found |= {id_ for cookie, id_ in self.owners.items() if had(cookie) is not have(cookie)}
        named = before.shared.by_port.keys() | now.shared.by_port.keys()
        return found | {id_ for id_ in named if before.shared.of(id_) != now.shared.of(id_)}

    def without(self, gone: Collection[str]) -> "Known":
        if self.ports.keys().isdisjoint(gone):
            return self
        return Known().settled(
            {id_: one for id_, one in self.ports.items() if id_ not in gone}, self.ground
        )

    def settled(self, new: Mapping[str, Settled], ground: Ground) -> "Known":
        """With those that settled as well, or settled anew."""
        owners, meters = dict(self.owners), dict(self.meters)
        for port_id, one in new.items():
            owners[port_cookie(port_id)] = owners[guard_cookie(port_id)] = port_id
            meters.update({number: (rate, port_id) for number, rate in one.meters})
        places = {one.place: one.wired.segment for one in new.values()}
        return Known({**self.ports, **new}, ground, owners, {**self.places, **places}, meters)
