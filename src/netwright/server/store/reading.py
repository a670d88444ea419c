"""Answers queries from committed state."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Table, false, or_, select, true
from sqlalchemy.sql.elements import ColumnElement

from netwright.db.transaction import Database
from netwright.model.addressing import AddressScope, SubnetPool
from netwright.model.addressing_errors import AddressScopeNotFound, SubnetPoolNotFound
from netwright.model.errors import (
    NetworkNotFound,
    PortNotFound,
    SecurityGroupNotFound,
    SecurityGroupRuleNotFound,
    SubnetNotFound,
    TenantQuotaNotFound,
)
from netwright.model.operations import Operation
from netwright.model.qos import QosPolicy
from netwright.model.qos_errors import QosPolicyNotFound
from netwright.model.quotas import Quota
from netwright.model.resources import (
    Attachment,
    Host,
    Network,
    Port,
    ShareAction,
    Subnet,
    Transition,
    Value,
)
from netwright.model.routing import FloatingIp, Router
from netwright.model.routing_errors import FloatingIPNotFound, RouterNotFound
from netwright.model.security import AddressGroup, DefaultRule, GroupRule, SecurityGroup
from netwright.model.security_errors import AddressGroupNotFound, DefaultSecurityGroupRuleNotFound
from netwright.model.segment_errors import SegmentNotFound
from netwright.model.segments import NetworkSegment
from netwright.model.sharing import ObjectType, RbacPolicy
from netwright.model.sharing_errors import RbacPolicyNotFound
from netwright.model.states import PortState
from netwright.model.topology import Topology
from netwright.model.trunk_errors import TrunkNotFound
from netwright.model.trunks import Trunk
from netwright.server.census import Census
from netwright.server.nova.notices import Telling
from netwright.server.queries import FabricLinks, FabricSwitches, KeptOwner, Page, Query, SubnetUse
from netwright.server.store import schema
from netwright.server.store.address_use import subnet_use
from netwright.server.store.claims import kept_owners, ports_of_owners
from netwright.server.store.counting import count
from netwright.server.store.fabric_reading import links, switches
from netwright.server.store.group_pictures import watchable_groups
from netwright.server.store.lists import Collection, Readable, listed, pages
from netwright.server.store.loading import revocations
from netwright.server.store.outbox import of_port
from netwright.server.store.quotas import usage_of
from netwright.server.store.sharing import either, shared_ids, shared_with

T = TypeVar("T")
V = TypeVar("V", bound=Value)


def _own_shared_or_external(project_id: str | None) -> ColumnElement[bool]:
    if project_id is None:
        return true()
    network = schema.network.c
    with_it = shared_ids(ObjectType.NETWORK, project_id, tuple(ShareAction))
    conditions = (network.project_id == project_id, network.shared, network.external)
    return network.id.in_(either(schema.network, conditions, with_it))


def _own_or_in_shared(project_id: str | None) -> ColumnElement[bool]:
    if project_id is None:
        return true()
    subnet = schema.subnet.c
    inside = shared_with(schema.network, project_id)
    return or_(subnet.project_id == project_id, subnet.network_id.in_(inside))


def _own_or_shared(table: Table, type_: ObjectType) -> Readable:
    """`shared` says what everybody may see, where it is a column; else its policies do."""

    def readable(project_id: str | None) -> ColumnElement[bool]:
        if project_id is None:
            return true()
        own = table.c.project_id == project_id
        conditions = (own, table.c.shared) if "shared" in table.c else (own,)
        ids = shared_ids(type_, project_id, to_all=len(conditions) == 1)
        return table.c.id.in_(either(table, conditions, ids))

    return readable


def _own_router(project_id: str | None) -> ColumnElement[bool]:
    return true() if project_id is None else schema.router.c.project_id == project_id


def _own_port(project_id: str | None) -> ColumnElement[bool]:
    return true() if project_id is None else schema.port.c.project_id == project_id


def _own(table: Table) -> Readable:
    """What is its project's alone."""
    return lambda project_id: true() if project_id is None else table.c.project_id == project_id


def _own_quota(project_id: str | None) -> ColumnElement[bool]:
    return true() if project_id is None else schema.quota.c.id == project_id


_ALIVE = schema.port.c.state != PortState.RELEASING
_ALL_PORTS = Collection(schema.port, Port, PortNotFound, _own_port)
_COLLECTIONS: Mapping[type[Value], Collection[Any]] = {
    Network: Collection(schema.network, Network, NetworkNotFound, _own_shared_or_external),
    NetworkSegment: Collection(
        schema.segment,
        NetworkSegment,
        SegmentNotFound,
        lambda project_id: true() if project_id is None else false(),  # administrators' alone
    ),
    Subnet: Collection(schema.subnet, Subnet, SubnetNotFound, _own_or_in_shared),
    Port: Collection(schema.port, Port, PortNotFound, _own_port, _ALIVE),
    SecurityGroup: Collection(
        schema.security_group,
        SecurityGroup,
        SecurityGroupNotFound,
        _own_or_shared(schema.security_group, ObjectType.SECURITY_GROUP),
    ),
    GroupRule: Collection(
        schema.security_group_rule,
        GroupRule,
        SecurityGroupRuleNotFound,
        _own(schema.security_group_rule),
    ),
    AddressGroup: Collection(
        schema.address_group,
        AddressGroup,
        AddressGroupNotFound,
        _own_or_shared(schema.address_group, ObjectType.ADDRESS_GROUP),
    ),
    DefaultRule: Collection(
        schema.default_security_group_rule,
        DefaultRule,
        DefaultSecurityGroupRuleNotFound,
        lambda _: true(),
    ),
    RbacPolicy: Collection(
        schema.rbac_policy, RbacPolicy, RbacPolicyNotFound, _own(schema.rbac_policy)
    ),
    Quota: Collection(schema.quota, Quota, TenantQuotaNotFound, _own_quota),
    AddressScope: Collection(
        schema.address_scope,
        AddressScope,
        AddressScopeNotFound,
        _own_or_shared(schema.address_scope, ObjectType.ADDRESS_SCOPE),
    ),
    SubnetPool: Collection(
        schema.subnetpool,
        SubnetPool,
        SubnetPoolNotFound,
        _own_or_shared(schema.subnetpool, ObjectType.SUBNET_POOL),
    ),
    Router: Collection(schema.router, Router, RouterNotFound, _own_router),
    FloatingIp: Collection(
        schema.floatingip, FloatingIp, FloatingIPNotFound, _own(schema.floatingip)
    ),
    QosPolicy: Collection(
        schema.qos_policy,
        QosPolicy,
        QosPolicyNotFound,
        _own_or_shared(schema.qos_policy, ObjectType.QOS_POLICY),
    ),
    Trunk: Collection(schema.trunk, Trunk, TrunkNotFound, _own(schema.trunk)),
}


