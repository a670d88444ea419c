"""Containers' claims: the rows that upkeep asks, and who has which slot.

A claim is a part of its port's body; a row is written from it where there is something to ask for.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from netwright.db.transaction import Transaction
from netwright.model.containers import slot_name
from netwright.model.resources import Port
from netwright.model.states import BindingState, PortState
from netwright.server.containers.slot_table import SlotHold, SlotTable
from netwright.server.needs import Needs
from netwright.server.queries import KeptOwner
from netwright.server.store import schema
from netwright.server.world import World

_EXPIRED_MAX = 500
_NAMED_MAX = 5


async def note_slots(tx: Transaction, world: World, needs: Needs) -> None:
    """Read who has the slots that are wished for, and note the ports that may be taken."""
    if not needs.slot_wishes:
        return
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for wish in needs.slot_wishes:
        key = (wish.project_id, wish.template)
        counts[key] = max(counts[key], wish.slots)
    holds = await _holds(tx, counts)
    for key, count in counts.items():
        table = world.containers.slots[key] = SlotTable(holds[key], count)
        wishes = [each for each in needs.slot_wishes if (each.project_id, each.template) == key]
        named = {each for wish in wishes for each in wish.containers if each}
        numbers = {n for each in named if (n := table.own(each)) is not None}
        numbers.update(table.free[: len(wishes)])
        if len(table.free) < len(wishes):  # whoever gets none is told of some that have one
            numbers.update(sorted(table.holds)[:_NAMED_MAX])
        needs.ports.update(table.holds[n].port_id for n in numbers if n in table.holds)


async def _holds(
    tx: Transaction, counts: dict[tuple[str, str], int]
) -> dict[tuple[str, str], dict[int, SlotHold]]:
    numbers = {
        (project_id, slot_name(template, n)): (project_id, template, n)
        for (project_id, template), count in counts.items()
        for n in range(count)
    }
    found = await tx.rows(
        "SELECT p.project_id, p.unique_name, p.id, p.device_id, p.host, b.state "
        "FROM PAIRS($1) AS wanted JOIN port AS p "
        "ON p.project_id = wanted.a AND p.unique_name = wanted.b "
        "LEFT JOIN binding AS b ON b.port_id = p.id AND b.host = p.host",
        list(numbers),
    )
    holds: dict[tuple[str, str], dict[int, SlotHold]] = {key: {} for key in counts}
    for project_id, name, port_id, container_id, host, state in found:
        *key, number = numbers[project_id, name]
        is_live = host is not None and state != BindingState.FENCED
        hold = SlotHold(port_id, container_id, host or "", is_live)
        holds[key[0], key[1]][number] = hold
    return holds


async def write_claims(tx: Transaction, world: World) -> None:
    """The rows of claims that the batch has changed, or found to be wrong."""
    puts, gone = [], []
    changed = (
        (id_, claim_row(before), claim_row(now)) for id_, before, now in world.ports.changed()
    )
    rows = {id_: now for id_, before, now in changed if before != now}
    rows |= {id_: claim_row(world.ports.get(id_)) for id_ in world.containers.doubted}
    for port_id, row in rows.items():
        if row is None:
            gone.append((port_id,))
        else:
            puts.append(row)
    await tx.delete(schema.container_claim, gone)
    await tx.upsert(schema.container_claim, puts)


def claim_row(port: Port | None) -> tuple[Any, ...] | None:
    """None: there is nothing to ask for."""
    if port is None or port.claim is None or port.state is PortState.RELEASING:
        return None
    claim, owner, pod = port.claim, port.claim.owner, port.claim.pod
    if owner is None or pod is None:
        until = claim.kept_until
        return None if until is None else (port.id, until, *[None] * 6)
    return (
        port.id, claim.kept_until, owner.uid, pod.cluster, pod.namespace, owner.kind, owner.name,
        owner.api_version,
    )  # fmt: skip


async def expired_claims(tx: Transaction, now: float) -> tuple[str, ...]:
    """Ports that were kept long enough, those that have waited longest first, some of them."""
    rows = await tx.rows(
        "SELECT port_id FROM container_claim WHERE kept_until <= $1 ORDER BY kept_until LIMIT $2",
        now,
        _EXPIRED_MAX,
    )
    return tuple(port_id for (port_id,) in rows)


async def kept_owners(tx: Transaction, cluster: str, after: str, limit: int) -> list[KeptOwner]:
    """Owners for whose existence ports are kept, by uid after the one given."""
    rows = await tx.rows(
        "SELECT DISTINCT owner_uid, namespace, owner_kind, owner_name, owner_api_version "
        "FROM container_claim WHERE cluster = $1 AND owner_uid > $2 ORDER BY owner_uid LIMIT $3",
        cluster,
        after,
        limit,
    )
    return [KeptOwner(*row) for row in rows]


async def ports_of_owners(
    tx: Transaction, cluster: str, uids: Sequence[str], limit: int
) -> tuple[str, ...]:
    """Ports that are kept while these owners exist, some of them."""
    rows = await tx.rows(
        "SELECT port_id FROM container_claim WHERE cluster = $1 AND owner_uid = ANY($2) LIMIT $3",
        cluster,
        list(uids),
        limit,
    )
    return tuple(port_id for (port_id,) in rows)
