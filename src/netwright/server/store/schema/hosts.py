"""Hosts, when they were heard, and their credentials."""

from sqlalchemy import Column, Float, Integer, String, Table, Text

from netwright.server.store.schema.base import metadata

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
