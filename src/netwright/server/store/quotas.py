"""Quotas, and what projects have of them: loaded, counted once, kept count of from then on.

    quota_usage   a row for each resource of a project whose quota says that it is counted

A row is begun by counting, in the turn, so that no other process adds to what is counted. From then
on whoever changes how much the project has writes the new number, in its turn too: what others have
written since it was read is added up anew (`rebase_usage`), and only a limit that this would exceed
has the batch decided anew. Whether a project is counted at all is told by the event of its quota.
"""

from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import Table

from netwright.db.transaction import Transaction
from netwright.model.quotas import Quota
from netwright.model.resources import Network, Port, Subnet, Value
from netwright.server.counted import COUNTED
from netwright.server.quotas import is_limited
from netwright.server.store import schema
from netwright.server.store.memory import Memory
from netwright.server.store.plain import TABLES
from netwright.server.world import World

_decode = msgspec.json.Decoder(Quota).decode
_TABLES: Mapping[type[Value], Table] = {
    Network: schema.network,
    Subnet: schema.subnet,
    Port: schema.port,
    **TABLES,
}

# All from an index; a deleted port that is still there has a binding that withdraws.
_PORTS = (
    "SELECT (SELECT count(*) FROM port WHERE project_id = $1) - (SELECT count(*) FROM port "
    "WHERE project_id = $1 AND state = 'RELEASING' "
    "AND id IN (SELECT port_id FROM binding WHERE state = 'withdrawing'))"
)
_COUNTS: Mapping[str, str] = {
    "port": _PORTS,
    "security_group_rule": "SELECT count(*) FROM security_group_rule WHERE project_id = $1",
}
"""How to count a project's; one that is not here has a row for each, with its `project_id`."""


async def load_quotas(
    tx: Transaction,
    world: World,
    memory: Memory,
    projects: set[str],
    to_set: Iterable[str] = (),
) -> None:
    """What limits these projects, and what they have of it; `to_set` are counted in any case."""
    wanted = projects.union(to_set) - world.usage.known
    if not wanted:
        return
    quotas = await _quotas(tx, memory, wanted)
    begins = set()
    for project_id, quota in quotas.items():
        if quota is not None:
            world.of(Quota).load(project_id, quota)
        elif not world.quota_defaults:
            continue
        known = quota or Quota(id=project_id)
        if not known.counted and is_limited(known, world.quota_defaults):
            begins.add(project_id)
    world.usage.known |= wanted
    counted = {project_id for project_id, quota in quotas.items() if quota and quota.counted}
    await _load_usage(tx, world, memory, counted, begins.union(to_set) - counted)
    for project_id in begins:
        quota = quotas[project_id]
        limits = quota.limits if quota else {}
        world.of(Quota).put(project_id, Quota(id=project_id, limits=limits, counted=True))


async def rebase_usage(tx: Transaction, world: World) -> bool:
    """Add what others have written since to what the batch changes; in the turn.

    Whether a limit is exceeded by that, so that something in the batch must be refused.
    """
    rows = world.usage.rows
    changed = {
        key: (before, used)
        for key, before, used in rows.changed()
        if before is not None and used is not None and key not in world.usage.fresh
    }
    columns = ("project_id", "resource", "used")
    for project_id, resource, stored in await tx.find(schema.quota_usage, columns, list(changed)):
        key = (project_id, resource)
        before, used = changed[key]
        now = stored + used - before
        if used > before and stored != before and world.usage.is_exceeded(*key, now):
            return True
        rows.rebase(key, stored, now)
    return False


async def write_usage(tx: Transaction, world: World) -> None:
    """What the batch has changed, of projects that are counted."""
    usage, changes = world.usage, world.changes_of(Quota)
    if not (usage.fresh or usage.rows.is_touched or changes):
        return
    quotas = world.of(Quota)
    ended = [
        (project_id,)
        for project_id, before, now in changes
        if before and before.counted and not (now and now.counted)
    ]
    await tx.delete(schema.quota_usage, ended, by=("project_id",))
    changed = usage.fresh.union(key for key, _, _ in usage.rows.changed())
    puts = [
        (project_id, resource, usage.rows.get((project_id, resource)))
        for project_id, resource in sorted(changed)
        if (quota := quotas.get(project_id)) and quota.counted
    ]
    await tx.upsert(schema.quota_usage, puts)


async def usage_of(tx: Transaction, project_id: str) -> dict[str, int]:
    """What the project has of each resource: as it is kept count of, else counted."""
    sql = "SELECT resource, used FROM quota_usage WHERE project_id = $1"
    kept: dict[str, int] = dict(await tx.rows(sql, project_id))
    return {
        resource: kept[resource] if resource in kept else await count(tx, project_id, resource)
        for resource in COUNTED
    }


async def count(tx: Transaction, project_id: str, resource: str) -> int:
    """How many of a resource a project has, from its rows."""
    table = _TABLES[COUNTED[resource].type].name
    plain = f"SELECT count(*) FROM {table} WHERE project_id = $1"  # noqa: S608 - our names
    (number,) = await tx.row(_COUNTS.get(resource, plain), project_id)
    return int(number)


async def _quotas(
    tx: Transaction, memory: Memory, projects: set[str]
) -> Mapping[str, Quota | None]:
    known = {one: memory.quotas[one] for one in projects if one in memory.quotas}
    unread = projects - known.keys()
    if unread:
        rows = await tx.rows("SELECT id, body FROM quota WHERE id = ANY($1)", list(unread))
        found = {project_id: _decode(body) for project_id, body in rows}
        read = {project_id: found.get(project_id) for project_id in unread}
        memory.learn_quotas(read)
        known |= read
    return known


async def _load_usage(
    tx: Transaction, world: World, memory: Memory, counted: set[str], uncounted: set[str]
) -> None:
    """Of the `counted` what is stored; what is not is counted now, in the turn."""
    unread = counted - memory.usage.keys()
    if unread:
        read: dict[str, dict[str, int]] = {project_id: {} for project_id in unread}
        sql = "SELECT project_id, resource, used FROM quota_usage WHERE project_id = ANY($1)"
        for project_id, resource, used in await tx.rows(sql, list(unread)):
            read[project_id][resource] = used
        memory.usage.update(read)
    rows = world.usage.rows
    missing = []
    for project_id in counted | uncounted:
        stored = memory.usage.get(project_id, {}) if project_id in counted else {}
        for resource in COUNTED:
            if resource in stored:
                rows.load((project_id, resource), stored[resource])
            else:
                missing.append((project_id, resource))
    if missing:
        await tx.take_turn()
    for project_id, resource in missing:
        rows.load((project_id, resource), await count(tx, project_id, resource))
        world.usage.fresh.add((project_id, resource))
