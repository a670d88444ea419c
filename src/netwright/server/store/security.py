"""Security groups in the store: what ports need of them, who is in them, and what watchers get."""

import msgspec

from netwright.db.transaction import Transaction
from netwright.model.resources import Share
from netwright.model.security import DefaultRule, GroupRule, SecurityGroup
from netwright.server.needs import Needs
from netwright.server.security.decisions import in_group
from netwright.server.security.members import groups_of
from netwright.server.store import schema
from netwright.server.store.memory import Memory
from netwright.server.world import World


class _Shared(msgspec.Struct):
    """Of a group, who may use it."""

    shares: tuple[Share, ...] = ()


_shared = msgspec.json.Decoder(_Shared).decode
_default_rule = msgspec.json.Decoder(DefaultRule).decode


async def note_groups(tx: Transaction, needs: Needs) -> None:
    """Note which groups' bodies are needed: those of rules, and of rules that name what goes."""
    if needs.plain[GroupRule]:
        sql = "SELECT security_group_id FROM security_group_rule WHERE id = ANY($1)"
        rows = await tx.rows(sql, list(needs.plain[GroupRule]))
        needs.plain[SecurityGroup].update(group_id for (group_id,) in rows)
    if needs.deleted_groups:
        sql = "SELECT security_group_id FROM security_group_rule WHERE remote_group_id = ANY($1)"
        rows = await tx.rows(sql, list(needs.deleted_groups))
        needs.plain[SecurityGroup].update(group_id for (group_id,) in rows)


async def load_security(tx: Transaction, world: World, needs: Needs, memory: Memory) -> None:
    """What decisions need of groups beyond their bodies."""
    await _load_projects(tx, world, needs, memory)
    if needs.default_rules or _is_one_missing(world, needs.default_groups):
        await _load_default_rules(tx, world)
    for group_id in needs.used_groups:  # whether any stays counts: the batch takes out no more
        (uses,) = await tx.row(
            "SELECT count(*) FROM (SELECT 1 FROM membership WHERE group_id = $1 LIMIT $2)"
            " AS counted",
            group_id,
            len(world.ports) + 1,
        )
        world.group_uses.load(group_id, uses)


def load_rules(world: World) -> None:
    """The rules of the groups that were loaded: their bodies hold them."""
    for group in list(world.values_of(SecurityGroup)):
        for rule in group.rules:
            world.of(GroupRule).load(rule.id, in_group(group, rule))


async def write_memberships(tx: Transaction, world: World) -> None:
    """Which ports came into groups and which left them."""
    if not world.ports.is_touched:
        return
    come: list[tuple[str, str]] = []
    gone: list[tuple[str, str]] = []
    for port_id, before, port in world.ports.changed():
        was, now = groups_of(before), groups_of(port)
        if not was:
            come += [(group_id, port_id) for group_id in now]
        elif was != now:
            come += [(group_id, port_id) for group_id in now if group_id not in was]
            gone += [(group_id, port_id) for group_id in was if group_id not in now]
    await tx.delete(schema.membership, gone)
    await tx.insert(schema.membership, come)


def _is_one_missing(world: World, projects: set[str]) -> bool:
    return any(world.default_groups.loaded(project_id) is None for project_id in projects)


async def _load_default_rules(tx: Transaction, world: World) -> None:
    """What a group that is made begins with: there are few."""
    for id_, body in await tx.rows("SELECT id, body FROM default_security_group_rule"):
        world.of(DefaultRule).load(id_, _default_rule(body))


async def _load_projects(tx: Transaction, world: World, needs: Needs, memory: Memory) -> None:
    """Whose the groups are that are named, and the projects' default ones: from memory, or read."""
    for group_id in needs.groups & memory.group_projects.keys():
        world.group_projects.load(group_id, memory.group_projects[group_id])
        world.sharing.groups.load(group_id, memory.group_shares[group_id])
    for project_id in needs.default_groups & memory.default_groups.keys():
        _load_default(world, project_id, memory.default_groups[project_id])
    ids = needs.groups - memory.group_projects.keys()
    projects = needs.default_groups - memory.default_groups.keys()
    if not (ids or projects):
        return
    rows = await tx.rows(
        "SELECT id, project_id, is_default, body FROM security_group "
        "WHERE id = ANY($1) OR (is_default AND project_id = ANY($2))",
        list(ids),
        list(projects),
    )
    for group_id, project_id, is_default, body in rows:
        world.group_projects.load(group_id, project_id)
        world.sharing.groups.load(group_id, _shared(body).shares)
        if is_default:
            _load_default(world, project_id, group_id)
    memory.learn_groups(world, ids, projects)


def _load_default(world: World, project_id: str, group_id: str) -> None:
    world.default_groups.load(project_id, group_id)
    world.group_projects.load(group_id, project_id)
