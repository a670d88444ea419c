"""Security groups as a new watcher gets them, and which of them a host's agent may watch."""

import msgspec

from netwright.db.transaction import Transaction
from netwright.model.wire import Kind

_MEMBERS = (
    "SELECT id, body FROM port WHERE id IN (SELECT port_id FROM binding) "
    "AND id IN (SELECT port_id FROM membership"
)


class _InGroups(msgspec.Struct):
    """Of a port, the groups that it names."""

    security_groups: tuple[str, ...] | None = None


_decode = msgspec.json.Decoder(_InGroups).decode


async def snapshot_of_groups(
    tx: Transaction, kinds: frozenset[Kind], groups: frozenset[str]
) -> list[tuple[Kind, str, str]]:
    """The groups, and the ports that are their members."""
    found: list[tuple[Kind, str, str]] = []
    if Kind.SECURITY_GROUP in kinds:
        sql = "SELECT id, body FROM security_group WHERE id = ANY($1)"
        rows = await tx.rows(sql, list(groups))
        found += [(Kind.SECURITY_GROUP, id_, body) for id_, body in rows]
    if Kind.GROUP_MEMBER in kinds:
        rows = await tx.rows(f"{_MEMBERS} WHERE group_id = ANY($1))", list(groups))
        found += [(Kind.GROUP_MEMBER, id_, body) for id_, body in rows]
    return found


async def all_members(tx: Transaction) -> list[tuple[Kind, str, str]]:
    """All ports that are members of any group."""
    return [(Kind.GROUP_MEMBER, id_, body) for id_, body in await tx.rows(f"{_MEMBERS})")]


async def watchable_groups(tx: Transaction, host: str) -> frozenset[str]:
    """The groups that a host's agent needs: those of its ports, and those that their rules name."""
    sql = "SELECT body FROM port WHERE id IN (SELECT port_id FROM binding WHERE host = $1)"
    rows = await tx.rows(sql, host)
    own = {group_id for (body,) in rows for group_id in _decode(body).security_groups or ()}
    if not own:
        return frozenset()
    sql = (
        "SELECT DISTINCT remote_group_id FROM security_group_rule "
        "WHERE security_group_id = ANY($1) AND remote_group_id IS NOT NULL"
    )
    return frozenset(own).union(remote for (remote,) in await tx.rows(sql, list(own)))
