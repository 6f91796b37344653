"""Runs are kept, and who may let deployments begin."""

import sqlalchemy as sa
from alembic import op

from pierhead.store.tables import Moment

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("app", sa.String(length=40), nullable=False),
        sa.Column("environment", sa.String(length=40), nullable=False),
        sa.Column("release_id", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(length=64), nullable=False),
        sa.Column("command", sa.JSON(), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("is_watched", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_runs_app"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_runs_release_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_app", "runs", ["app", "id"])
    with op.batch_alter_table("builds", schema=None) as batch_op:
        batch_op.add_column(sa.Column("author", sa.String(length=64), server_default="", nullable=False))
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.add_column(sa.Column("override", sa.Text(), server_default="", nullable=False))
    with op.batch_alter_table("environment_settings", schema=None) as batch_op:
        batch_op.add_column(sa.Column("not_author", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("environment_settings", schema=None) as batch_op:
        batch_op.drop_column("not_author")
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.drop_column("override")
    with op.batch_alter_table("builds", schema=None) as batch_op:
        batch_op.drop_column("author")
    op.drop_index("ix_runs_app", "runs")
    op.drop_table("runs")
