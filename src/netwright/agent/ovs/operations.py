"""Row changes as OVSDB operations (RFC 7047 §5.2). Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from netwright.agent.ovs.changes import (
    MARK,
    AddBridge,
    AddPort,
    NewInterface,
    RemovePort,
    RowChange,
    SetColumns,
    Value,
)

Operation: TypeAlias = dict[str, Any]

_EMPTY: tuple[str, list[Any]] = ("set", [])


def operations(changes: Iterable[RowChange]) -> list[Operation]:
    """Return the operations that make `changes` in one transaction."""
    return [op for number, change in enumerate(changes) for op in _of(change, f"new{number}")]


def taking_up() -> list[Operation]:
    """Ask ovs-vswitchd to report, in cur_cfg, when it has taken this transaction up.

    The last result of the transaction tells the number to wait for: see `cfg_number`.
    """
    return [
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["next_cfg", "+=", 1]],
        },
        {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["next_cfg"]},
    ]


def cfg_number(results: list[Mapping[str, Any]]) -> int:
    """Read the next_cfg that `taking_up` selected."""
    return int(results[-1]["rows"][0]["next_cfg"])


def _of(change: RowChange, name: str) -> Iterator[Operation]:
    match change:
        case AddBridge():
            yield from _add_bridge(change, name)
        case AddPort():
            yield from _add_port(change, name)
        case RemovePort():
            mutation = ["ports", "delete", ["uuid", change.uuid]]
            yield _mutate("Bridge", [["name", "==", change.bridge]], mutation)
        case SetColumns():
            yield from _set_columns(change)


def _add_bridge(change: AddBridge, name: str) -> Iterator[Operation]:
    local = NewInterface(change.name, "internal", mtu_request=change.mtu_request)
    yield _insert_interface(local, f"{name}_if")
    marks = {MARK: "bridge"}
    port = {
        "name": change.name,
        "interfaces": ["named-uuid", f"{name}_if"],
        "tag": change.local_tag,
        "external_ids": marks,
    }
    yield _insert("Port", f"{name}_port", port)
    bridge = {
        "name": change.name,
        "ports": ["named-uuid", f"{name}_port"],
        "datapath_type": change.datapath_type,
        "fail_mode": "secure",
        "external_ids": marks,
    }
    yield _insert("Bridge", name, bridge)
    yield _mutate("Open_vSwitch", [], ["bridges", "insert", ["named-uuid", name]])


def _add_port(change: AddPort, name: str) -> Iterator[Operation]:
    references = []
    for number, interface in enumerate(change.interfaces):
        references.append(["named-uuid", f"{name}_{number}"])
        yield _insert_interface(interface, f"{name}_{number}")
    kind = change.kind or ("patch" if change.interfaces[0].type == "patch" else "uplink")
    port: dict[str, Any] = {
        "name": change.name,
        "interfaces": ["set", references],
        "bond_mode": change.bond_mode,
        "lacp": change.lacp,
        "external_ids": {MARK: kind},
    }
    if change.tag is not None:
        port["tag"] = change.tag
    yield _insert("Port", name, port)
    where = [["name", "==", change.bridge]]
    yield _mutate("Bridge", where, ["ports", "insert", ["named-uuid", name]])


def _set_columns(change: SetColumns) -> Iterator[Operation]:
    where = [["_uuid", "==", ["uuid", change.uuid]]]
    if change.expected:
        yield {
            "op": "wait",
            "table": change.table,
            "where": where,
            "timeout": 0,
            "columns": list(change.expected),
            "until": "==",
            "rows": [_row(change.expected)],
        }
    if change.columns:
        row = _row(change.columns)
        yield {"op": "update", "table": change.table, "where": where, "row": row}
    if change.marks:
        # Key by key: the other keys of the map are other writers'.
        keys = ["set", list(change.marks)]
        delete = ["external_ids", "delete", keys]
        insert = ["external_ids", "insert", _json(change.marks)]
        yield _mutate(change.table, where, delete, insert)


def _insert_interface(interface: NewInterface, name: str) -> Operation:
    columns: dict[str, Any] = {
        "name": interface.name,
        "type": interface.type,
        "options": interface.options,
        "bfd": interface.bfd,
        "mtu_request": interface.mtu_request,
        "external_ids": {MARK: "interface", **interface.external_ids},
    }
    return _insert("Interface", name, columns)


def _insert(table: str, name: str, columns: Mapping[str, Any]) -> Operation:
    return {"op": "insert", "table": table, "uuid-name": name, "row": _row(columns)}


def _mutate(table: str, where: list[Any], *mutations: list[Any]) -> Operation:
    return {"op": "mutate", "table": table, "where": where, "mutations": list(mutations)}


def _row(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _json(value) for name, value in columns.items()}


def _json(value: Value | list[Any]) -> Any:
    if value is None:
        return _EMPTY
    if isinstance(value, tuple):
        return ["set", list(value)]
    if isinstance(value, Mapping):
        return ["map", [list(item) for item in value.items()]]
    return value
