"""The physical limit of creating ports: SQLite alone, writing the product's own rows.

The server's own code decides batches on a database in memory while its writes are recorded:
statements and values, every row and index of theirs. Replaying them, with one durable commit a
batch on a file that the server's own engine opened, is what the server could reach at best.
"""

import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from netwright.ipam.ledger import Ledger
from netwright.model.resources import NetworkType, Segment
from netwright.server import batch
from netwright.server.api.ids import new_id
from netwright.server.commands import (
    Caller,
    Command,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    NetworkDraft,
    PortDraft,
    SubnetDraft,
)
from netwright.server.store.opening import open_database
from netwright.server.store.schema import sqlite_ddl

_ADMIN = Caller(project_id="0" * 32, is_admin=True)
_SEGMENT = Segment(network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=100)


class Write(NamedTuple):
    """One statement and the rows that it was executed with."""

    sql: str
    rows: Sequence[Any]


Writes = list[Write]


class _Recorder(sqlite3.Connection):
    writes: Writes

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if not sql.startswith("SELECT"):
            self.writes.append(Write(sql, [parameters]))
        return super().execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
        listed = list(rows)
        if listed:
            self.writes.append(Write(sql, listed))
        return super().executemany(sql, listed)


class Replay:
    """A fresh database, and batches of ports that wait to be written to it."""

    def __init__(self, path: Path, batches: int, ports: int) -> None:
        self._database, _ = open_database(path, "bench")
        scene, self._batches = _record(batches, ports)
        self._database.write_now(lambda connection: _apply(connection, scene))
        self._ports = ports

    def run(self, seconds: float) -> list[float]:
        """Write batches for so long; how long each took, in seconds."""
        took: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            writes = self._batches.pop()
            began = time.perf_counter()
            self._database.write_now(lambda connection, w=writes: _apply(connection, w))  # type: ignore[misc]
            took.append(time.perf_counter() - began)
        return took

    def ports_per_second(self, seconds: float) -> float:
        took = self.run(seconds)
        return len(took) * self._ports / sum(took)

    def close(self) -> None:
        self._database.close()


def _apply(connection: sqlite3.Connection, writes: Writes) -> None:
    for write in writes:
        connection.executemany(write.sql, write.rows)


def _record(batches: int, ports: int) -> tuple[Writes, list[Writes]]:
    connection = sqlite3.connect(":memory:", factory=_Recorder, isolation_level=None)
    connection.writes = []
    ledger = Ledger("bench")
    for statement in sqlite_ddl():
        connection.execute(statement)
    network_id = new_id()
    network = NetworkDraft(id=network_id, project_id=_ADMIN.project_id, segment=_SEGMENT)
    subnet = SubnetDraft(
        id=new_id(),
        project_id=_ADMIN.project_id,
        network_id=network_id,
        cidr="10.0.0.0/10",
        ip_version=4,
    )
    scene = _decide(
        connection,
        ledger,
        [
            CreateNetworks(caller=_ADMIN, drafts=(network,)),
            CreateSubnets(caller=_ADMIN, drafts=(subnet,)),
        ],
    )
    recorded = [
        _decide(connection, ledger, [_create(network_id) for _ in range(ports)])
        for _ in range(batches)
    ]
    connection.close()
    return scene, recorded[::-1]


def _decide(connection: _Recorder, ledger: Ledger, commands: list[Command]) -> Writes:
    connection.writes = []
    outcomes, _ = batch.run(connection, commands, ledger=ledger, now=time.time(), epoch="bench")
    ledger.commit()
    failed = [each for each in outcomes if isinstance(each, Exception)]
    assert not failed, failed[0]
    return connection.writes


def _create(network_id: str) -> CreatePorts:
    draft = PortDraft(id=new_id(), project_id=_ADMIN.project_id, network_id=network_id)
    return CreatePorts(caller=_ADMIN, drafts=(draft,))
