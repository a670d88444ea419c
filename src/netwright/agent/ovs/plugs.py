"""Plugging a container's device into the integration bridge, as orchestrators do. Pure.

docs/plugging.md says why it goes into the dead VLAN.
"""

from collections.abc import Mapping
from typing import Any

from netwright.agent.ovs.changes import DEAD_VLAN
from netwright.agent.ovs.operations import Operation
from netwright.agent.wiring import NewDevice

CONTAINER_MARK = "netwright-container"
"""external_ids key on an interface that we plugged for a container: CONTAINER@INTERFACE."""

_MTU_WITHOUT_ASKING = 1500


def plugging(bridge: str, device: NewDevice) -> list[Operation]:
    """The last operation's count says whether there is such a bridge."""
    ids = {
        "iface-id": device.port_id,
        "iface-status": "active",
        "attached-mac": device.mac_address,
        CONTAINER_MARK: device.owner,
    }
    interface: dict[str, Any] = {"name": device.name, "external_ids": _map(ids)}
    if device.mtu > _MTU_WITHOUT_ASKING:
        interface["mtu_request"] = device.mtu
    port = {"name": device.name, "tag": DEAD_VLAN, "interfaces": ["named-uuid", "interface"]}
    return [
        {"op": "insert", "table": "Interface", "uuid-name": "interface", "row": interface},
        {"op": "insert", "table": "Port", "uuid-name": "port", "row": port},
        {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", bridge]],
            "mutations": [["ports", "insert", ["named-uuid", "port"]]],
        },
    ]


def unplugging(bridge: str, port_uuid: str) -> list[Operation]:
    return [
        {
            "op": "mutate",
            "table": "Bridge",
            "where": [["name", "==", bridge]],
            "mutations": [["ports", "delete", ["uuid", port_uuid]]],
        }
    ]


def _map(values: Mapping[str, str]) -> list[Any]:
    return ["map", [list(item) for item in values.items()]]
