"""Ports of which nothing was to be changed, remembered from one planning to the next. Pure."""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from netwright.agent.ovs.actual import Device, FlowsByCookie
from netwright.agent.ovs.changes import EndpointState
from netwright.agent.ovs.guarding import Shared, guard_cookie
from netwright.agent.ovs.pipeline import port_cookie
from netwright.agent.ovs.wanted import Wired
from netwright.agent.ovs.wiring import Endpoint, Rate

Place: TypeAlias = tuple[str, int | None]
"""Where a settled port is: its segment's text, its tag."""


class Settled(msgspec.Struct, frozen=True):
    """A wired port of which nothing is to be changed, and what follows for it."""

    wired: Wired
    place: Place
    meters: tuple[tuple[int, Rate], ...]
    up: EndpointState

    def is_of(self, device: Device, endpoint: Endpoint | None) -> bool:
        """Whether these are the values that it was settled with (its tag is compared later)."""
        before = self.wired.device
        is_same = before is device or (
            before.port is device.port and before.interface is device.interface
        )
        return is_same and self.wired.endpoint is endpoint


class Known(msgspec.Struct, frozen=True):
    """Settled ports by id, with the flows and shared targets that they were settled with.

    `owners` are the ports whose flows and guards these are, by cookie.
    """

    ports: Mapping[str, Settled] = {}
    owners: Mapping[int, str] = {}
    flows: FlowsByCookie = {}
    shared: Shared = Shared()

    def touched(self, flows: FlowsByCookie, shared: Shared) -> set[str]:
        """The ports whose own flows, or whose targets that others claim too, are others now."""
        found: set[str] = set()
        if flows is not self.flows:
            before = self.flows
            found = {
                port_id
                for cookie, port_id in self.owners.items()
                if flows.get(cookie) is not before.get(cookie)
            }
        named = self.shared.by_port.keys() | shared.by_port.keys()
        return found | {one for one in named if self.shared.of(one) != shared.of(one)}

    def then(self, ports: Mapping[str, Settled], flows: FlowsByCookie, shared: Shared) -> "Known":
        """What is settled now, with what."""
        owners = dict(self.owners)
        for port_id in self.ports.keys() - ports.keys():
            for cookie in _owners(port_id):
                del owners[cookie]
        for port_id in ports.keys() - self.ports.keys():
            owners |= dict.fromkeys(_owners(port_id), port_id)
        return Known(dict(ports), owners, flows, shared)


def _owners(port_id: str) -> tuple[int, int]:
    return port_cookie(port_id), guard_cookie(port_id)
