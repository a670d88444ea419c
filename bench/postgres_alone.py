"""The physical limit of creating ports: PostgreSQL alone, writing the product's own rows.

One SQL function makes a hundred ports in one call, in tables that the server's own code made, with
all their indexes: for each port an address, the port itself, that it is a member of its project's
default group, and its line of the event log. A port that the server has made is the pattern of
their rows. pgbench calls it, so that neither Python nor a round trip a row is in the way.

It writes what the server writes, and in the order in which the server does: it takes the same turn,
and its events follow the last one of the log, so that their places and the commits have one order.
It decides less: addresses and MACs come from a counter and are free by that, nothing is looked up
(network, subnet, groups, quota, who had the MAC), nothing is refused, and nobody is told.
"""

import asyncio
import re
import subprocess
from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy import Table
from tests.doubles.postgres import PROGRAMS, USER, Postgres

from netwright.db.postgres_transaction import TURN_KEY
from netwright.server.store import schema
from netwright.server.store.opening import open_store

PORTS = 100
CONNECTIONS = (1, 2, 4, 8)

_FUNCTION = """
CREATE SEQUENCE bench_number;
CREATE FUNCTION bench_create(count integer) RETURNS void LANGUAGE sql AS $body$
  SELECT pg_advisory_xact_lock({turn});
  WITH last AS MATERIALIZED (
    SELECT coalesce(max(seq), 0) AS seq FROM event
  ), made AS MATERIALIZED (
    SELECT gen_random_uuid()::text AS id, nextval('bench_number') AS number, last.seq + each AS seq
    FROM last, generate_series(1, count) AS each
  ), scattered AS (  -- MACs that come once in 2^24, in no order
    SELECT *, encode(int4send((number * 10368889 % 16777216)::int), 'hex') AS hex FROM made
  ), named AS MATERIALIZED (
    SELECT *, host('10.0.0.0'::inet + number) AS ip, 'fa:16:3e:' || substr(hex, 3, 2)
      || ':' || substr(hex, 5, 2) || ':' || substr(hex, 7, 2) AS mac,
      '\\x00000000000000000000ffff'::bytea || int4send((167772160 + number)::int) AS key
    FROM scattered
  ), ports AS (
    INSERT INTO port ({port_columns}) SELECT {port_values} FROM named
  ), allocations AS (
    INSERT INTO allocation ({allocation_columns}) SELECT {allocation_values} FROM named
  ), memberships AS (
    INSERT INTO membership ({membership_columns}) SELECT {membership_values} FROM named
  )
  INSERT INTO event ({event_columns}) SELECT {event_values} FROM named
$body$;
"""


class Alone(NamedTuple):
    """A database of the server's own form, with the function in it."""

    postgres: Postgres
    name: str
    connections: int = 1

    def ports_per_second(self, seconds: int) -> float:
        """What so many connections make, each calling back to back."""
        said = subprocess.run(
            [
                *(str(PROGRAMS / "pgbench"), "--no-vacuum", "--protocol", "prepared"),
                *("--client", str(self.connections), "--time", str(seconds)),
                *("--file", "-", "--host", str(self.postgres.directory), "--username", USER),
                self.name,
            ],
            input=f"SELECT bench_create({PORTS});",
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=seconds + 30,
        ).stdout
        found = re.search(r"^tps = ([\d.]+) ", said, re.MULTILINE)
        assert found is not None, said
        assert "number of failed transactions: 0 " in said, said
        return float(found[1]) * PORTS

    def at_its_best(self) -> "Alone":
        """With as many connections as make the most."""
        tried = [self._replace(connections=each) for each in CONNECTIONS]
        return max(tried, key=lambda alone: alone.ports_per_second(2))


def alone(postgres: Postgres, name: str, pattern_of: str) -> Alone:
    """A new database, whose ports are like the one that `pattern_of`, another database, has."""
    postgres.new_database(name)
    asyncio.run(_prepare(postgres.url(name), postgres.url(pattern_of)))
    return Alone(postgres, name)


async def _prepare(url: str, pattern_url: str) -> None:
    opened = await open_store(url, "bench")
    await opened.database.close()
    source = await asyncpg.connect(pattern_url)
    pattern = await pattern_of(source)
    await source.close()
    made = await asyncpg.connect(url)
    await made.execute(_FUNCTION.format(turn=TURN_KEY, **pattern.columns(seq="seq")))
    await made.close()


class Pattern(NamedTuple):
    """The rows of a port that the server has made, of which others are made."""

    port: Any
    allocation: Any
    membership: Any
    event: Any

    def columns(self, seq: str = "number", **own: str) -> dict[str, str]:
        """Each table's columns, and what they are in SQL: the pattern's, but for a port's own.

        `seq` is its event's place, `own` are further attributes of the port, and the SQL of each.
        """
        address = ".".join(str(byte) for byte in self.allocation["address"][12:])
        body = {"id": self.port["id"], "mac": self.port["mac_address"], "ip": address}
        body |= {sql: self.port[name] for name, sql in own.items()}
        return {
            **_columns(
                schema.port, self.port, body, id="id", mac_address="mac", event_seq=seq, **own
            ),
            **_columns(schema.allocation, self.allocation, body, address="key", port_id="id"),
            **_columns(schema.membership, self.membership, body, port_id="id"),
            **_columns(schema.event, self.event, body, seq=seq, id="id"),
        }


async def pattern_of(connection: asyncpg.Connection) -> Pattern:
    """That of the database's first port."""
    port = await connection.fetchrow("SELECT * FROM port ORDER BY created_at LIMIT 1")
    sql = "SELECT * FROM allocation WHERE port_id = $1"
    allocation = await connection.fetchrow(sql, port["id"])
    sql = "SELECT * FROM membership WHERE port_id = $1"
    membership = await connection.fetchrow(sql, port["id"])
    sql = "SELECT * FROM event WHERE id = $1 ORDER BY seq LIMIT 1"
    return Pattern(port, allocation, membership, await connection.fetchrow(sql, port["id"]))


def _columns(table: Table, row: Any, body: dict[str, str], **own: str) -> dict[str, str]:
    """The table's columns, and what each is: the pattern's, but for those that are a port's own."""
    names = [column.name for column in table.columns]
    values = [own.get(name) or _value(name, row[name], body) for name in names]
    return {f"{table.name}_columns": _listed(names), f"{table.name}_values": _listed(values)}


def _value(name: str, value: Any, body: dict[str, str]) -> str:
    if value is None:
        return "NULL"
    if name == "body":
        text = _quoted(value).replace("%", "%%")
        for place, part in enumerate(body.values(), start=1):
            assert f'"{part}"' in text, f"the pattern's body has no {part}"
            text = text.replace(f'"{part}"', f'"%{place}$s"')
        return f"format({text}, {_listed(list(body))})"
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(parts)
