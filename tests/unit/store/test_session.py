"""The database: its schema is what the migrations make, and what it acknowledged is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from pierhead.kit import errors
from pierhead.store import apps, session, tables


def test_the_migrations_make_the_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'pier.db'}"
    session.migrate(url)
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    engine.dispose()


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'pier.db'}"
    session.migrate(url)
    session.migrate(url)


async def write_half(store: session.Store) -> None:
    async with store.write() as db:
        await apps.ensure(db, "notes", "dev")
        raise errors.Conflict


async def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    async with session.opened(tmp_path / "pier.db") as store:
        with pytest.raises(errors.Conflict):
            await write_half(store)
        async with store.read() as db:
            assert await apps.listing(db) == []


async def test_what_was_written_is_there_for_the_next_process(tmp_path: Path) -> None:
    async with session.opened(tmp_path / "pier.db") as store, store.write() as db:
        await apps.ensure(db, "notes", "dev")
    async with session.opened(tmp_path / "pier.db") as store, store.read() as db:
        assert [environment.name for environment in await apps.environments(db, "notes")] == ["dev"]
