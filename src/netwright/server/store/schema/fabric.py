"""The inventory, what the server decides of a fabric, and what its controller reports."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text

from netwright.server.store.schema.base import given, metadata

topology = Table(
    "topology",
    metadata,
    Column("name", String, primary_key=True),
    Column("body", Text, nullable=False),
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
    given("held_vni_gone", "gone_seq"),
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
