"""Networks and their subnets, the routers between them, and floating IPs."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, String, Table, Text, false

from netwright.server.store.schema.base import given, metadata

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
    Column("external", Boolean, nullable=False, server_default=false()),  # after `body`: added
    Index("network_name", "name"),
    Index("network_project", "project_id"),
    # Which VLANs are in use; the VNIs from one on.
    Index("network_segment", "network_type", "segmentation_id"),
    Index("network_segmentation", "segmentation_id"),
    Index("network_shared", "shared"),
    Index("network_external", "external"),
    sqlite_with_rowid=False,
)

# Those of `network`, one each, and further ones.
segment = Table(
    "segment",
    metadata,
    Column("id", String, primary_key=True),
    Column("network_id", String, nullable=False),
    Column("name", String),
    Column("description", String, nullable=False),
    Column("network_type", String, nullable=False),
    Column("physical_network", String),
    Column("segmentation_id", Integer),
    Column("segment_key", String, nullable=False),
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Index("segment_once", "segment_key", unique=True),
    Index("segment_network", "network_id"),
    Index("segment_name", "name"),
    Index("segment_kind", "network_type", "segmentation_id"),
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
    Column("segment_id", String),
    Index("subnet_name", "name"),
    Index("subnet_project", "project_id"),
    Index("subnet_subnetpool", "subnetpool_id"),
    Index("subnet_cidr", "cidr"),
    given("subnet_segment", "segment_id"),
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
    Index("router_name", "name"),
    sqlite_with_rowid=False,
)

floatingip = Table(
    "floatingip",
    metadata,
    Column("id", String, primary_key=True),
    Column("project_id", String, nullable=False),
    Column("floating_network_id", String, nullable=False),
    Column("floating_ip_address", String, nullable=False),
    Column("port_id", String),
    Column("fixed_ip_address", String),
    Column("router_id", String),
    Column("status", String, nullable=False),
    Column("description", String, nullable=False),
    Column("revision_number", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("body", Text, nullable=False),
    Index("floatingip_project", "project_id"),
    Index("floatingip_address", "floating_ip_address"),
    Index("floatingip_network", "floating_network_id"),
    given("floatingip_port", "port_id"),
    given("floatingip_router", "router_id"),
    given("floatingip_fixed", "fixed_ip_address"),
    sqlite_with_rowid=False,
)
