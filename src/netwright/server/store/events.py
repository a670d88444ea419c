"""Reads the event log: what followed a cursor, or all that there is as a snapshot."""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from netwright.model.wire import Kind
from netwright.server.store.writing import EventRow

EVENTS_KEPT = 100_000
"""How many events a watcher may be behind before it gets a snapshot."""

BACKLOG_MAX = 20_000
"""A longer backlog than this costs more than a snapshot."""


class Picture(NamedTuple):
    """What a new watcher gets first, up to `seq`: events after its cursor, or a whole snapshot."""

    seq: int
    events: list[EventRow] | None
    snapshot: list[tuple[Kind, str, str]] | None


def picture(
    connection: sqlite3.Connection, after: int, kinds: frozenset[Kind], host: str | None
) -> Picture:
    """One consistent view for a watcher that has seen all up to `after` (-1: nothing)."""
    (last, first) = connection.execute(
        "SELECT coalesce(max(seq), 0), coalesce(min(seq), 1) FROM event"
    ).fetchone()
    if after < first - 1 or after > last or last - after > BACKLOG_MAX:
        return Picture(last, None, list(_snapshot(connection, kinds, host)))
    rows = connection.execute(
        "SELECT seq, kind, id, hosts, left_hosts, body FROM event WHERE seq > ? ORDER BY seq",
        (after,),
    )
    return Picture(last, [_event(row) for row in rows], None)


def prune(connection: sqlite3.Connection) -> None:
    """Forget the oldest events beyond `EVENTS_KEPT`."""
    connection.execute(
        "DELETE FROM event WHERE seq <= (SELECT max(seq) FROM event) - ?", (EVENTS_KEPT,)
    )


def last_seq(connection: sqlite3.Connection) -> int:
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()
    return int(last)


_SNAPSHOTS = {
    Kind.NETWORK: (
        "SELECT id, body FROM network",
        (
            "SELECT id, body FROM network "
            "WHERE id IN (SELECT network_id FROM attachment WHERE host = ?)"
        ),
    ),
    Kind.SUBNET: (
        "SELECT id, body FROM subnet",
        (
            "SELECT id, body FROM subnet "
            "WHERE network_id IN (SELECT network_id FROM attachment WHERE host = ?)"
        ),
    ),
    Kind.HOST: ("SELECT name, body FROM host", "SELECT name, body FROM host WHERE name = ?"),
    Kind.ATTACHMENT: (
        "SELECT network_id || '@' || host, body FROM attachment",
        "SELECT network_id || '@' || host, body FROM attachment WHERE host = ?",
    ),
    Kind.PORT: (
        "SELECT id, body FROM port",
        "SELECT id, body FROM port WHERE id IN (SELECT port_id FROM binding WHERE host = ?)",
    ),
}


def _snapshot(
    connection: sqlite3.Connection, kinds: frozenset[Kind], host: str | None
) -> Iterator[tuple[Kind, str, str]]:
    for kind, (everything, of_host) in _SNAPSHOTS.items():
        if kind not in kinds:
            continue
        rows = (
            connection.execute(everything) if host is None else connection.execute(of_host, (host,))
        )
        for resource_id, body in rows:
            yield kind, resource_id, body


def _event(row: tuple[int, str, str, str | None, str, str | None]) -> EventRow:
    seq, kind, resource_id, hosts, left, body = row
    return EventRow(
        seq,
        Kind(kind),
        resource_id,
        None if hosts is None else frozenset(hosts.split()),
        frozenset(left.split()),
        None if body is None else body.encode(),
    )
