"""Fills a server's database with ports by SQL, each as the server would have made it.

All four tables that a port's creation writes: `port`, `allocation`, `membership`, and `event`, as
far as the log keeps events.
"""

import asyncpg

from bench.postgres_alone import pattern_of
from netwright.server.store.events import EVENTS_KEPT

FIRST = 2
"""The number of a subnet's first address that a port gets: the gateway has the one before."""

_PORTS = """
  WITH numbered AS (
    SELECT number, md5('{salt}' || number)::uuid::text AS id,
      encode(int4send((number * 10368889 % 16777216)::int), 'hex') AS hex
    FROM generate_series({first}::bigint, {last}::bigint) AS number WHERE {which}
  ), named AS MATERIALIZED (
    SELECT *, host('10.0.0.0'::inet + number) AS ip, 'fa:16:3e:' || substr(hex, 3, 2)
      || ':' || substr(hex, 5, 2) || ':' || substr(hex, 7, 2) AS mac,
      '\\x00000000000000000000ffff'::bytea || int4send((167772160 + number)::int) AS key,
      'name-' || number AS name, 'device-' || number AS device,
      {last_seq} + row_number() OVER (ORDER BY number) AS seq
    FROM numbered WHERE hex <> '{taken_hex}' ORDER BY id
  ), ports AS (
    INSERT INTO port ({port_columns}) SELECT {port_values} FROM named
  ), allocations AS (
    INSERT INTO allocation ({allocation_columns}) SELECT {allocation_values} FROM named
  ), memberships AS (
    INSERT INTO membership ({membership_columns}) SELECT {membership_values} FROM named
  )
  INSERT INTO event ({event_columns})
  SELECT {event_values} FROM named WHERE seq > (SELECT max(seq) FROM named) - {kept} ORDER BY seq
"""

# Else the log would have a gap, between what was in it and the events that are kept.
_FORGOTTEN = "DELETE FROM event WHERE seq <= (SELECT max(seq) FROM event) - $1"

# A block is as many addresses as the server cuts: 256 of a large subnet. Of the first one, the
# subnet's own address and its gateway are nobody's.
_BLOCKS = """
  INSERT INTO block (subnet_id, number, owner, expires_at, is_full)
  SELECT subnet_id, substr(address, 1, 15) || '\\x00', NULL, NULL,
    count(*) >= CASE WHEN substr(address, 13, 3) = '\\x0a0000' THEN 254 ELSE 256 END
  FROM allocation GROUP BY subnet_id, substr(address, 1, 15), substr(address, 13, 3)
  ON CONFLICT (subnet_id, number) DO NOTHING
"""

_FILLED = ("port", "allocation", "membership", "event")


async def fill(url: str, count: int, fraction: float = 1.0) -> None:
    """Make the first `count` addresses of 10.0.0.0 ports', or this fraction of them, at random.

    The database's first port is their pattern; its name is `name`, its device_id `device`.
    """
    connection = await asyncpg.connect(url, command_timeout=300)
    pattern = await pattern_of(connection)
    columns = pattern.columns("seq", name="name", device_id="device")
    taken = await connection.fetch("SELECT address FROM allocation")
    own = " AND ".join(f"number <> {int.from_bytes(row[0][13:])}" for row in taken)
    fractional = f"(hashint8(number) & 65535) < {round(fraction * 65536)}"
    async with connection.transaction():
        indexes = await _drop_indexes(connection)
        await connection.execute(
            _PORTS.format(
                salt=url,
                first=FIRST,
                last=FIRST + count - 1,
                which=f"{own} AND {fractional}",
                taken_hex="00" + pattern.port["mac_address"][9:].replace(":", ""),
                last_seq=await connection.fetchval("SELECT max(seq) FROM event"),
                kept=EVENTS_KEPT,
                **columns,
            )
        )
        await connection.execute(_FORGOTTEN, EVENTS_KEPT)
        await connection.execute("DELETE FROM block")
        await connection.execute(_BLOCKS)
        for definition in indexes:
            await connection.execute(definition)
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def _drop_indexes(connection: asyncpg.Connection) -> list[str]:
    """Drop what can be made anew faster than kept; the statements that do so."""
    found = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY($1) "
        "AND indexname NOT LIKE '%_pkey'",
        _FILLED,
    )
    for row in found:
        await connection.execute(f"DROP INDEX {row['indexname']}")
    return [str(row["indexdef"]) for row in found]
