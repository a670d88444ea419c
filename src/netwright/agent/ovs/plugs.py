"""Plugging a container's device into the integration bridge, as orchestrators do. Pure.

docs/plugging.md says why it goes into the dead VLAN.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from netwright.agent.ovs.actual import ASKED_FROM, CONTAINER_MARK
from netwright.agent.ovs.changes import DEAD_VLAN
from netwright.agent.ovs.operations import Operation
from netwright.agent.ovs.rows import InterfaceRow
from netwright.agent.wiring import NewDevice

_MTU_WITHOUT_ASKING = 1500
_LEAVE_ALONE = "linux-noop"
"""ovs-vswitchd takes away what is at a device's root, unless this says not to (its QoS table)."""


class Place(msgspec.Struct, frozen=True):
    """The tag and marks of the port that a device gets: of the dead VLAN, or as the plan has it."""

    tag: int = DEAD_VLAN
    marks: Mapping[str, str] = {}


DEAD_PLACE = Place()


class Numbers:
    """OpenFlow ports for containers' devices, one after the other.

    ovs-vswitchd gives its own from 1 on, and comes here after as many ports as that in one life;
    should it have given one to another device a moment before, ours gets another. Twice a number, a
    meter's, is below 65536, as many as its userspace datapath has.
    """

    FIRST, LAST = ASKED_FROM, 31_999

    def __init__(self) -> None:
        self._last: int | None = None

    def next(self, interfaces: Iterable[InterfaceRow]) -> int | None:
        """None when all are taken. A number that became free is given last of all."""
        taken = {
            number
            for one in interfaces
            for number in (one.ofport, one.ofport_request)
            if number is not None and self.FIRST <= number <= self.LAST
        }
        last = max(taken, default=self.LAST) if self._last is None else self._last
        count = self.LAST - self.FIRST + 1
        for step in range(1, count + 1):
            number = self.FIRST + (last - self.FIRST + step) % count
            if number not in taken:
                self._last = number
                return number
        return None


def plugging(
    bridge: str, device: NewDevice, place: Place = DEAD_PLACE, ofport: int | None = None
) -> list[Operation]:
    """`ofport` is asked for. The last operation's count says whether there is such a bridge."""
    ids = {
        "iface-id": device.port_id,
        "iface-status": "active",
        CONTAINER_MARK: device.owner,
    }
    if device.mac_address:
        ids["attached-mac"] = device.mac_address
    interface: dict[str, Any] = {"name": device.name, "external_ids": _map(ids)}
    if ofport is not None:
        interface["ofport_request"] = ofport
    if device.mtu > _MTU_WITHOUT_ASKING:
        interface["mtu_request"] = device.mtu
    port: dict[str, Any] = {
        "name": device.name,
        "tag": place.tag,
        "interfaces": ["named-uuid", "interface"],
    }
    if place.marks:
        port["external_ids"] = _map(place.marks)
    limit: list[Operation] = []
    if device.is_limited:
        port["qos"] = ["named-uuid", "qos"]
        row = {"type": _LEAVE_ALONE, "external_ids": _map({CONTAINER_MARK: device.name})}
        limit.append({"op": "insert", "table": "QoS", "uuid-name": "qos", "row": row})
    return [
        *limit,
        {"op": "insert", "table": "Interface", "uuid-name": "interface", "row": interface},
        {"op": "insert", "table": "Port", "uuid-name": "port", "row": port},
        {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", bridge]],
            "mutations": [["ports", "insert", ["named-uuid", "port"]]],
        },
    ]


def unplugging(bridge: str, port_uuid: str, name: str) -> list[Operation]:
    port = [["_uuid", "==", ["uuid", port_uuid]]]
    return [
        {"op": "update", "table": "Port", "where": port, "row": {"qos": ["set", []]}},
        without_limit(name),
        {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", bridge]],
            "mutations": [["ports", "delete", ["uuid", port_uuid]]],
        },
    ]


def without_limit(name: str) -> Operation:
    """The row of a device's limit, which nothing else refers to, is not gone by itself."""
    mark = ["external_ids", "includes", _map({CONTAINER_MARK: name})]
    return {"op": "delete", "table": "QoS", "where": [mark]}


def _map(values: Mapping[str, str]) -> list[Any]:
    return ["map", [list(item) for item in values.items()]]
