"""Deploy keys and logins at git servers."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "git_accesses",
        sa.Column("app", sa.String(length=40), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("known_hosts", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("private_key", sa.LargeBinary(), nullable=True),
        sa.Column("password", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["app"], ["apps.name"], name=op.f("fk_git_accesses_app"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app", name=op.f("pk_git_accesses")),
    )


def downgrade() -> None:
    op.drop_table("git_accesses")
