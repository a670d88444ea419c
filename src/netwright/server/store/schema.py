"""The server's tables.

A resource is kept whole, as its value's JSON in `body`; the other columns are what keys, indexes
and filters need, and are written from the same value by one function (`rows`). Uniqueness is the
schema's: (subnet, address), (network, MAC), (project, unique name), (physical network, VLAN), VNI.

Addresses are 16 bytes, IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2): they sort by value in both.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    literal_column,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.elements import ColumnElement

SCHEMA_VERSION = "0012"
"""The newest revision of `migrations/`, which makes just these tables (a test compares them)."""

metadata = MetaData()


def present(column: Column[Any]) -> ColumnElement[bool]:
    """What an index over a text column says that leaves out the empty ones."""
    return column != literal_column("''")


def _sparse(name: str, *columns: str) -> Index:
    """An index over what most rows leave empty, so that these rows do not pay for it."""
    where = present(Column(columns[0], String))
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


# alembic's own, by its name: which revision the database is at.
alembic_version = Table(
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)

network = Table(
    "network",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("network_type", String, nullable=False),
    Column("physical_network", String),
    Column("segmentation_id", Integer),
    Column("shared", Boolean, nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("mtu", Integer, nullable=False),
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    # A flat network has VLAN 0 here, so that the key holds for it too (NULLs are never equal).
    Column("segment_key", String, unique=True),
    Column("body", Text, nullable=False),
    Index("network_name", "name"),
    Index("network_project", "project_id"),
    # Which VLANs are in use; the VNIs from one on.
    Index("network_segment", "network_type", "segmentation_id"),
    Index("network_segmentation", "segmentation_id"),
    Index("network_shared", "shared"),
    sqlite_with_rowid=False,
)

network_label = Table(
    "network_label",
    metadata,
    Column("network_id", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
    Index("network_label_value", "key", "value"),
    sqlite_with_rowid=False,
)

subnet = Table(
    "subnet",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("network_id", String, nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("cidr", String, nullable=False),
    Column("ip_version", Integer, nullable=False),
    Column("gateway_ip", String),
    Column("enable_dhcp", Boolean, nullable=False),
    Column("ipv6_address_mode", String),
    Column("ipv6_ra_mode", String),
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Column("subnetpool_id", String),  # after `body`, where a migration can add it
    Index("subnet_name", "name"),
    Index("subnet_project", "project_id"),
    Index("subnet_subnetpool", "subnetpool_id"),
    Index("subnet_cidr", "cidr"),
    sqlite_with_rowid=False,
)

port = Table(
    "port",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False, index=True),
    Column("network_id", String, nullable=False),
    Column("name", String, nullable=False),
    # Empty while RELEASING: a deleted port's name is free at once, its address is not.
    Column("unique_name", String),
    Column("description", String, nullable=False),
    Column("mac_address", String, nullable=False),
    Column("device_id", String, nullable=False),
    Column("device_owner", String, nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("vnic_type", String, nullable=False),
    Column("state", String, nullable=False),
    Column("host", String),  # of the active binding
    Column("vif_type", String, nullable=False),
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("event_seq", BigInteger, nullable=False),  # of its last event: what a cursor has seen
    Column("body", Text, nullable=False),
    # None holds `state`: what wires a port and unwires it would then write every index (ADR 16).
    Index("port_mac", "network_id", "mac_address", unique=True),
    Index(
        "port_unique_name",
        "unique_name",
        "project_id",
        unique=True,
        sqlite_where=Column("unique_name").isnot(None),
        postgresql_where=Column("unique_name").isnot(None),
    ),
    _sparse("port_name", "name"),
    _sparse("port_device", "device_id"),
    _sparse("port_owner", "device_owner", "network_id"),
    sqlite_with_rowid=False,
)

SPARSE = frozenset({port.c.name, port.c.device_id, port.c.device_owner})
"""The columns whose index leaves out what is empty."""

allocation = Table(
    "allocation",
    metadata,
    Column("subnet_id", String, primary_key=True),
    Column("address", LargeBinary(16), primary_key=True),
    Column("project_id", String, nullable=False),
    Column("port_id", String, index=True),  # NULL while it rests
    Column("rests_until", Float),
    Index(
        "allocation_resting",
        "rests_until",
        sqlite_where=Column("rests_until").isnot(None),
        postgresql_where=Column("rests_until").isnot(None),
    ),
    sqlite_with_rowid=False,
)

# MACs that ports had: a port's own is in `port`. The key keeps them from others meanwhile.
former_mac = Table(
    "former_mac",
    metadata,
    Column("network_id", String, primary_key=True),
    Column("mac_address", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("port_id", String),  # NULL while it rests
    Column("rests_until", Float),
    Index(
        "former_mac_resting",
        "rests_until",
        sqlite_where=Column("rests_until").isnot(None),
        postgresql_where=Column("rests_until").isnot(None),
    ),
    sqlite_with_rowid=False,
)

block = Table(
    "block",
    metadata,
    Column("subnet_id", String, primary_key=True),
    Column("number", LargeBinary(16), primary_key=True),  # its first address
    Column("owner", String),
    Column("expires_at", Float),
    Column("is_full", Boolean, nullable=False),
    Index("block_leasable", "subnet_id", "is_full", "expires_at"),
    sqlite_with_rowid=False,
)

binding = Table(
    "binding",
    metadata,
    Column("port_id", String, primary_key=True),
    Column("host", String, primary_key=True),
    Column("network_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("due_at", Float),  # when its underlay's deadline passes
    Index("binding_host", "host", "state"),
    Index("binding_network", "network_id", "host"),
    Index(
        "binding_refused",
        "port_id",
        sqlite_where=Column("state", String) == literal_column("'refused'"),
        postgresql_where=Column("state", String) == literal_column("'refused'"),
    ),
    Index(
        "binding_due",
        "due_at",
        sqlite_where=Column("due_at").isnot(None),
        postgresql_where=Column("due_at").isnot(None),
    ),
    sqlite_with_rowid=False,
)

attachment = Table(
    "attachment",
    metadata,
    Column("network_id", String, primary_key=True),
    Column("host", String, primary_key=True, index=True),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

# When a fabric network's attachment must be up, while it is wanted and is not.
attachment_due = Table(
    "attachment_due",
    metadata,
    Column("network_id", String, primary_key=True),
    Column("host", String, primary_key=True),
    Column("due_at", Float, nullable=False, index=True),
    sqlite_with_rowid=False,
)

# The VLANs of fabric networks in VLAN domains; `place` is DOMAIN/VLAN.
domain_vlan = Table(
    "domain_vlan",
    metadata,
    Column("domain", String, primary_key=True),
    Column("network_id", String, primary_key=True),
    Column("vlan", Integer, nullable=False),
    Column("place", String, nullable=False),
    Index("domain_vlan_place", "place", unique=True),
    sqlite_with_rowid=False,
)

# VNIs that no network has and none may get: a router's, or (with `gone_seq`) resting until every
# switch has shown what was gone at that place in the log to be gone.
held_vni = Table(
    "held_vni",
    metadata,
    Column("segment_key", String, primary_key=True),
    Column("vni", Integer, nullable=False, index=True),
    Column("router_id", String),
    Column("gone_seq", BigInteger),
    Index(
        "held_vni_gone",
        "gone_seq",
        sqlite_where=Column("gone_seq").isnot(None),
        postgresql_where=Column("gone_seq").isnot(None),
    ),
    sqlite_with_rowid=False,
)

# The leaf interfaces that bare metal hangs on.
access_port = Table(
    "access_port",
    metadata,
    Column("switch", String, primary_key=True),
    Column("interface", String, primary_key=True),
    Column("network_id", String, nullable=False),
    Column("host", String, nullable=False),
    Column("port_id", String, nullable=False),
    Index("access_port_attachment", "network_id", "host"),
    sqlite_with_rowid=False,
)

# Switches as their controller last reported them, and the links of leaf interfaces.
switch_state = Table(
    "switch_state",
    metadata,
    Column("id", String, primary_key=True),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

leaf_link = Table(
    "leaf_link",
    metadata,
    Column("id", String, primary_key=True),  # SWITCH/INTERFACE
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

host = Table(
    "host",
    metadata,
    Column("name", String, primary_key=True),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

heard = Table(
    "heard",
    metadata,
    Column("host", String, primary_key=True),
    Column("heard_at", Float, nullable=False),  # noted now and then: heartbeats are not committed
    sqlite_with_rowid=False,
)

revocation = Table(
    "revocation",
    metadata,
    Column("host", String, primary_key=True),
    Column("revocations", Integer, nullable=False),  # how often its credential was revoked
    sqlite_with_rowid=False,
)

topology = Table(
    "topology",
    metadata,
    Column("name", String, primary_key=True),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

transition = Table(
    "transition",
    metadata,
    Column("port_id", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("ended_at", Float),  # in the last one of a deleted port
    Column("body", Text, nullable=False),
    Index(
        "transition_ended",
        "ended_at",
        sqlite_where=Column("ended_at").isnot(None),
        postgresql_where=Column("ended_at").isnot(None),
    ),
    sqlite_with_rowid=False,
)

lease = Table(
    "lease",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", Float, nullable=False),
    sqlite_with_rowid=False,
)

operation = Table(
    "operation",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("body", Text, nullable=False),
    Index(
        "operation_pending",
        "created_at",
        sqlite_where=Column("finished_at").is_(None),
        postgresql_where=Column("finished_at").is_(None),
    ),
    Index(
        "operation_finished",
        "finished_at",
        sqlite_where=Column("finished_at").isnot(None),
        postgresql_where=Column("finished_at").isnot(None),
    ),
    sqlite_with_rowid=False,
)

# Only while its operation is not finished.
operation_work = Table(
    "operation_work",
    metadata,
    Column("id", String, primary_key=True),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

# What Nova is told of a port: one row an instance and topic, of the newest (`nova.notices`).
notice = Table(
    "notice",
    metadata,
    Column("port_id", String, primary_key=True),
    Column("server_uuid", String, primary_key=True),
    Column("topic", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("status", String, nullable=False),
    Column("number", BigInteger, nullable=False),  # of the port's event that it tells of
    Column("created_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("tried_at", Float),
    Column("next_try_at", Float),  # NULL: it is over
    Column("code", Integer),
    Column("error", Text, nullable=False),
    Column("ended_at", Float),
    Index(
        "notice_due",
        "next_try_at",
        "number",
        sqlite_where=Column("next_try_at").isnot(None),
        postgresql_where=Column("next_try_at").isnot(None),
    ),
    Index(
        "notice_ended",
        "ended_at",
        sqlite_where=Column("ended_at").isnot(None),
        postgresql_where=Column("ended_at").isnot(None),
    ),
    sqlite_with_rowid=False,
)

security_group = Table(
    "security_group",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("stateful", Boolean, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("body", Text, nullable=False),  # with its rules
    Index("security_group_project", "project_id"),
    Index("security_group_name", "name"),
    Index(
        "security_group_default",
        "project_id",
        unique=True,
        sqlite_where=Column("is_default", Boolean),
        postgresql_where=Column("is_default", Boolean),
    ),
    sqlite_with_rowid=False,
)

# The rules once more, each by itself, for lists and for what names a group.
security_group_rule = Table(
    "security_group_rule",
    metadata,
    Column("id", String, primary_key=True),
    Column("security_group_id", String, nullable=False),
    Column("project_id", String, nullable=False),
    Column("direction", String, nullable=False),
    Column("ethertype", String, nullable=False),
    Column("protocol", String),
    Column("port_range_min", Integer),
    Column("port_range_max", Integer),
    Column("shown_prefix", String),
    Column("normalized_cidr", String),
    Column("remote_group_id", String),
    Column("description", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Index("security_group_rule_group", "security_group_id"),
    Index("security_group_rule_project", "project_id"),
    Index(
        "security_group_rule_remote",
        "remote_group_id",
        sqlite_where=Column("remote_group_id").isnot(None),
        postgresql_where=Column("remote_group_id").isnot(None),
    ),
    sqlite_with_rowid=False,
)

# Which ports are in which groups; a deleted port is in none.
membership = Table(
    "membership",
    metadata,
    Column("group_id", String, primary_key=True),
    Column("port_id", String, primary_key=True),
    sqlite_with_rowid=False,
)

quota = Table(
    "quota",
    metadata,
    Column("id", String, primary_key=True),  # the project's
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

# What a project has, where its quota says that it is counted: a row for each resource.
quota_usage = Table(
    "quota_usage",
    metadata,
    Column("project_id", String, primary_key=True),
    Column("resource", String, primary_key=True),
    Column("used", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# By kind of resource first, so that filters by tags are looked up.
tag = Table(
    "tag",
    metadata,
    Column("kind", String, primary_key=True),
    Column("tag", String, primary_key=True),
    Column("resource_id", String, primary_key=True),
    sqlite_with_rowid=False,
)

address_scope = Table(
    "address_scope",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("ip_version", Integer, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    Index("address_scope_name", "name"),
    Index("address_scope_project", "project_id"),
    Index("address_scope_shared", "shared"),
    sqlite_with_rowid=False,
)

subnetpool = Table(
    "subnetpool",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("ip_version", Integer, nullable=False),
    Column("min_prefixlen", Integer, nullable=False),
    Column("max_prefixlen", Integer, nullable=False),
    Column("default_prefixlen", Integer, nullable=False),
    Column("default_quota", Integer),
    Column("address_scope_id", String, index=True),
    Column("is_default", Boolean, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Index("subnetpool_name", "name"),
    Index("subnetpool_project", "project_id"),
    Index("subnetpool_shared", "shared"),
    sqlite_with_rowid=False,
)

# What no subnet has of a pool: ranges that do not touch. Whoever changes one writes the pool too.
gap = Table(
    "gap",
    metadata,
    Column("pool_id", String, primary_key=True),
    Column("first_address", LargeBinary(16), primary_key=True),
    Column("last_address", LargeBinary(16), nullable=False),
    Column("host_bits", Integer, nullable=False),  # of the largest prefix that lies in it
    Index("gap_last", "pool_id", "last_address", unique=True),
    sqlite_with_rowid=False,
)

# How many of a pool's addresses a project's subnets have, in decimal: there may be 2^128.
pool_use = Table(
    "pool_use",
    metadata,
    Column("pool_id", String, primary_key=True),
    Column("project_id", String, primary_key=True),
    Column("addresses", String, nullable=False),
    sqlite_with_rowid=False,
)

router = Table(
    "router",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Index("router_name", "name"),
    sqlite_with_rowid=False,
)

event = Table(
    "event",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("kind", String, nullable=False),
    Column("id", String, nullable=False),
    Column("hosts", String),  # the hosts that it concerns, space between; NULL: all
    Column("left_hosts", String, nullable=False),  # those that it concerned until now
    Column("body", Text),  # NULL: the resource is gone
)


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
