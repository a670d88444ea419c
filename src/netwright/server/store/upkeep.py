"""What time brings about in the store."""

import sqlite3
from collections.abc import Mapping

from netwright.ipam.addresses import Address, from_key
from netwright.server.store.events import prune
from netwright.server.store.leasing import open_blocks, renew_leases
from netwright.server.store.loading import subnets
from netwright.server.world import World

_OVERDUE_MAX = 500
_RESTED_MAX = 2_000


def overdue_ports(connection: sqlite3.Connection, now: float) -> tuple[str, ...]:
    """Ports with a binding whose deadline has passed."""
    rows = connection.execute(
        "SELECT DISTINCT port_id FROM binding WHERE due_at <= ? LIMIT ?", (now, _OVERDUE_MAX)
    )
    return tuple(port_id for (port_id,) in rows)


def note_heard(connection: sqlite3.Connection, heard: Mapping[str, float]) -> None:
    """Store when hosts were last heard. Nobody is told: to watchers it is no change."""
    connection.executemany(
        "UPDATE host SET body = json_set(body, '$.heard_at', ?) "
        "WHERE name = ? AND body ->> '$.heard_at' < ?",
        [(heard_at, name, heard_at) for name, heard_at in heard.items()],
    )


def chores(connection: sqlite3.Connection, world: World, heard: Mapping[str, float]) -> None:
    """Free what has rested, renew leases in use, forget old events, note when hosts were heard."""
    note_heard(connection, heard)
    rows = connection.execute(
        "DELETE FROM allocation WHERE (subnet_id, address) IN (SELECT subnet_id, address "
        "FROM allocation WHERE rests_until <= ? LIMIT ?) RETURNING subnet_id, address",
        (world.now, _RESTED_MAX),
    ).fetchall()
    freed: dict[str, list[Address]] = {}
    for subnet_id, key in rows:
        freed.setdefault(subnet_id, []).append(from_key(key))
    for subnet in subnets(connection, freed):
        open_blocks(connection, subnet, freed[subnet.id])
    renew_leases(connection, world.ledger, world.now)
    prune(connection)
