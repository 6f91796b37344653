"""SQLite: one file, one server, and nothing to configure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

HINT = "Look at the disk of the data folder: `df -h`, and at `pier status`."


def engines(file: Path) -> tuple[AsyncEngine, AsyncEngine]:
    """For reading, and for writing."""
    url = f"sqlite+aiosqlite:///{file}"
    reader, writer = create_async_engine(url), create_async_engine(url, poolclass=NullPool)
    _prepare(reader, "BEGIN")
    _prepare(writer, "BEGIN IMMEDIATE")
    return reader, writer


def migrating(file: Path) -> Engine:
    """For migrations; its folder exists."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return create_engine(f"sqlite:///{file}")


def _prepare(engine: AsyncEngine, begin: str) -> None:
    """Durable at commit even when the power fails; writers take the lock at once, so that none fails halfway."""

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
