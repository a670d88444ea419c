"""Networks and their subnets, and the routers between them."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, String, Table, Text

from netwright.server.store.schema.base import metadata

network = Table(
    "network",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("network_type", String, nullable=False),
    Column("physical_network", String),
    Column("segmentation_id", Integer),
    Column("shared", Boolean, nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("port_security_enabled", Boolean, nullable=False),
    Column("mtu", Integer, nullable=False),
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    # A flat network has VLAN 0 here, so that the key holds for it too (NULLs are never equal).
    Column("segment_key", String, unique=True),
    Column("body", Text, nullable=False),
    Index("network_name", "name"),
    Index("network_project", "project_id"),
    # Which VLANs are in use; the VNIs from one on.
    Index("network_segment", "network_type", "segmentation_id"),
    Index("network_shared", "shared"),
    sqlite_with_rowid=False,
)

network_label = Table(
    "network_label",
    metadata,
    Column("network_id", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
    Index("network_label_value", "key", "value"),
    sqlite_with_rowid=False,
)

subnet = Table(
    "subnet",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("network_id", String, nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("cidr", String, nullable=False),
    Column("ip_version", Integer, nullable=False),
    Column("gateway_ip", String),
    Column("enable_dhcp", Boolean, nullable=False),
    Column("ipv6_address_mode", String),
    Column("ipv6_ra_mode", String),
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Column("subnetpool_id", String),  # after `body`, where a migration can add it
    Index("subnet_name", "name"),
    Index("subnet_project", "project_id"),
    Index("subnet_subnetpool", "subnetpool_id"),
    Index("subnet_cidr", "cidr"),
    sqlite_with_rowid=False,
)

router = Table(
    "router",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("description", String, nullable=False),
    Column("admin_state_up", Boolean, nullable=False),
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)
