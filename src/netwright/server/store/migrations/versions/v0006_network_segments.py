"""Which segments are in use, in order."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("network_segment", "network", ["network_type", "segmentation_id"], unique=False)


def downgrade() -> None:
    op.drop_index("network_segment", table_name="network")
