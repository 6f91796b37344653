"""PostgreSQL: one database for several servers, whose writes come one after the other, as those to SQLite's file do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pierhead.kit import errors

HINT = "Look at the PostgreSQL that database.url names: `pg_isready`, its log, its disk. What was acknowledged is kept."

_WRITER, _MIGRATION = 0x70696572, 0x70696573
"""Advisory locks: of who writes, and of who migrates."""
_SESSION = " ".join(
    f"-c {setting}"
    for setting in (
        "synchronous_commit=on",  # an acknowledged write is on disk, whatever the cluster's default is
        "lock_timeout=10s",
        "idle_in_transaction_session_timeout=8s",  # sooner: whoever hangs halfway lets the others go on
        "tcp_keepalives_idle=10",
        "tcp_keepalives_interval=5",
        "tcp_keepalives_count=3",
    )
)
_CLIENT = {"connect_timeout": "10", "tcp_user_timeout": "15000", "application_name": "pierhead"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a database is."""

    url: str
    """As libpq reads it: `postgresql://user@host:5432/name?sslmode=verify-full`; several hosts, with commas."""
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Raises: Invalid (it is none)."""
        try:
            conninfo_to_dict(self.url)
        except psycopg.ProgrammingError as error:
            raise errors.Invalid(
                f"database.url: {str(error).strip()}.", hint="`postgresql://user@host:5432/name` is one."
            ) from error

    @property
    def arguments(self) -> dict[str, Any]:
        """What a connection is made with. What the URL says of the client holds."""
        told = conninfo_to_dict(self.url)
        password = {"password": self.password} if self.password else {}
        return {**_CLIENT, **told, **password, "options": f"{told.get('options', '')} {_SESSION}"}


def engines(at: Address) -> tuple[AsyncEngine, AsyncEngine]:
    """For reading, and for writing."""

    async def connect() -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(**at.arguments)

    reader = create_async_engine(
        "postgresql+psycopg://",
        async_creator=connect,
        pool_pre_ping=True,
        isolation_level="REPEATABLE READ",
        execution_options={"postgresql_readonly": True},
    )
    writer = create_async_engine("postgresql+psycopg://", async_creator=connect, pool_pre_ping=True, pool_size=1)
    event.listen(writer.sync_engine, "begin", _lock)
    return reader, writer


def migrating(at: Address) -> Engine:
    """For migrations: of several servers that start at once, one migrates and the others find it done."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(**at.arguments))

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.execute("SET lock_timeout = '60s'")
        connection.execute("SELECT pg_advisory_lock(%s)", [_MIGRATION])  # until the session ends
        connection.commit()

    return engine


def _lock(connection: Connection) -> None:
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER})")
