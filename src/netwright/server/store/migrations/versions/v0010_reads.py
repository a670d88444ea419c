"""Indexes for what clients filter by; those over what most ports leave empty hold only the rest."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_port_device_id")
    op.drop_index("ix_port_name")
    op.drop_index("port_unique_name")
    _sparse("port_device", ["device_id"], "device_id != ''")
    _sparse("port_name", ["name"], "name != ''")
    _sparse("port_owner", ["device_owner", "network_id"], "device_owner != ''")
    _sparse(
        "port_unique_name",
        ["unique_name", "project_id"],
        "unique_name IS NOT NULL",
        unique=True,
    )
    op.create_index("subnet_cidr", "subnet", ["cidr"], unique=False)
    op.create_index("network_shared", "network", ["shared"], unique=False)


def downgrade() -> None:
    op.drop_index("network_shared")
    op.drop_index("subnet_cidr")
    op.drop_index("port_unique_name")
    op.drop_index("port_owner")
    op.drop_index("port_name")
    op.drop_index("port_device")
    op.create_index("port_unique_name", "port", ["project_id", "unique_name"], unique=True)
    op.create_index("ix_port_name", "port", ["name"], unique=False)
    op.create_index("ix_port_device_id", "port", ["device_id"], unique=False)


def _sparse(name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    op.create_index(
        name,
        "port",
        columns,
        unique=unique,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
