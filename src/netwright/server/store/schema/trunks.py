"""Trunks. Which subports one has is in its body, and in the ports' own."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, String, Table, Text

from netwright.server.store.schema.base import metadata

trunk = Table(
    "trunk",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("port_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("status", String, nullable=False),
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Index("trunk_port", "port_id", unique=True),
    Index("trunk_project", "project_id"),
    Index("trunk_name", "name"),
    sqlite_with_rowid=False,
)
