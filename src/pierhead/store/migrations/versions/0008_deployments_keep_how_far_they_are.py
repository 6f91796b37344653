"""Deployments keep their share, approvals, hooks and receipt, and environments what holds in them."""

import sqlalchemy as sa
from alembic import op

from pierhead.store.tables import Moment

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "environment_settings",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("domain", sa.String(length=253), nullable=False),
        sa.Column("replicas", sa.Integer(), nullable=True),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("approvals", sa.Integer(), nullable=False),
        sa.Column("freezes", sa.JSON(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_environment_settings")),
    )
    op.create_table(
        "receipts",
        sa.Column("deployment_id", sa.Integer(), nullable=False),
        sa.Column("receipt", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name=op.f("fk_receipts_deployment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("deployment_id", name=op.f("pk_receipts")),
    )
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.add_column(sa.Column("share", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("share_at", Moment(), nullable=True))
        batch_op.add_column(sa.Column("continued", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("approvals", sa.JSON(), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("hooks", sa.JSON(), server_default="{}", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.drop_column("hooks")
        batch_op.drop_column("approvals")
        batch_op.drop_column("continued")
        batch_op.drop_column("share_at")
        batch_op.drop_column("share")

    op.drop_table("receipts")
    op.drop_table("environment_settings")
