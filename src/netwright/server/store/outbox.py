"""Notices to Nova as they are stored: written with the change that they tell of, sent after it.

    write ─▶ due (next_try_at) ─▶ taken, sent ─▶ settled: over (ended_at), or due later
      └── a newer one of the topic takes the row: what becomes of the older is not noted

Batches write notices while they have the turn. What settles them takes it too, so that the two
never wait for each other's rows crosswise, and a notice is seen as it is or as it was replaced.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from netwright.db import statements
from netwright.db.transaction import Database, Row, Transaction
from netwright.model.resources import Value
from netwright.model.states import PortState
from netwright.server.nova.notices import Name, Notice, Status, Telling
from netwright.server.store import leases, schema

LEASE = "nova notices"
"""Who sends holds this lease. It is no name that `/v1/leases` knows: nobody else can take it."""

COUNTED_MAX = 100_000
GONE_AFTER_S = 86_400.0
"""A notice of a port that is deleted, or another instance's by now, is tried no longer."""

GONE = "the port is not this instance's any more, and Nova has not acknowledged it for a day"
KEPT_S = 7 * 86_400.0
"""How long what is over is kept, for who asks what Nova was told."""

_SWEPT_MAX = 1_000
_KEY = statements.key_of(schema.notice)
_VERSION = (*_KEY, "number")
_COLUMNS = statements.columns_of(schema.notice)
_SETTLED = ("attempts", "tried_at", "next_try_at", "code", "error", "ended_at")


class Standing(NamedTuple):
    """How many notices wait, and when the oldest of them was written (Unix seconds)."""

    pending: int
    oldest_at: float | None


async def write_notices(
    tx: Transaction, notices: Iterable[Notice], seqs: dict[str, int], now: float
) -> None:
    """Notices of a batch; `seqs` are the places of its ports' events."""
    fresh = (
        Telling(notice=notice, number=seqs[notice.port_id], created_at=now, next_try_at=now)
        for notice in notices
    )
    rows = {_key(telling): _row(telling) for telling in fresh}
    await tx.upsert(schema.notice, list(rows.values()))


async def due(tx: Transaction, now: float, limit: int) -> list[Telling]:
    """Those whose time has come, the longest due first."""
    rows = await tx.rows(
        f"SELECT {', '.join(_COLUMNS)} FROM notice "  # noqa: S608 - our names
        "WHERE next_try_at <= $1 ORDER BY next_try_at, number LIMIT $2",
        now,
        limit,
    )
    return [_telling(row) for row in rows]


async def next_due(tx: Transaction) -> float | None:
    """When the next is due; None when nothing waits."""
    (at,) = await tx.row("SELECT min(next_try_at) FROM notice WHERE next_try_at IS NOT NULL")
    return None if at is None else float(at)


async def settle(tx: Transaction, settled: Sequence[Telling]) -> None:
    """Note what became of notices, save of those that were replaced meanwhile."""
    if not settled:
        return
    await tx.take_turn()
    found = await tx.find(schema.notice, _VERSION, [_key(each) for each in settled])
    numbers = {tuple(key): number for *key, number in found}
    rows = [
        (*_key(each), *(getattr(each, column) for column in _SETTLED))
        for each in settled
        if numbers.get(_key(each)) == each.number
    ]
    await tx.update(schema.notice, _SETTLED, rows)


async def of_port(tx: Transaction, port_id: str) -> list[Telling]:
    """What the instances of a port were told, or are to be, oldest first."""
    rows = await tx.rows(
        f"SELECT {', '.join(_COLUMNS)} FROM notice WHERE port_id = $1 "  # noqa: S608 - our names
        "ORDER BY created_at, server_uuid, topic",
        port_id,
    )
    return [_telling(row) for row in rows]


async def standing(tx: Transaction) -> Standing:
    """Counted as far as `COUNTED_MAX`, those first that are due first."""
    count, oldest = await tx.row(
        "SELECT count(*), min(created_at) FROM (SELECT created_at FROM notice "
        "WHERE next_try_at IS NOT NULL ORDER BY next_try_at LIMIT $1) AS pending",
        COUNTED_MAX,
    )
    return Standing(int(count), None if oldest is None else float(oldest))


