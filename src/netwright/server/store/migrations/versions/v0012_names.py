"""Indexes for what clients ask of groups, routers, pools, scopes; networks by VLAN or VNI alone."""

from alembic import op

revision = "0012"
down_revision = "0011"
reads_from = "0011"
branch_labels = None
depends_on = None

_INDEXES = (
    ("network_segmentation", "network", "segmentation_id"),
    ("security_group_name", "security_group", "name"),
    ("address_scope_name", "address_scope", "name"),
    ("address_scope_project", "address_scope", "project_id"),
    ("address_scope_shared", "address_scope", "shared"),
    ("subnetpool_name", "subnetpool", "name"),
    ("subnetpool_project", "subnetpool", "project_id"),
    ("subnetpool_shared", "subnetpool", "shared"),
    ("router_name", "router", "name"),
)


def upgrade() -> None:
    for name, table, column in _INDEXES:
        op.create_index(name, table, [column])


def downgrade() -> None:
    for name, _, _ in _INDEXES:
        op.drop_index(name)
