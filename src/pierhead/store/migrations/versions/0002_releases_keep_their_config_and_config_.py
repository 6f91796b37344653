"""Releases keep their config, and config its revisions."""

import sqlalchemy as sa
from alembic import op

from pierhead.store.tables import Moment

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "config_revisions",
        sa.Column("app", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("environment", sa.String(length=40), nullable=False),
        sa.Column("author", sa.String(length=64), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_config_revisions_app"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app", "number", name=op.f("pk_config_revisions")),
    )
    with op.batch_alter_table("config_revisions", schema=None) as batch_op:
        batch_op.create_index("ix_config_revisions_scope", ["app", "environment", "number"], unique=False)

    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.add_column(sa.Column("author", sa.String(length=64), server_default="", nullable=False))

    with op.batch_alter_table("releases", schema=None) as batch_op:
        batch_op.add_column(sa.Column("config", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("variables", sa.JSON(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("file", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("barred", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("releases", schema=None) as batch_op:
        batch_op.drop_column("barred")
        batch_op.drop_column("file")
        batch_op.drop_column("variables")
        batch_op.drop_column("config")

    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.drop_column("author")

    with op.batch_alter_table("config_revisions", schema=None) as batch_op:
        batch_op.drop_index("ix_config_revisions_scope")

    op.drop_table("config_revisions")
