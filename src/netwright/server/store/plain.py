"""Loads and writes plain resources (`server.plain`): a row is a value's columns and its body."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import Table

from netwright.db import statements
from netwright.db.transaction import Transaction
from netwright.model.addressing import AddressScope, SubnetPool
from netwright.model.fabric import LeafLink, SwitchState
from netwright.model.operations import Operation
from netwright.model.qos import QosPolicy
from netwright.model.quotas import Quota
from netwright.model.resources import Value
from netwright.model.routing import FloatingIp, Router
from netwright.model.security import AddressGroup, DefaultRule, GroupRule, SecurityGroup
from netwright.model.segments import NetworkSegment
from netwright.model.sharing import RbacPolicy
from netwright.model.trunks import Trunk
from netwright.server.needs import Needs
from netwright.server.operation_work import OperationWork
from netwright.server.plain import PLAIN
from netwright.server.store import schema
from netwright.server.world import World

TABLES: Mapping[type[Value], Table] = {
    Operation: schema.operation,
    OperationWork: schema.operation_work,
    SecurityGroup: schema.security_group,
    GroupRule: schema.security_group_rule,
    AddressGroup: schema.address_group,
    DefaultRule: schema.default_security_group_rule,
    NetworkSegment: schema.segment,
    RbacPolicy: schema.rbac_policy,
    Quota: schema.quota,
    AddressScope: schema.address_scope,
    SubnetPool: schema.subnetpool,
    Router: schema.router,
    FloatingIp: schema.floatingip,
    QosPolicy: schema.qos_policy,
    Trunk: schema.trunk,
    SwitchState: schema.switch_state,
    LeafLink: schema.leaf_link,
}
"""Each plain type's table: every column but `body` is the value's attribute of that name."""

_encode = msgspec.json.Encoder().encode
_DECODERS = {type_: msgspec.json.Decoder(type_) for type_ in PLAIN}


async def load_plain(tx: Transaction, world: World, needs: Needs) -> None:
    """The plain resources that are needed by id."""
    for type_, ids in needs.plain.items():
        if ids:
            await load_of(tx, world, type_, ids)


async def load_of(tx: Transaction, world: World, type_: type[Value], ids: Iterable[str]) -> None:
    """Those of a type that are not loaded yet."""
    rows = world.of(type_)
    wanted = [id_ for id_ in ids if rows.loaded(id_) is None]
    if wanted:
        sql = f"SELECT id, body FROM {TABLES[type_].name} WHERE id = ANY($1)"  # noqa: S608 - our names
        for id_, body in await tx.rows(sql, wanted):
            rows.load(id_, _DECODERS[type_].decode(body))


async def write_plain(tx: Transaction, world: World) -> None:
    """What the batch has changed of them."""
    for type_ in world.touched():
        table, changed = TABLES[type_], world.of(type_).changed()
        gone = [(id_,) for id_, _, value in changed if value is None]
        await tx.delete(table, gone)
        await tx.upsert(table, [row(table, value) for _, _, value in changed if value])


def row(table: Table, value: Value) -> tuple[Any, ...]:
    """A value's row in its type's table."""
    *columns, body = statements.columns_of(table)
    assert body == "body", f"{table.name}'s last column is its body"
    return (*(getattr(value, column) for column in columns), _encode(value).decode())
