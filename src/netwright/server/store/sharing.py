"""Finds what decisions about shares need: what policies are of, each share's row, who uses what."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Select, Table, select, union_all

from netwright.db.transaction import Transaction
from netwright.model.resources import EVERYBODY, ShareAction
from netwright.model.sharing import ObjectType, RbacPolicy, shares_of
from netwright.server.needs import Needs
from netwright.server.sharing.keeping import SHARED, policy_of
from netwright.server.sharing.needing import need_object, need_users
from netwright.server.store import schema
from netwright.server.world import World

_USERS: dict[tuple[ObjectType, ShareAction], str] = {
    (ObjectType.NETWORK, ShareAction.AS_SHARED): (
        "SELECT DISTINCT project_id FROM port WHERE network_id = $1"
    ),
    (ObjectType.NETWORK, ShareAction.AS_EXTERNAL): (
        "SELECT DISTINCT r.project_id FROM port AS p JOIN router AS r ON r.id = p.device_id "
        "WHERE p.network_id = $1 AND p.device_owner = 'network:router_gateway'"
    ),
    (ObjectType.SUBNET_POOL, ShareAction.AS_SHARED): (
        "SELECT DISTINCT project_id FROM subnet WHERE subnetpool_id = $1"
    ),
    (ObjectType.SECURITY_GROUP, ShareAction.AS_SHARED): (
        "SELECT DISTINCT p.project_id FROM membership AS m JOIN port AS p ON p.id = m.port_id "
        "WHERE m.group_id = $1"
    ),
    (ObjectType.QOS_POLICY, ShareAction.AS_SHARED): (
        "SELECT n.project_id FROM qos_user AS u JOIN network AS n ON n.id = u.resource_id "
        "WHERE u.policy_id = $1 UNION "
        "SELECT p.project_id FROM qos_user AS u JOIN port AS p ON p.id = u.resource_id "
        "WHERE u.policy_id = $1"
    ),
}
"""Of address scopes all pools are loaded, of address groups all groups with rules that name it."""


async def note_shared(tx: Transaction, needs: Needs) -> None:
    """What policies are of that change or go: it changes with them, and who uses it counts."""
    if not needs.plain[RbacPolicy]:
        return
    sql = "SELECT object_type, object_id FROM rbac_policy WHERE id = ANY($1)"
    for type_, id_ in await tx.rows(sql, list(needs.plain[RbacPolicy])):
        need_object(needs, ObjectType(type_), id_)
        need_users(needs, ObjectType(type_), id_)


async def load_sharing(tx: Transaction, world: World, needs: Needs) -> None:
    """The shares of what changes, and the projects that use what may be shared with fewer."""
    _load_policies(world, needs)
    for type_, id_ in needs.unshared:
        for action in ShareAction:
            sql = _USERS.get((type_, action))
            if sql is not None:
                found = await tx.rows(sql, id_)
                world.sharing.users[id_, action] = frozenset(project_id for (project_id,) in found)


def _load_policies(world: World, needs: Needs) -> None:
    """The shares of what was loaded and may change, each by itself: their bodies hold them.

    QoS policies could be `shared` before they had shares: what that means has no row yet.
    """
    for type_, kept in SHARED.items():
        values: list[Any] = list(world.values_of(kept))
        for value in values:
            if type_ is not ObjectType.NETWORK or value.id in needs.changed_networks:
                shares = value.shares if type_ is ObjectType.QOS_POLICY else shares_of(value)
                for share in shares:
                    world.of(RbacPolicy).load(share.id, policy_of(value, share))


def shared_ids(
    object_type: ObjectType,
    project_id: str,
    actions: tuple[ShareAction, ...] = (ShareAction.AS_SHARED,),
    *,
    to_all: bool = False,
) -> Select[Any]:
    """A subselect of what is shared so with this project, or `to_all` too."""
    policy = schema.rbac_policy.c
    return select(policy.object_id).where(
        policy.target_tenant.in_([project_id, EVERYBODY] if to_all else [project_id]),
        policy.object_type == object_type,
        policy.action.in_(actions),
    )


def either(
    table: Table, conditions: Sequence[ColumnElement[bool]], ids: Select[Any]
) -> CompoundSelect[Any]:
    """The ids of the rows of any of the conditions, and these: each found by its own index.

    PostgreSQL reads a whole table where a subselect stands beside other alternatives.
    """
    return union_all(*(select(table.c.id).where(one) for one in conditions), ids)


def shared_with(table: Table, project_id: str | None) -> CompoundSelect[Any]:
    """The ids of what is shared with everybody, or with this project."""
    conditions = (table.c.shared,) if "shared" in table.c else ()
    whose = EVERYBODY if project_id is None else project_id
    ids = shared_ids(_OBJECT_TYPES[table.name], whose, to_all=not conditions)
    return either(table, conditions, ids)


_OBJECT_TYPES = {
    "network": ObjectType.NETWORK,
    "address_scope": ObjectType.ADDRESS_SCOPE,
    "subnetpool": ObjectType.SUBNET_POOL,
    "security_group": ObjectType.SECURITY_GROUP,
    "address_group": ObjectType.ADDRESS_GROUP,
    "qos_policy": ObjectType.QOS_POLICY,
}
"""By the table."""
