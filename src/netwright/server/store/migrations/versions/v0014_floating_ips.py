"""Networks that are external, and floating IPs."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
reads_from = "0013"
branch_labels = None
depends_on = None

_FLOATING_IP: Sequence[tuple[str, Any, bool]] = (
    ("id", sa.String, False),
    ("project_id", sa.String, False),
    ("floating_network_id", sa.String, False),
    ("floating_ip_address", sa.String, False),
    ("port_id", sa.String, True),
    ("fixed_ip_address", sa.String, True),
    ("router_id", sa.String, True),
    ("status", sa.String, False),
    ("description", sa.String, False),
    ("revision_number", sa.Integer, False),
    ("created_at", sa.Float, False),
    ("updated_at", sa.Float, False),
    ("body", sa.Text, False),
)

_NETWORK: Sequence[tuple[str, Any, bool]] = (
    ("id", sa.String, False),
    ("project_id", sa.String, False),
    ("name", sa.String, False),
    ("description", sa.String, False),
    ("network_type", sa.String, False),
    ("physical_network", sa.String, True),
    ("segmentation_id", sa.Integer, True),
    ("shared", sa.Boolean, False),
    ("admin_state_up", sa.Boolean, False),
    ("port_security_enabled", sa.Boolean, False),
    ("mtu", sa.Integer, False),
    ("revision_number", sa.Integer, False),
    ("created_at", sa.Float, False),
    ("updated_at", sa.Float, False),
    ("segment_key", sa.String, True),
    ("body", sa.Text, False),
)
_NETWORK_INDEXES: Sequence[tuple[str, list[str]]] = (
    ("network_name", ["name"]),
    ("network_project", ["project_id"]),
    ("network_segment", ["network_type", "segmentation_id"]),
    ("network_segmentation", ["segmentation_id"]),
    ("network_shared", ["shared"]),
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _make_network_anew()
    else:
        op.add_column("network", _external())
    op.create_index("network_external", "network", ["external"])
    op.create_table(
        "floatingip",
        *_columns(_FLOATING_IP),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("floatingip_project", "floatingip", ["project_id"])
    op.create_index("floatingip_address", "floatingip", ["floating_ip_address"])
    op.create_index("floatingip_network", "floatingip", ["floating_network_id"])
    for name, column in (
        ("floatingip_port", "port_id"),
        ("floatingip_router", "router_id"),
        ("floatingip_fixed", "fixed_ip_address"),
    ):
        given = sa.text(f"{column} IS NOT NULL")
        op.create_index(name, "floatingip", [column], sqlite_where=given, postgresql_where=given)


def downgrade() -> None:
    op.drop_table("floatingip")
    op.drop_index("network_external", "network")
    op.drop_column("network", "external")


def _external() -> sa.Column[bool]:
    return sa.Column("external", sa.Boolean(), nullable=False, server_default=sa.false())


def _columns(of: Sequence[tuple[str, Any, bool]]) -> list[sa.Column[Any]]:
    return [sa.Column(name, type_(), nullable=nullable) for name, type_, nullable in of]


def _make_network_anew() -> None:
    """SQLite would write an added column after the table's key, where a new file has it before."""
    op.rename_table("network", "network_before")
    for name, _ in _NETWORK_INDEXES:
        op.drop_index(name, "network_before")
    op.create_table(
        "network",
        *_columns(_NETWORK),
        _external(),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("segment_key"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO network SELECT *, 0 FROM network_before")
    op.drop_table("network_before")
    for name, columns in _NETWORK_INDEXES:
        op.create_index(name, "network", columns)
