"""The tables. A change here needs a migration in `store/migrations/versions`; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A point in time: stored in UTC, read back with its zone (SQLite drops it)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)  # type: ignore[no-any-return]


class Sealed(TypeDecorator[bytes]):
    """A value sealed with the cluster's key, which no database holds: every such column is sealed anew when the key is
    replaced."""

    impl = LargeBinary
    cache_ok = True


class Printed(TypeDecorator[str]):
    """Text as programs print it. PostgreSQL keeps no NUL, so that no database is given one."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if value else value


apps = Table(
    "apps",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("created_at", Moment, nullable=False),
)

environments = Table(
    "environments",
    metadata,
    Column("app", String(40), ForeignKey("apps.name", ondelete="CASCADE"), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("release_id", Integer, ForeignKey("releases.id")),
    Column("replicas", Integer),
    Column("is_in_maintenance", Boolean, nullable=False, server_default=false()),
    Column("last_number", Integer, nullable=False, default=0),
    Column("claimed_by", String(64)),
    Column("claimed_until", Moment),
)

builds = Table(
    "builds",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("app", String(40), ForeignKey("apps.name", ondelete="CASCADE"), nullable=False),
    Column("environment", String(40), nullable=False, default=""),
    Column("source", Printed, nullable=False, default=""),
    Column("ref", Printed, nullable=False),
    Column("commit", String(64), nullable=False, default=""),
    Column("subject", Printed, nullable=False, default=""),
    Column("state", String(16), nullable=False),
    Column("image", Printed, nullable=False, default=""),
    Column("reason", Printed, nullable=False, default=""),
    Column("deployment_id", Integer),
    Column("attempts", Integer, nullable=False, default=0),
    Column("claimed_by", String(64)),
    Column("author", String(64), nullable=False, server_default=""),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Index("ix_builds_app_created", "app", "created_at"),
    Index("ix_builds_state", "state"),
    sqlite_autoincrement=True,
)

build_reports = Table(
    "build_reports",
    metadata,
    Column("build_id", Integer, ForeignKey("builds.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("summary", Printed, nullable=False),
    Column("xml", LargeBinary, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("app", String(40), ForeignKey("apps.name", ondelete="CASCADE"), nullable=False),
    Column("environment", String(40), nullable=False),
    Column("number", Integer, nullable=False),
    Column("image", Printed, nullable=False),
    Column("commit", String(64), nullable=False),
    Column("subject", Printed, nullable=False, default=""),
    Column("spec", JSON, nullable=False),
    Column("image_config", JSON(none_as_null=True)),
    Column("secrets", JSON, nullable=False),
    Column("config", Integer, nullable=False, server_default="0"),
    Column("variables", JSON, nullable=False, server_default="{}"),
    Column("file", Printed, nullable=False, server_default=""),
    Column("barred", Printed, nullable=False, server_default=""),
    Column("pruned_at", Moment),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("app", "environment", "number"),
    sqlite_autoincrement=True,
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("app", String(40), ForeignKey("apps.name", ondelete="CASCADE"), nullable=False),
    Column("environment", String(40), nullable=False),
    Column("from_release_id", Integer, ForeignKey("releases.id")),
    Column("to_release_id", Integer, ForeignKey("releases.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Printed, nullable=False, default=""),
    Column("author", String(64), nullable=False, server_default=""),
    Column("share", Integer),
    Column("share_at", Moment),
    Column("continued", Integer),
    Column("approvals", JSON, nullable=False, server_default="[]"),
    Column("override", Printed, nullable=False, server_default=""),
    Column("hooks", JSON, nullable=False, server_default="{}"),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Index("ix_deployments_environment", "app", "environment", "id"),
    Index("ix_deployments_state", "state"),
    sqlite_autoincrement=True,
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("app", String(40), ForeignKey("apps.name", ondelete="CASCADE"), nullable=False),
    Column("environment", String(40), nullable=False),
    Column("release_id", Integer, ForeignKey("releases.id", ondelete="CASCADE"), nullable=False),
    Column("author", String(64), nullable=False),
    Column("command", JSON, nullable=False),
    Column("variables", JSON, nullable=False),
    Column("is_watched", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Printed, nullable=False, default=""),
    Column("instance", String(64), nullable=False, default=""),
    Column("exit_code", Integer),
    Column("output", Printed, nullable=False, default=""),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Index("ix_runs_app", "app", "id"),
    sqlite_autoincrement=True,
)

receipts = Table(
    "receipts",
    metadata,
    Column("deployment_id", Integer, ForeignKey("deployments.id", ondelete="CASCADE"), primary_key=True),
    Column("receipt", JSON, nullable=False),
)

environment_settings = Table(
    "environment_settings",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("domain", String(253), nullable=False, default=""),
    Column("replicas", Integer),
    Column("labels", JSON, nullable=False),
    Column("approvals", Integer, nullable=False, default=0),
    Column("not_author", Boolean, nullable=False, server_default=false()),
    Column("freezes", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
)

config_revisions = Table(
    "config_revisions",
    metadata,
    Column("app", String(40), ForeignKey("apps.name", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("environment", String(40), nullable=False),
    Column("author", String(64), nullable=False),
    Column("changes", JSON, nullable=False),
    Column("variables", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("ix_config_revisions_scope", "app", "environment", "number"),
)

journal = Table(
    "journal",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("subject", String(16), nullable=False),
    Column("subject_id", Integer, nullable=False),
    Column("step", String(32), nullable=False),
    Column("text", Printed, nullable=False),
    Index("ix_journal_subject", "subject", "subject_id", "id"),
    sqlite_autoincrement=True,
)

service_ports = Table(
    "service_ports",
    metadata,
    Column("port", Integer, primary_key=True, autoincrement=False),
    Column("app", String(40), ForeignKey("apps.name", ondelete="CASCADE"), nullable=False),
    Column("environment", String(40), nullable=False),
    Column("name", String(40), nullable=False),
    UniqueConstraint("app", "environment", "name"),
)

host_ports = Table(
    "host_ports",
    metadata,
    Column("port", Integer, primary_key=True, autoincrement=False),
    Column("holder", String(64), nullable=False),
    Column("taken_at", Moment, nullable=False),
    Column("left_at", Moment),
    Column("is_foreign", Boolean, nullable=False, default=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("app", String(40), ForeignKey("apps.name", ondelete="CASCADE"), primary_key=True),
    Column("environment", String(40), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("ciphertext", Sealed, nullable=False),
    Column("created_at", Moment, nullable=False),
)

git_accesses = Table(
    "git_accesses",
    metadata,
    Column("app", String(40), ForeignKey("apps.name", ondelete="CASCADE"), primary_key=True),
    Column("public_key", Printed, nullable=False, default=""),
    Column("known_hosts", Printed, nullable=False, default=""),
    Column("host", Printed, nullable=False, default=""),
    Column("username", Printed, nullable=False, default=""),
    Column("private_key", Sealed),
    Column("password", Sealed),
)

hooks = Table(
    "hooks",
    metadata,
    Column("app", String(40), ForeignKey("apps.name", ondelete="CASCADE"), primary_key=True),
    Column("source", Printed, nullable=False),
    Column("rules", JSON, nullable=False),
    Column("paths", JSON, nullable=False),
    Column("ciphertext", Sealed, nullable=False),
    Column("created_at", Moment, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("app", String(40), ForeignKey("apps.name", ondelete="CASCADE"), nullable=False),
    Column("key", String(64), nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("provider", String(16), nullable=False),
    Column("ref", Printed, nullable=False),
    Column("outcome", Printed, nullable=False),
    Column("build_id", Integer),
    UniqueConstraint("app", "key"),
    Index("ix_deliveries_app", "app", "id"),
    sqlite_autoincrement=True,
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    sqlite_autoincrement=True,
)
