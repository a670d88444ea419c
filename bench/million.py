"""A database with many ports, filled in seconds: the product's own rows, written in its absence.

Ports lie in networks of a thousand, each in a subnet of its own; every second one belongs to an
instance and is up on a host, the others have no more than their address. Secondary indexes are made
when all rows are there. PostgreSQL gets its statistics, as its autovacuum would give it; SQLite has
none, as with the product.
"""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, DropIndex

from netwright.db import statements
from netwright.ipam.addresses import from_text, to_key, to_text
from netwright.model.resources import (
    Binding,
    FixedIp,
    Network,
    NetworkType,
    Pool,
    Port,
    Segment,
    Subnet,
    VifType,
)
from netwright.model.states import BindingState, PortState
from netwright.server.ports.lifecycle import due_at
from netwright.server.store import schema
from netwright.server.store.opening import open_sqlite, open_store
from netwright.server.store.writing import network_row, port_row, subnet_row

PORTS = 1_000_000
HOSTS = 5_000
PROJECTS = 100
_PORTS_PER_NETWORK = 1_000
_FIRST = from_text("10.0.0.0")
_ADDRESSES = 1024  # of a subnet
_MADE_AT = 1.8e9
_CHUNK = 20_000
_SPREAD = 2_654_435_761  # Knuth's multiplicative hash: neighbours in one order are none in another
_VIF_DETAILS = {"bridge_name": "br-int", "port_filter": True, "connectivity": "l2"}

Rows = dict[Table, list[tuple[Any, ...]]]


