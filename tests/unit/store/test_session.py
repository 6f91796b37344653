"""The database: its schema is what the migrations make, and what it acknowledged is there."""

from __future__ import annotations

import asyncio
import itertools
import types
from collections.abc import Coroutine, Generator
from functools import partial
from pathlib import Path
from typing import Any

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


async def test_who_is_cancelled_wherever_it_waits_leaves_the_database_to_the_others(database: Path | Address) -> None:
    async with session.opened(database) as store:
        for place in itertools.count(1):
            work = asyncio.ensure_future(cancelled_at(place, _write(store, f"cancelled-{place}")))  # noqa: TID251
            async with asyncio.timeout(60):
                await asyncio.wait([work])
                await _write(store, f"other-{place}")
            if not work.cancelled():
                break
        work.result()
        assert place > 5
        async with store.read() as db:
            found = {one.name for one in await tokens.listing(db)}
    assert {f"other-{number}" for number in range(1, place + 1)} | {f"cancelled-{place}"} <= found


async def _write(store: session.Store, name: str) -> None:
    async with store.write() as db:
        await tokens.ensure(db, name, f"token of {name}")
        await tokens.holder(db, f"token of {name}")


@types.coroutine
def cancelled_at(place: int, work: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
    """Runs `work`, whose task is cancelled where it waits for the `place`-th time, whatever it waits for."""
    steps = work.__await__()
    step = partial(next, steps)
    while True:
        try:
            awaited = step()
        except StopIteration:
            return
        place -= 1
        if place == 0:
            task = asyncio.current_task()
            assert task
            task.cancel()
        try:
            yield awaited
            step = partial(next, steps)
        except asyncio.CancelledError as cancelled:
            step = partial(steps.throw, cancelled)
