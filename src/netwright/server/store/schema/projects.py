"""What projects may have, and have; tags."""

from sqlalchemy import BigInteger, Column, String, Table, Text

from netwright.server.store.schema.base import metadata

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