class Ports:
    """So many ports, numbered from 0, in the order of their ids: so they are quick to write."""

    def __init__(self, count: int = PORTS) -> None:
        self.count = count
        self.networks = max(count // _PORTS_PER_NETWORK, 1)

    def id(self, n: int) -> str:
        return f"{n * 4096:08x}-{_scattered(n) % 65536:04x}-4000-8000-{_scattered(n):012x}"

    def name(self, n: int) -> str:
        return f"port-{n}"

    def network(self, n: int) -> int:
        """The number of the port's network. Neighbours are in different ones."""
        return n % self.networks

    def device(self, n: int) -> str:
        """The instance's id; the odd ones have none."""
        return "" if n % 2 else _uuid(3, _scattered(n))

    def address(self, n: int) -> str:
        return to_text(_FIRST + _ADDRESSES * self.network(n) + 2 + n // self.networks)

    def host(self, n: int) -> str:
        return "" if n % 2 else f"host-{_scattered(n) % HOSTS}"

    def value(self, n: int) -> Port:
        network, device, host = self.network(n), self.device(n), self.host(n)
        return Port(
            id=self.id(n),
            project_id=project_id(network),
            network_id=network_id(network),
            mac_address="fa:16:3e:" + ":".join(f"{n:06x}"[i : i + 2] for i in (0, 2, 4)),
            name=self.name(n),
            device_id=device,
            device_owner="compute:nova" if device else "",
            fixed_ips=(FixedIp(subnet_id=subnet_id(network), ip_address=self.address(n)),),
            bindings=(_up_on(host),) if host else (),
            generation=1 if host else 0,
            ever_bound=bool(host),
            state=PortState.ACTIVE if host else PortState.ALLOCATED,
            state_since=_MADE_AT + n,
            revision_number=3,
            created_at=_MADE_AT + n / 7,
            updated_at=_MADE_AT + n / 3,
        )


def project_id(network: int) -> str:
    return f"{network % PROJECTS:032x}"


def network_id(network: int) -> str:
    return _uuid(1, network)


def subnet_id(network: int) -> str:
    return _uuid(2, network)


def fill_sqlite(path: Path, ports: int = PORTS) -> None:
    """Make the file, as a server that was stopped leaves it."""
    database, _ = open_sqlite(path, "bench")
    database.close_now()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        indexes = _secondary_indexes(sqlite.dialect())
        for drop, _ in indexes:
            connection.execute(drop)
        connection.execute("BEGIN")
        for rows in _chunks(Ports(ports)):
            for table, listed in rows.items():
                connection.executemany(statements.sqlite_insert(table), listed)
        for _, create in indexes:
            connection.execute(create)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()


def fill_postgres(url: str, ports: int = PORTS) -> None:
    """Fill an empty database on which no server runs."""
    asyncio.run(_fill_postgres(url, Ports(ports)))


async def _fill_postgres(url: str, ports: Ports) -> None:
    opened = await open_store(url, "bench")
    await opened.database.close()
    session = await asyncpg.connect(url)
    try:
        await session.execute("SET maintenance_work_mem = '256MB'; SET synchronous_commit = off")
        indexes = _secondary_indexes(postgresql.dialect())  # type: ignore[no-untyped-call]
        for drop, _ in indexes:
            await session.execute(drop)
        for rows in _chunks(ports):
            for table, listed in rows.items():
                columns = statements.columns_of(table)
                await session.copy_records_to_table(table.name, records=listed, columns=columns)
        for _, create in indexes:
            await session.execute(create)
        await session.execute("VACUUM ANALYZE")
    finally:
        await session.close()


def _secondary_indexes(dialect: Dialect) -> list[tuple[str, str]]:
    """How each is dropped, and made."""
    filled = (schema.port, schema.allocation, schema.binding)
    return [
        (
            str(DropIndex(index).compile(dialect=dialect)),
            str(CreateIndex(index).compile(dialect=dialect)),
        )
        for table in filled
        for index in table.indexes
    ]


def _chunks(ports: Ports) -> Iterator[Rows]:
    networks = range(ports.networks)
    yield {
        schema.network: [network_row(_network(n)) for n in networks],
        schema.subnet: [subnet_row(_subnet(n)) for n in networks],
    }
    for start in range(0, ports.count, _CHUNK):
        yield _rows([ports.value(n) for n in range(start, min(start + _CHUNK, ports.count))])


def _rows(ports: Sequence[Port]) -> Rows:
    return {
        schema.port: [port_row(port, 0, msgspec.json.encode(port).decode()) for port in ports],
        schema.allocation: [
            (ip.subnet_id, to_key(from_text(ip.ip_address)), port.project_id, port.id, None)
            for port in ports
            for ip in port.fixed_ips
        ],
        schema.binding: [
            (port.id, each.host, port.network_id, each.state, due_at(each))
            for port in ports
            for each in port.bindings
        ],
    }


def _network(n: int) -> Network:
    return Network(
        id=network_id(n),
        project_id=project_id(n),
        segment=Segment(network_type=NetworkType.VXLAN, segmentation_id=n + 1),
        name=f"network-{n}",
        subnets=(subnet_id(n),),
        created_at=_MADE_AT,
        updated_at=_MADE_AT,
    )


def _subnet(n: int) -> Subnet:
    first = _FIRST + _ADDRESSES * n
    return Subnet(
        id=subnet_id(n),
        network_id=network_id(n),
        project_id=project_id(n),
        cidr=f"{to_text(first)}/22",
        ip_version=4,
        gateway_ip=to_text(first + 1),
        allocation_pools=(Pool(start=to_text(first + 2), end=to_text(first + _ADDRESSES - 2)),),
        created_at=_MADE_AT,
        updated_at=_MADE_AT,
    )


def _up_on(host: str) -> Binding:
    return Binding(
        host=host,
        generation=1,
        active=True,
        state=BindingState.UP,
        since=_MADE_AT,
        vif_type=VifType.OVS,
        vif_details=_VIF_DETAILS,
        device_seen_at=_MADE_AT,
        was_up=True,
    )


def _uuid(kind: int, n: int) -> str:
    return f"{n:08x}-{kind:04x}-4000-8000-{n:012x}"


def _scattered(n: int) -> int:
    return n * _SPREAD % 2**32
