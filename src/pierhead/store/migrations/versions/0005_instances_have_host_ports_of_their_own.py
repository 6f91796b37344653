"""Instances have host ports of their own."""

import sqlalchemy as sa
from alembic import op

from pierhead.store.tables import Moment

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "host_ports",
        sa.Column("port", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("taken_at", Moment(), nullable=False),
        sa.Column("left_at", Moment(), nullable=True),
        sa.Column("is_foreign", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("port", name=op.f("pk_host_ports")),
    )


def downgrade() -> None:
    op.drop_table("host_ports")
