"""The database: opened once per process, migrated before use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection as SyncConnection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from pierhead.kit import errors, tasks

Connection = AsyncConnection
"""What a use case hands to the functions of the store; everything done with one is one transaction."""


class _Whole(AsyncConnection):
    """Each statement runs to its end, whoever waits for it: what is left of one that was cancelled keeps the lock."""

    async def execute(self, *arguments: Any, **options: Any) -> Any:
        return await tasks.whole(super().execute(*arguments, **options))


class Store:
    """Two ways in: `read` sees one state, `write` is one transaction that is on disk when it ends."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine) -> None:
        self._reader = reader
        self._writer = writer
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for queries. Raises: Unavailable."""
        async with _mapped(), _connected(self._reader) as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction; committed at the end, rolled back on any error or cancellation. Raises: Unavailable."""
        async with _mapped(), self._writing, _connected(self._writer) as connection:
            yield connection
            await tasks.whole(connection.commit())

    async def close(self) -> None:
        await self._reader.dispose()
        await self._writer.dispose()


@asynccontextmanager
async def opened(file: Path) -> AsyncIterator[Store]:
    """The SQLite database at `file`, made or migrated to the newest schema."""
    file.parent.mkdir(parents=True, exist_ok=True)
    await asyncio.to_thread(migrate, f"sqlite:///{file}")
    reader = create_async_engine(f"sqlite+aiosqlite:///{file}")
    writer = create_async_engine(f"sqlite+aiosqlite:///{file}", poolclass=NullPool)
    _prepare(reader, "BEGIN")
    _prepare(writer, "BEGIN IMMEDIATE")
    store = Store(reader, writer)
    try:
        yield store
    finally:
        await store.close()


def migrate(url: str) -> None:
    """The database at `url` has the newest schema. Does nothing when it has already."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("pierhead.store") / "migrations"))
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


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
    def begun(connection: SyncConnection) -> None:
        connection.exec_driver_sql(begin)


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection in a transaction. Whoever is cancelled meanwhile leaves nothing open behind."""
    connection = _Whole(engine)
    try:
        await tasks.whole(_begin(connection))
        yield connection
    finally:
        if connection.sync_connection is not None:
            await tasks.whole(connection.close())


async def _begin(connection: AsyncConnection) -> None:
    await connection.start()
    await connection.begin()


@asynccontextmanager
async def _mapped() -> AsyncIterator[None]:
    try:
        yield
    except (OperationalError, DBAPIError) as error:
        if isinstance(error, OperationalError) or error.connection_invalidated:
            raise errors.Unavailable(
                f"The database did not answer: {error.orig}",
                hint="Look at the disk of the data folder: `df -h`, and at `pier status`.",
            ) from error
        raise
