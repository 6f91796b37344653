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
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, InternalError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pierhead.kit import errors, tasks
from pierhead.store import postgresql, sqlite
from pierhead.store.postgresql import Address

Connection = AsyncConnection
"""What a use case hands to the functions of the store; everything done with one is one transaction."""


class _Whole(AsyncConnection):
    """Each statement runs to its end, whoever waits for it: what is left of one that was cancelled keeps the lock."""

    async def execute(self, *arguments: Any, **options: Any) -> Any:
        return await tasks.whole(super().execute(*arguments, **options))


class Store:
    """Two ways in: `read` sees one state, `write` is one transaction that is on disk when it ends."""

    def __init__(self, reader: AsyncEngine, writer: AsyncEngine, hint: str) -> None:
        """`hint` says where to look when the database does not answer."""
        self._reader = reader
        self._writer = writer
        self._hint = hint
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for queries. Raises: Unavailable."""
        async with _mapped(self._hint), _connected(self._reader) as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction; committed at the end, rolled back on any error or cancellation. Raises: Unavailable."""
        async with _mapped(self._hint), self._writing, _connected(self._writer) as connection:
            yield connection
            await tasks.whole(connection.commit())

    async def close(self) -> None:
        await self._reader.dispose()
        await self._writer.dispose()


@asynccontextmanager
async def opened(at: Path | Address) -> AsyncIterator[Store]:
    """The database there, made or migrated to the newest schema: a file of SQLite's, or a PostgreSQL.

    Raises: Unavailable (it does not answer).
    """
    hint, engines = (
        (postgresql.HINT, postgresql.engines(at)) if isinstance(at, Address) else (sqlite.HINT, sqlite.engines(at))
    )
    async with _mapped(hint):
        await asyncio.to_thread(migrate, at)
    store = Store(*engines, hint)
    try:
        yield store
    finally:
        await store.close()


def migrate(at: Path | Address) -> None:
    """The database there has the newest schema. Does nothing when it has already."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("pierhead.store") / "migrations"))
    engine = migrating(at)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def migrating(at: Path | Address) -> Engine:
    """What the schema is looked at and changed with; nobody else changes it meanwhile."""
    return postgresql.migrating(at) if isinstance(at, Address) else sqlite.migrating(at)


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
async def _mapped(hint: str) -> AsyncIterator[None]:
    try:
        yield
    except DataError as error:
        raise errors.Invalid(f"The database cannot keep this: {error.orig}") from error
    except DBAPIError as error:
        if isinstance(error, OperationalError | InternalError) or error.connection_invalidated:
            raise errors.Unavailable(f"The database did not answer: {error.orig}", hint=hint) from error
        raise
