"""Policies of quality of service, and what has them."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, String, Table, Text

from netwright.server.store.schema.base import given, metadata

qos_policy = Table(
    "qos_policy",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("default_of", String),  # the project, of its default one: there is one at most
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Index("qos_policy_project", "project_id"),
    Index("qos_policy_name", "name"),
    Index("qos_policy_shared", "shared"),
    given("qos_policy_default", "default_of", unique=True),
    sqlite_with_rowid=False,
)

# The networks and ports that have a policy: it is not deleted before they are without.
qos_user = Table(
    "qos_user",
    metadata,
    Column("resource_id", String, primary_key=True),
    Column("policy_id", String, nullable=False),
    Index("qos_user_policy", "policy_id"),
    sqlite_with_rowid=False,
)
