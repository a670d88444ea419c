"""The server's tables.

A resource is kept whole, as its value's JSON in `body`; the other columns are what keys, indexes
and filters need, and are written from the same value by one function (`rows`). Uniqueness is the
schema's: (subnet, address), (network, MAC), (project, unique name), (physical network, VLAN), VNI.

Addresses are 16 bytes, IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2): they sort by value in both.
"""

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from netwright.server.store.schema.base import metadata, present
from netwright.server.store.schema.fabric import (
    access_port,
    attachment,
    attachment_due,
    domain_vlan,
    held_vni,
    leaf_link,
    switch_state,
    topology,
)
from netwright.server.store.schema.hosts import heard, host, revocation
from netwright.server.store.schema.keeping import alembic_version, lease, meta
from netwright.server.store.schema.log import event, notice, operation, operation_work
from netwright.server.store.schema.networks import (
    floatingip,
    network,
    network_label,
    router,
    segment,
    subnet,
)
from netwright.server.store.schema.pools import address_scope, gap, pool_use, subnetpool
from netwright.server.store.schema.ports import (
    SPARSE,
    allocation,
    binding,
    block,
    container_claim,
    former_mac,
    port,
    transition,
)
from netwright.server.store.schema.projects import quota, quota_usage, tag
from netwright.server.store.schema.qos import qos_policy, qos_user
from netwright.server.store.schema.security import membership, security_group, security_group_rule
from netwright.server.store.schema.sharing import (
    address_group,
    default_security_group_rule,
    rbac_policy,
)
from netwright.server.store.schema.trunks import trunk

__all__ = [
    "READS_FROM",
    "SCHEMA_VERSION",
    "SPARSE",
    "access_port",
    "address_group",
    "address_scope",
    "alembic_version",
    "allocation",
    "attachment",
    "attachment_due",
    "binding",
    "block",
    "container_claim",
    "default_security_group_rule",
    "domain_vlan",
    "event",
    "floatingip",
    "former_mac",
    "gap",
    "heard",
    "held_vni",
    "host",
    "leaf_link",
    "lease",
    "membership",
    "meta",
    "metadata",
    "network",
    "network_label",
    "notice",
    "operation",
    "operation_work",
    "pool_use",
    "port",
    "postgres_ddl",
    "present",
    "qos_policy",
    "qos_user",
    "quota",
    "quota_usage",
    "rbac_policy",
    "revocation",
    "router",
    "security_group",
    "security_group_rule",
    "segment",
    "sqlite_ddl",
    "subnet",
    "subnetpool",
    "switch_state",
    "tag",
    "topology",
    "transition",
    "trunk",
]

SCHEMA_VERSION = "0017"
"""The newest revision of `migrations/`, which makes just these tables (a test compares them)."""

READS_FROM = "0016"
"""The oldest version whose servers may use these tables, as the newest revision says."""


def sqlite_ddl() -> list[str]:
    """The statements that make an empty SQLite file the server's."""
    return _ddl(sqlite.dialect())


def postgres_ddl() -> list[str]:
    """The statements that make an empty PostgreSQL database the server's."""
    return _ddl(postgresql.dialect())  # type: ignore[no-untyped-call]


def _ddl(dialect: Dialect) -> list[str]:
    statements = []
    for table in metadata.sorted_tables:
        statements.append(str(CreateTable(table).compile(dialect=dialect)))
        statements += [
            str(CreateIndex(index).compile(dialect=dialect))
            for index in sorted(table.indexes, key=lambda index: str(index.name))
        ]
    return statements
