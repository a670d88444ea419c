"""Security groups, their rules, and who is in them."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, String, Table, Text

from netwright.server.store.schema.base import given, metadata, partial

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
    partial(
        "security_group_default", "project_id", where=Column("is_default", Boolean), unique=True
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
    Column("remote_group_id", String),  # of a security group, or of an address group
    Column("description", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Index("security_group_rule_group", "security_group_id"),
    Index("security_group_rule_project", "project_id"),
    given("security_group_rule_remote", "remote_group_id"),
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
