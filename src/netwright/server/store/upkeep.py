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
_TRANSITIONS_MAX = 10_000


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
    """Free what has rested, renew leases in use, forget what is old, note when hosts were heard."""
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
    _forget_rested_macs(connection, world.now)
    renew_leases(connection, world.ledger, world.now)
    prune(connection)
    _forget_histories(connection, world.now - world.history_kept.after_delete_s)


def _forget_rested_macs(connection: sqlite3.Connection, now: float) -> None:
    connection.execute(
        "DELETE FROM former_mac WHERE (network_id, mac_address) IN (SELECT network_id, mac_address "
        "FROM former_mac WHERE rests_until <= ? LIMIT ?)",
        (now, _RESTED_MAX),
    )


def _forget_histories(connection: sqlite3.Connection, ended_until: float) -> None:
    """Forget the histories of ports that were gone by then, oldest first.

    A bounded number of entries at a time; that which says when the port went is its last.
    """
    connection.execute(
        "DELETE FROM transition WHERE (port_id, number) IN ("
        "SELECT each.port_id, each.number FROM transition AS last "
        "JOIN transition AS each ON each.port_id = last.port_id WHERE last.ended_at <= ? "
        "ORDER BY last.ended_at, last.port_id, each.number LIMIT ?)",
        (ended_until, _TRANSITIONS_MAX),
    )
