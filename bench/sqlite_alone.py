"""The physical limit of creating ports: SQLite alone, writing the product's own rows.

The server's own code decides batches on a database in memory while its writes are recorded:
statements and values, every row and index of theirs. Replaying them, with one durable commit a
batch on a file that the server's own engine opened, is what the server could reach at best.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from netwright.db.sqlite import SqliteTransaction, run_now
from netwright.db.transaction import Transaction
from netwright.ipam.ledger import Ledger
from netwright.model.resources import NetworkType, Segment
from netwright.model.states import Plane
from netwright.model.wire import HostRegistration, Report, ReportBatch, ReportStatus
from netwright.server import batch
from netwright.server.api.ids import new_id
from netwright.server.commands import (
    ApplyReports,
    Caller,
    Command,
    CreateNetworks,
    CreatePorts,
    CreateSubnets,
    NetworkDraft,
    PortDraft,
    RegisterHost,
    SubnetDraft,
)
from netwright.server.store.memory import Memory
from netwright.server.store.opening import open_sqlite
from netwright.server.store.schema import sqlite_ddl

_ADMIN = Caller(project_id="0" * 32, is_admin=True)
_SEGMENT = Segment(network_type=NetworkType.VLAN, physical_network="physnet1", segmentation_id=100)

_REGISTRATION = HostRegistration(
    epoch="life", driver="ovs", physical_networks={"physnet1": "br-bond"}
)


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


class Recording(NamedTuple):
    """What makes a database ready, then batches of `items` each, the last one first."""

    scene: Writes
    batches: list[Writes]
    items: int


class Replay:
    """A fresh database, and batches that wait to be written to it."""

    def __init__(self, path: Path, recording: Recording) -> None:
        self._database, _ = open_sqlite(path, "bench")
        self._recording = recording
        self._database.write_now(partial(_apply, writes=recording.scene))

    def run(self, seconds: float, every_s: float = 0.0) -> list[float]:
        """Write batches for so long, or until none is left; how long each took, in seconds.

        Not more often than `every_s`: what rests between two writes wakes up slower.
        """
        took: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end and self._recording.batches:
            took.append(self.one())
            time.sleep(max(every_s - took[-1], 0.0))
        return took

    def one(self) -> float:
        """Write the next batch; how long it took, in seconds."""
        apply = partial(_apply, writes=self._recording.batches.pop())
        began = time.perf_counter()
        self._database.write_now(apply)
        return time.perf_counter() - began

    def items_per_second(self, seconds: float) -> float:
        took = self.run(seconds)
        return len(took) * self._recording.items / sum(took)

    def close(self) -> None:
        self._database.close_now()


def creations(batches: int, ports: int, host: str = "") -> Recording:
    """Batches of so many ports to be created, and bound when a host is named."""
    with _deciding() as decide:
        network_id, scene = _network(decide)
        if host:
            scene += decide([RegisterHost(caller=_ADMIN, host=host, registration=_REGISTRATION)])
        recorded = [
            decide([_create(network_id, host) for _ in range(ports)]) for _ in range(batches)
        ]
    return Recording(scene, recorded[::-1], ports)


def reports(count: int, host: str = "host1") -> Recording:
    """Batches of one report each: a port's underlay is up on its host."""
    with _deciding() as decide:
        network_id, scene = _network(decide)
        creating = [_create(network_id, host) for _ in range(count)]
        scene += decide([RegisterHost(caller=_ADMIN, host=host, registration=_REGISTRATION)])
        for start in range(0, count, 100):
            scene += decide(creating[start : start + 100])
        recorded = [decide([_report(each.drafts[0].id, host)]) for each in creating]
    return Recording(scene, recorded[::-1], 1)


async def _apply(tx: Transaction, writes: Writes) -> None:
    assert isinstance(tx, SqliteTransaction)
    for write in writes:
        tx.connection.executemany(write.sql, write.rows)


_Decide = Callable[[Sequence[Command]], Writes]


@contextmanager
def _deciding() -> Iterator[_Decide]:
    """Decides commands as the server does, in memory; what it would write."""
    connection = sqlite3.connect(":memory:", factory=_Recorder, isolation_level=None)
    connection.writes = []
    tx = SqliteTransaction(connection)
    ledger, memory = Ledger("bench"), Memory()
    for statement in sqlite_ddl():
        connection.execute(statement)

    def decide(commands: Sequence[Command]) -> Writes:
        connection.writes = []
        deciding = batch.run(
            tx,
            commands,
            aside=lambda work: work(tx),
            ledger=ledger,
            memory=memory,
            now=time.time(),
            epoch="bench",
        )
        decided = run_now(deciding)
        ledger.commit()
        decided.remember()
        failed = [each for each in decided.outcomes if isinstance(each, Exception)]
        assert not failed, failed[0]
        return connection.writes

    yield decide
    connection.close()


def _network(decide: _Decide) -> tuple[str, Writes]:
    network_id = new_id()
    network = NetworkDraft(id=network_id, project_id=_ADMIN.project_id, segment=_SEGMENT)
    subnet = SubnetDraft(
        id=new_id(),
        project_id=_ADMIN.project_id,
        network_id=network_id,
        cidr="10.0.0.0/10",
        ip_version=4,
    )
    creating = (
        CreateNetworks(caller=_ADMIN, drafts=(network,)),
        CreateSubnets(caller=_ADMIN, drafts=(subnet,)),
    )
    return network_id, decide(creating)


def _create(network_id: str, host: str = "") -> CreatePorts:
    draft = PortDraft(id=new_id(), project_id=_ADMIN.project_id, network_id=network_id, host=host)
    return CreatePorts(caller=_ADMIN, drafts=(draft,))


def _report(port_id: str, host: str) -> ApplyReports:
    up = Report(plane=Plane.UNDERLAY, generation=1, status=ReportStatus.UP, port_id=port_id)
    return ApplyReports(caller=_ADMIN, batch=ReportBatch(host=host, epoch="life", reports=(up,)))
