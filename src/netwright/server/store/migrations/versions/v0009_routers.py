"""Address scopes, subnet pools with their free parts, and routers; the pool that a subnet is of."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_pools()
    op.create_table(
        "router",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("revision_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_router_project_id", "router", ["project_id"])
    if op.get_bind().dialect.name == "sqlite":
        _make_subnet_anew()
    else:
        op.add_column("subnet", sa.Column("subnetpool_id", sa.String(), nullable=True))
    op.create_index("subnet_subnetpool", "subnet", ["subnetpool_id"])


def downgrade() -> None:
    op.drop_index("subnet_subnetpool", "subnet")
    op.drop_column("subnet", "subnetpool_id")
    for table in ("router", "pool_use", "gap", "subnetpool", "address_scope"):
        op.drop_table(table)


def _create_pools() -> None:
    op.create_table(
        "address_scope",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("ip_version", sa.Integer(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "subnetpool",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("ip_version", sa.Integer(), nullable=False),
        sa.Column("min_prefixlen", sa.Integer(), nullable=False),
        sa.Column("max_prefixlen", sa.Integer(), nullable=False),
        sa.Column("default_prefixlen", sa.Integer(), nullable=False),
        sa.Column("default_quota", sa.Integer(), nullable=True),
        sa.Column("address_scope_id", sa.String(), nullable=True),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("revision_number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_subnetpool_address_scope_id", "subnetpool", ["address_scope_id"])
    op.create_table(
        "gap",
        sa.Column("pool_id", sa.String(), nullable=False),
        sa.Column("first_address", sa.LargeBinary(length=16), nullable=False),
        sa.Column("last_address", sa.LargeBinary(length=16), nullable=False),
        sa.Column("host_bits", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("pool_id", "first_address"),
        sqlite_with_rowid=False,
    )
    op.create_index("gap_last", "gap", ["pool_id", "last_address"], unique=True)
    op.create_table(
        "pool_use",
        sa.Column("pool_id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("addresses", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("pool_id", "project_id"),
        sqlite_with_rowid=False,
    )


_SUBNET: Sequence[tuple[str, Any, bool]] = (
    ("id", sa.String, False),
    ("project_id", sa.String, False),
    ("network_id", sa.String, False),
    ("name", sa.String, False),
    ("description", sa.String, False),
    ("cidr", sa.String, False),
    ("ip_version", sa.Integer, False),
    ("gateway_ip", sa.String, True),
    ("enable_dhcp", sa.Boolean, False),
    ("ipv6_address_mode", sa.String, True),
    ("ipv6_ra_mode", sa.String, True),
    ("revision_number", sa.Integer, False),
    ("created_at", sa.Float, False),
    ("updated_at", sa.Float, False),
    ("body", sa.Text, False),
)


def _make_subnet_anew() -> None:
    """SQLite would write an added column after the table's key, where a new file has it before."""
    op.rename_table("subnet", "subnet_before")
    op.drop_index("ix_subnet_network_id", "subnet_before")
    op.drop_index("subnet_name", "subnet_before")
    op.drop_index("subnet_project", "subnet_before")
    op.create_table(
        "subnet",
        *(sa.Column(name, type_(), nullable=nullable) for name, type_, nullable in _SUBNET),
        sa.Column("subnetpool_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO subnet SELECT *, NULL FROM subnet_before")
    op.drop_table("subnet_before")
    op.create_index("ix_subnet_network_id", "subnet", ["network_id"])
    op.create_index("subnet_name", "subnet", ["name"])
    op.create_index("subnet_project", "subnet", ["project_id"])
