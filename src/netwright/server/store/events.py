"""Reads the event log: what followed a cursor, or all that there is as a snapshot."""

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

from sqlalchemy import select

from netwright.db.transaction import Row, Transaction
from netwright.model.wire import Kind
from netwright.server.plain import PLAIN_OF
from netwright.server.store.event_rows import EventRow
from netwright.server.store.group_pictures import Told, all_members, snapshot_of_groups
from netwright.server.store.plain import TABLES

EVENTS_KEPT = 100_000
"""How many events a watcher may be behind before it gets a snapshot."""

BACKLOG_MAX = 20_000
"""A longer backlog than this costs more than a snapshot."""


class Picture(NamedTuple):
    """What a new watcher gets first, up to `seq`: events after its cursor, or a whole snapshot.

    The snapshot can be gone through once, and makes the members of groups as it goes.
    """

    seq: int
    events: list[EventRow] | None
    snapshot: Iterable[Told] | None


async def picture(
    tx: Transaction,
    after: int,
    kinds: frozenset[Kind],
    host: str | None,
    groups: frozenset[str] | None = None,
) -> Picture:
    """One consistent view for a watcher that has seen all up to `after` (-1: nothing).

    `groups`: it wants these security groups and their members alone.
    """
    (last, first) = await tx.row("SELECT coalesce(max(seq), 0), coalesce(min(seq), 1) FROM event")
    if after < first - 1 or after > last or last - after > BACKLOG_MAX:
        if groups is not None:
            return Picture(last, None, await snapshot_of_groups(tx, kinds, groups))
        return Picture(last, None, await _snapshot(tx, kinds, host))
    if groups is not None:
        return Picture(last, await _events_of_groups(tx, after), None)
    return Picture(last, await events_after(tx, after, BACKLOG_MAX), None)


async def events_after(tx: Transaction, seq: int, limit: int) -> list[EventRow]:
    """The events that followed, in order."""
    rows = await tx.rows(
        "SELECT seq, kind, id, hosts, left_hosts, body FROM event "
        "WHERE seq > $1 ORDER BY seq LIMIT $2",
        seq,
        limit,
    )
    return [_event(row) for row in rows]


async def _events_of_groups(tx: Transaction, seq: int) -> list[EventRow]:
    rows = await tx.rows(
        "SELECT seq, kind, id, hosts, left_hosts, body FROM event "
        "WHERE seq > $1 AND kind IN ('security_group', 'group_member') ORDER BY seq",
        seq,
    )
    return [_event(row) for row in rows]


async def prune(tx: Transaction) -> None:
    """Forget the oldest events beyond `EVENTS_KEPT`."""
    await tx.run("DELETE FROM event WHERE seq <= (SELECT max(seq) FROM event) - $1", EVENTS_KEPT)


async def last_seq(tx: Transaction) -> int:
    """The place of the newest event."""
    (last,) = await tx.row("SELECT coalesce(max(seq), 0) FROM event")
    return int(last)


_SNAPSHOTS = {
    Kind.NETWORK: (
        "SELECT id, body FROM network",
        (
            "SELECT id, body FROM network "
            "WHERE id IN (SELECT network_id FROM attachment WHERE host = $1)"
        ),
    ),
    Kind.SUBNET: (
        "SELECT id, body FROM subnet",
        (
            "SELECT id, body FROM subnet "
            "WHERE network_id IN (SELECT network_id FROM attachment WHERE host = $1)"
        ),
    ),
    Kind.HOST: ("SELECT name, body FROM host", "SELECT name, body FROM host WHERE name = $1"),
    Kind.ATTACHMENT: (
        "SELECT network_id || '@' || host, body FROM attachment",
        "SELECT network_id || '@' || host, body FROM attachment WHERE host = $1",
    ),
    Kind.PORT: (
        "SELECT id, body FROM port",
        "SELECT id, body FROM port WHERE id IN (SELECT port_id FROM binding WHERE host = $1)",
    ),
}


async def _snapshot(tx: Transaction, kinds: frozenset[Kind], host: str | None) -> Iterable[Told]:
    found: list[Told] = []
    if host is None:  # a plain resource is no host's
        for kind in kinds & PLAIN_OF.keys():
            table = TABLES[PLAIN_OF[kind]]
            found += [
                (kind, id_, body) for id_, body in await tx.select(select(table.c.id, table.c.body))
            ]
    if host is None and Kind.TOPOLOGY in kinds:
        rows = await tx.rows("SELECT name, body FROM topology")
        found += [(Kind.TOPOLOGY, name, body) for name, body in rows]
    for kind, (everything, of_host) in _SNAPSHOTS.items():
        if kind in kinds:
            rows = await (tx.rows(everything) if host is None else tx.rows(of_host, host))
            found += [(kind, resource_id, body) for resource_id, body in rows]
    if host is None and Kind.GROUP_MEMBER in kinds:
        return chain(found, await all_members(tx))
    return found


_KINDS = {kind.value: kind for kind in Kind}
_NOBODY: frozenset[str] = frozenset()


def _event(row: Row) -> EventRow:
    seq, kind, resource_id, hosts, left, body = row
    return EventRow(
        seq,
        _KINDS.get(kind),
        resource_id,
        None if hosts is None else _hosts(hosts),
        _hosts(left),
        None if body is None else body.encode(),
    )


def _hosts(text: str) -> frozenset[str]:
    return frozenset(text.split()) if text else _NOBODY
