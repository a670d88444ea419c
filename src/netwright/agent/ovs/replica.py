"""The replica: what the OVSDB monitor has told, and the changes between two moments of it."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, TypeVar, cast

import msgspec

from netwright.agent.ovs.rows import (
    MONITORED,
    BridgeRow,
    InterfaceRow,
    OpenVSwitchRow,
    PortRow,
    Row,
    decode_row,
)

TableUpdates: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""RFC 7047 §4.1.6 <table-updates>: table → row uuid → {"old"?, "new"?}."""

R = TypeVar("R", OpenVSwitchRow, BridgeRow, PortRow, InterfaceRow)


class RowChange(msgspec.Struct, frozen=True):
    """A row that came (`old` is None), changed, or went (`new` is None)."""

    table: str
    uuid: str
    old: Row | None
    new: Row | None


class Replica:
    """Rows by table and uuid. Only the OVSDB client writes it; readers take frozen rows."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, Row]] = {table: {} for table in MONITORED}

    @property
    def root(self) -> OpenVSwitchRow | None:
        """The Open_vSwitch row, or None before the first snapshot."""
        return next(iter(self._rows("Open_vSwitch", OpenVSwitchRow).values()), None)

    @property
    def bridges(self) -> Mapping[str, BridgeRow]:
        return self._rows("Bridge", BridgeRow)

    @property
    def ports(self) -> Mapping[str, PortRow]:
        return self._rows("Port", PortRow)

    @property
    def interfaces(self) -> Mapping[str, InterfaceRow]:
        return self._rows("Interface", InterfaceRow)

    def apply(self, updates: TableUpdates) -> tuple[RowChange, ...]:
        """Take one update notification in; return what it changed."""
        return tuple(self._applied(updates))

    def replace(self, snapshot: TableUpdates) -> tuple[RowChange, ...]:
        """Take a whole snapshot after a reconnect; return the differences to what was known."""
        gone: dict[str, dict[str, Mapping[str, Any]]] = {
            table: {uuid: {} for uuid in rows if uuid not in snapshot.get(table, {})}
            for table, rows in self._tables.items()
        }
        return (*self._applied(gone), *self._applied(snapshot))

    def _applied(self, updates: TableUpdates) -> Iterator[RowChange]:
        for table, row_updates in updates.items():
            rows = self._tables[table]
            for uuid, update in row_updates.items():
                old = rows.get(uuid)
                columns = update.get("new")
                if columns is None:
                    rows.pop(uuid, None)
                    if old is not None:
                        yield RowChange(table, uuid, old, None)
                    continue
                new = decode_row(table, uuid, columns)
                if new != old:
                    rows[uuid] = new
                    yield RowChange(table, uuid, old, new)

    def _rows(self, table: str, _row_type: type[R]) -> Mapping[str, R]:
        return cast("Mapping[str, R]", self._tables[table])