class StoreReader:
    """`server.queries.Reader` on either database.

    Heartbeats are not committed: `as_heard` makes of a stored host one with its last heartbeat.
    """

    def __init__(
        self, database: Database, as_heard: Callable[[Host], Host] = lambda host: host
    ) -> None:
        self._database = database
        self._as_heard = as_heard

    async def one(self, type_: type[V], id_: str) -> V | None:
        found: V | None = await self._one(_COLLECTIONS[type_], id_)
        return found

    async def many(self, type_: type[V], query: Query) -> Sequence[V]:
        collection: Collection[V] = _COLLECTIONS[type_]
        return await listed(self._database, collection, query)

    def pages(self, type_: type[Value], query: Query, row: type[T]) -> AsyncIterator[Page[T]]:
        return pages(self._database, _COLLECTIONS[type_], query, msgspec.json.Decoder(row).decode)

    async def port(self, port_id: str, *, releasing: bool = False) -> Port | None:
        return await self._one(_ALL_PORTS if releasing else _COLLECTIONS[Port], port_id)

    async def host(self, name: str) -> Host | None:
        found = await self._bodies("SELECT body FROM host WHERE name = $1", (name,), Host)
        return self._as_heard(found[0]) if found else None

    async def hosts(self) -> Sequence[Host]:
        found = await self._bodies("SELECT body FROM host ORDER BY name", (), Host)
        return [self._as_heard(host) for host in found]

    async def attachments(self, network_id: str) -> Sequence[Attachment]:
        sql = "SELECT body FROM attachment WHERE network_id = $1 ORDER BY host"
        return await self._bodies(sql, (network_id,), Attachment)

    async def history(self, port_id: str) -> Sequence[Transition]:
        sql = "SELECT body FROM transition WHERE port_id = $1 ORDER BY number"
        return await self._bodies(sql, (port_id,), Transition)

    async def notices(self, port_id: str) -> Sequence[Telling]:
        return await self._database.read(lambda tx: of_port(tx, port_id))

    async def kept_owners(self, cluster: str, after: str, limit: int) -> Sequence[KeptOwner]:
        """Owners for whose existence ports are kept, by uid after the one given."""
        return await self._database.read(lambda tx: kept_owners(tx, cluster, after, limit))

    async def ports_of_owners(self, cluster: str, uids: Sequence[str], limit: int) -> Sequence[str]:
        return await self._database.read(lambda tx: ports_of_owners(tx, cluster, uids, limit))

    async def revocations(self) -> Mapping[str, int]:
        return await self._database.read(revocations)

    async def operation(self, operation_id: str) -> Operation | None:
        sql = "SELECT body FROM operation WHERE id = $1"
        found = await self._bodies(sql, (operation_id,), Operation)
        return found[0] if found else None

    async def watchable_groups(self, host: str) -> frozenset[str]:
        """The security groups that the host's agent may watch."""
        return await self._database.read(lambda tx: watchable_groups(tx, host))

    async def census(self) -> Census:
        return await self._database.read(count)

    async def subnet_use(self, network_ids: Sequence[str]) -> Mapping[str, Sequence[SubnetUse]]:
        return await self._database.read(lambda tx: subnet_use(tx, network_ids))

    async def usage(self, project_id: str) -> Mapping[str, int]:
        return await self._database.read(lambda tx: usage_of(tx, project_id))

    async def links(self) -> FabricLinks:
        return await self._database.read(links)

    async def switches(self) -> FabricSwitches:
        return await self._database.read(switches)

    async def topology(self) -> Topology:
        found = await self._bodies("SELECT body FROM topology", (), Topology)
        return found[0] if found else Topology()

    async def _one(self, collection: Collection[V], resource_id: str) -> V | None:
        statement = select(collection.table.c.body).where(
            collection.table.c.id == resource_id, collection.alive
        )
        found = await self._database.select(statement)
        return collection.decode(found[0][0]) if found else None

    async def _bodies(self, sql: str, keys: tuple[Any, ...], kind: type[T]) -> list[T]:
        decode = msgspec.json.Decoder(kind).decode
        rows = await self._database.read(lambda tx: tx.rows(sql, *keys))
        return [decode(body) for (body,) in rows]
