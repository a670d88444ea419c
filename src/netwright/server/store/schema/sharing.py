"""What is shared with whom, and address groups."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, String, Table, Text

from netwright.server.store.schema.base import metadata

# The shares once more, each by itself: for lists, and for what a project may see.
rbac_policy = Table(
    "rbac_policy",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("object_type", String, nullable=False),
    Column("object_id", String, nullable=False),
    Column("action", String, nullable=False),
    Column("target_tenant", String, nullable=False),
    Column("body", Text, nullable=False),
    Index("rbac_policy_project", "project_id"),
    Index("rbac_policy_action", "action", "target_tenant", "object_type", "object_id"),
    sqlite_with_rowid=False,
)

address_group = Table(
    "address_group",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Index("address_group_name", "name"),
    Index("address_group_project", "project_id"),
    sqlite_with_rowid=False,
)

# What each new security group begins with.
default_security_group_rule = Table(
    "default_security_group_rule",
    metadata,
    Column("id", String, primary_key=True),
    Column("direction", String, nullable=False),
    Column("ethertype", String, nullable=False),
    Column("protocol", String),
    Column("port_range_min", Integer),
    Column("port_range_max", Integer),
    Column("shown_prefix", String),
    Column("remote_group_id", String),
    Column("used_in_default_sg", Boolean, nullable=False),
    Column("used_in_non_default_sg", Boolean, nullable=False),
    Column("description", String, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)
