"""Ports, the addresses and MACs that are theirs, and where they are bound."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    literal_column,
)

from netwright.server.store.schema.base import given, metadata, partial, sparse

port = Table(
    "port",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False, index=True),
    Column("network_id", String, nullable=False),
    Column("name", String, nullable=False),
    # Empty while RELEASING: a deleted port's name is free at once, its address is not.
    Column("unique_name", String),
    Column("description", String, nullable=False),
    Column("mac_address", String, nullable=False),
    Column("device_id", String, nullable=False),
    Column("device_owner", String, nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("vnic_type", String, nullable=False),
    Column("state", String, nullable=False),
    Column("host", String),  # of the active binding
    Column("vif_type", String, nullable=False),
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("event_seq", BigInteger, nullable=False),  # of its last event: what a cursor has seen
    Column("body", Text, nullable=False),
    Column("ip_allocation", String, nullable=False, server_default="immediate"),  # added
    # None holds `state`: what wires a port and unwires it would then write every index (ADR 16).
    Index("port_mac", "network_id", "mac_address", unique=True),
    given("port_unique_name", "unique_name", "project_id", unique=True),
    sparse("port_name", "name"),
    sparse("port_device", "device_id"),
    sparse("port_owner", "device_owner", "network_id"),
    sqlite_with_rowid=False,
)

SPARSE = frozenset({port.c.name, port.c.device_id, port.c.device_owner})
"""The columns whose index leaves out what is empty."""

allocation = Table(
    "allocation",
    metadata,
    Column("subnet_id", String, primary_key=True),
    Column("address", LargeBinary(16), primary_key=True),
    Column("project_id", String, nullable=False),
    Column("port_id", String, index=True),  # NULL while it rests
    Column("rests_until", Float),
    given("allocation_resting", "rests_until"),
    sqlite_with_rowid=False,
)

# MACs that ports had: a port's own is in `port`. The key keeps them from others meanwhile.
former_mac = Table(
    "former_mac",
    metadata,
    Column("network_id", String, primary_key=True),
    Column("mac_address", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("port_id", String),  # NULL while it rests
    Column("rests_until", Float),
    given("former_mac_resting", "rests_until"),
    sqlite_with_rowid=False,
)

block = Table(
    "block",
    metadata,
    Column("subnet_id", String, primary_key=True),
    Column("number", LargeBinary(16), primary_key=True),  # its first address
    Column("owner", String),
    Column("expires_at", Float),
    Column("is_full", Boolean, nullable=False),
    Index("block_leasable", "subnet_id", "is_full", "expires_at"),
    sqlite_with_rowid=False,
)

binding = Table(
    "binding",
    metadata,
    Column("port_id", String, primary_key=True),
    Column("host", String, primary_key=True),
    Column("network_id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("due_at", Float),  # when its underlay's deadline passes
    Index("binding_host", "host", "state"),
    Index("binding_network", "network_id", "host"),
    partial(
        "binding_refused", "port_id", where=Column("state", String) == literal_column("'refused'")
    ),
    given("binding_due", "due_at"),
    sqlite_with_rowid=False,
)

# What of a container's claim upkeep asks for: of ports that bear a lasting name. A claim whose time
# runs has `kept_until`; one for whose owner it is kept has that, in its cluster.
container_claim = Table(
    "container_claim",
    metadata,
    Column("port_id", String, primary_key=True),
    Column("kept_until", Float),
    Column("owner_uid", String),
    Column("cluster", String),
    Column("namespace", String),
    Column("owner_kind", String),
    Column("owner_name", String),
    Column("owner_api_version", String),
    given("container_claim_kept", "kept_until"),
    given("container_claim_owner", "owner_uid", "cluster"),
    sqlite_with_rowid=False,
)

transition = Table(
    "transition",
    metadata,
    Column("port_id", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("ended_at", Float),  # in the last one of a deleted port
    Column("body", Text, nullable=False),
    given("transition_ended", "ended_at"),
    sqlite_with_rowid=False,
)
