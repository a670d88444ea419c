"""The event log, and what is still to be done or told after a commit."""

from sqlalchemy import BigInteger, Column, Float, Integer, String, Table, Text

from netwright.server.store.schema.base import given, metadata, partial

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

operation = Table(
    "operation",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("body", Text, nullable=False),
    partial("operation_pending", "created_at", where=Column("finished_at").is_(None)),
    given("operation_finished", "finished_at"),
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
    given("notice_due", "next_try_at", "number"),
    given("notice_ended", "ended_at"),
    sqlite_with_rowid=False,
)
