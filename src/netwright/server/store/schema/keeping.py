"""The database's own: its revision, what is noted of it, leases."""

from sqlalchemy import BigInteger, Column, Float, PrimaryKeyConstraint, String, Table

from netwright.server.store.schema.base import metadata

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

lease = Table(
    "lease",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("expires_at", Float, nullable=False),
    sqlite_with_rowid=False,
)
