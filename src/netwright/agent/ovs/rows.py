"""OVSDB rows that the agent watches, as frozen values (ovs-vswitchd.conf.db(5)).

Only these columns are monitored: statistics change every second and would wake an idle agent.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec


class OpenVSwitchRow(msgspec.Struct, frozen=True):
    """The one root row; `cur_cfg` follows `next_cfg` once ovs-vswitchd has applied it."""

    uuid: str
    bridges: tuple[str, ...]
    cur_cfg: int
    next_cfg: int
    ovs_version: str | None


class BridgeRow(msgspec.Struct, frozen=True):
    uuid: str
    name: str
    ports: tuple[str, ...]
    datapath_type: str
    fail_mode: str | None
    external_ids: Mapping[str, str]


class PortRow(msgspec.Struct, frozen=True):
    uuid: str
    name: str
    interfaces: tuple[str, ...]
    tag: int | None
    trunks: tuple[int, ...]
    vlan_mode: str | None
    bond_mode: str | None
    lacp: str | None
    bond_active_slave: str | None
    external_ids: Mapping[str, str]


class InterfaceRow(msgspec.Struct, frozen=True):
    """`ofport` is None until ovs-vswitchd has opened the device, -1 when it could not.

    `ofport_request` is the number that it was asked to give.
    """

    uuid: str
    name: str
    type: str
    ofport: int | None
    options: Mapping[str, str]
    external_ids: Mapping[str, str]
    mac_in_use: str | None
    mtu: int | None
    mtu_request: int | None
    admin_state: str | None
    link_state: str | None
    bfd: Mapping[str, str]
    bfd_status: Mapping[str, str]
    error: str | None
    ofport_request: int | None = None


_EMPTY: Mapping[str, str] = {}

Row: TypeAlias = OpenVSwitchRow | BridgeRow | PortRow | InterfaceRow


class RowDecodeError(Exception):
    """A row does not have the shape of the Open_vSwitch schema: the database's fault."""


def scalar(value: Any) -> Any:
    """One atom, or None for the empty set (a column that is optional)."""
    if isinstance(value, list):
        if value[0] == "uuid":
            return value[1]
        if value == ["set", []]:
            return None
        raise RowDecodeError(f"expected at most one value, found {value!r}")
    return value


def members(value: Any) -> tuple[Any, ...]:
    """Decode a set column: ["set", [...]], or one bare atom."""
    if isinstance(value, list) and value[0] == "set":
        return tuple(scalar(item) for item in value[1])
    return (scalar(value),)


def mapping(value: Any) -> Mapping[str, str]:
    """Decode a map column: ["map", [[key, value], ...]]. All rows share their keys' text."""
    if not (isinstance(value, list) and value[0] == "map"):
        raise RowDecodeError(f"expected a map, found {value!r}")
    return {sys.intern(key): text for key, text in sorted(value[1])} or _EMPTY


_ROW_TYPES: Mapping[str, type[Row]] = {
    "Open_vSwitch": OpenVSwitchRow,
    "Bridge": BridgeRow,
    "Port": PortRow,
    "Interface": InterfaceRow,
}


def _decoder(annotation: object) -> Callable[[Any], Any]:
    text = str(annotation)
    if "Mapping" in text:
        return mapping
    return members if "tuple" in text else scalar


_DECODERS: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    table: {
        field.name: _decoder(field.type)
        for field in msgspec.structs.fields(row_type)
        if field.name != "uuid"
    }
    for table, row_type in _ROW_TYPES.items()
}

MONITORED: Mapping[str, tuple[str, ...]] = {
    table: tuple(columns) for table, columns in _DECODERS.items()
}
"""Table name → columns, as the monitor request wants them."""


def decode_row(table: str, uuid: str, columns: Mapping[str, Any]) -> Row:
    """Turn one row of a monitor's "new" into its frozen value. Raises RowDecodeError."""
    try:
        values = {name: decode(columns[name]) for name, decode in _DECODERS[table].items()}
        return _ROW_TYPES[table](uuid=uuid, **values)
    except (KeyError, IndexError, TypeError) as error:
        raise RowDecodeError(f"{table} row {uuid}: {error!r} in {columns!r}") from error
