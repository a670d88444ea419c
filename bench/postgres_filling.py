"""Fills a server's database with ports by SQL, each as the server would have made it."""

import asyncpg

from bench.postgres_alone import pattern_of

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
      'name-' || number AS name, 'device-' || number AS device
    FROM numbered WHERE hex <> '{taken_hex}' ORDER BY id
  ), ports AS (
    INSERT INTO port ({port_columns}) SELECT {port_values} FROM named
  )
  INSERT INTO allocation ({allocation_columns}) SELECT {allocation_values} FROM named
"""

# A block is as many addresses as the server cuts: 256 of a large subnet. Of the first one, the
# subnet's own address and its gateway are nobody's.
_BLOCKS = """
  INSERT INTO block (subnet_id, number, owner, expires_at, is_full)
  SELECT subnet_id, substr(address, 1, 15) || '\\x00', NULL, NULL,
    count(*) >= CASE WHEN substr(address, 13, 3) = '\\x0a0000' THEN 254 ELSE 256 END
  FROM allocation GROUP BY subnet_id, substr(address, 1, 15), substr(address, 13, 3)
  ON CONFLICT (subnet_id, number) DO NOTHING
"""


async def fill(url: str, count: int, fraction: float = 1.0) -> None:
    """Make the first `count` addresses of 10.0.0.0 ports', or this fraction of them, at random.

    The database's first port is their pattern; its name is `name`, its device_id `device`.
    """
    connection = await asyncpg.connect(url, command_timeout=300)
    pattern = await pattern_of(connection)
    columns = pattern.columns(name="name", device_id="device")
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
                **columns,
            )
        )
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
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('port', 'allocation') "
        "AND indexname NOT LIKE '%_pkey'"
    )
    for row in found:
        await connection.execute(f"DROP INDEX {row['indexname']}")
    return [str(row["indexdef"]) for row in found]
