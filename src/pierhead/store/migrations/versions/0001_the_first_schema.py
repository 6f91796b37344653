"""The first schema."""

import sqlalchemy as sa
from alembic import op

from pierhead.store.tables import Moment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "apps",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_apps")),
    )
    op.create_table(
        "journal",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("subject", sa.String(length=16), nullable=False),
        sa.Column("subject_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("journal", schema=None) as batch_op:
        batch_op.create_index("ix_journal_subject", ["subject", "subject_id", "id"], unique=False)

    op.create_table(
        "tokens",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "builds",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("app", sa.String(length=40), nullable=False),
        sa.Column("environment", sa.String(length=40), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String(length=64), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_builds_app"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_builds")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("builds", schema=None) as batch_op:
        batch_op.create_index("ix_builds_app_created", ["app", "created_at"], unique=False)
        batch_op.create_index("ix_builds_state", ["state"], unique=False)

    op.create_table(
        "releases",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("app", sa.String(length=40), nullable=False),
        sa.Column("environment", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("secrets", sa.JSON(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_releases_app"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_releases")),
        sa.UniqueConstraint("app", "environment", "number", name=op.f("uq_releases_app")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "secrets",
        sa.Column("app", sa.String(length=40), nullable=False),
        sa.Column("environment", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_secrets_app"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app", "environment", "name", "version", name=op.f("pk_secrets")),
    )
    op.create_table(
        "service_ports",
        sa.Column("port", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("app", sa.String(length=40), nullable=False),
        sa.Column("environment", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_service_ports_app"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("port", name=op.f("pk_service_ports")),
        sa.UniqueConstraint("app", "environment", "name", name=op.f("uq_service_ports_app")),
    )
    op.create_table(
        "deployments",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("app", sa.String(length=40), nullable=False),
        sa.Column("environment", sa.String(length=40), nullable=False),
        sa.Column("from_release_id", sa.Integer(), nullable=True),
        sa.Column("to_release_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_deployments_app"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["from_release_id"], ["releases.id"], name=op.f("fk_deployments_from_release_id")),
        sa.ForeignKeyConstraint(["to_release_id"], ["releases.id"], name=op.f("fk_deployments_to_release_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.create_index("ix_deployments_environment", ["app", "environment", "id"], unique=False)
        batch_op.create_index("ix_deployments_state", ["state"], unique=False)

    op.create_table(
        "environments",
        sa.Column("app", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("release_id", sa.Integer(), nullable=True),
        sa.Column("replicas", sa.Integer(), nullable=True),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String(length=64), nullable=True),
        sa.Column("claimed_until", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_environments_app"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("fk_environments_release_id")),
        sa.PrimaryKeyConstraint("app", "name", name=op.f("pk_environments")),
    )


def downgrade() -> None:
    op.drop_table("environments")
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.drop_index("ix_deployments_state")
        batch_op.drop_index("ix_deployments_environment")

    op.drop_table("deployments")
    op.drop_table("service_ports")
    op.drop_table("secrets")
    op.drop_table("releases")
    with op.batch_alter_table("builds", schema=None) as batch_op:
        batch_op.drop_index("ix_builds_state")
        batch_op.drop_index("ix_builds_app_created")

    op.drop_table("builds")
    op.drop_table("tokens")
    with op.batch_alter_table("journal", schema=None) as batch_op:
        batch_op.drop_index("ix_journal_subject")

    op.drop_table("journal")
    op.drop_table("apps")