class Stale(NamedTuple):
    """Keys and numbers of notices that are long over; those long untold that are nobody's now."""

    forgotten: Sequence[Row]
    dropped: list[Telling]


async def stale(tx: Transaction, now: float) -> Stale:
    """What is to be swept, a bounded number. It is only read: that may take long in an outage."""
    forgotten = await tx.rows(
        f"SELECT {', '.join(_VERSION)} FROM notice WHERE ended_at <= $1 LIMIT $2",  # noqa: S608 - our names
        now - KEPT_S,
        _SWEPT_MAX,
    )
    rows = await tx.rows(
        f"SELECT {', '.join(f'n.{column}' for column in _COLUMNS)} FROM notice AS n "  # noqa: S608 - our names
        "LEFT JOIN port AS p ON p.id = n.port_id "
        "WHERE n.next_try_at IS NOT NULL AND n.created_at <= $1 "
        "AND (p.id IS NULL OR p.state = $2 OR p.device_id <> n.server_uuid) LIMIT $3",
        now - GONE_AFTER_S,
        PortState.RELEASING.value,
        _SWEPT_MAX,
    )
    dropped = [replace(_telling(row), next_try_at=None, ended_at=now, error=GONE) for row in rows]
    return Stale(forgotten, dropped)


class Claim(Value, frozen=True, kw_only=True):
    """Who sends: `holder` names the process, which is the only one for `ttl_s` from each claim."""

    holder: str
    ttl_s: float


class StoreOutbox:
    """`nova.sender.Outbox` on either database.

    Without a claim nobody else can send: a SQLite file has one process.
    """

    def __init__(self, database: Database, claim: Claim | None) -> None:
        self._database = database
        self._claim = claim

    async def next_due(self) -> float | None:
        return await self._database.read(next_due)

    async def exchange(self, settled: Sequence[Telling], now: float, limit: int) -> list[Telling]:
        """Note what became of those sent; take what is due next. Raises LeaseHeld, Unavailable.

        Whose lease has lapsed notes nothing: who has it now sends those again.
        """

        async def work(tx: Transaction) -> list[Telling]:
            await self._take(tx, self._claim.ttl_s if self._claim else 0, now)
            await settle(tx, settled)
            return await due(tx, now, limit)

        return await self._database.write(work)

    async def leave(self, settled: Sequence[Telling], now: float) -> None:
        """As `exchange`, and let others send. Raises LeaseHeld, Unavailable."""

        async def work(tx: Transaction) -> None:
            await self._take(tx, 0, now)
            await settle(tx, settled)

        if settled or self._claim:
            await self._database.write(work)

    async def sweep(self, now: float) -> list[Telling]:
        """Forget what is long over; end what is long untold and nobody's any more: those."""
        found = await self._database.read(lambda tx: stale(tx, now))

        async def work(tx: Transaction) -> None:
            await tx.take_turn()
            await settle(tx, found.dropped)
            await tx.delete(schema.notice, found.forgotten, by=_VERSION)

        if found.forgotten or found.dropped:
            await self._database.write(work)
        return found.dropped

    async def _take(self, tx: Transaction, ttl_s: float, now: float) -> None:
        if self._claim is not None:
            await leases.take(tx, LEASE, self._claim.holder, ttl_s, now)


def _key(telling: Telling) -> tuple[str, str, str]:
    return telling.notice.port_id, telling.notice.server_uuid, telling.notice.topic.value


def _row(telling: Telling) -> tuple[Any, ...]:
    notice = telling.notice
    return (
        *_key(telling), notice.name.value, notice.status.value, telling.number,
        telling.created_at, telling.attempts, telling.tried_at, telling.next_try_at, telling.code,
        telling.error, telling.ended_at,
    )  # fmt: skip


def _telling(row: Row) -> Telling:
    port_id, server_uuid, _, name, status, *rest = row
    number, created_at, attempts, tried_at, next_try_at, code, error, ended_at = rest
    return Telling(
        notice=Notice(
            port_id=port_id, server_uuid=server_uuid, name=Name(name), status=Status(status)
        ),
        number=number,
        created_at=created_at,
        attempts=attempts,
        tried_at=tried_at,
        next_try_at=next_try_at,
        code=code,
        error=error,
        ended_at=ended_at,
    )
