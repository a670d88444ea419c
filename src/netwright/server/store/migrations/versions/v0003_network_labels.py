"""Labels of networks: by them a port may ask for one."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "network_label",
        sa.Column("network_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("network_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("network_label_value", "network_label", ["key", "value"])


def downgrade() -> None:
    op.drop_table("network_label")
