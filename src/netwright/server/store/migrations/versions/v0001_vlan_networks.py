"""VLAN provider networks: the first schema.

Addresses are 16 bytes, IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2).
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "allocation",
    "attachment",
    "binding",
    "block",
    "event",
    "former_mac",
    "heard",
    "host",
    "meta",
    "network",
    "port",
    "revocation",
    "subnet",
    "topology",
    "transition",
)


def upgrade() -> None:
    op.create_table(
        "allocation",
        sa.Column("subnet_id", sa.String(), nullable=False),
        sa.Column("address", sa.LargeBinary(length=16), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("port_id", sa.String(), nullable=True),
        sa.Column("rests_until", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("subnet_id", "address"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "allocation_resting",
        "allocation",
        ["rests_until"],
        unique=False,
        sqlite_where=sa.text("rests_until IS NOT NULL"),
        postgresql_where=sa.text("rests_until IS NOT NULL"),
    )
    op.create_index("ix_allocation_port_id", "allocation", ["port_id"], unique=False)

    op.create_table(
        "attachment",
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("network_id", "host"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_attachment_host", "attachment", ["host"], unique=False)

    op.create_table(
        "binding",
        sa.Column("port_id", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("due_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("port_id", "host"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "binding_due",
        "binding",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("binding_host", "binding", ["host", "state"], unique=False)
    op.create_index("binding_network", "binding", ["network_id", "host"], unique=False)

    op.create_table(
        "block",
        sa.Column("subnet_id", sa.String(), nullable=False),
        sa.Column("number", sa.LargeBinary(length=16), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("expires_at", sa.Float(), nullable=True),
        sa.Column("is_full", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("subnet_id", "number"),
        sqlite_with_rowid=False,
    )
    op.create_index("block_leasable", "block", ["subnet_id", "is_full", "expires_at"], unique=False)

    op.create_table(
        "event",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("hosts", sa.String(), nullable=True),
        sa.Column("left_hosts", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
    )

    op.create_table(
        "former_mac",
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("mac_address", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("port_id", sa.String(), nullable=True),
        sa.Column("rests_until", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("network_id", "mac_address"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "former_mac_resting",
        "former_mac",
        ["rests_until"],
        unique=False,
        sqlite_where=sa.text("rests_until IS NOT NULL"),
        postgresql_where=sa.text("rests_until IS NOT NULL"),
    )

    op.create_table(
        "heard",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("heard_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("host"),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "host",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "meta",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )

    op.create_table(
        "network",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("network_type", sa.String(), nullable=False),
        sa.Column("physical_network", sa.String(), nullable=True),
        sa.Column("segmentation_id", sa.Integer(), nullable=True),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("port_security_enabled", sa.Boolean(), nullable=False),
        sa.Column("mtu", sa.Integer(), nullable=False),
        sa.Column("revision_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("segment_key", sa.String(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("segment_key"),
        sqlite_with_rowid=False,
    )
    op.create_index("network_name", "network", ["name"], unique=False)
    op.create_index("network_project", "network", ["project_id"], unique=False)

    op.create_table(
        "port",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("unique_name", sa.String(), nullable=True),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("mac_address", sa.String(), nullable=False),
        sa.Column("device_id", sa.String(), nullable=False),
        sa.Column("device_owner", sa.String(), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("port_security_enabled", sa.Boolean(), nullable=False),
        sa.Column("vnic_type", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=True),
        sa.Column("vif_type", sa.String(), nullable=False),
        sa.Column("revision_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("event_seq", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_port_device_id", "port", ["device_id"], unique=False)
    op.create_index("ix_port_name", "port", ["name"], unique=False)
    op.create_index("ix_port_project_id", "port", ["project_id"], unique=False)
    op.create_index("port_mac", "port", ["network_id", "mac_address"], unique=True)
    op.create_index("port_unique_name", "port", ["project_id", "unique_name"], unique=True)

    op.create_table(
        "revocation",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("revocations", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("host"),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "subnet",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("cidr", sa.String(), nullable=False),
        sa.Column("ip_version", sa.Integer(), nullable=False),
        sa.Column("gateway_ip", sa.String(), nullable=True),
        sa.Column("enable_dhcp", sa.Boolean(), nullable=False),
        sa.Column("ipv6_address_mode", sa.String(), nullable=True),
        sa.Column("ipv6_ra_mode", sa.String(), nullable=True),
        sa.Column("revision_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_subnet_network_id", "subnet", ["network_id"], unique=False)
    op.create_index("subnet_name", "subnet", ["name"], unique=False)

    op.create_table(
        "topology",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "transition",
        sa.Column("port_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("port_id", "number"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "transition_ended",
        "transition",
        ["ended_at"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NOT NULL"),
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
