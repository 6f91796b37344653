"""The database: its schema is what the migrations make, and what it acknowledged is there."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from pierhead.kit import errors
from pierhead.store import apps, session, tables, tokens
from pierhead.store.postgresql import Address


def test_the_migrations_make_the_tables(database: Path | Address) -> None:
    session.migrate(database)
    engine = session.migrating(database)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    engine.dispose()


def test_migrating_twice_changes_nothing(database: Path | Address) -> None:
    session.migrate(database)
    session.migrate(database)


async def write_half(store: session.Store) -> None:
    async with store.write() as db:
        await apps.ensure(db, "notes", "dev")
        raise errors.Conflict


async def test_a_failed_transaction_leaves_nothing(database: Path | Address) -> None:
    async with session.opened(database) as store:
        with pytest.raises(errors.Conflict):
            await write_half(store)
        async with store.read() as db:
            assert await apps.listing(db) == []


async def test_what_was_written_is_there_for_the_next_process(database: Path | Address) -> None:
    async with session.opened(database) as store, store.write() as db:
        await apps.ensure(db, "notes", "dev")
    async with session.opened(database) as store, store.read() as db:
        assert [environment.name for environment in await apps.environments(db, "notes")] == ["dev"]


async def test_who_is_cancelled_leaves_the_database_to_the_others(database: Path | Address) -> None:
    chance = random.Random(7)
    async with session.opened(database) as store:
        for round_ in range(40):
            writers = [asyncio.ensure_future(_write(store, 10 * round_ + n)) for n in range(5)]  # noqa: TID251
            await asyncio.sleep(chance.random() / 10)
            for cancelled in chance.sample(writers, 3):
                cancelled.cancel()
            async with asyncio.timeout(8):
                await asyncio.wait(writers)
            assert not [one for one in writers if not one.cancelled() and one.exception()]


async def _write(store: session.Store, number: int) -> None:
    async with store.write() as db:
        await tokens.ensure(db, f"name-{number}", f"token-{number}")
        await tokens.holder(db, f"token-{number}")
