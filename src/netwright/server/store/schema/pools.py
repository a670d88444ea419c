"""The address plan: scopes, subnet pools, and what of a pool is given out."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, String, Table, Text

from netwright.server.store.schema.base import metadata

address_scope = Table(
    "address_scope",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("ip_version", Integer, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("body", Text, nullable=False),
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
