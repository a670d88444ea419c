"""The OVSDB rows of one device's port, as they should be. Pure."""

from collections.abc import Iterator

from netwright.agent.ovs.actual import Device
from netwright.agent.ovs.changes import MARK, SEGMENT_MARK, RowChange, SetColumns, Value
from netwright.agent.ovs.wiring import Endpoint


def port_row(device: Device, tag: int, segment: str) -> Iterator[RowChange]:
    """Bring a device's port to its tag and mark; an access port, whatever it was plugged as."""
    port = device.port
    columns: dict[str, Value] = {}
    if port.tag != tag:
        columns["tag"] = tag
    if port.trunks:
        columns["trunks"] = ()
    if port.vlan_mode not in (None, "access"):
        columns["vlan_mode"] = None
    marks = {MARK: "port", SEGMENT_MARK: segment}
    missing = {key: mark for key, mark in marks.items() if port.external_ids.get(key) != mark}
    if columns or missing:
        expected: dict[str, Value] = {"tag": port.tag}
        yield SetColumns("Port", port.uuid, port.name, columns, missing, expected, device.port_id)


def mtu_row(device: Device, endpoint: Endpoint) -> Iterator[RowChange]:
    """Ask for the network's MTU; a device that has it already is left alone.

    No MTU is known before ovs-vswitchd has opened the device or, for a moment, after OVSDB's
    restart: then nothing is asked, the row's next change brings us here again.
    """
    interface = device.interface
    if endpoint.mtu is None or interface.mtu_request == endpoint.mtu:
        return
    if interface.mtu_request is None and interface.mtu in (None, endpoint.mtu):
        return
    columns = {"mtu_request": endpoint.mtu}
    yield SetColumns("Interface", interface.uuid, interface.name, columns, owner=device.port_id)
